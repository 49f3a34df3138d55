// What requests to leases, locks and elections accept: every parameter with good and bad values.
#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "api/leases.hpp"
#include "api/locks.hpp"
#include "ask.hpp"

namespace test_lock_requests {

using namespace vesper;
using namespace vesper::api;

namespace {

template <typename Action, typename Request>
Action action_of(const std::string& line, const std::string& fields = {}) {
  const auto request = request_of<Request>(line, fields);
  REQUIRE(std::holds_alternative<Action>(request.action));
  return std::get<Action>(request.action);
}

const std::vector<std::string> kNoDuration = {"",     "=",      "=0",     "=0s",   "=-1",  "=-1s",
                                              "=1",   "=1ns",   "=1us",   "=1.5s", "=1S",  "=3651d",
                                              "=01s", "=%201s", "=1s%00", "=NaN",  "=inf", "=1s1s"};
const std::vector<std::string> kNoToken = {"",
                                           "=",
                                           "=0",
                                           "=-1",
                                           "=1.0",
                                           "=01",
                                           "=%2B1",
                                           "=1e3",
                                           "=0x10",
                                           "=n:1",
                                           "=NaN",
                                           "=%D9%A3",
                                           "=%201",
                                           "=1%00",
                                           "=9007199254740992",
                                           "=18446744073709551616"};
const std::vector<std::string> kNoLimit = {"", "=", "=0", "=-1", "=1.0", "=01", "=x", "=10001"};

}  // namespace

TEST_CASE("a grant of a lease needs a time to live") {
  const auto granted = request_of<LeaseRequest>("POST /leases?ttl=10s", "Idempotency-Key: k\r\n");
  CHECK(std::get<LeaseGrant>(granted.action).ttl == seconds(10));
  CHECK(granted.idempotency_key == "k");
  const auto longest = action_of<LeaseGrant, LeaseRequest>("POST /leases?ttl=3650d&timeout=1s");
  CHECK(longest.ttl == seconds(3650 * 24 * 3600));
  check_refused("POST /leases", "ttl");
  check_refused("POST /leases?timeout=1s", "ttl");
  check_refused_values("POST /leases?", "ttl", kNoDuration);
  for (const std::string name : {"lease", "id", "keys", "wait", "consistency", "fence", "prefix"})
    check_refused("POST /leases?ttl=1s&" + name + "=1", name);
  CHECK(says(ask("POST /leases?ttl=1s", "If-Match: *\r\n"), 400, "invalid_field"));
  CHECK(says(ask("POST /leases?ttl=1s", "Idempotency-Key: a b\r\n"), 400, "invalid_field"));
  CHECK(says(ask("PUT /leases?ttl=1s"), 405, "method_not_allowed"));
  // A body is read and dropped.
  CHECK(is_accepted(ask("POST /leases?ttl=1s", "Content-Length: 1000\r\n")));
}

TEST_CASE("the path of a lease is a decimal number, and anything else names none") {
  for (const std::string method : {"GET", "PUT", "DELETE"}) {
    CAPTURE(method);
    CHECK(request_of<LeaseRequest>(method + " /leases/7").lease == 7);
    CHECK(request_of<LeaseRequest>(method + " /leases/18446744073709551615").lease == UINT64_MAX);
    for (const std::string id :
         {"", "0", "-1", "+1", "01", "1.0", "x", "7/", "7/keys", "%37", "18446744073709551616"})
      CHECK(says(ask(method + " /leases/" + id), 404, "lease_not_found"));
  }
  CHECK(says(ask("POST /leases/7"), 405, "method_not_allowed"));
}

TEST_CASE("requests to a lease take no parameters but those of every read or write") {
  CHECK((action_of<LeaseGet, LeaseRequest>("GET /leases/7?consistency=stale&max_staleness=1s")
             .options.level == node::ReadLevel::stale));
  CHECK((action_of<LeaseGet, LeaseRequest>("HEAD /leases/7?min_revision=3").options.min_revision ==
         3));
  check_refused("GET /leases/7?max_staleness=1s", "max_staleness");
  for (const std::string line : {"GET /leases/7?", "PUT /leases/7?", "DELETE /leases/7?"}) {
    for (const std::string name : {"ttl", "lease", "keys", "limit", "next", "fence", "wait"})
      check_refused(line + name + "=1", name);
    check_refused_values(line, "timeout", {"", "=", "=0", "=5", "=9ms", "=61s"});
    CHECK(is_accepted(ask(line + "timeout=1s")));
  }
  check_refused("PUT /leases/7?consistency=stale", "consistency");
  for (const std::string line : {"PUT /leases/7", "DELETE /leases/7"}) {
    CHECK(request_of<LeaseRequest>(line, "Idempotency-Key: k\r\n").idempotency_key == "k");
    CHECK(says(ask(line, "If-None-Match: *\r\n"), 400, "invalid_field"));
  }
}

TEST_CASE("a list has a limit, a prefix of names, and a next page") {
  CHECK((action_of<LeaseList, LeaseRequest>("GET /leases").list.limit == 1000));
  CHECK((action_of<LeaseList, LeaseRequest>("HEAD /leases?limit=10000").list.limit == 10000));
  check_refused("GET /leases?prefix=a", "prefix");
  for (const std::string path : {"/locks", "/elections"}) {
    const ListRequest list =
        action_of<LockList, LockRequest>("GET " + path + "?prefix=a/&limit=5&next=x").list;
    CHECK(list.prefix == "a/");
    CHECK(list.limit == 5);
    CHECK(list.next == "x");
    CHECK((action_of<LockList, LockRequest>("GET " + path + "?prefix=").list.prefix.empty()));
    CHECK(request_of<LockRequest>("GET " + path).lock.space ==
          (path == "/locks" ? kv::Space::locks : kv::Space::elections));
    check_refused("GET " + path + "?prefix=" + std::string(4097, 'n'), "prefix");
  }
  for (const std::string line : {"GET /leases?", "GET /locks?", "GET /elections?"}) {
    check_refused_values(line, "limit", kNoLimit);
    check_refused_values(line, "next", {"", "="});
    check_refused(line + "max_staleness=1s", "max_staleness");
    for (const std::string name : {"start", "end", "reverse", "revision", "keys_only", "format"})
      check_refused(line + name + "=1", name);
  }
  CHECK(says(ask("POST /locks"), 405, "method_not_allowed"));
  CHECK(says(ask("DELETE /elections"), 405, "method_not_allowed"));
}

TEST_CASE("names of locks and elections are like keys") {
  for (const std::string path : {"/locks/", "/elections/"}) {
    CAPTURE(path);
    CHECK(request_of<LockRequest>("GET " + path + "a%2Fb+c:d/").lock.name == "a/b+c:d/");
    CHECK(request_of<LockRequest>("GET " + path + "%00%FF").lock.name == std::string("\0\xff", 2));
    CHECK(request_of<LockRequest>("GET " + path + std::string(4096, 'n')).lock.name.size() == 4096);
    for (const std::string method : {"GET", "PUT", "POST", "DELETE"}) {
      CHECK(says(ask(method + " " + path), 400, "invalid_key"));
      const Asked asked = ask(method + " " + path + std::string(5000, 'n'));
      CHECK(says(asked, 400, "invalid_key"));
      CHECK(asked.answer.body.find("\"limit\":4096") != std::string::npos);
    }
    CHECK(says(ask("GET " + path + "%f"), 400, "malformed"));
  }
}

TEST_CASE("an acquisition has a time to live and a wait") {
  for (const std::string line : {"POST /locks/n", "POST /elections/n"}) {
    CAPTURE(line);
    auto acquire = action_of<LockAcquire, LockRequest>(line);
    CHECK(acquire.ttl == seconds(15));
    CHECK(acquire.wait == Duration{});
    acquire = action_of<LockAcquire, LockRequest>(line + "?ttl=500ms&wait=10m&timeout=1s");
    CHECK(acquire.ttl == milliseconds(500));
    CHECK(acquire.wait == seconds(600));
    CHECK_FALSE(ask(line).exchange.ends_with_hang_up);
    CHECK(ask(line + "?wait=1s").exchange.ends_with_hang_up);
    check_refused_values(line + "?", "ttl", kNoDuration);
    check_refused_values(line + "?", "wait", kNoDuration);
    check_refused_values(line + "?", "wait", {"=601s", "=11m", "=1d"});
    for (const std::string name : {"token", "lease", "since", "fence", "prev", "consistency"})
      check_refused(line + "?" + name + "=1", name);
    CHECK(request_of<LockRequest>(line, "Idempotency-Key: k\r\n").idempotency_key == "k");
    CHECK(says(ask(line, "If-None-Match: *\r\n"), 400, "invalid_field"));
  }
}

TEST_CASE("a renewal and a release need the token") {
  for (const std::string kind : {"/locks/n", "/elections/n"}) {
    CHECK(action_of<LockRenew, LockRequest>("PUT " + kind + "?token=17").token == 17);
    CHECK(action_of<LockRelease, LockRequest>("DELETE " + kind + "?token=9007199254740991").token ==
          9007199254740991u);
    for (const std::string method : {"PUT ", "DELETE "}) {
      const std::string line = method + kind;
      check_refused(line, "token");
      check_refused(line + "?timeout=1s", "token");
      check_refused_values(line + "?", "token", kNoToken);
      for (const std::string name : {"ttl", "wait", "fence", "value", "consistency"})
        check_refused(line + "?token=1&" + name + "=1", name);
    }
    check_refused("GET " + kind + "?token=1", "token");
    check_refused("GET " + kind + "?wait=1s", "wait");
    CHECK(is_accepted(ask("GET " + kind + "?consistency=lease&timeout=1s")));
  }
}

TEST_CASE("an election has a value in the body, and a lock has none") {
  for (const std::string line : {"POST /elections/n", "PUT /elections/n?token=1"}) {
    CAPTURE(line);
    CHECK(is_accepted(ask(line)));
    CHECK(ask(line, "Content-Length: 4096\r\n").exchange.keep_body);
    const Asked large = ask(line, "Content-Length: 4097\r\n");
    CHECK(says(large, 413, "value_too_large"));
    CHECK(large.answer.body.find("\"limit\":4096") != std::string::npos);
    CHECK(says(ask(line, "Content-Length: 1\r\nContent-Encoding: gzip\r\n"), 415,
               "unsupported_encoding"));
  }
  for (const std::string line : {"POST /locks/n", "PUT /locks/n?token=1", "DELETE /locks/n?token=1",
                                 "DELETE /elections/n?token=1"}) {
    const Asked asked = ask(line, "Content-Length: 5000\r\n");
    CHECK(is_accepted(asked));
    CHECK_FALSE(asked.exchange.keep_body);
  }
}

}  // namespace test_lock_requests
