#include "api/checks.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "api/answer.hpp"
#include "api/context.hpp"
#include "api/http_exchange.hpp"
#include "api/read_options.hpp"
#include "api/render.hpp"
#include "http/grammar.hpp"
#include "http/values.hpp"
#include "json/text.hpp"
#include "kv/item.hpp"
#include "node/long_polls.hpp"

namespace vesper::api {
std::optional<Problem> check_no_parameter(const Context&, const http::RequestHead&,
                                          const Query& query, HttpExchange&) {
  if (query.empty()) return std::nullopt;
  return unknown_parameter(query.front());
}

Problem unknown_parameter(const http::QueryParameter& parameter) {
  return invalid_parameter(parameter.name,
                           fmt::format("parameter \"{}\" does not exist for this path and method",
                                       escaped(parameter.name)));
}

std::optional<Problem> read_timeout(const http::QueryParameter& parameter, HttpExchange& exchange) {
  const auto timeout = http::parse_duration(parameter.value);
  if (!timeout || *timeout < kMinTimeout || *timeout > kMaxTimeout)
    return invalid_parameter("timeout",
                             "timeout must be a duration from 10ms to 60s, such as 500ms");
  exchange.timeout = *timeout;
  return std::nullopt;
}

std::optional<Problem> read_name(std::string_view encoded, std::string_view what,
                                 std::string_view path, std::string& name) {
  if (!http::percent_decode(encoded, name))
    return malformed(fmt::format("a % in the {} is not followed by two hex digits", what));
  if (!name.empty() && name.size() <= kv::kMaxKey) return std::nullopt;
  Problem problem{.status = 400, .code = "invalid_key"};
  if (name.empty()) {
    problem.detail = fmt::format("the {} is empty", what);
    problem.hint = fmt::format("put a {} of 1 to {} bytes after {}", what, kv::kMaxKey, path);
  } else {
    problem.detail = fmt::format("the {} has {} bytes", what, name.size());
    problem.limit = kv::kMaxKey;
  }
  return problem;
}

std::optional<Problem> check_bound(const http::QueryParameter& parameter) {
  const std::size_t least = parameter.name == "prefix" ? 0 : 1;
  const std::size_t size = parameter.value.size();
  if (size >= least && size <= kv::kMaxKey) return std::nullopt;
  Problem problem =
      invalid_parameter(parameter.name, fmt::format("{} must be {} to {} bytes, and has {}",
                                                    parameter.name, least, kv::kMaxKey, size));
  if (size != 0) problem.limit = kv::kMaxKey;
  return problem;
}

std::optional<Problem> read_wait(const http::QueryParameter& parameter, std::string_view example,
                                 Duration& wait) {
  const auto duration = http::parse_duration(parameter.value);
  if (!duration || *duration > node::LongPolls::kMaxWait)
    return invalid_parameter(
        parameter.name,
        fmt::format("wait must be a duration from 1ms to 10m, such as {}", example));
  wait = *duration;
  return std::nullopt;
}

std::optional<Problem> check_read(const Query& query, HttpExchange& exchange,
                                  node::ReadOptions& options) {
  for (const http::QueryParameter& parameter : query) {
    std::optional<Problem> problem;
    if (parameter.name == "timeout") problem = read_timeout(parameter, exchange);
    else if (is_read_option(parameter.name)) problem = read_option(parameter, options);
    else problem = unknown_parameter(parameter);
    if (problem) return problem;
  }
  return check_read_options(options);
}

bool prefers_lines(const http::RequestHead& head, std::string_view other) {
  const auto lines = http::accept_weight(head.fields, kNdjson);
  return lines.value_or(0) > http::accept_weight(head.fields, other).value_or(0);
}

std::optional<Problem> read_ttl(const http::QueryParameter& parameter, Duration& ttl) {
  const auto duration = http::parse_duration(parameter.value);
  if (!duration)
    return invalid_parameter(parameter.name,
                             "ttl must be a duration from 1ms to 3650d, such as 500ms or 10s");
  ttl = *duration;
  return std::nullopt;
}

std::optional<Problem> read_fence(const http::QueryParameter& parameter,
                                  std::optional<kv::Fence>& fence) {
  const std::string_view text = parameter.value;
  const std::size_t colon = std::min(text.rfind(':'), text.size());
  const auto token = http::parse_decimal(text.substr(std::min(colon + 1, text.size())));
  if (colon == 0 || colon > kv::kMaxKey || !token || *token == 0 || *token >= kEndOfRevisions)
    return invalid_parameter(
        parameter.name,
        fmt::format(
            "fence must be NAME:TOKEN, the name of a lock or an election (1 to {} bytes) and "
            "the token with which it is held",
            kv::kMaxKey));
  fence = kv::Fence{std::string(text.substr(0, colon)), *token};
  return std::nullopt;
}

std::string text_of(const kv::Fence& fence) {
  std::string text = "fence=";
  http::percent_encode_query(fence.name, text);
  return text + fmt::format(":{}", fence.token);
}

std::optional<Problem> check_value_headers(const http::RequestHead& head) {
  if (const http::Field* type = head.fields.find("Content-Type")) {
    const std::string_view media = type->value.substr(0, type->value.find(';'));
    const std::string_view multipart = "multipart/form-data";
    if (http::equal_ignoring_case(media.substr(0, multipart.size()), multipart))
      return Problem{.status = 415,
                     .code = "unsupported_encoding",
                     .detail = "the body is the value, not a form",
                     .hint = "with curl, use -T file or --data-binary @file instead of -F"};
  }
  if (head.fields.find("Content-Encoding") != nullptr)
    return Problem{.status = 415,
                   .code = "unsupported_encoding",
                   .detail = "Content-Encoding is not supported",
                   .hint = "send the bytes that are to be stored, without an encoding"};
  if (head.fields.find("Content-Range") != nullptr)
    return invalid_header("Content-Range",
                          "Content-Range is not supported; a PUT replaces the whole value");
  return std::nullopt;
}

std::optional<Problem> check_json_headers(const http::RequestHead& head) {
  if (head.fields.find("Content-Encoding") == nullptr) return std::nullopt;
  return Problem{.status = 415,
                 .code = "unsupported_encoding",
                 .detail = "Content-Encoding is not supported",
                 .hint = "send the JSON without an encoding"};
}

std::optional<Problem> refuse_conditions(const http::RequestHead& head) {
  for (const std::string_view name : {"If-Match", "If-None-Match"})
    if (head.fields.find(name) != nullptr)
      return invalid_header(name, "this request does not support conditions");
  return std::nullopt;
}

std::optional<Problem> refuse_idempotency_key(const http::RequestHead& head, std::string_view what,
                                              std::string_view hint) {
  constexpr std::string_view name = "Idempotency-Key";
  if (head.fields.find(name) == nullptr) return std::nullopt;
  Problem problem = invalid_header(name, fmt::format("{} takes no Idempotency-Key", what));
  problem.hint = hint;
  return problem;
}

std::optional<Problem> read_idempotency_key(const http::RequestHead& head, std::string& key) {
  constexpr std::string_view name = "Idempotency-Key";
  const http::Field* field = head.fields.find(name);
  if (field == nullptr) return std::nullopt;
  if (head.fields.count(name) > 1)
    return invalid_header(name, "Idempotency-Key appears more than once");
  auto value = http::unquote(field->value);
  if (!value || !kv::is_idempotency_key(*value))
    return invalid_header(
        name,
        fmt::format(
            "Idempotency-Key must be 1 to {} visible ASCII characters, plain or as a quoted string",
            kv::kMaxIdempotencyKey));
  key = std::move(*value);
  return std::nullopt;
}

std::optional<kv::IdempotencyKey> request_id(const HttpExchange& exchange, const std::string& key,
                                             std::string_view target,
                                             const kv::Conditions& conditions,
                                             std::string_view body) {
  if (key.empty()) return std::nullopt;
  const std::string_view method = exchange.method == http::Method::delete_ ? "DELETE"
                                  : exchange.method == http::Method::put   ? "PUT"
                                                                           : "POST";
  // ?timeout= is not part of the fingerprint: how long an attempt may take does not change the
  // request.
  return kv::IdempotencyKey{key, kv::fingerprint_of(method, target, conditions, body)};
}

void post_read(Context& context, HttpExchange& exchange, node::ReadQuery query,
               const node::ReadOptions& options, std::shared_ptr<const node::ChangeWait> wait) {
  post_read(context, exchange,
            node::ClientRead{exchange.ticket,
                             std::move(query),
                             context.now() + exchange.timeout,
                             options,
                             std::move(wait),
                             nullptr,
                             {}});
}

void post_read(Context& context, HttpExchange& exchange, node::ClientRead read) {
  if (auto problem = judge_read(context, exchange, read.query)) {
    exchange.outcome = std::move(*problem);
    return;
  }
  read.identity = exchange.identity;
  context.post(std::move(read));
}

void post_write(Context& context, HttpExchange& exchange, std::string_view command,
                std::shared_ptr<const node::LockWait> wait) {
  SharedBytes bytes = kv::with_identity(command, exchange.identity);
  if (auto problem = judge_write(context, exchange, bytes)) {
    exchange.outcome = std::move(*problem);
    return;
  }
  context.post(node::ClientWrite{exchange.ticket, std::move(bytes),
                                 context.now() + exchange.timeout, std::move(wait)});
}

Problem too_large(const HttpExchange& exchange) {
  Problem problem{.status = 413, .code = exchange.too_large};
  problem.detail = fmt::format("the body is larger than {} bytes", exchange.body_limit);
  problem.limit = exchange.body_limit;
  return problem;
}

std::optional<Problem> check_length(const http::RequestHead& head, const HttpExchange& exchange,
                                    Length length) {
  if (head.expectation == http::Expectation::other)
    return Problem{.status = 417,
                   .code = "expectation_failed",
                   .detail = "the only supported expectation is 100-continue"};
  if (head.framing == http::BodyFraming::none && !head.has_content_length &&
      length == Length::required)
    return Problem{.status = 411,
                   .code = "length_required",
                   .detail =
                       "this request needs a body, even an empty one, but neither Content-Length "
                       "nor Transfer-Encoding: chunked was sent",
                   .hint = "with curl, use -d VALUE, -d '' for an empty value, or -T file"};
  if (head.framing == http::BodyFraming::length && head.content_length > exchange.body_limit)
    return too_large(exchange);
  return std::nullopt;
}

void render_problem(const Problem& problem, Answer& answer) {
  answer.status = problem.status;
  answer.code = problem.code;
  answer.content_type = "application/problem+json";
  answer.allow = problem.allow;
  answer.retry = problem.retry();
  if (problem.status == 401) answer.more_fields = "WWW-Authenticate: Bearer\r\n";
  if (problem.revision) answer.revision = problem.revision;
  if (problem.status == 412 && problem.current_revision != 0u)
    answer.etag = problem.current_revision;
  append_problem(answer.body, problem);
}

void render_refusal(node::Refusal refusal, std::string_view idempotency_key, Answer& answer) {
  Problem problem = refused(refusal);
  if (refusal == node::Refusal::outcome_unknown && !idempotency_key.empty())
    problem.hint = "retry the same request with the same Idempotency-Key, on any node";
  render_problem(problem, answer);
}

bool render_if_refused(const kv::WriteResult& write, std::string_view parameter, Answer& answer) {
  answer.replayed = write.replayed;
  answer.revision = write.revision;
  if (write.is_done()) return false;
  render_problem(problem_of(write, parameter), answer);
  return true;
}

}  // namespace vesper::api
