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

std::optional<Problem> check_write_headers(const http::RequestHead& head) {
  // Not ignored: who sends it relies on it.
  if (head.fields.find("Idempotency-Key") != nullptr)
    return invalid_header("Idempotency-Key", "this version does not know Idempotency-Key");
  return std::nullopt;
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
