// Tests the checkers of leases, read rounds, resends and the cluster's clock with known sequences:
// each correct one passes, and each wrong one is reported with what is wrong.
#include <doctest/doctest.h>

#include "sim/leader_leases.hpp"
#include "sim/log_clock.hpp"
#include "sim/reads.hpp"
#include "sim/resends.hpp"

using namespace vesper::sim;
using vesper::raft::Channel;

namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

bool says(const Violation& wrong, const char* rule) {
  return wrong && wrong->find(rule) != std::string::npos;
}

// At 1,000 ns of its clock, server 1 has handled a heartbeat of term 2 that asked for a lease of
// 100 ns.
LeaderLeases promised() {
  LeaderLeases leases(3);
  leases.hears(1, 2, 7, 100, 1'000);
  CHECK_FALSE(leases.answers(1, 2, 7));
  return leases;
}

}  // namespace

TEST_CASE("K7: a vote during a promise is reported, even after a restart") {
  LeaderLeases leases = promised();
  SUBCASE("the vote is within the promise") {
    CHECK(says(leases.votes(1, 3, 1'109), "K7"));
  }
  SUBCASE("the vote is after the promise") {
    CHECK_FALSE(leases.votes(1, 3, 1'110));
  }
  SUBCASE("a restart changes nothing") {
    leases.ends(1);
    CHECK(says(leases.votes(1, 3, 1'109), "K7"));
  }
  SUBCASE("the leader itself has promised") {
    leases.asks(0, 2, 100, 5'000);
    CHECK(says(leases.votes(0, 3, 5'109), "K7"));
    CHECK_FALSE(leases.votes(0, 4, 5'110));
  }
  SUBCASE("another disk has promised nothing") {
    leases.add_server();
    CHECK_FALSE(leases.votes(3, 3, 1'050));
  }
}

TEST_CASE("K7: a promise counts once its reply leaves, from the time its heartbeat was received") {
  LeaderLeases leases(3);
  leases.hears(1, 2, 7, 100, 1'000);
  SUBCASE("no reply left") {
    CHECK_FALSE(leases.votes(1, 3, 1'050));
  }
  SUBCASE("the reply leaves after the vote that breaks the promise") {
    CHECK_FALSE(leases.votes(1, 3, 1'050));
    CHECK(says(leases.answers(1, 2, 7), "K7"));
  }
  SUBCASE("the same round again does not extend it") {
    leases.hears(1, 2, 7, 100, 1'060);
    CHECK_FALSE(leases.answers(1, 2, 7));
    CHECK_FALSE(leases.votes(1, 3, 1'120));
  }
  SUBCASE("a reply to a heartbeat that asked for no lease promises nothing") {
    CHECK_FALSE(leases.answers(1, 2, 8));
    CHECK_FALSE(leases.votes(1, 3, 1'050));
  }
}

TEST_CASE("K7: a lease of an older term beside a newer leader is reported") {
  LeaderLeases leases(3);
  CHECK(leases.elected(2));
  CHECK_FALSE(leases.elected(2));
  CHECK_FALSE(leases.holds(0, 2));
  CHECK(leases.elected(3));
  CHECK(says(leases.holds(0, 2), "K7"));
  CHECK_FALSE(leases.holds(1, 3));
}

TEST_CASE("K4: a read needs a majority that replied to a heartbeat sent after the read arrived") {
  ReadRounds rounds(5);
  rounds.sent(0, 2, 1, 100);
  rounds.sent(0, 2, 2, 200);
  rounds.answered(0, 1, 2, 1);
  rounds.answered(0, 2, 2, 2);
  CHECK(rounds.followed_until(0, 2, 250) == 100);
  rounds.learns(0, rounds.followed_until(0, 2, 250));
  CHECK_FALSE(rounds.reads(0, 100));
  CHECK(says(rounds.reads(0, 101), "K4"));
  SUBCASE("a reply to an older round does not count for a newer one") {
    rounds.answered(0, 3, 2, 1);
    CHECK(rounds.followed_until(0, 2, 250) == 100);
    rounds.answered(0, 3, 2, 2);
    CHECK(rounds.followed_until(0, 2, 250) == 200);
  }
  SUBCASE("a round that is sent again counts from the first time") {
    rounds.sent(0, 2, 2, 300);
    rounds.answered(0, 3, 2, 2);
    CHECK(rounds.followed_until(0, 2, 350) == 200);
  }
  SUBCASE("replies of another term do not count") {
    rounds.answered(0, 3, 1, 2);
    CHECK(rounds.followed_until(0, 2, 250) == 100);
    CHECK(rounds.followed_until(0, 3, 250) == 0);
  }
  SUBCASE("a follower learns from a leader's reply, and a restart forgets it") {
    rounds.learns(4, 150);
    CHECK_FALSE(rounds.reads(4, 150));
    rounds.starts(4);
    CHECK(says(rounds.reads(4, 150), "K4"));
  }
}

TEST_CASE("K4: each set of voters has to follow the leader, and no one else counts") {
  ReadRounds rounds(6);
  rounds.sent(0, 2, 1, 100);
  rounds.sent(0, 2, 2, 200);
  for (const std::size_t by : {1u, 2u, 5u}) rounds.answered(0, by, 2, 2);
  rounds.answered(0, 3, 2, 1);
  CHECK(rounds.followed_until(0, 2, 250, {{0, 1, 2}}) == 200);
  CHECK(rounds.followed_until(0, 2, 250, {{0, 1, 2}, {2, 3, 4}}) == 100);
  CHECK(rounds.followed_until(0, 2, 250, {{0, 3, 4}}) == 100);
  CHECK(rounds.followed_until(0, 2, 250, {{3, 4, SIZE_MAX}}) == 0);
  CHECK(rounds.followed_until(0, 2, 250, {{0}}) == 250);
}

TEST_CASE("K4: a server alone is its own majority") {
  ReadRounds rounds(1);
  CHECK(rounds.followed_until(0, 1, 70) == 70);
}

TEST_CASE(
    "bounds: a server that does not reply gets few heartbeats for reads, more for its own writes") {
  Beats beats(3);
  // Sends forty rounds from leader 0 to server 2 within one interval. Round n announces the commit
  // of `first` + n. Returns how many rounds pass.
  const auto rounds = [&](std::uint64_t epoch, std::uint64_t first) {
    for (std::uint64_t n = 1; n <= 40; ++n)
      if (const Violation wrong = beats.sent(0, 2, epoch, n, first + n, 7, 50)) {
        CHECK(says(wrong, "bounds"));
        return n - 1;
      }
    return std::uint64_t{40};
  };
  const auto writes = [&](std::size_t by, std::uint64_t epoch, std::uint64_t first) {
    for (std::uint64_t n = 1; n <= 20; ++n) beats.wrote(0, by, epoch, first + n);
  };
  SUBCASE("it gets heartbeats for reads") {
    CHECK(rounds(4, 100) == 12);
  }
  SUBCASE("each of its writes allows one more") {
    writes(2, 4, 100);
    writes(2, 4, 100);  // the same entries, sent to another follower
    CHECK(rounds(4, 100) == 32);
  }
  SUBCASE("writes of other servers allow none") {
    writes(1, 4, 100);
    CHECK(rounds(4, 100) == 12);
  }
  SUBCASE("writes that it knows to be committed allow none") {
    CHECK_FALSE(beats.sent(0, 2, 4, 1, 120, 7, 50));
    writes(2, 4, 100);
    CHECK(rounds(4, 120) == 12);
  }
  SUBCASE("uncommitted writes allow none") {
    writes(2, 4, 200);
    CHECK(rounds(4, 100) == 12);
  }
  SUBCASE("writes of another term allow none") {
    writes(2, 3, 100);
    CHECK(rounds(4, 100) == 12);
  }
  SUBCASE("a reply allows more") {
    CHECK_FALSE(beats.sent(0, 2, 4, 1, 100, 7, 50));
    beats.answered(0, 2);
    CHECK(rounds(4, 100) == 13);
  }
}

TEST_CASE("resends: a server that is sent many more bytes of entries than it lacks is reported") {
  SentBytes bytes(3);
  const std::vector<std::size_t> ten(10, 100);
  const std::vector<std::size_t> one = {100};
  // The probe of a new leader finds out where the log ends.
  CHECK_FALSE(bytes.sent(0, 1, 4, 50, one, Channel::control));
  CHECK_FALSE(bytes.sent(0, 1, 4, 41, one, Channel::control));
  bytes.acknowledged(0, 1, 4, 41);
  CHECK_FALSE(bytes.sent(0, 1, 4, 42, ten, Channel::control));
  SUBCASE("a tenth more is allowed") {
    CHECK_FALSE(bytes.sent(0, 1, 4, 51, one, Channel::control));
    CHECK(says(bytes.sent(0, 1, 4, 51, one, Channel::control), "resends"));
  }
  SUBCASE("each server has its own account") {
    CHECK_FALSE(bytes.sent(0, 2, 4, 42, ten, Channel::control));
    CHECK(says(bytes.sent(0, 1, 4, 42, ten, Channel::control), "resends"));
  }
  SUBCASE("after a loss, the account opens when the server has everything") {
    bytes.lost(1, 0);
    CHECK_FALSE(bytes.sent(0, 1, 4, 42, ten, Channel::control));
    bytes.acknowledged(0, 1, 4, 50);
    CHECK_FALSE(bytes.sent(0, 1, 4, 42, ten, Channel::control));
    bytes.acknowledged(0, 1, 4, 51);
    CHECK_FALSE(bytes.sent(0, 1, 4, 52, ten, Channel::control));
    CHECK(says(bytes.sent(0, 1, 4, 52, ten, Channel::control), "resends"));
  }
  SUBCASE("one channel may overtake the other") {
    CHECK_FALSE(bytes.sent(0, 1, 4, 52, ten, Channel::bulk));
    CHECK_FALSE(bytes.sent(0, 1, 4, 42, ten, Channel::bulk));
  }
  SUBCASE("the next term begins with a probe") {
    CHECK_FALSE(bytes.sent(0, 1, 5, 42, ten, Channel::control));
    CHECK_FALSE(bytes.sent(0, 1, 5, 42, ten, Channel::control));
  }
}

TEST_CASE("K2: a clock that ran while nothing could be decided is reported") {
  LogClock clock(1'000'000, 1'100'000, kSecond / 3);
  const auto leads = [&](std::int64_t now, bool all_committed, bool committed_more) {
    clock.leads({now, 1, all_committed, committed_more, false});
  };
  leads(0, false, true);
  REQUIRE_FALSE(clock.commits(1, 5 * kSecond));
  SUBCASE("under leaders that have committed everything, it runs as fast as the fastest clock") {
    for (std::int64_t now = 0; now <= 100 * kSecond; now += kSecond / 20) leads(now, true, false);
    CHECK(clock.passed().at_most == 110 * kSecond);
    SUBCASE("it runs no faster") {
      CHECK(says(clock.commits(1, (5 + 1 + 110) * kSecond + 1), "K2"));
    }
    SUBCASE("it may be a second ahead of its commit") {
      CHECK_FALSE(clock.commits(1, (5 + 1 + 110) * kSecond));
    }
  }
  SUBCASE("it does not run while an entry waits") {
    for (std::int64_t now = 0; now <= 100 * kSecond; now += kSecond / 20) leads(now, false, false);
    leads(100 * kSecond, true, true);
    CHECK(clock.passed().at_most == kSecond / 3 + kSecond);
    CHECK(says(clock.commits(1, 8 * kSecond), "K2: the cluster's clock ran"));
  }
  SUBCASE("it does not run without a leader, although clocks jump") {
    clock.jumps(650 * kSecond);
    leads(9 * kSecond, false, true);
    CHECK(clock.passed().at_most == kSecond / 3 + kSecond);
    CHECK(says(clock.commits(2, 8 * kSecond), "K2: the cluster's clock ran"));
  }
  SUBCASE("it never falls below its earlier value, even in a term that begins earlier") {
    leads(kSecond, false, true);
    CHECK_FALSE(clock.commits(2, 5 * kSecond));
    leads(2 * kSecond, false, true);
    CHECK_FALSE(clock.commits(2, 5 * kSecond));
    leads(3 * kSecond, false, true);
    CHECK(says(clock.commits(2, 5 * kSecond + 5 * kSecond), "K2"));
  }
}

TEST_CASE("K2: a clock that stands still in a healthy cluster is reported") {
  LogClock clock(900'000, 1'000'000, 100 * kSecond);
  const auto leads = [&](std::int64_t now, std::uint64_t term, bool all_committed, bool healthy) {
    clock.leads({now, term, all_committed, false, healthy});
  };
  clock.leads({0, 1, true, true, true});
  REQUIRE_FALSE(clock.commits(1, 5 * kSecond));
  SUBCASE("it must run for the whole time") {
    leads(100 * kSecond, 1, true, true);
    CHECK(says(clock.commits(1, 95 * kSecond - 1), "K2: the cluster's clock stood still"));
  }
  SUBCASE("it may run as slowly as the slowest clock") {
    leads(100 * kSecond, 1, true, true);
    CHECK_FALSE(clock.commits(1, 95 * kSecond));
    CHECK(clock.passed().at_least == 90 * kSecond);
  }
  SUBCASE("time in an unhealthy cluster, an undecided entry or another term does not count") {
    leads(10 * kSecond, 1, true, false);
    leads(20 * kSecond, 1, true, true);
    leads(30 * kSecond, 1, false, true);
    leads(40 * kSecond, 1, true, true);
    CHECK_FALSE(clock.commits(1, 5 * kSecond));
    leads(50 * kSecond, 1, true, true);
    leads(60 * kSecond, 2, true, true);
    CHECK_FALSE(clock.commits(2, 5 * kSecond));
    CHECK(clock.passed().at_least == 0);
  }
}
