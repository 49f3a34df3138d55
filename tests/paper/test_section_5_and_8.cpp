// Sections 5.1 to 5.4 and 8 of the Raft paper, as far as they go beyond figure 2.
#include <set>

#include "paper/solo_server.hpp"

using namespace vesper::paper;
using vesper::Instant;
using vesper::milliseconds;

TEST_CASE("§5.1: servers begin as followers without a leader") {
  SoloServer one;
  CHECK(one.is<Follower>());
  CHECK(one.raft().leader() == std::nullopt);
}

TEST_CASE("§5.1: a server refuses a request of an old term and replies with its current one") {
  SoloServer one({.term = 7});
  one.receive(k1, heartbeat(6));
  CHECK(one.one<HeartbeatReply>(k1).term == Term(7));
  one.receive(k1, vote(6, 9, 6));
  CHECK(one.one<VoteReply>(k1).term == Term(7));
  CHECK_FALSE(one.output().write.has_value());
}

TEST_CASE("§5.1: the current term is written before a message carries it") {
  SoloServer one;
  one.receive(k1, heartbeat(5));
  REQUIRE(one.output().write.has_value());
  CHECK(one.output().write->hard_state.current_term == Term(5));
  CHECK(one.sent<HeartbeatReply>(k1).empty());
  one.sync();
  CHECK(one.one<HeartbeatReply>(k1).term == Term(5));
}

TEST_CASE("§5.2: each server votes for at most one candidate a term, the first that asks") {
  SoloServer one({.servers = 5});
  one.receive_and_sync(k1, vote(2, 1, 1));
  CHECK(one.one<VoteReply>(k1).granted());
  one.receive_and_sync(k2, vote(2, 9, 1));
  CHECK_FALSE(one.one<VoteReply>(k2).granted());
  one.receive_and_sync(k2, vote(3, 9, 1));
  CHECK(one.one<VoteReply>(k2).granted());
}

TEST_CASE("§5.2: votes of another term do not count") {
  SoloServer one;
  one.become_candidate();
  one.sync();
  one.receive(k1, VoteReply{Term(1), Term(1), false, VoteRefusal::none});
  CHECK(one.is<Candidate>());
}

TEST_CASE("§5.2: a candidate does not follow a leader of an old term") {
  SoloServer one({.term = 4});
  one.become_candidate();
  one.sync();
  one.receive(k1, append(4, 1, 1));
  CHECK(one.is<Candidate>());
  CHECK(one.one<AppendReply>(k1).term == Term(5));
}

TEST_CASE(
    "§5.2: election timeouts are drawn from [T, 2T], independently for each server and time") {
  std::set<std::int64_t> seen;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    SoloServer one({.seed = seed});
    for (int round = 0; round < 2; ++round) {
      one.receive(k1, heartbeat(1));
      const auto timeout = one.output().deadline - one.now();
      CHECK(timeout >= milliseconds(150));
      CHECK(timeout <= milliseconds(300));
      seen.insert(timeout.ns);
    }
  }
  CHECK(seen.size() > 95);
}

TEST_CASE("§5.3: several requests are in flight at a time once the logs are known to match") {
  SoloServer one;
  one.become_leader();
  one.acknowledge(k1, 2);
  for (int i = 0; i < 3; ++i) {
    one.propose();
    CHECK(one.sent<AppendEntries>(k1).size() == 1);
  }
}

TEST_CASE("§5.3: a follower that lacks entries names its last one") {
  SoloServer one({.log = {1, 1, 2}});
  one.receive(k1, append(5, 9, 4));
  const auto reply = one.sent<AppendReply>(k1);
  one.sync();
  const auto refusal = one.one<AppendReply>(k1);
  CHECK(reply.empty());
  CHECK(refusal.prev_log_index == Index(9));
  CHECK(refusal.hint_index == Index(3));
  CHECK(refusal.hint_term == Term(2));
}

TEST_CASE("§5.3: a leader skips a conflicting term in one step") {
  SoloServer one({.log = {1, 2, 2, 3, 3, 3, 3}, .term = 4});
  one.receive(k1, append(4, 6, 2));
  const auto refusal = one.one<AppendReply>(k1);
  CHECK(refusal.hint_index == Index(3));
  CHECK(refusal.hint_term == Term(2));
}

TEST_CASE("§5.3: a leader retries a follower that does not reply, indefinitely") {
  SoloServer one;
  one.become_leader();
  for (int beat = 0; beat < 20; ++beat) {
    one.wait_for_deadline();
    one.receive(k1, HeartbeatReply{Term(2), one.sent<Heartbeat>(k1).front().round, Index(0)});
  }
  std::size_t sent = 0;
  for (int beat = 0; beat < 20; ++beat) {
    one.wait_for_deadline();
    const auto round = one.sent<Heartbeat>(k1).front().round;
    sent += one.sent<AppendEntries>(k2).size();
    one.receive(k1, HeartbeatReply{Term(2), round, Index(0)});
  }
  CHECK(sent >= 4);
}

TEST_CASE("§5.4.1: a voter denies its vote if its own log is more up-to-date") {
  struct Case {
    std::uint64_t index, term;
    bool granted;
  };
  // Its own log ends with entry 3 of term 2.
  for (const Case& c : {Case{3, 2, true}, Case{4, 2, true}, Case{2, 2, false}, Case{9, 1, false},
                        Case{1, 3, true}, Case{3, 3, true}, Case{0, 0, false}}) {
    CAPTURE(c.index);
    CAPTURE(c.term);
    SoloServer one({.log = {1, 2, 2}});
    one.receive_and_sync(k1, vote(5, c.index, c.term));
    CHECK(one.one<VoteReply>(k1).granted() == c.granted);
    CHECK((one.raft().hard_state().voted_for == k1) == c.granted);
    SoloServer before({.log = {1, 2, 2}});
    before.receive(k1, pre_vote(5, c.index, c.term));
    CHECK(before.one<VoteReply>(k1).granted() == c.granted);
  }
}

TEST_CASE("§5.4.2: an entry of an old term is not committed by counting replicas") {
  SoloServer one({.log = {1, 2, 2}, .term = 4});
  one.become_leader();
  one.acknowledge(k1, 3);
  one.acknowledge(k2, 3);
  CHECK(one.raft().commit_index() == Index(1));
}

TEST_CASE("§5.4.2: an entry of the current term commits all entries before it") {
  SoloServer one({.log = {1, 2, 2}, .term = 4});
  one.become_leader();
  one.acknowledge(k1, 4);
  CHECK(one.raft().commit_index() == Index(4));
  CHECK(one.output().committed_first == Index(2));
}

TEST_CASE("§5.5: a request that comes twice changes nothing the second time") {
  SoloServer one;
  one.receive_and_sync(k1, append(2, 1, 1, {2, 2}, 2));
  one.receive(k1, append(2, 1, 1, {2, 2}, 2));
  CHECK(one.one<AppendReply>(k1).match_index == Index(3));
  CHECK_FALSE(one.output().write.has_value());
  CHECK(one.output().committed_last == Index(0));
}

TEST_CASE("§8: a leader commits a no-op of its own term first") {
  SoloServer one({.log = {1, 2}});
  one.become_leader();
  CHECK(one.terms() == Terms{1, 2, 3});
  CHECK(one.raft().log().at(Index(3)).type == EntryType::noop);
  CHECK(one.one<AppendEntries>(k1).entries.size() == 1);
}

TEST_CASE("§8: in an empty log that entry is the Bootstrap, and it lists the voters") {
  SoloServer one({.log = {}});
  one.turn({PeerUp{k1, incarnation_of(k1), {}}});
  one.become_leader();
  const Entry& first = one.raft().log().at(Index(1));
  REQUIRE(first.type == EntryType::bootstrap);
  const auto founded = decode_configuration(first.payload().view());
  REQUIRE(founded.ok());
  CHECK_FALSE(founded->cluster_id.is_none());
  CHECK(founded->members[0].incarnation == incarnation_of(k0));
  CHECK(founded->members[1].incarnation == incarnation_of(k1));
  CHECK(founded->members[2].incarnation == Incarnation(0));
}

TEST_CASE("§8: a read is answered after a majority has confirmed the leader, and not before") {
  SoloServer one({.servers = 5});
  one.become_leader();
  one.acknowledge(k1, 2);
  one.acknowledge(k2, 2);
  one.turn({ReadIndex{7}});
  CHECK(one.output().reads.empty());
  const std::uint64_t round = one.one<Heartbeat>(k1).round;
  one.receive(k1, HeartbeatReply{Term(2), round, Index(2)});
  CHECK(one.output().reads.empty());
  one.receive(k3, HeartbeatReply{Term(2), round, Index(1)});
  REQUIRE(one.output().reads.size() == 1);
  CHECK(one.output().reads[0].id == 7);
  CHECK(one.output().reads[0].index == Index(2));
}

TEST_CASE("§8: a new leader has not caught up before it has committed in its term") {
  SoloServer one;
  one.become_leader();
  CHECK(one.raft().leader_heard().commit > one.raft().commit_index());
}

TEST_CASE("thesis 6.2: a leader that steps down was heard when a majority answered it last") {
  for (const bool is_deposed : {false, true}) {
    SoloServer one;
    one.become_leader();
    one.wait_for_deadline();
    const Instant answered = one.now();
    one.receive(k1, HeartbeatReply{Term(2), one.sent<Heartbeat>(k1).front().round, Index(1)});
    one.wait(milliseconds(10));
    if (is_deposed) one.receive(k2, HeartbeatReply{Term(9), 0, Index(1)});
    while (one.is<Leader>()) one.wait_for_deadline();
    CHECK(one.raft().leader_heard().at == answered);
    // Its own leadership keeps no vote back, unlike a leader that was heard.
    one.receive_and_sync(k2, pre_vote(10, 9, 9));
    CHECK(one.one<VoteReply>(k2).granted());
  }
}
