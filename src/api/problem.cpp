#include "api/problem.hpp"

#include <fmt/core.h>

#include "base/assert.hpp"
#include "http/message.hpp"
#include "json/text.hpp"
#include "json/writer.hpp"

namespace vesper::api {
namespace {

constexpr std::uint64_t kRetryAfterMs = 1000;

}  // namespace

Problem malformed(std::string detail) {
  return {.status = 400, .code = "malformed", .detail = std::move(detail)};
}

Problem invalid_parameter(std::string_view name, std::string detail) {
  Problem problem{.status = 400, .code = "invalid_parameter", .detail = std::move(detail)};
  problem.parameter = json::is_utf8(name) ? std::string(name) : escaped(name);
  return problem;
}

Problem invalid_header(std::string_view name, std::string detail) {
  Problem problem{.status = 400, .code = "invalid_field", .detail = std::move(detail)};
  problem.field = name;
  return problem;
}

Problem refused(node::Refusal refusal) {
  switch (refusal) {
    case node::Refusal::no_leader:
      return {.status = 503,
              .code = "no_leader",
              .detail = "no leader is known or it does not answer; nothing was applied",
              .hint = "a leader needs a majority of the nodes; see GET /status on each"};
    case node::Refusal::overloaded:
      return overloaded("too much is in flight on this node; nothing was applied");
    case node::Refusal::disk_full:
      return {.status = 507,
              .code = "disk_full",
              .detail = "the disks of too many nodes are full; nothing was applied",
              .hint = "free space there: the cluster goes on by itself"};
    case node::Refusal::no_other_member:
      return {.status = 409,
              .code = "no_other_member",
              .detail = "this cluster has one member: no other can lead"};
    case node::Refusal::shutting_down:
      return {.status = 503,
              .code = "shutting_down",
              .detail = "this node is shutting down; nothing was applied",
              .hint = "use another node"};
    case node::Refusal::timeout:
      return {.status = 503,
              .code = "timeout",
              .detail = "no majority confirmed it in time, or nobody took over",
              .hint = "try again, or give it more time with ?timeout="};
    case node::Refusal::unreached:
      return {.status = 503,
              .code = "timeout",
              .detail = "min_revision is not reached on this node",
              .hint =
                  "is it a Vesper-Revision of this cluster? then give it more time with "
                  "?timeout=, or use another node"};
    case node::Refusal::too_stale:
      return {.status = 503,
              .code = "too_stale",
              .detail = "this node's state is older than max_staleness, or may be",
              .hint = "use another node, or allow more"};
    case node::Refusal::outcome_unknown:
      return {
          .status = 504,
          .code = "outcome_unknown",
          .detail = "the write is in a log, and whether it takes effect is not known yet",
          .hint =
              "read the key before writing again; with an Idempotency-Key it can be sent again"};
  }
  VESPER_UNREACHABLE();
}

Problem starting() {
  return {.status = 503,
          .code = "starting",
          .detail = "this node is still reading its log",
          .hint = "use another node, or wait for GET /readyz to say 200"};
}

Problem overloaded(std::string detail) {
  return {.status = 429, .code = "overloaded", .detail = std::move(detail)};
}

void append_problem(std::string& out, const Problem& problem) {
  json::Writer json(out);
  json.begin_object();
  json.member("type", "about:blank");
  json.member("title", http::status_phrase(problem.status));
  json.member("status", static_cast<std::uint64_t>(problem.status));
  json.member("detail", problem.detail);
  json.member("code", problem.code);
  if (!problem.hint.empty()) {
    json.member("hint", problem.hint);
  }
  if (problem.code == "invalid_parameter") {
    json.member("parameter", problem.parameter);
  }
  if (!problem.field.empty()) {
    json.member("field", problem.field);
  }
  if (problem.limit) {
    json.member("limit", *problem.limit);
  }
  if (problem.current_revision) {
    json.member("current_revision", *problem.current_revision);
  }
  if (problem.retry()) {
    json.member("retry_after_ms", kRetryAfterMs);
  }
  json.end_object();
  out += '\n';
}

}  // namespace vesper::api
