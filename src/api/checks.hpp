// What several resources share: checks of heads, and the answers to writes that were not carried
// out.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "api/forward.hpp"
#include "api/problem.hpp"
#include "base/time.hpp"
#include "kv/command.hpp"
#include "kv/idempotency_table.hpp"
#include "node/ports.hpp"

namespace vesper::api {

inline constexpr std::string_view kEveryMethod = "GET, HEAD, PUT, DELETE, OPTIONS";

// Of an endpoint that takes no parameter.
std::optional<Problem> check_no_parameter(const Context& context, const http::RequestHead& head,
                                          const Query& query, HttpExchange& exchange);
// Names the parameter as unknown.
Problem unknown_parameter(const http::QueryParameter& parameter);
// Reads ?timeout= into the exchange.
std::optional<Problem> read_timeout(const http::QueryParameter& parameter, HttpExchange& exchange);
// Refuses what only says something about a body that is a value: Content-Encoding, and so on.
std::optional<Problem> check_value_headers(const http::RequestHead& head);
// Reads a write's Idempotency-Key. Without one, `key` stays empty.
std::optional<Problem> read_idempotency_key(const http::RequestHead& head, std::string& key);
// What makes a write with an Idempotency-Key the same as another one. Nothing without one.
std::optional<kv::IdempotencyKey> request_id(const HttpExchange& exchange, const std::string& key,
                                             std::string_view target,
                                             const kv::Conditions& conditions,
                                             std::string_view body);
// 417, 411, 413: before a byte of the body is read. Every check ends with it.
enum class Length : std::uint8_t { optional, required };
std::optional<Problem> check_length(const http::RequestHead& head, const HttpExchange& exchange,
                                    Length length);
Problem too_large(const HttpExchange& exchange);

void render_problem(const Problem& problem, Answer& answer);
void render_refusal(node::Refusal refusal, std::string_view idempotency_key, Answer& answer);
// False: the write was carried out, now or, as the answer then says, before. True: its
// Idempotency-Key kept it from being carried out, and the answer says why.
bool render_if_not_carried_out(const kv::WriteResult& write, Answer& answer);

}  // namespace vesper::api
