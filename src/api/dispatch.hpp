// Takes a request from its head to its answer. Checks run in the order that docs/http-api.md gives,
// and the first one that fails determines the answer. http/parser.hpp has checked the framing
// before. endpoint.hpp lists the endpoints.
#pragma once

#include <optional>
#include <string>

#include "api/answer.hpp"
#include "api/context.hpp"
#include "api/http_exchange.hpp"

namespace vesper::api {

// Checks Host and Origin, path, method, credentials, parameters, headers and length, in this order.
// Fills in the exchange in any case. Sets its outcome if the answer does not depend on the body.
// Stops before the parameters if exchange.credential is `unknown` then: see ask_for_tokens().
std::optional<Problem> validate(Context& context, const http::RequestHead& head,
                                HttpExchange& exchange);

// Goes on with the checks after the leader was asked for tokens. `reply`: to that question.
std::optional<Problem> validate_again(Context& context, const http::RequestHead& head,
                                      HttpExchange& exchange, const node::ClientReply& reply);

// Call after validate(), if exchange.streams_body. Sets exchange.stream, or the outcome if the
// request cannot be carried out now.
void open_stream(Context& context, HttpExchange& exchange);

// Call when the body is complete, unless exchange.streams_body. Posts the request to the node, or
// sets the outcome.
void run(Context& context, HttpExchange& exchange, std::string body);

// Requires exchange.answered().
void render(Context& context, const HttpExchange& exchange, Answer& answer);

// Appends the head.
void append_head(Context& context, const HttpExchange& exchange, const Answer& answer,
                 std::string& out);
// Appends the head and answer.body. The caller must append a `shared` body itself, or the pieces of
// a stream: as chunks, except in HTTP/1.0.
void append_answer(Context& context, const HttpExchange& exchange, const Answer& answer,
                   std::string& out);

}  // namespace vesper::api
