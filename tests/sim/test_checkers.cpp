// Tests the simulator's checkers with known histories: each correct one passes, and each wrong one
// is reported with what is wrong. Also: the same seed gives the same world.
#include <doctest/doctest.h>

#include "sim/history.hpp"
#include "sim/plan.hpp"
#include "sim/safety.hpp"
#include "sim/world.hpp"

using namespace vesper::sim;
using Known = Safety::Known;
using Role = Safety::Role;

namespace {

// A log as a list of terms; the hash of an entry is made from its index, its term and `salt`.
struct Log {
  std::uint64_t base = 0;
  std::vector<std::uint64_t> terms;  // after the base
  std::uint64_t salt = 0;
  std::uint64_t base_term = 0;

  std::uint64_t last() const { return base + terms.size(); }
};

Violation follow(Safety& safety, std::size_t server, const Log& log, Role role = Role::other) {
  return safety.follow(
      server, {log.base, log.base_term, log.last()}, role,
      [&](std::uint64_t i) { return log.terms[i - log.base - 1]; },
      [&](std::uint64_t i) { return i * 1000 + log.terms[i - log.base - 1] + log.salt; });
}

Violation restart(Safety& safety, std::size_t server, const Log& log, std::uint64_t term,
                  std::optional<std::uint64_t> voted_for = std::nullopt) {
  return safety.restarts(
      server, 1, term, voted_for, {log.base, log.base_term, log.last()},
      [&](std::uint64_t i) { return log.terms[i - log.base - 1]; },
      [&](std::uint64_t i) { return i * 1000 + log.terms[i - log.base - 1] + log.salt; });
}

bool says(const Violation& wrong, std::string_view rule) {
  if (!wrong) return false;
  INFO(*wrong);
  return wrong->find(rule) != std::string::npos;
}

// Server 0 leads `term` with `log` and has committed all of it together with server 1.
void commit_all(Safety& safety, const Log& log, std::uint64_t term) {
  REQUIRE_FALSE(follow(safety, 0, log, Role::leader));
  REQUIRE_FALSE(follow(safety, 1, log));
  safety.acknowledges(1, term, log.last(), term);
  REQUIRE_FALSE(follow(safety, 1, log));
  REQUIRE_FALSE(safety.commits(0, term, Role::leader, log.last(), log.last()));
  REQUIRE_FALSE(safety.in_term(0, term, Role::leader));
}

Operation put(const char* key, const char* value, std::uint64_t connection = 1) {
  Operation operation;
  operation.kind = Operation::Kind::put;
  operation.key = key;
  operation.value = value;
  operation.connection = connection;
  return operation;
}

Operation get(const char* key, std::uint64_t connection = 1) {
  Operation operation;
  operation.key = key;
  operation.connection = connection;
  return operation;
}

// `time`: the stamp of the entry.
Outcome created(std::uint64_t revision, std::int64_t time = 0) {
  Outcome outcome{Outcome::Kind::put, revision, revision, 1, revision};
  outcome.time = time;
  return outcome;
}

Seen value(const char* text, std::uint64_t revision, std::uint64_t create, std::uint64_t version) {
  return {true, text, false, revision, create, version};
}

constexpr std::int64_t kSecond = 1'000'000'000;

Operation keyed(const char* value, std::uint64_t body, std::uint64_t connection = 1) {
  Operation operation = put("k", value, connection);
  operation.token = "t";
  operation.body = body;
  return operation;
}

Outcome again(Outcome outcome) {
  outcome.replayed = true;
  return outcome;
}

Operation stale(std::optional<std::int64_t> most = std::nullopt) {
  Operation operation = get("k");
  operation.level = Operation::Level::stale;
  operation.max_staleness = most;
  return operation;
}

}  // namespace

TEST_CASE("E1: two leaders of one term are reported") {
  Safety safety(3);
  CHECK_FALSE(safety.leads(0, 2));
  CHECK_FALSE(safety.leads(0, 2));
  CHECK_FALSE(safety.leads(1, 3));
  CHECK(says(safety.leads(2, 3), "E1"));
}

TEST_CASE("E3: a term that falls is reported, in a process and over a restart") {
  Safety safety(3);
  CHECK_FALSE(safety.in_term(0, 5, Role::other));
  CHECK(says(safety.in_term(0, 4, Role::other), "E3"));
  safety.promises_term(1, 7);
  CHECK(says(restart(safety, 1, {}, 6), "E3"));
  CHECK_FALSE(restart(safety, 1, {}, 7));
}

TEST_CASE("E4: a second vote in a term is reported, unless the server has a new disk") {
  Safety safety(3);
  CHECK_FALSE(safety.votes(0, 1, 4, 1));
  CHECK_FALSE(safety.votes(0, 1, 4, 1));
  CHECK_FALSE(safety.votes(0, 2, 4, 2));
  CHECK(says(safety.votes(0, 1, 4, 2), "E4"));
}

TEST_CASE("E2: a vote that a restart has forgotten is reported") {
  Safety safety(3);
  CHECK_FALSE(safety.votes(0, 1, 4, 1));
  CHECK_FALSE(restart(safety, 0, {}, 4, 1));
  CHECK_FALSE(restart(safety, 0, {}, 5));
  CHECK(says(restart(safety, 0, {}, 4), "E2"));
}

TEST_CASE("E6: a leader that drops or changes its entries is reported") {
  Safety safety(3);
  REQUIRE_FALSE(follow(safety, 0, {0, {1, 1, 2}}, Role::leader));
  CHECK(says(follow(safety, 0, {0, {1, 1}}, Role::leader), "E6"));
  CHECK(says(safety.compare_all(0, [](std::uint64_t) { return std::uint64_t{0}; }), "E6"));
}

TEST_CASE("L1: logs that agree at an entry and differ before it are reported") {
  Safety safety(3);
  REQUIRE_FALSE(follow(safety, 0, {0, {1, 1, 2}}));
  REQUIRE_FALSE(follow(safety, 1, {0, {1, 1, 2}}));
  CHECK(says(follow(safety, 2, {0, {1, 2, 2}}), "L1"));
  CHECK(says(follow(safety, 2, {0, {1, 1}, 5}), "L1"));
}

TEST_CASE("L3: a committed entry that its own server drops is reported") {
  Safety safety(3);
  commit_all(safety, {0, {1, 1, 1}}, 1);
  REQUIRE_FALSE(safety.commits(1, 1, Role::other, 2, 3));
  CHECK(says(follow(safety, 1, {0, {1}}), "L3"));
}

TEST_CASE("L7: an entry that was committed elsewhere and is dropped is reported") {
  Safety safety(3);
  commit_all(safety, {0, {1, 1, 1}}, 1);
  REQUIRE_FALSE(safety.in_term(1, 2, Role::other));
  CHECK(says(follow(safety, 1, {0, {1}}), "L7"));
}

TEST_CASE("L7: an entry that was dropped before a later term committed it is not reported") {
  Safety safety(3);
  // The server is frozen in term 1 and hears the leader of term 2 before that of term 3.
  REQUIRE_FALSE(follow(safety, 2, {0, {1, 1}}));
  REQUIRE_FALSE(safety.in_term(2, 1, Role::other));
  commit_all(safety, {0, {1, 1, 3}}, 3);
  CHECK_FALSE(follow(safety, 2, {0, {1}}));
}

TEST_CASE("L7: a leader that lacks a committed entry is reported") {
  Safety safety(3);
  commit_all(safety, {0, {1, 1, 1}}, 1);
  REQUIRE_FALSE(follow(safety, 2, {0, {1, 1, 2}}, Role::leader));
  CHECK(says(safety.in_term(2, 2, Role::leader), "L7"));
}

TEST_CASE("L5: an old term's entry that is committed by counting is reported") {
  Safety safety(3);
  REQUIRE_FALSE(follow(safety, 0, {0, {1, 2, 4}}, Role::leader));
  safety.acknowledges(1, 4, 2, 4);
  CHECK(says(safety.commits(0, 4, Role::leader, 2, 3), "L5"));
}

TEST_CASE("L8: another entry committed at the same index is reported") {
  Safety safety(3);
  commit_all(safety, {0, {1, 1}}, 1);
  REQUIRE_FALSE(follow(safety, 2, {0, {1, 2}}));
  CHECK(says(safety.commits(2, 2, Role::other, 2, 2), "L8"));
}

TEST_CASE("L9: a commit index that falls or passes the log is reported") {
  Safety safety(3);
  commit_all(safety, {0, {1, 1}}, 1);
  CHECK(says(safety.commits(0, 1, Role::leader, 1, 2), "L9"));
  CHECK(says(safety.commits(1, 1, Role::other, 3, 2), "L9"));
}

TEST_CASE("L10: a commit without a majority's disks is reported") {
  Safety safety(3);
  REQUIRE_FALSE(follow(safety, 0, {0, {1, 1}}, Role::leader));
  SUBCASE("no other server has the entry") {
    CHECK(says(safety.commits(0, 1, Role::leader, 2, 2), "L10"));
  }
  SUBCASE("the leader lacks it") {
    safety.acknowledges(1, 1, 2, 1);
    CHECK(says(safety.commits(0, 1, Role::leader, 2, 1), "L10"));
  }
  SUBCASE("it was acknowledged to another term's leader") {
    safety.acknowledges(1, 2, 2, 2);
    CHECK(says(safety.commits(0, 1, Role::leader, 2, 2), "L10"));
  }
  SUBCASE("two other servers have it") {
    safety.acknowledges(1, 1, 2, 1);
    safety.acknowledges(2, 1, 2, 1);
    CHECK_FALSE(safety.commits(0, 1, Role::leader, 2, 0));
  }
}

TEST_CASE("L4: a follower that commits an entry of no leader is reported") {
  Safety safety(3);
  REQUIRE_FALSE(follow(safety, 1, {0, {1, 1}}));
  CHECK(says(safety.commits(1, 1, Role::other, 1, 2), "L4"));
}

TEST_CASE("L10: an acknowledged entry that a restart has lost is reported") {
  Safety safety(3);
  REQUIRE_FALSE(follow(safety, 1, {0, {1, 1, 1}}));
  safety.acknowledges(1, 1, 2, 1);
  REQUIRE_FALSE(follow(safety, 1, {0, {1, 1, 1}}));
  SUBCASE("the log is shorter") {
    CHECK(says(restart(safety, 1, {0, {1}}, 1), "L10"));
  }
  SUBCASE("another entry is in its place") {
    CHECK(says(restart(safety, 1, {0, {1, 0}}, 1), "L10"));
  }
  SUBCASE("an entry that was not acknowledged may be lost") {
    CHECK_FALSE(restart(safety, 1, {0, {1, 1}}, 1));
  }
  SUBCASE("an entry that was dropped since may be lost, too") {
    REQUIRE_FALSE(follow(safety, 1, {0, {1, 2}}));
    CHECK_FALSE(restart(safety, 1, {0, {1}}, 2));
  }
  SUBCASE("another disk has promised nothing") {
    safety.add_server();
    CHECK_FALSE(restart(safety, 3, {}, 0));
  }
}

TEST_CASE("S1: a snapshot that covers uncommitted entries is reported") {
  Safety safety(3);
  commit_all(safety, {0, {1, 1}}, 1);
  REQUIRE_FALSE(follow(safety, 2, {0, {1}}));
  CHECK(says(follow(safety, 2, {3, {}, 0, 1}), "S1"));
  CHECK(says(restart(safety, 2, {2, {}, 0, 2}, 2), "S1"));
  CHECK_FALSE(follow(safety, 2, {2, {}, 0, 1}));
}

TEST_CASE("L20: another state at the same index is reported") {
  Safety safety(3);
  CHECK_FALSE(safety.applied(0, 4, {1, 2}));
  CHECK_FALSE(safety.applied(1, 4, {1, 2}));
  CHECK(says(safety.applied(2, 4, {1, 3}), "L20"));
}

TEST_CASE("a correct history passes") {
  History history;
  const auto a = history.invoke(put("k", "a"), 1);
  REQUIRE_FALSE(history.committed(1));
  CHECK_FALSE(history.wrote(a, created(2)));
  const auto b = history.invoke(get("k"), 0);
  CHECK_FALSE(history.read(b, value("a", 2, 2, 1), 2));
  Operation conditional = put("k", "b");
  conditional.if_match = Expectation{false, {1}};
  const auto c = history.invoke(conditional, 2);
  REQUIRE_FALSE(history.committed(2));
  CHECK_FALSE(history.wrote(c, {Outcome::Kind::failed, 2, 0, 0, 2}));
  CHECK_FALSE(history.judge_connections());
}

TEST_CASE("a stale read is reported") {
  History history;
  const auto a = history.invoke(put("k", "a"), 1);
  REQUIRE_FALSE(history.committed(1));
  REQUIRE_FALSE(history.wrote(a, created(2)));
  const auto b = history.invoke(get("k", 2), 0);
  CHECK(says(history.read(b, {}, 1), "stale"));
}

TEST_CASE("a read that overlaps a write may see either state") {
  History history;
  const auto a = history.invoke(put("k", "a"), 1);
  const auto b = history.invoke(get("k", 2), 0);
  REQUIRE_FALSE(history.committed(1));
  REQUIRE_FALSE(history.wrote(a, created(2)));
  SUBCASE("it sees the state before the write") {
    CHECK_FALSE(history.read(b, {}, 1));
  }
  SUBCASE("it sees the state after the write") {
    CHECK_FALSE(history.read(b, value("a", 2, 2, 1), 2));
  }
}

TEST_CASE("a read of a value that was never written is reported") {
  History history;
  const auto a = history.invoke(get("k"), 0);
  CHECK(says(history.read(a, value("a", 1, 1, 1), 1), "wrong"));
}

TEST_CASE("a read ahead of the commit index is reported") {
  History history;
  const auto a = history.invoke(get("k"), 0);
  CHECK(says(history.read(a, {}, 2), "committed is"));
}

TEST_CASE("L11: an acknowledged write that is not committed is reported") {
  History history;
  const auto a = history.invoke(put("k", "a"), 1);
  CHECK(says(history.wrote(a, created(2)), "L11"));
}

TEST_CASE("K1: a write that is applied twice is reported") {
  History history;
  history.invoke(put("k", "a"), 1);
  REQUIRE_FALSE(history.committed(1));
  CHECK(says(history.committed(1), "K1"));
}

TEST_CASE("a refused write that is applied is reported, whichever comes first") {
  History history;
  const auto a = history.invoke(put("k", "a"), 1);
  SUBCASE("it is refused first") {
    REQUIRE_FALSE(history.refused(a));
    CHECK(says(history.committed(1), "refused"));
  }
  SUBCASE("it is applied first") {
    REQUIRE_FALSE(history.committed(1));
    CHECK(says(history.refused(a), "refused"));
  }
}

TEST_CASE("a write of unknown outcome may be applied later, or never") {
  History history;
  const auto a = history.invoke(put("k", "a"), 1);
  history.unknown(a);
  SUBCASE("it is never applied") {}
  SUBCASE("it is applied later") {
    CHECK_FALSE(history.committed(1));
  }
  CHECK_FALSE(history.judge_connections());
}

TEST_CASE("a reply with a wrong revision, or a second reply, is reported") {
  History history;
  const auto a = history.invoke(put("k", "a"), 1);
  REQUIRE_FALSE(history.committed(1));
  SUBCASE("the revision is wrong") {
    CHECK(says(history.wrote(a, created(3)), "wrong outcome"));
  }
  SUBCASE("the reply comes twice") {
    REQUIRE_FALSE(history.wrote(a, created(2)));
    CHECK(says(history.wrote(a, created(2)), "twice"));
  }
}

TEST_CASE("requests of one connection that took effect in another order are reported") {
  History history;
  const auto a = history.invoke(put("k", "a"), 1);
  const auto b = history.invoke(put("k", "b"), 2);
  REQUIRE_FALSE(history.committed(2));
  REQUIRE_FALSE(history.committed(1));
  REQUIRE_FALSE(history.wrote(b, created(2)));
  REQUIRE_FALSE(history.wrote(a, {Outcome::Kind::put, 3, 2, 2, 3}));
  CHECK(says(history.judge_connections(), "order"));
}

TEST_CASE("K1: a repeated idempotency key gets the reply that is kept, and changes nothing") {
  History history;
  const auto a = history.invoke(keyed("a", 1), 1);
  const auto b = history.invoke(keyed("a", 1, 2), 1);
  REQUIRE_FALSE(history.committed(1));
  REQUIRE_FALSE(history.committed(1, kSecond));
  CHECK(history.revision() == 2);
  SUBCASE("the reply is the same") {
    CHECK_FALSE(history.wrote(b, again(created(2))));
    CHECK_FALSE(history.wrote(a, created(2)));
    CHECK(says(history.committed(1, kSecond), "K1"));
  }
  SUBCASE("both replies claim to be the first") {
    CHECK_FALSE(history.wrote(a, created(2)));
    CHECK(says(history.wrote(b, created(2)), "wrong outcome"));
  }
  SUBCASE("the reply differs") {
    CHECK(says(history.wrote(b, again(created(3))), "wrong outcome"));
  }
  SUBCASE("the client no longer waits for a reply") {
    CHECK(says(history.refused(a), "refused"));
  }
}

TEST_CASE("K2: an idempotency key is new again ten minutes later, if entries could be decided") {
  History history;
  history.invoke(keyed("a", 1), 1);
  REQUIRE_FALSE(history.committed(1, kSecond));
  const auto b = history.invoke(keyed("a", 1), 1);
  Outcome anew{Outcome::Kind::put, 3, 2, 2, 3, false};
  anew.time = 602 * kSecond;
  SUBCASE("it is not new before that, whatever the stamps say") {
    REQUIRE_FALSE(history.committed(1, 900 * kSecond, {0, 0, 600 * kSecond - 1}));
    CHECK(says(history.wrote(b, anew), "wrong outcome"));
  }
  SUBCASE("it is certainly new after that, whatever the stamps say") {
    REQUIRE_FALSE(history.committed(1, kSecond, {0, 601 * kSecond, 700 * kSecond}));
    CHECK(says(history.wrote(b, again(created(2, kSecond))), "wrong outcome"));
  }
  SUBCASE("in between the stamps decide, with a second of margin: it is kept") {
    REQUIRE_FALSE(history.committed(1, 602 * kSecond - 1, {0, 0, 600 * kSecond}));
    CHECK_FALSE(history.wrote(b, again(created(2, kSecond))));
  }
  SUBCASE("in between the stamps decide, with a second of margin: it is forgotten") {
    REQUIRE_FALSE(history.committed(1, 602 * kSecond, {0, 0, 600 * kSecond}));
    CHECK_FALSE(history.wrote(b, anew));
    CHECK(history.forgotten() == 1);
    CHECK(says(history.committed(1, kSecond), "K2"));
  }
  SUBCASE("each replay starts the ten minutes again") {
    history.invoke(keyed("a", 1), 1);
    REQUIRE_FALSE(history.committed(1, 500 * kSecond, {0, 500 * kSecond, 500 * kSecond}));
    REQUIRE_FALSE(history.committed(1, 1000 * kSecond, {0, 1000 * kSecond, 1000 * kSecond}));
    CHECK_FALSE(history.wrote(b, again(created(2, kSecond))));
    CHECK(history.forgotten() == 0);
  }
}

TEST_CASE("K2: a full table refuses a new idempotency key and drops no other key early") {
  History history;
  history.keep_at_most(1);
  history.invoke(keyed("a", 1), 1);
  REQUIRE_FALSE(history.committed(1, kSecond));
  Operation other = keyed("b", 2);
  other.token = "another";
  const auto b = history.invoke(other, 2);
  const auto a = history.invoke(keyed("a", 1, 2), 1);
  SUBCASE("its only key has time left") {
    REQUIRE_FALSE(history.committed(2, 601 * kSecond, {0, 0, 600 * kSecond}));
    CHECK(history.revision() == 2);
    SUBCASE("the refusal is correct") {
      CHECK_FALSE(history.wrote(b, {Outcome::Kind::full, 2, 0, 0, 0, false}));
    }
    SUBCASE("a write that is applied is reported") {
      CHECK(says(history.wrote(b, {Outcome::Kind::put, 3, 2, 2, 3, false}), "wrong outcome"));
    }
    SUBCASE("the key that is kept gets its reply") {
      REQUIRE_FALSE(history.committed(1, 601 * kSecond, {0, 0, 600 * kSecond}));
      CHECK_FALSE(history.wrote(a, again(created(2, kSecond))));
    }
  }
  SUBCASE("it has room once its only key has expired") {
    REQUIRE_FALSE(history.committed(2, 602 * kSecond, {0, 0, 600 * kSecond}));
    CHECK(history.revision() == 3);
    CHECK(says(history.wrote(b, {Outcome::Kind::full, 2, 0, 0, 0, false}), "wrong outcome"));
  }
}

TEST_CASE("K1: an idempotency key reused for another request is refused and changes nothing") {
  History history;
  history.invoke(keyed("a", 1), 1);
  const auto b = history.invoke(keyed("b", 2), 2);
  REQUIRE_FALSE(history.committed(1));
  REQUIRE_FALSE(history.committed(2));
  CHECK(history.revision() == 2);
  CHECK_FALSE(history.wrote(b, {Outcome::Kind::reused, 2, 0, 0, 0, false}));
}

TEST_CASE("K8: a stale read misses no write acknowledged before the instant that it names") {
  History history;
  const auto a = history.invoke(put("k", "a"), 1);
  REQUIRE_FALSE(history.committed(1));
  REQUIRE_FALSE(history.wrote(a, created(2), 100));
  const auto b = history.invoke(stale(), 0);
  SUBCASE("the write was acknowledged later") {
    CHECK_FALSE(history.read(b, {}, 1, 200, Age{100, 100}));
  }
  SUBCASE("the write was acknowledged before") {
    CHECK(says(history.read(b, {}, 1, 200, Age{99, 101}), "K8"));
  }
  SUBCASE("the age is unknown") {
    CHECK_FALSE(history.read(b, {}, 1, 200));
  }
  SUBCASE("the state is older than requested, or its age is unknown") {
    const auto c = history.invoke(stale(50), 0);
    CHECK(says(history.read(c, {}, 1, 200, Age{51, std::nullopt}), "K8"));
    const auto d = history.invoke(stale(50), 0);
    CHECK(says(history.read(d, {}, 1, 200), "K8"));
  }
}

TEST_CASE("a read below its requested revision is reported") {
  History history;
  Operation least = get("k");
  least.min_revision = 2;
  const auto a = history.invoke(least, 0);
  CHECK(says(history.read(a, {}, 1), "min_revision"));
}

TEST_CASE("a command that no client has sent is reported") {
  History history;
  CHECK(says(history.committed(9), "no client"));
}

TEST_CASE("the same seed gives the same world, bit for bit, and another seed gives another world") {
  const auto hash_of = [](std::uint64_t seed) {
    Options options;
    options.seed = seed;
    World world(options);
    CHECK_FALSE(world.run());
    return world.trace_hash();
  };
  for (const std::uint64_t seed : {1u, 2u, 3u, 4u, 5u}) CHECK(hash_of(seed) == hash_of(seed));
  CHECK(hash_of(6) != hash_of(7));
}

TEST_CASE("a reply that is wrong on purpose is reported in a world") {
  Options options;
  options.seed = 3;
  options.plant = true;
  World world(options);
  CHECK(says(world.run(), "wrong outcome"));
}
