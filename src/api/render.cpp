#include "api/render.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "api/access.hpp"
#include "api/answer.hpp"
#include "api/read_options.hpp"
#include "base/assert.hpp"
#include "json/text.hpp"

namespace vesper::api {
namespace {

using Kind = kv::WriteResult::Kind;

Problem future_revision(std::string_view parameter) {
  return invalid_parameter(
      parameter, fmt::format("{} is in the future: the store has not reached it", parameter));
}

Problem compacted(std::uint64_t oldest_revision) {
  Problem problem{.status = 410, .code = "compacted"};
  problem.detail =
      fmt::format("the history before revision {} has been compacted", oldest_revision);
  problem.hint = "use oldest_revision or a later one";
  problem.oldest_revision = oldest_revision;
  return problem;
}

// A write that exceeds a limit of the store.
Problem too_large(std::string_view code, std::string detail, const kv::WriteResult& write) {
  Problem problem{.status = 413, .code = code, .detail = std::move(detail)};
  problem.detail += "; nothing was changed";
  problem.limit = write.limit;
  if (write.count != 0) problem.count = write.count;
  return problem;
}

Problem value_too_large(const kv::WriteResult& write) {
  return too_large("value_too_large",
                   fmt::format("the new value would be larger than {} bytes", write.limit), write);
}

Problem reply_too_large(const kv::WriteResult& write) {
  Problem problem =
      too_large("reply_too_large",
                fmt::format("the reply would be larger than {} bytes", write.limit), write);
  problem.hint =
      "ask for less in one request, or leave out the Idempotency-Key, which lowers the limit";
  return problem;
}

Problem range_too_large(const kv::WriteResult& write) {
  Problem problem = too_large(
      "range_too_large", fmt::format("one request may cover up to {} keys", write.limit), write);
  problem.hint = "split the range over several requests, as vesper delete --prefix does";
  return problem;
}

Problem key_reused() {
  return {.status = 422,
          .code = "idempotency_key_reused",
          .detail =
              "this Idempotency-Key was already used with a different method, target, body or "
              "condition; nothing was changed",
          .hint =
              "use a new key for each request, and reuse a key only to retry the same "
              "request"};
}

Problem table_full(const kv::WriteResult& write) {
  Problem problem{.status = 429, .code = "idempotency_full"};
  problem.detail =
      "the cluster already keeps as many Idempotency-Keys as it can, and drops none before it "
      "expires; nothing was changed";
  problem.hint = "retry later, or leave out the Idempotency-Key if the write is safe to repeat";
  problem.limit = write.limit;
  return problem;
}

// A problem that concerns a lock or an election, which may be held with another token.
Problem about_lock(int status, std::string_view code, std::string detail,
                   const kv::WriteResult& write) {
  Problem problem{.status = status, .code = code, .detail = std::move(detail)};
  problem.hint = status == 409 ? "wait for it with ?wait=, such as wait=60s"
                               : "stop what the lock protects, and acquire it again";
  if (write.limit != 0) problem.token = write.limit;
  return problem;
}

Problem table_limit(const kv::WriteResult& write) {
  Problem problem = overloaded(
      "as many leases, locks, waiters or tokens exist as are allowed; nothing was changed");
  problem.hint = "end some, or raise the limit: see limits in /status";
  problem.limit = write.limit;
  return problem;
}

// A problem that concerns tokens.
Problem problem_of_access(const kv::WriteResult& write) {
  if (write.kind == Kind::unauthorized)
    return unauthorized("the token is unknown, revoked or expired; nothing was changed");
  if (write.kind == Kind::forbidden)
    return forbidden(
        fmt::format("the token lacks the right \"{}\" for what the request touches; nothing was "
                    "changed",
                    kv::to_string(write.missing)),
        write.missing);
  if (write.kind == Kind::already_enabled)
    return {.status = 409,
            .code = "already_enabled",
            .detail = "clients need a token already; nothing was changed"};
  if (write.kind == Kind::token_exists)
    return {.status = 409,
            .code = "token_exists",
            .detail = "there is a token of this name; nothing was changed",
            .hint = "revoke it first, or choose another name"};
  return {.status = 404, .code = "token_not_found", .detail = "there is no such token"};
}

// The problem without `field` and `revision`.
Problem problem_of_kind(const kv::WriteResult& write, std::string_view parameter) {
  switch (write.kind) {
    case Kind::done: break;
    case Kind::precondition_failed:
      return precondition_failed(write.current_revision, write.revision);
    case Kind::not_an_integer:
      return {
          .status = 409,
          .code = "not_an_integer",
          .detail = "the value is not a decimal integer that fits in 64 bits; nothing was changed",
          .hint = "put an integer such as 42 first"};
    case Kind::out_of_range:
      return {.status = 409,
              .code = "out_of_range",
              .detail = "the sum does not fit in a signed 64-bit integer; nothing was changed"};
    case Kind::lease_not_found:
      return {.status = 409,
              .code = "lease_not_found",
              .detail = "there is no such lease, or it is over; nothing was changed",
              .hint = "grant a new one with POST /leases?ttl="};
    case Kind::lock_busy: return about_lock(409, "lock_busy", "another client holds it", write);
    case Kind::lock_lost:
      return about_lock(412, "lock_lost",
                        "it is not held with this token: it has expired or was released", write);
    case Kind::fenced:
      return about_lock(412, "fenced",
                        "the lock is not held with the token of the fence; nothing was changed",
                        write);
    case Kind::key_reused: return key_reused();
    case Kind::table_full: return table_full(write);
    case Kind::value_too_large: return value_too_large(write);
    case Kind::reply_too_large: return reply_too_large(write);
    case Kind::range_too_large: return range_too_large(write);
    case Kind::compacted: return compacted(write.limit);
    case Kind::future_revision:
      if (write.path.empty()) return future_revision(parameter);
      return {.status = 400,
              .code = "invalid_field",
              .detail = "the revision is in the future: the store has not reached it"};
    case Kind::conflicting_operations:
      return {.status = 400,
              .code = "invalid_field",
              .detail =
                  "a transaction may write a key only once, and may not both write and delete it; "
                  "nothing was changed"};
    case Kind::key_not_found:
      return {.status = 404,
              .code = "key_not_found",
              .detail = "there is no such key, so no value can be kept; nothing was changed"};
    case Kind::quota_exceeded:
      return {.status = 507,
              .code = "quota_exceeded",
              .detail = "the store has reached its quota; nothing was changed",
              .hint = "delete keys, compact the history, or raise --store-bytes"};
    case Kind::table_limit: return table_limit(write);
    case Kind::unauthorized:
    case Kind::forbidden:
    case Kind::already_enabled:
    case Kind::token_exists:
    case Kind::token_not_found: return problem_of_access(write);
  }
  VESPER_UNREACHABLE();
}

}  // namespace

std::uint64_t ttl_ms_left(kv::LogTime deadline, kv::LogTime now) {
  const std::int64_t left = kv::left_until(deadline, now).ns;
  return static_cast<std::uint64_t>(
      std::max<std::int64_t>(1, left / 1'000'000 + (left % 1'000'000 != 0)));
}

void append_version_members(json::Writer& json, const kv::Version& version, kv::Content content,
                            kv::LogTime now) {
  if (content == kv::Content::values) {
    json.bytes_member("value", version.value());
  }
  append_version_fields(json, version, content, now);
}

void append_version_fields(json::Writer& json, const kv::Version& version, kv::Content content,
                           kv::LogTime now) {
  if (content == kv::Content::values && version.json()) {
    json.member("json", true);
  }
  json.member("revision", version.revision());
  json.member("create_revision", version.create_revision());
  json.member("version", version.version());
  if (version.lease() != 0) {
    json.member("lease", std::to_string(version.lease()));
  } else if (version.is_temporary()) {
    json.member("ttl_ms", ttl_ms_left(version.deadline(), now));
  }
}

void append_version(json::Writer& json, const kv::Version& version, kv::Content content,
                    kv::LogTime now) {
  json.begin_object();
  json.bytes_member("key", version.key());
  append_version_members(json, version, content, now);
  json.end_object();
}

void append_prefixes(json::Writer& json, const std::vector<std::string>& prefixes) {
  bool all_shown = true;
  json.key("prefixes");
  json.begin_array();
  for (const std::string& prefix : prefixes) {
    if (json::is_utf8(prefix)) json.string(prefix);
    else all_shown = false;
  }
  json.end_array();
  if (all_shown) return;
  json.key("prefixes_base64");
  json.begin_array();
  for (const std::string& prefix : prefixes)
    if (!json::is_utf8(prefix)) json.base64(prefix);
  json.end_array();
}

void append_put(json::Writer& json, const kv::PutResult& put, std::string_view key,
                kv::LogTime now) {
  json.begin_object();
  json.bytes_member("key", key);
  if (put.now) {
    json.bytes_member("value", put.now->value());
    if (put.now->json()) {
      json.member("json", true);
    }
  }
  json.member("revision", put.revision);
  json.member("create_revision", put.create_revision);
  json.member("version", put.version);
  if (put.prev) {
    json.key("prev");
    append_version(json, *put.prev, kv::Content::values, now);
  }
  json.end_object();
}

void append_delete(json::Writer& json, const kv::DeleteResult& removed, const Moment& moment,
                   PrevForm form) {
  json.begin_object();
  json.member("deleted", removed.deleted);
  json.member("revision", moment.revision);
  const bool is_array = form == PrevForm::array;
  if (is_array || !removed.prev.empty()) json.key("prev");
  if (is_array) json.begin_array();
  for (const kv::VersionRef& prev : removed.prev)
    append_version(json, *prev, kv::Content::values, moment.time);
  if (is_array) json.end_array();
  json.end_object();
}

void render_read_head(const node::ReadResult& read, Answer& answer) {
  answer.revision = read.revision;
  answer.consistency = to_string(read.level);
  if (read.staleness)  // an upper bound, so rounded up
    answer.staleness_ms = static_cast<std::uint64_t>((read.staleness->ns + 999'999) / 1'000'000);
}

Problem problem_of(const kv::WriteResult& write, std::string_view parameter) {
  Problem problem = problem_of_kind(write, parameter);
  problem.field = path_of(write.path);
  problem.revision = write.revision;
  return problem;
}

std::string path_of(const std::vector<kv::WriteResult::Step>& path) {
  using Branch = kv::WriteResult::Step::Branch;
  std::string text;
  for (const kv::WriteResult::Step& step : path) {
    const std::string_view member = step.branch == Branch::then        ? "then"
                                    : step.branch == Branch::otherwise ? "else"
                                                                       : "if";
    text += fmt::format("{}{}[{}]", text.empty() ? "" : ".txn.", member, step.at);
  }
  return text;
}

Problem unreadable(const node::RevisionUnreadable& unreadable, std::string_view parameter) {
  return unreadable.future ? future_revision(parameter) : compacted(unreadable.oldest_revision);
}

Problem precondition_failed(std::uint64_t current_revision, std::uint64_t revision) {
  Problem problem{.status = 412, .code = "precondition_failed"};
  problem.detail = current_revision == 0
                       ? "the key does not exist"
                       : fmt::format("the key is at revision {}", current_revision);
  problem.detail += "; nothing was changed";
  problem.hint = "read the key and decide again";
  problem.current_revision = current_revision;
  problem.revision = revision;
  return problem;
}

Problem key_not_found(std::uint64_t revision) {
  Problem problem{.status = 404, .code = "key_not_found", .detail = "there is no such key"};
  problem.revision = revision;
  return problem;
}

}  // namespace vesper::api
