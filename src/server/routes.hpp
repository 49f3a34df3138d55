// From a request's head to its handler: the checks in the contract's order (docs/http-api.md,
// "Checks"), the first that fails answers. Framing was checked by the parser before, the body
// comes after.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "http/message.hpp"
#include "server/context.hpp"
#include "server/exchange.hpp"

namespace vesper::server {

// Host/Origin, path, method, parameters, headers, length. Fills in the exchange, whatever the
// answer; its outcome is set where no body has to be waited for to know it.
std::optional<Problem> judge(Context& context, const http::RequestHead& head, Exchange& exchange);

// The body is complete: posts to the node, or sets the outcome.
void run(Context& context, std::uint64_t connection, Exchange& exchange, std::string body);

// Requires exchange.answered().
void render(Context& context, const Exchange& exchange, Answer& answer);

// Appends head and body. A `shared` body is left to the caller, behind it.
void append_answer(Context& context, const Exchange& exchange, const Answer& answer,
                   std::string& out);

// Is the host one that browsers may be sent to? (DNS rebinding)
bool host_allowed(const Options& options, std::string_view authority);
// A write that a page of another origin made.
bool cross_origin(const http::RequestHead& head);

}  // namespace vesper::server
