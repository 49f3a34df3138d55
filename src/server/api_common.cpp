// Checks that several APIs share. All of them look at heads only.
#include <fmt/core.h>

#include "http/grammar.hpp"
#include "http/values.hpp"
#include "json/text.hpp"
#include "server/api.hpp"

namespace vesper::server {

std::string_view to_string(node::ReadLevel level) {
  switch (level) {
    case node::ReadLevel::linearizable: return "linearizable";
    case node::ReadLevel::lease: return "lease";
    case node::ReadLevel::stale: return "stale";
  }
  VESPER_UNREACHABLE();
}

Problem unknown_parameter(const http::QueryParameter& parameter) {
  return invalid_parameter(
      parameter.name,
      fmt::format("there is no parameter \"{}\" for this method here", escaped(parameter.name)));
}

std::optional<Problem> read_timeout(const http::QueryParameter& parameter, Exchange& exchange) {
  const auto timeout = http::parse_duration(parameter.value);
  if (!timeout || *timeout < kMinTimeout || *timeout > kMaxTimeout)
    return invalid_parameter("timeout", "timeout is a duration from 10ms to 60s, such as 500ms");
  exchange.timeout = *timeout;
  return std::nullopt;
}

std::optional<Problem> check_value_headers(const http::RequestHead& head) {
  if (const http::Field* type = head.fields.find("Content-Type")) {
    const std::string_view media = type->value.substr(0, type->value.find(';'));
    const std::string_view multipart = "multipart/form-data";
    if (http::equal_ignoring_case(media.substr(0, multipart.size()), multipart))
      return Problem{.status = 415,
                     .code = "unsupported_encoding",
                     .detail = "the body of a PUT is the value, not a form",
                     .hint = "with curl: -T file or --data-binary @file in place of -F"};
  }
  if (head.fields.find("Content-Encoding") != nullptr)
    return Problem{.status = 415,
                   .code = "unsupported_encoding",
                   .detail = "Content-Encoding is not supported",
                   .hint = "send the value as it is to be stored"};
  if (head.fields.find("Content-Range") != nullptr)
    return invalid_header("Content-Range", "a value is put as a whole");
  return std::nullopt;
}

std::optional<Problem> read_token(const http::RequestHead& head, Exchange& exchange) {
  constexpr std::string_view name = "Idempotency-Key";
  const http::Field* field = head.fields.find(name);
  if (field == nullptr) return std::nullopt;
  if (head.fields.count(name) > 1) return invalid_header(name, "Idempotency-Key is there twice");
  auto token = http::unquote(field->value);
  if (!token || !kv::is_token(*token))
    return invalid_header(name, fmt::format("Idempotency-Key is 1 to {} visible ASCII characters, "
                                            "as they are or as a quoted string",
                                            kv::kMaxToken));
  exchange.token = std::move(*token);
  return std::nullopt;
}

std::optional<kv::RequestId> request_id(const Exchange& exchange, std::string_view target,
                                        std::string_view body) {
  if (exchange.token.empty()) return std::nullopt;
  const std::string_view method = exchange.method == http::Method::delete_ ? "DELETE"
                                  : exchange.method == http::Method::put   ? "PUT"
                                                                           : "POST";
  // ?timeout= is no part of it: how long an attempt may take does not change what is asked for.
  return kv::RequestId{exchange.token,
                       kv::fingerprint_of(method, target, exchange.conditions, body)};
}

std::optional<Problem> token_problem(const kv::WriteResult& write) {
  Problem problem;
  if (write.kind == kv::WriteResult::Kind::key_reused) {
    problem.status = 422;
    problem.code = "idempotency_key_reused";
    problem.detail =
        "this Idempotency-Key was used for another method, target, body or condition; nothing was "
        "changed";
    problem.hint = "draw a new key for each request, keep it only to repeat the same one";
  } else if (write.kind == kv::WriteResult::Kind::table_full) {
    problem.status = 429;
    problem.code = "idempotency_full";
    problem.detail =
        "as many keys are remembered as there is room for, none is forgotten early; nothing was "
        "changed";
    problem.hint = "try again later, or send writes that may be repeated without a key";
    problem.limit = kv::kMaxReplies;
  } else {
    return std::nullopt;
  }
  problem.revision = write.revision;
  return problem;
}

Problem too_large(const Exchange& exchange) {
  Problem problem{.status = 413, .code = exchange.too_large};
  problem.detail = fmt::format("the body is larger than {} bytes", exchange.body_limit);
  problem.limit = exchange.body_limit;
  return problem;
}

std::optional<Problem> check_length(const http::RequestHead& head, const Exchange& exchange,
                                    bool length_required) {
  if (head.expectation == http::Expectation::other)
    return Problem{.status = 417,
                   .code = "expectation_failed",
                   .detail = "the only expectation that is understood is 100-continue"};
  if (head.framing == http::BodyFraming::none && !head.has_content_length && length_required)
    return Problem{.status = 411,
                   .code = "length_required",
                   .detail =
                       "a PUT has a body, if only an empty one: neither Content-Length nor "
                       "Transfer-Encoding: chunked was sent",
                   .hint = "with curl: -d VALUE, -d '' for an empty one, or -T file"};
  if (head.framing == http::BodyFraming::length && head.content_length > exchange.body_limit)
    return too_large(exchange);
  return std::nullopt;
}

}  // namespace vesper::server
