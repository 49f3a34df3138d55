// Tests the model of leases, locks and deadlines, and that violations of their rules are reported.
#include <doctest/doctest.h>

#include "sim/history.hpp"

using namespace vesper::sim;

namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
const LockId kLock{Space::locks, "n"};

bool says(const Violation& wrong, std::string_view what) {
  if (!wrong) return false;
  INFO(*wrong);
  return wrong->find(what) != std::string::npos;
}

std::string number(std::uint64_t value, std::size_t size) {
  std::string bytes;
  for (std::size_t i = 0; i < size; ++i) bytes += static_cast<char>(value >> (8 * i));
  return bytes;
}
std::string text(const std::string& bytes, std::size_t length_size) {
  return number(bytes.size(), length_size) + bytes;
}

// The commands of servers, in their byte form.
std::string expire(const std::string& keys, const std::string& leases, const std::string& locks,
                   const std::string& sessions) {
  const auto list = [](const std::string& one) { return number(one.empty() ? 0 : 1, 2) + one; };
  return std::string("\x03\x0d\x00", 3) + list(keys) + list(leases) + list(locks) + list(sessions);
}
std::string expire_key(const std::string& key, std::int64_t deadline) {
  return expire(text(key, 2) + number(static_cast<std::uint64_t>(deadline), 8), "", "", "");
}
std::string expire_lease(std::uint64_t lease) {
  return expire("", number(lease, 8), "", "");
}
std::string expire_lock(std::uint64_t token) {
  return expire("", "", number(1, 1) + text("n", 2) + number(token, 8), "");
}
std::string leave(std::uint64_t place, std::uint64_t boot, Departure::Manner manner) {
  return std::string("\x03\x0b\x00", 3) + number(1, 1) + text("n", 2) + number(place, 8) +
         number(place, 8) + number(boot, 8) + number(static_cast<std::uint64_t>(manner), 1);
}

// A log: each entry has the next index.
struct Log {
  History history;
  std::uint64_t index = 0;

  std::size_t commit(Operation operation, std::int64_t at) {
    const std::size_t i = history.invoke(std::move(operation), ++index);
    REQUIRE_FALSE(history.committed(index, at, {}, index));
    return i;
  }
  Violation housekeep(const std::string& payload, std::int64_t at) {
    return history.housekept(payload, at, {}, ++index);
  }
  const Model& model() const { return history.model(); }

  std::size_t put(const char* key, std::int64_t ttl, std::uint64_t lease, std::int64_t at) {
    Operation operation;
    operation.kind = Operation::Kind::act;
    operation.act.kind = Act::Kind::put;
    operation.act.key = operation.key = key;
    operation.act.ttl = ttl;
    operation.act.lease = lease;
    return commit(std::move(operation), at);
  }
  std::size_t claim(Claim::Kind kind, std::uint64_t number, std::int64_t at) {
    Operation operation;
    operation.kind = Operation::Kind::claim;
    operation.claim.kind = kind;
    operation.claim.lock = kLock;
    operation.claim.ttl = 10 * kSecond;
    operation.claim.number = number;
    operation.claim.boot = 7;
    operation.claim.wait = kSecond;
    return commit(std::move(operation), at);
  }
  std::size_t fenced(std::uint64_t token, std::int64_t at) {
    Operation operation;
    operation.kind = Operation::Kind::act;
    operation.act.kind = Act::Kind::increment;
    operation.act.key = operation.key = "k";
    operation.fence = Fence{kLock, token};
    return commit(std::move(operation), at);
  }
  Outcome granted(std::uint64_t place, std::uint64_t token) const {
    Outcome outcome{Outcome::Kind::done, token};
    outcome.text = text_of_lock("granted", place, token, 10 * kSecond);
    outcome.place = place;
    return outcome;
  }
};

}  // namespace

TEST_CASE("T1: an expiry that is proposed early is reported") {
  Log log;
  log.put("a", 2 * kSecond, 0, kSecond);
  SUBCASE("early") {
    CHECK(says(log.housekeep(expire_key("a", 3 * kSecond), 3 * kSecond - 1), "T1"));
  }
  SUBCASE("due") {
    CHECK_FALSE(log.housekeep(expire_key("a", 3 * kSecond), 3 * kSecond));
    CHECK_FALSE(log.model().now("a").present);
    CHECK(log.model().events().back().expired);
  }
  SUBCASE("written again meanwhile") {
    log.put("a", 2 * kSecond, 0, 2 * kSecond);
    CHECK_FALSE(log.housekeep(expire_key("a", 3 * kSecond), 3 * kSecond));
    CHECK(log.model().now("a").present);
    CHECK(log.model().next_end() == 4 * kSecond);
  }
}

TEST_CASE("T1: a lease that was renewed does not end before its ttl has passed again") {
  Log log;
  log.claim(Claim::Kind::grant, 0, kSecond);
  log.claim(Claim::Kind::renew_lease, 1, 5 * kSecond);
  CHECK_FALSE(log.housekeep(expire_lease(1), 11 * kSecond));
  CHECK(log.model().holdings().is_active(1));
  CHECK_FALSE(log.housekeep(expire_lease(1), 15 * kSecond));
  CHECK_FALSE(log.model().holdings().is_active(1));
}

TEST_CASE("T3: writes of two holders that both take effect are reported") {
  FencedWrites writes;
  CHECK_FALSE(writes.took_effect(kLock, 5, 7));
  CHECK_FALSE(writes.took_effect(kLock, 8, 10));
  CHECK_FALSE(writes.took_effect({Space::elections, "n"}, 3, 11));
  CHECK(says(writes.took_effect(kLock, 5, 12), "T3"));
  CHECK(says(writes.took_effect(kLock, 8, 6), "T3"));
}

TEST_CASE("T3: a write that its fence does not refuse is reported") {
  Log log;
  log.claim(Claim::Kind::acquire, 0, kSecond);
  const std::size_t held = log.fenced(2, 2 * kSecond);
  Outcome done{Outcome::Kind::done, 3};
  done.text = "put(3,3,1;k=0;3;3;1;0;-)";
  done.time = 2 * kSecond;
  const Violation wrong = log.history.wrote(held, done);
  CHECK_MESSAGE(!wrong, wrong.value_or(""));
  CHECK_FALSE(log.housekeep(expire_lock(2), 11 * kSecond));
  const std::size_t lost = log.fenced(2, 12 * kSecond);
  CHECK(log.model().now("k").version == 1);
  done.revision = 5;
  CHECK(says(log.history.wrote(lost, done), "wrong outcome"));
}

TEST_CASE("T4: the first place that has not lapsed is granted the lock") {
  Log log;
  log.claim(Claim::Kind::acquire, 0, kSecond);
  const std::size_t first = log.claim(Claim::Kind::acquire, 0, 2 * kSecond);
  const std::size_t second = log.claim(Claim::Kind::acquire, 0, 3 * kSecond);
  CHECK(says(log.history.wrote(first, log.granted(2, 3)), "T4"));
  SUBCASE("in order") {
    log.claim(Claim::Kind::release, 2, 3 * kSecond);
    CHECK(log.model().holdings().holder(kLock)->place == 2);
    CHECK_FALSE(log.history.wrote(first, log.granted(2, 3)));
    CHECK(says(log.history.wrote(second, log.granted(2, 3)), "T4"));
  }
  SUBCASE("the places of the server have lapsed") {
    log.claim(Claim::Kind::release, 2, 5 * kSecond);
    CHECK(log.model().holdings().holder(kLock) == nullptr);
    CHECK(log.model().holdings().waiters.empty());
    CHECK(log.model().holdings().sessions.empty());
    CHECK(says(log.history.wrote(first, log.granted(2, 3)), "T4"));
  }
  SUBCASE("with another token") {
    log.claim(Claim::Kind::release, 2, 3 * kSecond);
    CHECK(says(log.history.wrote(first, log.granted(2, 4)), "T4"));
  }
}

TEST_CASE("T5: a waiter that hung up is not granted the lock") {
  Log log;
  log.claim(Claim::Kind::acquire, 0, kSecond);
  log.claim(Claim::Kind::acquire, 0, 2 * kSecond);
  log.claim(Claim::Kind::acquire, 0, 2 * kSecond);
  CHECK_FALSE(log.housekeep(leave(2, 8, Departure::Manner::hung_up), 2 * kSecond));
  CHECK(log.model().holdings().waiters.size() == 2);  // it is not a place of that server
  CHECK_FALSE(log.housekeep(leave(2, 7, Departure::Manner::hung_up), 2 * kSecond));
  log.claim(Claim::Kind::release, 2, 3 * kSecond);
  CHECK(log.model().holdings().holder(kLock)->place == 3);
  CHECK_FALSE(log.housekeep(leave(3, 7, Departure::Manner::hung_up), 3 * kSecond));
  CHECK(log.model().holdings().holder(kLock) == nullptr);
}

TEST_CASE("T6: a lease ends with its keys") {
  Log log;
  log.claim(Claim::Kind::grant, 0, kSecond);
  log.put("a", 0, 1, kSecond);
  log.put("b", 0, 1, kSecond);
  const std::uint64_t before = log.model().revision();
  SUBCASE("by a client") {
    log.claim(Claim::Kind::end_lease, 1, 2 * kSecond);
    CHECK_FALSE(log.model().events().back().expired);
  }
  SUBCASE("by its deadline") {
    CHECK_FALSE(log.housekeep(expire_lease(1), 11 * kSecond));
    CHECK(log.model().events().back().expired);
  }
  CHECK(log.model().revision() == before + 1);
  CHECK(log.model().keys() == 0);
  CHECK(log.model().next_end() == kNeverEnds);
}
