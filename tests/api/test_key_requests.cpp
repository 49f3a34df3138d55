// What requests to one key and to /compact accept: every parameter with good and bad values, and
// the pairs that exclude each other.
#include <doctest/doctest.h>

#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "api/compact.hpp"
#include "api/kv.hpp"
#include "ask.hpp"

namespace test_key_requests {

using namespace vesper;
using namespace vesper::api;

namespace {

template <typename Action>
Action action_of(const std::string& line, const std::string& fields = {}) {
  const auto request = request_of<KvRequest>(line, fields);
  REQUIRE(std::holds_alternative<Action>(request.action));
  return std::get<Action>(request.action);
}

// None of these is a revision, a limit or any other whole number from 1.
const std::vector<std::string> kNoCount = {"",
                                           "=",
                                           "=0",
                                           "=-1",
                                           "=1.0",
                                           "=01",
                                           "=%2B1",
                                           "=+1",
                                           "=1e3",
                                           "=0x10",
                                           "=NaN",
                                           "=inf",
                                           "=true",
                                           "=1,2",
                                           "=%00",
                                           "=%ff",
                                           "=1%00",
                                           "=null",
                                           "=%201",
                                           "=%D9%A3",
                                           "=9223372036854775808",  // 2^63
                                           "=18446744073709551615",
                                           "=18446744073709551616",
                                           "=-9223372036854775808",
                                           "=99999999999999999999999999999999999999"};

constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();

}  // namespace

TEST_CASE("a GET takes a revision, or a history with a limit") {
  CHECK(action_of<KvGet>("GET /kv/a").revision == 0);
  CHECK(action_of<KvGet>("GET /kv/a?revision=1").revision == 1);
  CHECK(action_of<KvGet>("GET /kv/a?revision=9007199254740991&raw").raw);
  CHECK(action_of<KvHistory>("GET /kv/a?history").limit == 1000);
  CHECK(action_of<KvHistory>("GET /kv/a?history=true&limit=10000").limit == 10000);
  CHECK(action_of<KvHistory>("HEAD /kv/a?limit=1&history=&raw=0").limit == 1);
  CHECK_FALSE(action_of<KvGet>("GET /kv/a?history=0&raw=false").raw);

  check_refused_values("GET /kv/a?", "revision", kNoCount);
  check_refused("GET /kv/a?revision=9007199254740992", "revision");  // 2^53
  check_refused_values("GET /kv/a?history&", "limit", kNoCount);
  check_refused("GET /kv/a?history&limit=10001", "limit");
  check_refused_values("GET /kv/a?", "history", {"=2", "=yes", "=-1", "=%00", "=1000"});
}

TEST_CASE("a local read of a revision waits until the node has reached it") {
  const KvGet stale = action_of<KvGet>("GET /kv/a?revision=7&consistency=stale");
  CHECK(stale.options.min_revision == 7);
  const KvGet later = action_of<KvGet>("GET /kv/a?revision=7&consistency=stale&min_revision=9");
  CHECK(later.options.min_revision == 9);
  CHECK(action_of<KvGet>("GET /kv/a?revision=7").options.min_revision == 0);
  CHECK(action_of<KvGet>("GET /kv/a?revision=7&consistency=lease").options.min_revision == 0);
}

TEST_CASE("parameters of a GET that exclude each other are refused") {
  check_refused("GET /kv/a?history&raw", "raw");
  check_refused("GET /kv/a?raw&history", "raw");
  check_refused("GET /kv/a?history&revision=3", "revision");
  check_refused("GET /kv/a?limit=3", "limit");
  check_refused("GET /kv/a?limit=3&history=0", "limit");
  check_refused("GET /kv/a?history&max_staleness=1s", "max_staleness");
  check_refused("GET /kv/a?history&history", "history");
  check_refused("GET /kv/a?revision=3&revision=3", "revision");
  check_refused("GET /kv/a?prev", "prev");
  check_refused("GET /kv/a?increment", "increment");
  for (const char* name : {"If-Match", "If-None-Match"}) {
    const Asked asked = ask("GET /kv/a?history", std::string(name) + ": \"7\"\r\n");
    CHECK(says(asked, 400, "invalid_field"));
    CHECK(asked.answer.body.find(name) != std::string::npos);
  }
}

TEST_CASE("PUT and DELETE take prev") {
  const std::string length = "Content-Length: 1\r\n";
  CHECK(action_of<KvPut>("PUT /kv/a", length).prev == kv::Prev::omit);
  CHECK(action_of<KvPut>("PUT /kv/a?prev", length).prev == kv::Prev::include);
  CHECK(action_of<KvPut>("PUT /kv/a?prev=0", length).prev == kv::Prev::omit);
  CHECK(action_of<KvDelete>("DELETE /kv/a").prev == kv::Prev::omit);
  CHECK(action_of<KvDelete>("DELETE /kv/a?prev=true").prev == kv::Prev::include);

  for (const char* line : {"PUT /kv/a?", "DELETE /kv/a?"}) {
    check_refused_values(line, "prev", {"=2", "=on", "=-1", "=%ff", "&prev"});
    for (const std::string name :
         {"raw", "history", "limit=1", "revision=1", "increment", "append", "min=1", "max=1",
          "restore=1", "min_revision=1", "token=1", "wait=1s"})
      check_refused(line + name, name.substr(0, name.find('=')), length);
  }
}

TEST_CASE("a PUT takes a time to live, a lease, or neither") {
  const auto put = [](const std::string& query) {
    return action_of<KvPut>("PUT /kv/a?" + query, "Content-Length: 1\r\n");
  };
  CHECK(put("ttl=1ms").ttl == milliseconds(1));
  CHECK(put("ttl=500ms&prev").ttl == milliseconds(500));
  CHECK(put("ttl=3650d").ttl == seconds(3650 * 24 * 3600));
  CHECK(put("lease=1").lease == 1);
  CHECK(put("lease=18446744073709551615&keep_ttl=0").lease == UINT64_MAX);
  CHECK(put("keep_ttl").keep_ttl);
  CHECK_FALSE(put("keep_ttl=false&ttl=1s").keep_ttl);

  check_refused_values("PUT /kv/a?", "ttl",
                       {"", "=", "=0", "=0ms", "=-1", "=-1s", "=1", "=1ns", "=1us", "=1.5s", "=1S",
                        "=3651d", "=87601h", "=%201s", "=1s%00", "=NaN", "=inf", "=1s1s", "=01s"});
  check_refused_values(
      "PUT /kv/a?", "lease",
      {"", "=", "=0", "=-1", "=%2B1", "=1.0", "=01", "=0x1", "=x", "=1s", "=18446744073709551616"});
  check_refused_values("PUT /kv/a?", "keep_ttl", {"=2", "=yes", "=-1"});
  check_refused("PUT /kv/a?ttl=1s&lease=1", "ttl");
  check_refused("PUT /kv/a?lease=1&ttl=1s", "ttl");
  check_refused("PUT /kv/a?ttl=1s&keep_ttl", "keep_ttl");
  check_refused("PUT /kv/a?keep_ttl&lease=1", "keep_ttl");
  for (const std::string line : {"DELETE /kv/a?", "POST /kv/a?increment&", "GET /kv/a?"})
    for (const std::string name : {"ttl=1s", "lease=1", "keep_ttl"})
      check_refused(line + name, name.substr(0, name.find('=')));
}

TEST_CASE("every write of a key takes a fence, which is split at its last colon") {
  const auto fence = [](const std::string& line, const std::string& value) {
    const Asked asked = ask(line + "fence=" + value, "Content-Length: 1\r\n");
    REQUIRE(is_accepted(asked));
    return std::get<KvRequest>(asked.exchange.request).fence.value();
  };
  for (const std::string line :
       {"PUT /kv/a?", "DELETE /kv/a?", "POST /kv/a?increment&", "POST /kv/a?append&"}) {
    CAPTURE(line);
    CHECK(fence(line, "n:17").name == "n");
    CHECK(fence(line, "n:17").token == 17);
    CHECK(fence(line, "a%2Fb+c:d:9007199254740991").name == "a/b c:d");
    CHECK(fence(line, ":::1").name == "::");
    CHECK(fence(line, std::string(4096, 'n') + ":1").name.size() == 4096);
    check_refused_values(
        line, "fence",
        {"", "=", "=n", "=17", "=:", "=:17", "=n:", "=n:0", "=n:-1", "=n:x", "=n:1.0", "=n:01",
         "=n:%2B1", "=n:1%00", "=n:9007199254740992", "=n:18446744073709551616",
         "=" + std::string(4097, 'n') + ":1", "=n:1&fence=n:1"});
  }
  check_refused("GET /kv/a?fence=n:1", "fence");
}

TEST_CASE("a POST takes one operation") {
  const auto modify = [](const std::string& query) {
    return action_of<KvModify>("POST /kv/a?" + query, "Content-Length: 1\r\n");
  };
  CHECK(modify("increment").operand == 1);
  CHECK(modify("increment=5").operand == 5);
  CHECK(modify("increment=-3").operand == -3);
  CHECK(modify("increment=0").operand == 0);
  CHECK(modify("increment=9223372036854775807").operand == kMost);
  CHECK(modify("increment=-9223372036854775808").operand == kLeast);
  CHECK(modify("min=7").kind == kv::Modify::Kind::min);
  CHECK(modify("max=-7&timeout=1s").kind == kv::Modify::Kind::max);
  CHECK(modify("append").kind == kv::Modify::Kind::append);
  CHECK(modify("append=true").kind == kv::Modify::Kind::append);
  CHECK(modify("append=0&increment").kind == kv::Modify::Kind::increment);
  CHECK(action_of<KvRestore>("POST /kv/a?restore=3").revision == 3);

  const std::vector<std::string> no_integer = {"=",
                                               "=-0",
                                               "=1.0",
                                               "=01",
                                               "=-01",
                                               "=%2B1",
                                               "=+1",
                                               "=1e3",
                                               "=0x10",
                                               "=NaN",
                                               "=-inf",
                                               "=-",
                                               "=--1",
                                               "=%201",
                                               "=1%00",
                                               "=true",
                                               "=%D9%A3",
                                               "=%ff",
                                               "=9223372036854775808",
                                               "=-9223372036854775809",
                                               "=18446744073709551615",
                                               "=18446744073709551616",
                                               "=99999999999999999999999999999999999999"};
  std::vector<std::string> no_integer_or_none = no_integer;
  no_integer_or_none.emplace_back("");
  check_refused_values("POST /kv/a?", "min", no_integer_or_none);
  check_refused_values("POST /kv/a?", "max", no_integer_or_none);
  check_refused_values("POST /kv/a?", "restore", kNoCount);
  check_refused_values("POST /kv/a?", "append", {"=2", "=xyz", "=-1", "=%00"});
  check_refused_values("POST /kv/a?", "increment", no_integer);
}

TEST_CASE("a POST without an operation, or with two, is refused with a hint") {
  for (const char* line : {"POST /kv/a", "POST /kv/a?timeout=1s", "POST /kv/a?append=0"}) {
    const Asked asked = ask(line, "Content-Length: 1\r\n");
    CHECK(says(asked, 400, "invalid_parameter"));
    CHECK(asked.answer.body.find("-X PUT") != std::string::npos);
  }
  check_refused("POST /kv/a?increment&append", "append");
  check_refused("POST /kv/a?append&increment=2", "increment");
  check_refused("POST /kv/a?min=1&max=2", "max");
  check_refused("POST /kv/a?restore=3&increment", "increment");
  check_refused("POST /kv/a?increment&increment", "increment");
  check_refused("POST /kv/a?increment&prev", "prev");
  check_refused("POST /kv/a?increment&raw", "raw");
  check_refused("POST /kv/a?increment&consistency=stale", "consistency");
}

TEST_CASE("an append has a body of the form of a value, and no other POST needs one") {
  CHECK(says(ask("POST /kv/a?append"), 411, "length_required"));
  CHECK(says(ask("POST /kv/a?append", "Content-Length: 101\r\n"), 413, "value_too_large"));
  CHECK(says(ask("POST /kv/a?append", "Content-Length: 1\r\nContent-Encoding: gzip\r\n"), 415,
             "unsupported_encoding"));
  CHECK(says(ask("POST /kv/a?append",
                 "Content-Length: 1\r\nContent-Type: multipart/form-data; boundary=b\r\n"),
             415, "unsupported_encoding"));
  CHECK(says(ask("POST /kv/a?append", "Content-Length: 1\r\nContent-Range: bytes 0-1/2\r\n"), 400,
             "invalid_field"));
  CHECK(is_accepted(ask("POST /kv/a?append", "Content-Length: 0\r\n")));
  for (const std::string query : {"increment", "min=1", "max=1", "restore=2"}) {
    CHECK(is_accepted(ask("POST /kv/a?" + query)));
    const Asked asked = ask("POST /kv/a?" + query, "Content-Length: 1000\r\n");
    CHECK(is_accepted(asked));
    CHECK_FALSE(asked.exchange.keep_body);
  }
}

TEST_CASE("conditions and Idempotency-Key belong to every write of a key") {
  for (const std::string line : {"PUT /kv/a", "DELETE /kv/a", "POST /kv/a?increment",
                                 "POST /kv/a?append", "POST /kv/a?restore=2"}) {
    CAPTURE(line);
    const Asked asked = ask(line, "Content-Length: 0\r\nIf-Match: \"7\"\r\nIdempotency-Key: k\r\n");
    CHECK(is_accepted(asked));
    const auto& request = std::get<KvRequest>(asked.exchange.request);
    CHECK(request.conditions.if_match->revisions == std::vector<std::uint64_t>{7});
    CHECK(request.idempotency_key == "k");
    CHECK(says(ask(line, "Content-Length: 0\r\nIdempotency-Key: a b\r\n"), 400, "invalid_field"));
    CHECK(says(ask(line, "Content-Length: 0\r\nIf-Match: x\r\n"), 400, "invalid_field"));
  }
}

TEST_CASE("a compaction takes a revision and no conditions") {
  const Asked asked = ask("POST /compact?revision=7&timeout=1s", "Idempotency-Key: k\r\n");
  CHECK(is_accepted(asked));
  const auto& request = std::get<CompactRequest>(asked.exchange.request);
  CHECK(request.revision == 7);
  CHECK(request.idempotency_key == "k");

  check_refused("POST /compact", "revision");
  check_refused_values("POST /compact?", "revision", kNoCount);
  check_refused("POST /compact?revision=9007199254740992", "revision");
  check_refused("POST /compact?revision=1&revision=1", "revision");
  check_refused("POST /compact?revision=1&prev", "prev");
  CHECK(says(ask("POST /compact?revision=7", "If-Match: *\r\n"), 400, "invalid_field"));
  CHECK(says(ask("GET /compact?revision=7"), 405, "method_not_allowed"));
  CHECK(says(ask("POST /compact/?revision=7"), 404, "no_such_path"));
}

}  // namespace test_key_requests
