// The handlers, one file per API. check_ looks at the head and changes nothing but the exchange;
// run_ takes the complete body and posts to the node, or sets the outcome; render_ turns an outcome
// into an answer when the exchange is first in its connection's line.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "http/message.hpp"
#include "http/target.hpp"
#include "kv/command.hpp"
#include "kv/idempotency_table.hpp"
#include "server/context.hpp"
#include "server/exchange.hpp"

namespace vesper::server {

using Query = std::vector<http::QueryParameter>;

// /kv/<key>. The key is in the exchange already.
std::optional<Problem> check_kv(const Context& context, const http::RequestHead& head,
                                const Query& query, Exchange& exchange);
void run_kv(Context& context, std::uint64_t connection, Exchange& exchange, std::string body);
void render_kv(const Context& context, const Exchange& exchange, const node::Reply& reply,
               Answer& answer);

// /request, the seed project's endpoint.
std::optional<Problem> check_request(const Context& context, const http::RequestHead& head,
                                     const Query& query, Exchange& exchange);
void run_request(Context& context, std::uint64_t connection, Exchange& exchange, std::string body);
void render_request(const Exchange& exchange, const node::Reply& reply, Answer& answer);

// /status, /livez, /readyz
std::optional<Problem> check_readyz(const Query& query, Exchange& exchange);
void render_status(Context& context, Answer& answer);
void render_livez(Answer& answer);
void render_readyz(Context& context, const Exchange& exchange, Answer& answer);
// Since the entry that the newest snapshot ends with, by the cluster's clock; 0 without one.
Duration snapshot_age(Context& context);
// What a server without data says when a cluster exists: in its log and in /readyz.
std::string why_not_in_cluster(Id128 seen);

// /cluster/transfer
std::optional<Problem> check_transfer(const Context& context, const http::RequestHead& head,
                                      const Query& query, Exchange& exchange);
void run_transfer(Context& context, std::uint64_t connection, Exchange& exchange);
void render_transfer(const Context& context, const node::TransferResult& result, Answer& answer);

// /metrics
void render_metrics(Context& context, Answer& answer);

// /
void render_root(Answer& answer);

// What several of them need.

// As in ?consistency= and Vesper-Consistency.
std::string_view to_string(node::ReadLevel level);

// Names the parameter as unknown.
Problem unknown_parameter(const http::QueryParameter& parameter);
// Reads ?timeout= into the exchange.
std::optional<Problem> read_timeout(const http::QueryParameter& parameter, Exchange& exchange);
// Refuses what only says something about a body that is a value: Content-Encoding, and so on.
std::optional<Problem> check_value_headers(const http::RequestHead& head);
// Reads a write's Idempotency-Key into the exchange.
std::optional<Problem> read_token(const http::RequestHead& head, Exchange& exchange);
// What makes a write with an Idempotency-Key the same as another one. Nothing without one.
std::optional<kv::RequestId> request_id(const Exchange& exchange, std::string_view target,
                                        std::string_view body);
// The answer to a write that was not carried out for its token's sake: nothing for any other.
std::optional<Problem> token_problem(const kv::WriteResult& write);
// 417, 411, 413: before a byte of the body is read. Every check ends with it.
std::optional<Problem> check_length(const http::RequestHead& head, const Exchange& exchange,
                                    bool length_required);
Problem too_large(const Exchange& exchange);

}  // namespace vesper::server
