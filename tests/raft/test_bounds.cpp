// What a leader remembers of its heartbeats, and what it may take in.
#include <doctest/doctest.h>

#include "paper/solo_server.hpp"
#include "raft/sent_rounds.hpp"

using namespace vesper;
using namespace vesper::raft;
using namespace vesper::paper;

TEST_CASE("rounds for reads, however many, do not evict the regular ones") {
  SentRounds rounds;
  rounds.add({1, Instant{10}, 0}, Heartbeats::regular);
  for (std::uint64_t round = 2; round < 10'000; ++round)
    rounds.add({round, Instant{20}, 100}, Heartbeats::for_reads);
  REQUIRE(rounds.find(1) != nullptr);
  CHECK(rounds.find(1)->sent_at == Instant{10});
  CHECK(rounds.find(9'999)->leader_lease_ms == 100);
  CHECK(rounds.find(5'000) == nullptr);
  CHECK(rounds.find(10'000) == nullptr);
  CHECK(rounds.newest().round == 9'999);
}

TEST_CASE("a leader with a lagging disk takes no more proposals, although a majority commits") {
  Config tuning;
  tuning.max_uncommitted_bytes = 1'000;
  SoloServer one({.tuning = tuning});
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

TEST_CASE("a late reply about entries sent before the leader backed up causes no resend") {
  SoloServer one({.log = {1, 1, 1, 1}});
  one.become_leader();
  const Term term = one.raft().current_term();
  const auto refuse = [&](std::uint64_t prev) {
    one.receive(k1, AppendReply{.term = term,
                                .prev_log_index = Index(prev),
                                .hint_index = Index(2),
                                .hint_term = Term(1)});
    return one.sent<AppendEntries>(k1);
  };
  // The first message, behind entry 4, is slow to arrive: the leader asks what is there.
  std::vector<AppendEntries> asked;
  for (int n = 0; n < 10 && asked.empty(); ++n) {
    one.wait_for_deadline();
    asked = one.sent<AppendEntries>(k1);
    for (const Heartbeat& beat : one.sent<Heartbeat>(k2))
      one.receive(k2, HeartbeatReply{term, beat.round});
  }
  REQUIRE(asked.size() == 1);
  REQUIRE(asked.front().prev_log_index == Index(5));
  REQUIRE(asked.front().entries.empty());
  const auto sent = refuse(4);
  REQUIRE(sent.size() == 1);
  CHECK(sent.front().prev_log_index == Index(2));
  CHECK(sent.front().entries.size() == 3);
  CHECK(refuse(5).empty());
}
