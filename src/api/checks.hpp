// Shared by several endpoints: checks of request heads, and answers to writes that were refused.
// The endpoints themselves are in kv.hpp, seed_request.hpp, transfer.hpp, probes.hpp and so on.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "api/forward.hpp"
#include "api/problem.hpp"
#include "base/overloaded.hpp"
#include "base/time.hpp"
#include "kv/command.hpp"
#include "kv/idempotency_table.hpp"
#include "node/ports.hpp"

namespace vesper::api {

// What some path takes: for "*", and for a request without a path.
inline constexpr std::string_view kEveryMethod = "GET, HEAD, PUT, POST, DELETE, OPTIONS";

// The check of an endpoint that takes no parameters.
std::optional<Problem> check_no_parameter(const Context& context, const http::RequestHead& head,
                                          const Query& query, HttpExchange& exchange);
// The problem for a parameter that this method does not have at this path.
Problem unknown_parameter(const http::QueryParameter& parameter);
// Reads ?timeout= into exchange.timeout.
std::optional<Problem> read_timeout(const http::QueryParameter& parameter, HttpExchange& exchange);
// Reads a name from the path: 1 to kv::kMaxKey bytes, percent-encoded. `what` is what it names,
// such as "key"; it follows `path`.
std::optional<Problem> read_name(std::string_view encoded, std::string_view what,
                                 std::string_view path, std::string& name);
// Checks the length of a key, a name or an end of a range. Only a prefix may be empty.
std::optional<Problem> check_bound(const http::QueryParameter& parameter);
// Reads ?wait= of what may wait for up to ten minutes. `example`: a duration, for the message.
std::optional<Problem> read_wait(const http::QueryParameter& parameter, std::string_view example,
                                 Duration& wait);
// Checks a GET that takes a timeout and the options of a read, and nothing else.
std::optional<Problem> check_read(const Query& query, HttpExchange& exchange,
                                  node::ReadOptions& options);
// True if the client prefers lines (NDJSON) to `other`, the default form.
bool prefers_lines(const http::RequestHead& head, std::string_view other);
// Reads ?ttl=.
std::optional<Problem> read_ttl(const http::QueryParameter& parameter, Duration& ttl);
// Reads ?fence=NAME:TOKEN of a write.
std::optional<Problem> read_fence(const http::QueryParameter& parameter,
                                  std::optional<kv::Fence>& fence);
// The fence as a parameter, for the target in request_id().
std::string text_of(const kv::Fence& fence);
// Refuses header fields that describe the body as anything but a plain value, such as
// Content-Encoding.
std::optional<Problem> check_value_headers(const http::RequestHead& head);
// Refuses a Content-Encoding of a JSON body. Content-Type does not matter.
std::optional<Problem> check_json_headers(const http::RequestHead& head);
// Refuses If-Match and If-None-Match.
std::optional<Problem> refuse_conditions(const http::RequestHead& head);
// Refuses an Idempotency-Key of a write that would not be carried out once only. `what` names the
// write, as in "an import"; `hint` says what its client can do instead.
std::optional<Problem> refuse_idempotency_key(const http::RequestHead& head, std::string_view what,
                                              std::string_view hint = {});
// Reads the Idempotency-Key of a write. `key` stays empty if the field is absent.
std::optional<Problem> read_idempotency_key(const http::RequestHead& head, std::string& key);
// Identifies a write with an Idempotency-Key: the key, and a fingerprint of method, target,
// conditions and body. Returns nothing if `key` is empty.
std::optional<kv::IdempotencyKey> request_id(const HttpExchange& exchange, const std::string& key,
                                             std::string_view target,
                                             const kv::Conditions& conditions,
                                             std::string_view body);
// Post a read or a write to the node, or set the outcome of the exchange if its client may not ask
// for it. `command` is the byte form of kv/command.hpp; `wait` is set if it is a kv::AcquireLock.
void post_read(Context& context, HttpExchange& exchange, node::ReadQuery query,
               const node::ReadOptions& options,
               std::shared_ptr<const node::ChangeWait> wait = nullptr);
void post_read(Context& context, HttpExchange& exchange, node::ClientRead read);
void post_write(Context& context, HttpExchange& exchange, std::string_view command,
                std::shared_ptr<const node::LockWait> wait = nullptr);
// Answers 417, 411 or 413 before any of the body is read. Call it as the last check.
enum class Length : std::uint8_t { optional, required };
std::optional<Problem> check_length(const http::RequestHead& head, const HttpExchange& exchange,
                                    Length length);
Problem too_large(const HttpExchange& exchange);

void render_problem(const Problem& problem, Answer& answer);
void render_refusal(node::Refusal refusal, std::string_view idempotency_key, Answer& answer);
// Fills in what the answers to all writes have. Returns false if the write was carried out, now or,
// as the answer then says, before. Returns true if it was refused, and renders the problem (see
// problem_of).
bool render_if_refused(const kv::WriteResult& write, std::string_view parameter, Answer& answer);

// Renders what the node replied: a read by on_read(const node::ReadResult&), a write by
// on_write(const kv::WriteResult&). Requires a reply to one of these.
template <typename OnRead, typename OnWrite>
void render_reply(const node::ClientReply& reply, std::string_view idempotency_key, Answer& answer,
                  const OnRead& on_read, const OnWrite& on_write) {
  std::visit(
      Overloaded{
          [&](const node::Refusal& refusal) { render_refusal(refusal, idempotency_key, answer); },
          [&](const node::ReadResult& read) { on_read(read); },
          [&](const kv::WriteResult& write) { on_write(write); },
          [](const node::TransferResult&) { VESPER_UNREACHABLE(); },
          [](const node::MembersResult&) { VESPER_UNREACHABLE(); },
          [](const raft::MembersRefusal&) { VESPER_UNREACHABLE(); },
          [](const node::ClusterView&) { VESPER_UNREACHABLE(); },
      },
      reply);
}

}  // namespace vesper::api
