#include "api/problem.hpp"

#include <fmt/core.h>

#include "api/access.hpp"
#include "base/assert.hpp"
#include "http/message.hpp"
#include "json/text.hpp"
#include "json/writer.hpp"

namespace vesper::api {
namespace {

constexpr std::uint64_t kRetryAfterMs = 1000;

void append_members(json::Writer& json, const Problem& problem) {
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
  if (problem.line) {
    json.member("line", *problem.line);
  }
  if (!problem.right.empty()) {
    json.member("right", problem.right);
  }
  if (problem.limit) {
    json.member("limit", *problem.limit);
  }
  if (problem.count) {
    json.member("count", *problem.count);
  }
  if (problem.oldest_revision) {
    json.member("oldest_revision", *problem.oldest_revision);
  }
  if (problem.current_revision) {
    json.member("current_revision", *problem.current_revision);
  }
  if (problem.token) {
    json.member("token", *problem.token);
  }
  if (problem.configuration) {
    json.begin_object("configuration");
    json.member("index", *problem.configuration);
    json.end_object();
  }
  if (!problem.missing.empty()) {
    json.key("missing");
    json.begin_array();
    for (const raft::NodeId node : problem.missing) json.number(node.value);
    json.end_array();
  }
  if (problem.retry()) {
    json.member("retry_after_ms", kRetryAfterMs);
  }
}

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

Problem not_a_member(std::string why) {
  return {.status = 503,
          .code = "not_a_member",
          .detail = "this node is not a member of a cluster: it " + std::move(why),
          .hint = "send the request to a member; nothing was applied"};
}

Problem refused(node::Refusal refusal) {
  switch (refusal) {
    case node::Refusal::no_leader:
      return {.status = 503,
              .code = "no_leader",
              .detail = "no leader is known, or the leader does not answer; nothing was applied",
              .hint = "a leader needs a majority of the nodes; check GET /status on each node"};
    case node::Refusal::overloaded:
      return overloaded(
          "too many requests or bytes are in flight on this node; nothing was applied");
    case node::Refusal::disk_full:
      return {.status = 507,
              .code = "disk_full",
              .detail = "the disks of too many nodes are full; nothing was applied",
              .hint = "free disk space on these nodes; the cluster then resumes by itself"};
    case node::Refusal::no_other_member:
      return {.status = 409,
              .code = "no_other_member",
              .detail = "this cluster has only one member, so no other member can lead"};
    case node::Refusal::shutting_down:
      return {.status = 503,
              .code = "shutting_down",
              .detail = "this node is shutting down; nothing was applied",
              .hint = "use another node"};
    case node::Refusal::timeout:
      return {.status = 503,
              .code = "timeout",
              .detail = "no majority confirmed the request in time, or no other member took over",
              .hint = "retry, or allow more time with ?timeout="};
    case node::Refusal::unreached:
      return {.status = 503,
              .code = "timeout",
              .detail = "this node has not reached the min_revision or revision that was asked for",
              .hint =
                  "check that min_revision is a Vesper-Revision of this cluster; if it is, allow "
                  "more time with ?timeout=, or use another node"};
    case node::Refusal::too_stale:
      return {.status = 503,
              .code = "too_stale",
              .detail = "the state of this node is, or may be, older than max_staleness",
              .hint = "use another node, or allow a larger max_staleness"};
    case node::Refusal::diverged:
      return {
          .status = 503,
          .code = "diverged",
          .detail = "the state of this node differs from that of a majority; nothing was applied",
          .hint = "use another node; see diverged in /status"};
    case node::Refusal::unauthorized:
      return unauthorized("the token is unknown, revoked or expired");
    case node::Refusal::outcome_unknown:
      return {.status = 504,
              .code = "outcome_unknown",
              .detail = "the write is in a log, but it is not known yet whether it takes effect",
              .hint =
                  "read the key before you write again; a write with an Idempotency-Key can be "
                  "retried safely"};
  }
  VESPER_UNREACHABLE();
}

Problem starting() {
  return {.status = 503,
          .code = "starting",
          .detail = "this node is still reading its log",
          .hint = "use another node, or wait until GET /readyz returns 200"};
}

Problem overloaded(std::string detail) {
  return {.status = 429, .code = "overloaded", .detail = std::move(detail)};
}

Problem problem_of(const json::Problem& wrong) {
  Problem problem{.status = wrong.code == json::Problem::Code::value_too_large ? 413 : 400,
                  .code = json::to_string(wrong.code),
                  .detail = wrong.detail};
  problem.field = wrong.field;
  if (wrong.limit != 0) problem.limit = wrong.limit;
  return problem;
}

void append_problem(std::string& out, const Problem& problem) {
  json::Writer json(out);
  json.begin_object();
  append_members(json, problem);
  json.end_object();
  out += '\n';
}

void append_error_line(std::string& out, const Problem& problem) {
  json::Writer json(out);
  json.begin_object();
  json.begin_object("error");
  append_members(json, problem);
  json.end_object();
  json.end_object();
  out += '\n';
}

}  // namespace vesper::api
