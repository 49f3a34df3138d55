// Leases and the bound on a stale read's age, for single servers: what is promised and for how
// long, what counts as a promise, and what an echo proves.
#include "paper/solo_server.hpp"

using namespace vesper::paper;
using vesper::Duration;
using vesper::milliseconds;
using vesper::seconds;
using vesper::SharedBytes;

namespace {

Heartbeat asking(std::uint64_t term, std::uint32_t leader_lease_ms) {
  Heartbeat m = heartbeat(term);
  m.leader_lease_ms = leader_lease_ms;
  return m;
}

// The reply to a heartbeat.
HeartbeatReply answer(const Heartbeat& m, std::uint64_t received = 2, std::uint64_t stamp = 0) {
  return {m.term, m.round, Index(received), stamp};
}

// The leader of three servers; its no-op is committed.
SoloServer leader(Config tuning = {}) {
  SoloServer one({.tuning = tuning});
  one.become_leader();
  one.acknowledge(k1, 2);
  REQUIRE(one.raft().commit_index() == Index(2));
  return one;
}

// Asks for a lease and returns the heartbeats that ask k1 and k2 for it.
std::vector<Heartbeat> ask(SoloServer& one) {
  one.turn({LeaderLeaseRead{}, ReadIndex{1}});
  return {one.one<Heartbeat>(k1), one.one<Heartbeat>(k2)};
}

bool holds(const SoloServer& one) {
  return one.raft().leader_lease_index(one.now()).has_value();
}

}  // namespace

TEST_CASE("lease: a server that replies grants no vote for 1.1 times the lease, from receipt") {
  for (const std::uint32_t leader_lease_ms : {1u, 10u, 100u}) {
    SoloServer one;
    one.receive(k1, asking(1, leader_lease_ms));
    one.turn({PeerGone{k1}});  // ends stickiness
    one.wait(milliseconds(leader_lease_ms) * 11 / 10 - Duration{1});
    one.receive(k2, pre_vote(2, 1, 1));
    CHECK(one.one<VoteReply>(k2).refusal == VoteRefusal::promised);
    one.receive(k2, vote(2, 1, 1));
    CHECK(one.one<VoteReply>(k2).refusal == VoteRefusal::promised);
    CHECK(one.raft().current_term() == Term(1));
    one.wait(Duration{1});
    one.receive_and_sync(k2, vote(2, 1, 1));
    CHECK(one.one<VoteReply>(k2).granted());
  }
}

TEST_CASE("lease: a heartbeat that asks for less does not shorten a promise") {
  SoloServer one;
  one.receive(k1, asking(1, 100));
  one.receive(k1, asking(1, 10));
  one.receive(k1, asking(1, 0));
  CHECK(one.raft().promised_until() == one.now() + milliseconds(110));
}

TEST_CASE("lease: without a promise, no vote waits") {
  SoloServer one;
  one.receive(k1, heartbeat(1));
  one.turn({PeerGone{k1}});
  one.receive(k2, pre_vote(2, 1, 1));
  CHECK(one.one<VoteReply>(k2).granted());
}

TEST_CASE(
    "lease: a server that restarts with a term, and is not alone, grants no vote for 110 ms") {
  const auto start = [](std::vector<std::uint64_t> log, std::uint64_t term, std::uint32_t voters) {
    Config config;
    config.self = k0;
    RecoveredState durable;
    durable.hard_state.current_term = Term(term);
    Configuration configuration{{1, 1}, {}};
    for (std::uint32_t i = 0; i < voters; ++i)
      configuration.members.push_back({ServerId(i), "http://s", incarnation_of(ServerId(i))});
    config.initial_voters = configuration.members;
    if (!log.empty())
      durable.entries.push_back(make_entry(Index(1), Term(1), EntryType::bootstrap, {}, {},
                                           encode_configuration(configuration)));
    return Raft(config, durable, kStart).promised_until();
  };
  CHECK(start({1}, 1, 3) == kStart + milliseconds(110));
  CHECK(start({}, 1, 3) == kStart + milliseconds(110));  // has answered heartbeats, has no entries
  CHECK(start({}, 0, 3) <= kStart);
  CHECK(start({1}, 1, 1) <= kStart);
}

TEST_CASE("lease: the leader counts 0.9 times the lease, from when the heartbeat left") {
  SoloServer one = leader();
  const auto asked = ask(one);
  CHECK(asked[0].leader_lease_ms == 100);
  one.wait(milliseconds(40));
  one.receive(k1, answer(asked[0]));
  CHECK(holds(one));
  one.wait(milliseconds(50) - Duration{1});
  CHECK(holds(one));
  one.wait(Duration{1});
  CHECK_FALSE(holds(one));
  one.receive(k2, answer(asked[1]));  // does not extend the lease
  CHECK_FALSE(holds(one));
}

TEST_CASE("lease: replies to heartbeats that asked for no lease give none") {
  SoloServer one = leader();
  one.turn({ReadIndex{1}});
  const Heartbeat asked = one.one<Heartbeat>(k1);
  CHECK(asked.leader_lease_ms == 0);
  one.receive(k1, answer(asked));
  one.receive(k2, answer(asked));
  CHECK_FALSE(holds(one));
}

TEST_CASE("lease: all heartbeats of a round ask for the same lease") {
  SoloServer one = leader();
  ask(one);
  one.acknowledge(k2, 2);
  // A heartbeat of the round before announces a commit of k1's write.
  one.turn({Propose{{{{k1, BootId(1), 1}, SharedBytes::copy_of("x")}}}});
  one.sync();
  one.acknowledge(k2, 3);
  const Heartbeat told = one.one<Heartbeat>(k1);
  CHECK(told.leader_commit == Index(3));
  CHECK(told.leader_lease_ms == 100);
}

TEST_CASE("lease: a reply from an incarnation that is not registered does not count") {
  SoloServer one;
  one.turn({PeerUp{k2, Incarnation(999), {}}});  // now the leader knows k2 under this incarnation
  one.become_leader();
  one.acknowledge(k1, 2);
  const auto asked = ask(one);
  one.turn({Received{k2, Incarnation(999), answer(asked[1])}});
  CHECK_FALSE(holds(one));
  one.turn({Received{k1, Incarnation(999), answer(asked[0])}});
  CHECK_FALSE(holds(one));
  one.receive(k1, answer(asked[0]));
  CHECK(holds(one));
}

TEST_CASE("lease: heartbeats ask for the configured lease for a second after a lease read") {
  Config tuning;
  tuning.max_leader_lease = milliseconds(30);
  SoloServer one = leader(tuning);
  one.turn({ReadIndex{1}});
  CHECK(one.one<Heartbeat>(k1).leader_lease_ms == 0);
  const Heartbeat first = one.one<Heartbeat>(k1);
  one.receive(k1, answer(first));
  CHECK(ask(one)[0].leader_lease_ms == 30);
  tuning.max_leader_lease = Duration{};
  SoloServer none = leader(tuning);
  CHECK(ask(none)[0].leader_lease_ms == 0);
}

TEST_CASE("lease: a leader that steps down grants no vote before its own promise ends") {
  SoloServer one = leader();
  ask(one);
  one.wait(milliseconds(50));
  one.receive_and_sync(k1, append(3, 2, 2));
  CHECK_FALSE(one.is<Leader>());
  CHECK_FALSE(holds(one));
  one.turn({PeerGone{k1}});
  one.wait(milliseconds(59));
  one.receive(k2, vote(4, 9, 3));
  CHECK(one.one<VoteReply>(k2).refusal == VoteRefusal::promised);
}

TEST_CASE("lease: a server that has made a promise does not campaign before it ends") {
  SoloServer one;
  one.receive(k1, asking(1, 100));
  one.turn({PeerGone{k1}});
  one.wait_for_deadline();  // within 15 ms
  CHECK(one.is<Follower>());
  CHECK(one.sent<VoteRequest>(k2).empty());
  const auto began = one.raft().promised_until();
  one.wait_for_deadline();
  CHECK(one.now() >= began);
  CHECK(one.is<PreCandidate>());
}

TEST_CASE("staleness: an echo proves what the leader knew when it got the reply") {
  SoloServer one;
  one.receive(k1, heartbeat(1));
  const auto stamp = one.one<HeartbeatReply>(k1).stamp;
  const auto answered = one.now();
  CHECK_FALSE(one.raft().fresh_as_of().has_value());
  one.wait(seconds(5));  // the next heartbeat waited in a socket
  Heartbeat m = heartbeat(1);
  m.echo = stamp;
  m.age = milliseconds(9);
  one.receive(k1, m);
  CHECK(one.raft().fresh_as_of() == answered - milliseconds(11));
}

TEST_CASE("staleness: a server believes only echoes of its own stamps, and none from the future") {
  SoloServer one;
  SoloServer other({.seed = 2});
  one.receive(k1, heartbeat(1));
  other.receive(k1, heartbeat(1));
  Heartbeat m = heartbeat(1);
  for (const std::uint64_t echo :
       {std::uint64_t{0}, std::uint64_t{1}, UINT64_MAX, other.one<HeartbeatReply>(k1).stamp,
        one.one<HeartbeatReply>(k1).stamp + 1}) {
    m.echo = echo;
    one.receive(k1, m);
    CHECK_FALSE(one.raft().fresh_as_of().has_value());
  }
}

TEST_CASE(
    "staleness: a follower is fresh only once it has the commit index that the leader announced") {
  SoloServer one;
  one.receive(k1, heartbeat(1));
  Heartbeat m = heartbeat(1, 3);
  m.echo = one.one<HeartbeatReply>(k1).stamp;
  const auto answered = one.now();
  one.receive(k1, m);
  CHECK_FALSE(one.raft().fresh_as_of().has_value());
  // A later heartbeat does not delay this.
  one.wait(milliseconds(50));
  m.leader_commit = Index(9);
  m.echo = one.one<HeartbeatReply>(k1).stamp;
  one.receive(k1, m);
  one.receive(k1, append(1, 1, 1, {1, 1}, 3));
  CHECK(one.raft().commit_index() == Index(3));
  CHECK(one.raft().fresh_as_of() == answered);
}

TEST_CASE("staleness: a leader knows when a majority last followed it, from its first commit on") {
  SoloServer one;
  one.become_leader();
  const Heartbeat first = one.one<Heartbeat>(k1);
  const auto sent = one.now();
  one.wait(milliseconds(20));
  one.receive(k1, answer(first, 1, 77));
  CHECK_FALSE(one.raft().fresh_as_of().has_value());
  one.acknowledge(k1, 2);
  CHECK(one.raft().fresh_as_of() == sent);
  // The next heartbeat passes it on to the follower.
  one.wait(milliseconds(20));
  one.turn({ReadIndex{1}});
  CHECK(one.one<Heartbeat>(k1).echo == 77);
  CHECK(one.one<Heartbeat>(k1).age == milliseconds(20));
  CHECK(one.one<Heartbeat>(k2).echo == 0);  // k2 has answered nothing
  // The server still knows it when it no longer leads.
  const auto again = one.now();
  one.receive(k1, answer(one.one<Heartbeat>(k1), 2, 78));
  one.wait(milliseconds(20));
  one.receive(k1, heartbeat(3));
  CHECK_FALSE(one.is<Leader>());
  CHECK(one.raft().fresh_as_of() == again);
}

// ---- leadership transfer while promises last ----------------------------------------------

TEST_CASE("lease: a server that is told to take over during its promise campaigns when it ends") {
  SoloServer one;
  one.receive(k1, asking(1, 100));
  one.wait(milliseconds(50));
  one.receive(k1, TimeoutNow{Term(1)});
  CHECK(one.is<Follower>());
  CHECK(one.output().deadline == kStart + milliseconds(110));
  SUBCASE("heartbeats of its leader do not change that") {
    one.wait(milliseconds(40));
    one.receive(k1, heartbeat(1));
    one.wait_for_deadline();
    CHECK(one.now() == kStart + milliseconds(110));
    CHECK(one.raft().current_term() == Term(2));
    one.sync();
    CHECK(one.one<VoteRequest>(k2).transfer);
  }
  SUBCASE("it campaigns once if it is told twice") {
    one.receive(k1, TimeoutNow{Term(1)});
    one.wait_for_deadline();
    one.receive(k1, TimeoutNow{Term(1)});
    CHECK(one.raft().current_term() == Term(2));
  }
  SUBCASE("it stays a follower if its leader continues and asks for a new promise") {
    one.receive(k1, asking(1, 100));
    one.wait_for_deadline();
    CHECK(one.is<Follower>());
    one.wait(milliseconds(50));
    one.receive(k1, heartbeat(1));
    CHECK(one.output().deadline > one.now() + milliseconds(149));
    CHECK(one.raft().current_term() == Term(1));
  }
  SUBCASE("it stays a follower if a newer term has another leader") {
    one.receive(k2, heartbeat(2));
    one.wait(milliseconds(60));
    one.turn({DeadlinePassed{}});
    CHECK(one.is<Follower>());
    CHECK(one.raft().current_term() == Term(2));
  }
}

TEST_CASE("lease: a candidate asks the voters again that refused because of a promise") {
  SoloServer one({.servers = 5});
  one.receive(k1, heartbeat(1));
  one.receive(k1, TimeoutNow{Term(1)});
  one.sync();
  REQUIRE(one.is<Candidate>());
  one.receive(k2, VoteReply{Term(1), Term(2), false, VoteRefusal::promised});
  one.receive(k3, VoteReply{Term(1), Term(2), false, VoteRefusal::log_behind});
  one.wait(kAskAgain);
  one.turn({DeadlinePassed{}});
  CHECK(one.one<VoteRequest>(k2).term == Term(2));
  CHECK(one.one<VoteRequest>(k2).transfer);
  CHECK(one.sent<VoteRequest>(k3).empty());
  CHECK(one.sent<VoteRequest>(k4).empty());
  one.vote_for_it(k1);
  one.vote_for_it(k2);
  CHECK(one.raft().is_leader());
}
