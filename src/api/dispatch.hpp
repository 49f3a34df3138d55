// From a request's head to its answer: the checks in the contract's order (docs/http-api.md,
// "Checks"), the first that fails answers. The parser has checked the framing before; the body
// comes after.
#pragma once

#include <optional>
#include <string>

#include "api/answer.hpp"
#include "api/context.hpp"
#include "api/http_exchange.hpp"

namespace vesper::api {

// Host/Origin, path, method, parameters, headers, length. Fills in the exchange, whatever the
// answer. Sets its outcome if no body has to be waited for to know it.
std::optional<Problem> validate(Context& context, const http::RequestHead& head,
                                HttpExchange& exchange);

// The body is complete: posts to the node, or sets the outcome.
void run(Context& context, HttpExchange& exchange, std::string body);

// Requires exchange.answered().
void render(Context& context, const HttpExchange& exchange, Answer& answer);

// Appends the head and a `body`. The caller appends a `shared` body after it, or the pieces of a
// stream: in chunks, except in HTTP/1.0.
void append_answer(Context& context, const HttpExchange& exchange, const Answer& answer,
                   std::string& out);

}  // namespace vesper::api
