// What several endpoints render alike: versions of keys, and the problems of refused writes.
#include <doctest/doctest.h>

#include <string>
#include <string_view>

#include "api/answer.hpp"
#include "api/checks.hpp"
#include "api/render.hpp"

namespace test_render {

using namespace vesper;
using namespace vesper::api;
using Kind = kv::WriteResult::Kind;
using Step = kv::WriteResult::Step;
using Branch = Step::Branch;

namespace {

constexpr kv::LogTime kNow{1'000'000'000};

std::string rendered(const kv::VersionRef& version, kv::Content content) {
  std::string out;
  json::Writer json(out);
  append_version(json, *version, content, kNow);
  return out;
}

kv::WriteResult refused(Kind kind) {
  kv::WriteResult write;
  write.kind = kind;
  write.revision = 9;
  write.limit = 5;
  return write;
}

std::string body_of(const Problem& problem) {
  std::string out;
  append_problem(out, problem);
  return out;
}

bool has(const Problem& problem, std::string_view member) {
  return body_of(problem).find(member) != std::string::npos;
}

}  // namespace

TEST_CASE("a version shows its key, value and revisions, and what it has besides") {
  const kv::VersionFields plain{.revision = 7, .create_revision = 5, .version = 2};
  CHECK(rendered(kv::Version::make("a", std::string_view("x"), plain), kv::Content::values) ==
        R"({"key":"a","value":"x","revision":7,"create_revision":5,"version":2})");
  CHECK(rendered(kv::Version::make("a", std::string_view("x"), plain), kv::Content::keys) ==
        R"({"key":"a","revision":7,"create_revision":5,"version":2})");
  kv::VersionFields marked = plain;
  marked.json = true;
  marked.lease = 18446744073709551615u;
  const auto version = kv::Version::make("\xff", std::string_view("[1]"), marked);
  CHECK(rendered(version, kv::Content::values) ==
        R"({"key_base64":"/w==","value":"[1]","json":true,"revision":7,"create_revision":5,)"
        R"("version":2,"lease":"18446744073709551615"})");
  CHECK(rendered(version, kv::Content::keys) ==
        R"({"key_base64":"/w==","revision":7,"create_revision":5,"version":2,)"
        R"("lease":"18446744073709551615"})");
}

TEST_CASE("what is left of a time to live is rounded up, and never 0") {
  const struct {
    std::int64_t left;  // nanoseconds
    std::uint64_t ms;
  } rows[] = {
      {5'000'000'000, 5000}, {1'000'001, 2}, {1'000'000, 1}, {999'999, 1}, {1, 1}, {0, 1}, {-1, 1},
      {-5'000'000'000, 1}};
  for (const auto& row : rows) {
    CAPTURE(row.left);
    const kv::LogTime deadline{kNow.value + row.left};
    CHECK(ttl_ms_left(deadline, kNow) == row.ms);
    kv::VersionFields fields{.revision = 7, .create_revision = 5, .version = 2};
    fields.deadline = deadline;
    CHECK(rendered(kv::Version::make("a", std::string_view("x"), fields), kv::Content::keys) ==
          R"({"key":"a","revision":7,"create_revision":5,"version":2,"ttl_ms":)" +
              std::to_string(row.ms) + "}");
  }
  CHECK(ttl_ms_left(kv::kEndOfLogTime, kv::LogTime{}) == 9'223'372'036'855u);
}

TEST_CASE("each kind of refused write has a status and a code") {
  const struct {
    Kind kind;
    int status;
    std::string_view code;
    std::string_view member;  // empty: none besides those of every problem
  } rows[] = {
      {Kind::precondition_failed, 412, "precondition_failed", "\"current_revision\":0"},
      {Kind::not_an_integer, 409, "not_an_integer", ""},
      {Kind::out_of_range, 409, "out_of_range", ""},
      {Kind::key_reused, 422, "idempotency_key_reused", ""},
      {Kind::table_full, 429, "idempotency_full", "\"limit\":5"},
      {Kind::value_too_large, 413, "value_too_large", "\"limit\":5"},
      {Kind::reply_too_large, 413, "reply_too_large", "\"limit\":5"},
      {Kind::range_too_large, 413, "range_too_large", "\"limit\":5"},
      {Kind::compacted, 410, "compacted", "\"oldest_revision\":5"},
      {Kind::future_revision, 400, "invalid_parameter", "\"parameter\":\"restore\""},
      {Kind::conflicting_operations, 400, "invalid_field", ""},
      {Kind::key_not_found, 404, "key_not_found", ""},
      {Kind::quota_exceeded, 507, "quota_exceeded", ""},
      {Kind::lease_not_found, 409, "lease_not_found", ""},
      {Kind::lock_busy, 409, "lock_busy", "\"token\":5"},
      {Kind::lock_lost, 412, "lock_lost", "\"token\":5"},
      {Kind::fenced, 412, "fenced", "\"token\":5"},
      {Kind::table_limit, 429, "overloaded", "\"limit\":5"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.code);
    const Problem problem = problem_of(refused(row.kind), "restore");
    CHECK(problem.status == row.status);
    CHECK(problem.code == row.code);
    CHECK_FALSE(problem.detail.empty());
    CHECK(problem.revision == 9u);
    CHECK(has(problem, row.member));
    CHECK((row.member.starts_with("\"limit\"") == problem.limit.has_value()));
    CHECK_FALSE(has(problem, "\"field\""));
    CHECK(problem.retry() == (row.status == 429));
  }
  kv::WriteResult lost = refused(Kind::lock_lost);
  lost.limit = 0;  // no one holds the lock
  CHECK_FALSE(has(problem_of(lost), "\"token\""));
}

TEST_CASE("a refused operation of a transaction is named by its path") {
  kv::WriteResult write = refused(Kind::future_revision);
  write.path = {{Branch::then, 3}};
  CHECK(problem_of(write).code == "invalid_field");
  CHECK(problem_of(write).field == "then[3]");
  write.path = {{Branch::then, 3}, {Branch::otherwise, 0}, {Branch::compare, 4095}};
  write.kind = Kind::range_too_large;
  write.count = 20'000;
  CHECK(problem_of(write).field == "then[3].txn.else[0].txn.if[4095]");
  CHECK(has(problem_of(write), "\"count\":20000"));
}

TEST_CASE("a revision that cannot be read is in the future or compacted") {
  const Problem future = unreadable({.future = true, .oldest_revision = 3}, "revision");
  CHECK(future.status == 400);
  CHECK(has(future, "\"parameter\":\"revision\""));
  const Problem compacted = unreadable({.future = false, .oldest_revision = 3}, "revision");
  CHECK(compacted.status == 410);
  CHECK(has(compacted, "\"code\":\"compacted\""));
  CHECK(has(compacted, "\"oldest_revision\":3"));
}

TEST_CASE("the answer to a write has its revision, and a failed condition the key's ETag") {
  Answer answer;
  kv::WriteResult done;
  done.revision = 9;
  done.replayed = true;
  CHECK_FALSE(render_if_refused(done, "revision", answer));
  CHECK(answer.revision == 9u);
  CHECK(answer.replayed);
  CHECK(answer.body.empty());

  Answer failed;
  kv::WriteResult write = refused(Kind::precondition_failed);
  write.current_revision = 7;
  write.replayed = true;
  CHECK(render_if_refused(write, "revision", failed));
  CHECK(failed.status == 412);
  CHECK(failed.etag == 7u);
  CHECK(failed.revision == 9u);
  CHECK(failed.replayed);

  Answer absent;
  write.current_revision = 0;
  CHECK(render_if_refused(write, "revision", absent));
  CHECK_FALSE(absent.etag.has_value());
}

}  // namespace test_render
