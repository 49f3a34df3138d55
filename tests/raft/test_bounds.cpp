// What a leader remembers of its heartbeats, and what it may take in.
#include <doctest/doctest.h>

#include "paper/one.hpp"
#include "raft/sent_rounds.hpp"

using namespace vesper;
using namespace vesper::raft;
using namespace vesper::paper;

TEST_CASE("rounds for reads, however many, do not take the regular ones away") {
  SentRounds rounds;
  rounds.add({1, Instant{10}, 0}, Heartbeats::regular);
  for (std::uint64_t round = 2; round < 10'000; ++round)
    rounds.add({round, Instant{20}, 100}, Heartbeats::for_reads);
  REQUIRE(rounds.find(1) != nullptr);
  CHECK(rounds.find(1)->sent_at == Instant{10});
  CHECK(rounds.find(9'999)->lease_ms == 100);
  CHECK(rounds.find(5'000) == nullptr);
  CHECK(rounds.find(10'000) == nullptr);
  CHECK(rounds.newest().round == 9'999);
}

TEST_CASE("a leader whose own disk falls behind takes no more, though a majority commits") {
  Config tuning;
  tuning.max_uncommitted_bytes = 1'000;
  One one({.tuning = tuning});
  one.become_leader();
  one.acknowledge(k1, 2);
  one.propose(1, 2'000);
  one.acknowledge(k1, 3);
  one.acknowledge(k2, 3);
  REQUIRE(one.raft().commit_index() == Index(3));
  CHECK_FALSE(one.raft().takes_proposals());
  one.sync();
  CHECK(one.raft().takes_proposals());
}
