// A disk that goes back under the same incarnation: what proves it, and that such a server does not
// count (docs/raft.md, "A disk that goes back").
#include "paper/solo_server.hpp"

using namespace vesper::paper;
using vesper::milliseconds;

namespace {

// A heartbeat of the leader k1 that says what k0 has acknowledged.
Heartbeat reminder(std::uint64_t term, std::uint64_t index, std::uint64_t index_term,
                   Incarnation by = incarnation_of(k0)) {
  Heartbeat m = heartbeat(term);
  m.acknowledged = Index(index);
  m.acknowledged_term = Term(index_term);
  m.acknowledged_by = by;
  return m;
}

HeartbeatReply regressed(const SoloServer& one) {
  return {.term = one.raft().current_term(), .disk = DiskHealth::regressed};
}

}  // namespace

TEST_CASE("a follower that lacks what it acknowledged in this term knows that its disk went back") {
  SoloServer one({.log = {1, 1, 2}, .term = 3});
  one.receive_and_sync(k1, reminder(3, 3, 2));
  one.receive_and_sync(k1, reminder(3, 3, 0));  // compacted at the leader
  one.receive_and_sync(k1, reminder(3, 0, 0));
  one.receive_and_sync(k1, reminder(3, 9, 3, Incarnation(1)));  // about an earlier disk
  one.receive_and_sync(k1, reminder(2, 9, 2));                  // of an old term
  CHECK_FALSE(one.raft().has_regressed(k0));
  SUBCASE("its log is shorter") {
    one.receive_and_sync(k1, reminder(3, 4, 3));
  }
  SUBCASE("its log has another entry there") {
    one.receive_and_sync(k1, reminder(3, 3, 3));
  }
  CHECK(one.raft().has_regressed(k0));
  const auto reply = one.one<HeartbeatReply>(k1);
  CHECK(reply.disk == DiskHealth::regressed);
  CHECK(reply.round == 0);
}

TEST_CASE(
    "a server with a disk that went back takes nothing, promises nothing and does not campaign") {
  SoloServer one({.log = {1, 1}, .term = 3});
  one.receive_and_sync(k1, reminder(3, 4, 3));
  REQUIRE(one.raft().has_regressed(k0));
  AppendEntries more{Term(3), Index(2), Term(1), Index(2), {}, {entry_at(3, 3)}};
  one.receive_and_sync(k1, more);
  CHECK(one.sent<AppendReply>(k1).empty());
  CHECK(one.raft().log().last_index() == Index(2));
  one.receive_and_sync(k1, TimeoutNow{Term(3)});
  CHECK(one.raft().current_term() == Term(3));
  for (int i = 0; i < 5; ++i) {
    one.wait(milliseconds(500));
    one.wait_for_deadline();
    CHECK(one.sent<VoteRequest>(k1).empty());
  }
  for (const bool pre_vote : {true, false}) {
    one.receive_and_sync(k2, VoteRequest{Term(9), pre_vote, Index(9), Term(8), {1, 1}});
    CHECK(one.one<VoteReply>(k2).refusal == VoteRefusal::regressed);
    CHECK(one.raft().current_term() == Term(3));
  }
  // This also holds under the next leader, because the server does not know which votes it has
  // lost.
  one.receive_and_sync(k2, reminder(4, 0, 0));
  CHECK(one.one<HeartbeatReply>(k2).disk == DiskHealth::regressed);
}

TEST_CASE("an older copy that is the only voter of its log decides nothing any more") {
  SoloServer one({.servers = 1, .log = {1, 1}});
  one.become_leader();
  one.turn({OlderCopy{}});
  CHECK_FALSE(one.raft().is_leader());
  SUBCASE("no leader is heard") {
    for (int i = 0; i < 100; ++i) {
      one.wait_for_deadline();
      one.sync();
      REQUIRE_FALSE(one.raft().is_leader());
    }
  }
  SUBCASE("the cluster has grown since") {
    for (int i = 0; i < 50; ++i) {
      one.wait(milliseconds(100));
      one.receive_and_sync(k1, heartbeat(9));
    }
    CHECK(one.raft().leader() == k1);
  }
  CHECK(one.raft().has_regressed(k0));
}

TEST_CASE("acknowledgements from before a disk went back no longer count towards a commit") {
  SoloServer one({.servers = 3});
  one.become_leader();
  one.acknowledge(k1, 2);
  REQUIRE(one.raft().commit_index() == Index(2));
  one.propose();
  one.acknowledge(k1, 3);  // the leader's own disk does not have it yet
  REQUIRE(one.raft().commit_index() == Index(2));
  one.receive(k1, regressed(one));
  CHECK(one.raft().has_regressed(k1));
  CHECK_FALSE(one.raft().has_regressed(k2));
  one.sync();
  CHECK(one.raft().commit_index() == Index(2));
  one.acknowledge(k2, 3);
  CHECK(one.raft().commit_index() == Index(3));
  // With its newest disk the server counts again.
  one.propose();
  one.sync();
  one.receive(k1, HeartbeatReply{one.raft().current_term(), 1});
  CHECK_FALSE(one.raft().has_regressed(k1));
  one.acknowledge(k1, 4);
  CHECK(one.raft().commit_index() == Index(4));
}

TEST_CASE("a leader tells each follower what it has acknowledged, and under which incarnation") {
  SoloServer one({.servers = 3});
  one.become_leader();
  one.acknowledge(k1, 2);
  one.wait(milliseconds(50));
  one.wait_for_deadline();
  const auto told = one.one<Heartbeat>(k1);
  CHECK(told.acknowledged == Index(2));
  CHECK(told.acknowledged_term == one.raft().current_term());
  CHECK(told.acknowledged_by == incarnation_of(k1));
  CHECK(one.one<Heartbeat>(k2).acknowledged == Index(0));
}

TEST_CASE("a server with a disk that went back confirms no read, and the leader sends it nothing") {
  SoloServer one({.servers = 3});
  one.become_leader();
  one.acknowledge(k1, 2);
  one.receive(k1, regressed(one));
  one.turn({ReadIndex{1}});
  one.receive(k1, regressed(one));
  CHECK(one.output().reads.empty());
  one.propose();
  CHECK(one.sent<AppendEntries>(k1).empty());
  CHECK(one.sent<AppendEntries>(k2).size() <= 1);
}
