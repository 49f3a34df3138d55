// Rules learned from bugs. docs/rules.md defines their codes.
#include "golden/cores.hpp"
#include "paper/solo_server.hpp"

using namespace vesper::paper;
using vesper::kNever;
using vesper::milliseconds;
using vesper::seconds;

TEST_CASE("E1: followers and the leader of a term ignore a second leader of that term") {
  SoloServer follower;
  follower.receive(k1, heartbeat(1));
  follower.receive(k2, append(1, 1, 1, {1}, 2));
  CHECK(follower.sent<AppendReply>(k2).empty());
  CHECK(follower.raft().leader() == k1);
  CHECK(follower.terms() == Terms{1});
  SoloServer leader;
  leader.become_leader();
  leader.receive(k2, heartbeat(2));
  CHECK(leader.is<Leader>());
  CHECK(leader.sent<HeartbeatReply>(k2).empty());
}

TEST_CASE("E2: a vote leaves only when it is durable, even if the term was known before") {
  SoloServer one({.term = 2});
  one.receive(k1, vote(2, 1, 1));
  REQUIRE(one.output().write.has_value());
  CHECK(one.output().write->hard_state == HardState{Term(2), k1});
  CHECK(one.sent<VoteReply>(k1).empty());
  one.sync();
  CHECK(one.one<VoteReply>(k1).granted());
}

TEST_CASE("E2: a candidate's requests and its own vote wait for its disk") {
  SoloServer one;
  one.become_candidate();
  CHECK(one.sent<VoteRequest>(k1).empty());
  one.sync();
  CHECK(one.one<VoteRequest>(k1).term == Term(2));
  SoloServer early({.servers = 2});
  early.become_candidate();
  early.vote_for_it(k1);
  CHECK(early.is<Candidate>());
  early.sync();
  CHECK(early.is<Leader>());
}

TEST_CASE("E2: an elected leader sends nothing before its term is durable") {
  SoloServer one;
  one.become_candidate();
  one.vote_for_it(k1);
  one.vote_for_it(k2);
  REQUIRE(one.is<Leader>());
  CHECK(one.sent<Heartbeat>(k1).empty());
  CHECK(one.sent<AppendEntries>(k1).empty());
  one.sync();
  CHECK(one.sent<Heartbeat>(k1).size() == 1);
}

TEST_CASE("E3, E4: a restart restores the term and the vote from the disk") {
  SoloServer one({.term = 6, .voted_for = k1});
  CHECK(one.raft().current_term() == Term(6));
  one.receive(k2, vote(6, 9, 5));
  CHECK(one.one<VoteReply>(k2).refusal == VoteRefusal::already_voted);
}

TEST_CASE("E7: a refused vote does not restart the election timeout") {
  SoloServer one({.log = {1, 2}});
  const auto deadline = one.output().deadline;
  one.receive(k1, vote(9, 1, 1));
  CHECK(one.raft().current_term() == Term(9));
  CHECK(one.output().deadline == deadline);
}

TEST_CASE("E8: messages of an old term change nothing") {
  const std::vector<Message> messages = {append(1, 1, 1, {1}, 1),
                                         heartbeat(1, 9),
                                         AppendReply{Term(1), true, Index(9)},
                                         HeartbeatReply{Term(1), 9, Index(9)},
                                         ReadIndexRequest{Term(1), 1},
                                         ReadIndexReply{Term(1), 1, Index(9)},
                                         VoteReply{Term(1), Term(1), false, {}}};
  for (const Message& message : messages) {
    SoloServer one;
    one.become_leader();
    const auto terms = one.terms();
    one.receive(k1, message);
    CHECK(one.is<Leader>());
    CHECK(one.terms() == terms);
    CHECK(one.raft().commit_index() == Index(1));
    CHECK(one.output().reads.empty());
    CHECK_FALSE(one.output().write.has_value());
  }
}

TEST_CASE("E9: a pre-vote changes neither term nor vote, and writes nothing") {
  SoloServer one;
  one.receive(k1, pre_vote(9, 5, 5));
  const auto reply = one.one<VoteReply>(k1);
  CHECK(reply.granted());
  CHECK(reply.pre_vote);
  CHECK(one.raft().hard_state() == HardState{Term(1), std::nullopt});
  CHECK_FALSE(one.output().write.has_value());
}

TEST_CASE("E9: a pre-vote is granted only for a later term") {
  SoloServer one({.term = 4});
  one.receive(k1, pre_vote(4, 9, 4));
  CHECK(one.one<VoteReply>(k1).refusal == VoteRefusal::old_term);
  one.receive(k1, pre_vote(5, 9, 4));
  CHECK(one.one<VoteReply>(k1).granted());
}

TEST_CASE("E9, E12: a server that hears a leader grants no vote and does not adopt the term") {
  for (const bool before : {true, false}) {
    SoloServer one;
    one.receive(k1, heartbeat(1));
    one.wait(milliseconds(149));
    auto request = vote(9, 5, 5);
    request.pre_vote = before;
    one.receive(k2, request);
    CHECK(one.one<VoteReply>(k2).refusal == VoteRefusal::leader_fresh);
    CHECK(one.raft().current_term() == Term(1));
    one.wait(milliseconds(1));
    one.receive(k2, request);
    CHECK((before ? one.one<VoteReply>(k2).granted() : one.raft().current_term() == Term(9)));
  }
}

TEST_CASE("E12: a leader grants no vote to another candidate") {
  SoloServer one;
  one.become_leader();
  one.wait(seconds(1));
  one.receive(k1, vote(9, 9, 8));
  CHECK(one.one<VoteReply>(k1).refusal == VoteRefusal::leader_fresh);
  CHECK(one.is<Leader>());
}

TEST_CASE("E12, fast failover: a leader that is gone no longer blocks votes") {
  SoloServer one;
  one.receive(k1, heartbeat(1));
  one.turn({PeerGone{k2}});
  CHECK(one.raft().leader() == k1);
  one.turn({PeerGone{k1}});
  CHECK(one.raft().leader() == std::nullopt);
  CHECK(one.output().deadline <= one.now() + kFastFailover);
  one.receive(k2, pre_vote(2, 1, 1));
  CHECK(one.one<VoteReply>(k2).granted());
  CHECK(one.output().deadline >= one.now() + kHoldBack);
}

TEST_CASE("E10: a pre-candidate adopts the higher term of a refused pre-vote") {
  SoloServer one;
  one.become_pre_candidate();
  one.receive(k1, VoteReply{Term(5), Term(2), true, VoteRefusal::old_term});
  CHECK(one.is<Follower>());
  CHECK(one.raft().current_term() == Term(5));
}

TEST_CASE("E11: a leader that hears no majority for two election timeouts steps down silently") {
  SoloServer one({.servers = 5});
  one.become_leader();
  const auto start = one.now();
  for (int beat = 0; beat < 20 && one.is<Leader>(); ++beat) {
    one.wait_for_deadline();
    if (!one.is<Leader>()) break;
    one.receive(k1, HeartbeatReply{Term(2), one.sent<Heartbeat>(k1).front().round, Index(1)});
  }
  CHECK(one.is<Follower>());
  CHECK(one.now() - start > milliseconds(300));
  CHECK(one.now() - start <= milliseconds(350));
  CHECK(one.sent<Heartbeat>(k1).empty());
  CHECK(one.raft().current_term() == Term(2));
}

TEST_CASE("E11: a reply proves contact as of when its heartbeat left, not as of its arrival") {
  SoloServer one;
  one.become_leader();
  const std::uint64_t old = one.sent<Heartbeat>(k1).front().round;
  one.wait(milliseconds(400));  // frozen
  one.receive(k1, HeartbeatReply{Term(2), old, Index(1)});
  one.wait_for_deadline();
  CHECK(one.is<Follower>());
}

TEST_CASE("E13: a server with the longer log leads in the end, although a higher term exists") {
  vesper::golden::Cores cores({.servers = 3});
  cores.elect(k0);
  cores.run(milliseconds(60));
  cores.cut_into({{k0, k1}, {k2}});
  cores.turn(k0, {Propose{{{{}, vesper::SharedBytes::copy_of("x")}}}});
  cores.settle();
  cores.crash(k1);
  // Server 2 was a candidate once, in a term that no other server knows.
  cores.crash(k2);
  cores.at(k2).disk.hard_state = {Term(9), k2};
  cores.start(k2);
  cores.heal();
  cores.connect_all(k2);
  cores.run(seconds(2));
  CHECK(cores.leader() == k0);
  CHECK(cores.at(k2).applied == std::vector<std::string>{"x"});
  CHECK(cores.violation() == "");
}

TEST_CASE("E14: a single server elects itself, and only after its own fsync") {
  SoloServer one({.servers = 1});
  one.wait_for_deadline();
  CHECK(one.is<Candidate>());
  one.sync();
  CHECK(one.is<Leader>());
  CHECK(one.raft().commit_index() == Index(1));
  one.sync();
  CHECK(one.raft().commit_index() == Index(2));
}

TEST_CASE("C10: votes and acknowledgements of another incarnation do not count") {
  SoloServer one;
  one.become_pre_candidate();
  one.turn({Received{k1, Incarnation(7), VoteReply{Term(1), Term(2), true, {}}}});
  CHECK(one.is<PreCandidate>());
  one.grant_pre_votes();
  one.sync();
  one.turn({Received{k1, Incarnation(7), VoteReply{Term(2), Term(2), false, {}}}});
  CHECK(one.is<Candidate>());
  one.vote_for_it(k2);
  one.sync();
  one.turn({Received{k1, Incarnation(7), AppendReply{Term(2), true, Index(2)}}});
  CHECK(one.raft().commit_index() == Index(1));
  one.acknowledge(k2, 2);
  CHECK(one.raft().commit_index() == Index(2));
}

TEST_CASE("a server with an empty log votes only for a leader of the cluster that it has seen") {
  VoteRequest founder = vote(2, 0, 0);
  founder.cluster_id = {};
  SoloServer one({.log = {}});
  one.turn({PeerUp{k1, incarnation_of(k1), {.cluster_id = {1, 1}}}});
  one.receive_and_sync(k2, founder);
  CHECK(one.one<VoteReply>(k2).refusal == VoteRefusal::other_cluster);
  one.receive_and_sync(k1, vote(2, 3, 1));
  CHECK(one.one<VoteReply>(k1).granted());
}

TEST_CASE("L2: an old message that covers a prefix removes nothing") {
  SoloServer one;
  one.receive_and_sync(k1, append(2, 1, 1, {2, 2, 2}));
  one.receive(k1, append(2, 1, 1, {2}));
  CHECK(one.terms() == Terms{1, 2, 2, 2});
  CHECK(one.one<AppendReply>(k1).match_index == Index(2));
}

TEST_CASE("L3: a follower rejects a message that contradicts a committed entry") {
  SoloServer one;
  one.receive_and_sync(k1, append(2, 1, 1, {2, 2}, 3));
  one.receive_and_sync(k2, append(3, 1, 1, {3, 3}));
  CHECK(one.terms() == Terms{1, 2, 2});
  CHECK(one.sent<AppendReply>(k2).empty());
}

TEST_CASE("L4: a follower commits only what this leader's messages have proven to match") {
  SoloServer one({.log = {1, 2, 2}, .term = 3});
  one.receive(k1, heartbeat(3, 3));
  CHECK(one.raft().commit_index() == Index(1));
  one.receive(k1, append(3, 1, 1, {2}, 3));
  CHECK(one.raft().commit_index() == Index(2));
  one.receive(k1, append(3, 3, 2, {}, 3));
  CHECK(one.raft().commit_index() == Index(3));
  // What one leader proved says nothing about the next leader's log.
  SoloServer next;
  next.receive(k1, append(2, 1, 1, {2, 2}));
  next.receive(k2, heartbeat(3, 3));
  CHECK(next.raft().commit_index() == Index(1));
}

TEST_CASE(
    "L10: a follower acknowledges entries only when they are durable, even if they came twice") {
  SoloServer one;
  one.receive_and_sync(k1, heartbeat(2));
  one.receive(k1, append(2, 1, 1, {2}));
  CHECK(one.sent<AppendReply>(k1).empty());
  one.receive(k1, append(2, 1, 1, {2}));
  CHECK(one.sent<AppendReply>(k1).empty());
  one.receive(k1, heartbeat(2));  // promises the term only
  CHECK(one.one<HeartbeatReply>(k1).received_index == Index(2));
  one.sync();
  CHECK(one.sent<AppendReply>(k1).size() == 2);
}

TEST_CASE("L10: a leader counts its own entries only when they are durable, others' even earlier") {
  SoloServer one;
  one.become_leader();
  one.acknowledge(k1, 2);
  one.propose();
  one.acknowledge(k1, 3);
  CHECK(one.raft().commit_index() == Index(2));
  one.acknowledge(k2, 3);
  CHECK(one.raft().commit_index() == Index(3));
  CHECK(one.raft().writes().durable_index() == Index(2));
}

TEST_CASE("L12: a late or repeated acknowledgement does not lower the match index") {
  SoloServer one;
  one.become_leader();
  one.propose(2);
  one.sync();
  one.acknowledge(k1, 4);
  CHECK(one.raft().commit_index() == Index(4));
  one.acknowledge(k1, 2);
  AppendReply refusal{.term = Term(2), .prev_log_index = Index(1)};
  one.receive(k1, refusal);
  const auto& progress = std::get<Leader>(one.raft().role()).progress.at(k1);
  CHECK(progress.match_index == Index(4));
  CHECK(progress.next_index == Index(5));
}

TEST_CASE("L12: an acknowledgement of an entry that was never sent does not count") {
  SoloServer one;
  one.become_leader();
  one.acknowledge(k1, 99);
  CHECK(one.raft().commit_index() == Index(1));
  one.receive(k1, HeartbeatReply{Term(2), 99, Index(99)});
  CHECK(std::get<Leader>(one.raft().role()).progress.at(k1).received_index <= Index(2));
}

TEST_CASE("L14: a completed write of an overwritten entry does not make its successor durable") {
  SoloServer one;
  one.receive_and_sync(k1, heartbeat(2));
  one.receive(k1, append(2, 1, 1, {2, 2}));
  const WriteNumber old = one.raft().writes().last_write();
  one.receive(k2, append(3, 1, 1, {3, 3}));
  one.sync_through(old);
  CHECK(one.raft().writes().durable_index() == Index(1));
  CHECK(one.sent<AppendReply>(k2).empty());
  one.sync();
  CHECK(one.raft().writes().durable_index() == Index(3));
  CHECK(one.one<AppendReply>(k2).match_index == Index(3));
}

TEST_CASE("L16: messages and bytes in flight are bounded, and replies make room for more") {
  Config tuning;
  tuning.max_append_bytes = 150;
  tuning.max_inflight_messages = 3;
  SoloServer one({.tuning = tuning});
  one.become_leader();
  one.acknowledge(k1, 2);
  one.propose(10);
  REQUIRE(one.sent<AppendEntries>(k1).size() == 3);
  for (const AppendEntries& m : one.sent<AppendEntries>(k1)) CHECK(m.entries.size() == 2);
  one.acknowledge(k1, 4);
  CHECK(one.sent<AppendEntries>(k1).size() == 1);
  tuning = Config{};
  tuning.max_append_bytes = 200;
  tuning.max_inflight_bytes = 400;
  SoloServer bytes({.tuning = tuning});
  bytes.become_leader();
  bytes.acknowledge(k1, 2);
  bytes.propose(10, 100);
  CHECK(bytes.sent<AppendEntries>(k1).size() == 3);
  bytes.propose(1, 1000);  // larger than the window: it still leaves, alone
  bytes.acknowledge(k1, 12);
  CHECK(bytes.sent<AppendEntries>(k1).size() == 1);
}

TEST_CASE("L16: the leader asks again when an acknowledgement is lost") {
  SoloServer one;
  one.become_leader();
  one.acknowledge(k1, 2);
  one.propose();
  std::size_t asked = 0;
  for (int beat = 0; beat < 6; ++beat) {
    one.wait_for_deadline();
    for (const AppendEntries& m : one.sent<AppendEntries>(k1)) {
      CHECK(m.prev_log_index == Index(3));
      ++asked;
    }
    one.receive(
        k1, HeartbeatReply{Term(2),
                           one.raft().is_leader() ? std::get<Leader>(one.raft().role()).round : 0,
                           Index(3)});
  }
  CHECK(asked == 1);
}

TEST_CASE("L17: a window is not sent again before a loss is known") {
  SoloServer one;
  one.become_leader();
  one.acknowledge(k1, 2);
  one.propose();
  one.turn({});
  CHECK(one.sent<AppendEntries>(k1).empty());
}

// Answers heartbeats and reports no progress; returns the AppendEntries that k1 was sent.
std::vector<AppendEntries> beats(SoloServer& one, int count, std::uint64_t received) {
  std::vector<AppendEntries> sent;
  for (; count > 0; --count) {
    one.wait_for_deadline();
    for (AppendEntries& m : one.sent<AppendEntries>(k1)) sent.push_back(std::move(m));
    const Leader& leader = std::get<Leader>(one.raft().role());
    one.receive(k1, HeartbeatReply{Term(2), leader.round, Index(received)});
    for (AppendEntries& m : one.sent<AppendEntries>(k1)) sent.push_back(std::move(m));
  }
  return sent;
}

TEST_CASE("L16: the leader probes for entries that are slow to arrive and does not resend them") {
  SoloServer one;
  one.become_leader();
  one.acknowledge(k1, 2);
  one.propose(3);
  one.propose(2);
  const std::vector<AppendEntries> asked = beats(one, 17, 2);
  CHECK(asked.size() == 4);  // every four heartbeats, since a probe may be lost, too
  for (const AppendEntries& m : asked) {
    CHECK(m.entries.empty());
    CHECK(m.prev_log_index == Index(7));
  }
  // A refusal proves the loss.
  one.receive(k1, AppendReply{.term = Term(2),
                              .prev_log_index = Index(7),
                              .hint_index = Index(4),
                              .hint_term = Term(2)});
  const auto again = one.one<AppendEntries>(k1);
  CHECK(again.prev_log_index == Index(4));
  CHECK(again.entries.size() == 3);
}

TEST_CASE("L16: a probe follows the slow entries on the same connection") {
  Config tuning;
  tuning.bulk_bytes = 100;
  SoloServer one({.tuning = tuning});
  one.become_leader();
  one.acknowledge(k1, 2);
  one.propose(1, 1000);
  std::size_t asked = 0;
  for (int beat = 0; beat < 6; ++beat) {
    one.wait_for_deadline();
    for (const Envelope& envelope : one.output().send_now) {
      if (envelope.to != k1 || !std::holds_alternative<AppendEntries>(envelope.message)) continue;
      CHECK(envelope.channel == Channel::bulk);
      ++asked;
    }
    const Leader& leader = std::get<Leader>(one.raft().role());
    one.receive(k1, HeartbeatReply{Term(2), leader.round, Index(2)});
  }
  CHECK(asked == 1);
}

TEST_CASE("L16: a probe that is slow to arrive is not resent before it is refused") {
  SoloServer one;
  one.become_leader();
  one.acknowledge(k2, 2);
  one.turn({PeerUp{k1, incarnation_of(k1), true}});
  CHECK(one.one<AppendEntries>(k1).entries.size() == 1);
  for (const AppendEntries& m : beats(one, 17, 1)) CHECK(m.entries.empty());
  one.receive(k1, AppendReply{.term = Term(2),
                              .prev_log_index = Index(2),
                              .hint_index = Index(1),
                              .hint_term = Term(1)});
  CHECK(one.one<AppendEntries>(k1).entries.size() == 1);
}

TEST_CASE("L17: an old acknowledgement does not resend a probe that is in flight") {
  SoloServer one;
  one.become_leader();
  one.acknowledge(k1, 2);
  one.propose(3);
  one.turn({PeerUp{k1, incarnation_of(k1), true}});
  CHECK(one.one<AppendEntries>(k1).entries.size() == 3);
  one.acknowledge(k1, 3);
  CHECK(one.sent<AppendEntries>(k1).empty());
  one.propose();
  CHECK(one.one<AppendEntries>(k1).prev_log_index == Index(5));
}

TEST_CASE("L19: a heartbeat commits nothing beyond what the follower is proven to have") {
  SoloServer one({.log = {1, 2, 2, 2}, .term = 5});
  one.receive_and_sync(k1, append(5, 2, 2));
  one.receive(k1, heartbeat(5, 4));
  CHECK(one.raft().commit_index() == Index(2));
}

TEST_CASE("K3: a leader answers no read before it has committed an entry of its term") {
  SoloServer one;
  one.become_leader();
  one.turn({ReadIndex{1}});
  one.receive(k1, HeartbeatReply{Term(2), 1, Index(1)});
  one.receive(k2, HeartbeatReply{Term(2), 1, Index(1)});
  CHECK(one.output().reads.empty());
  one.acknowledge(k1, 2);
  const std::uint64_t round = one.one<Heartbeat>(k1).round;
  CHECK(round == 2);
  one.receive(k1, HeartbeatReply{Term(2), round, Index(2)});
  REQUIRE(one.output().reads.size() == 1);
  CHECK(one.output().reads[0].index == Index(2));
}

TEST_CASE("K4: a follower that owes replies gets no heartbeats for reads until it has replied") {
  SoloServer one;
  one.become_leader();
  one.acknowledge(k1, 2);
  const auto round = [&] { return std::get<Leader>(one.raft().role()).round; };
  std::size_t to_k2 = 0;
  for (std::uint64_t id = 1; id <= 100; ++id) {
    one.turn({ReadIndex{id}});
    CHECK(one.sent<Heartbeat>(k1).size() == 1);
    to_k2 += one.sent<Heartbeat>(k2).size();
    one.receive(k1, HeartbeatReply{Term(2), round(), Index(2)});
    REQUIRE(one.output().reads.size() == 1);
  }
  CHECK(to_k2 < 5);
  SUBCASE("regular heartbeats continue") {
    one.wait_for_deadline();
    CHECK(one.sent<Heartbeat>(k2).size() == 1);
  }
  SUBCASE("after its reply, it gets the round that needs it, and the round completes") {
    one.turn({ReadIndex{101}});
    CHECK(one.sent<Heartbeat>(k2).empty());
    const std::uint64_t wanted = round();
    one.receive(k2, HeartbeatReply{Term(2), 3, Index(2)});
    CHECK(one.output().reads.empty());
    CHECK(one.one<Heartbeat>(k2).round == wanted);
    one.receive(k2, HeartbeatReply{Term(2), wanted, Index(2)});
    CHECK(one.output().reads.size() == 1);
  }
}

TEST_CASE("K4: a reply to a heartbeat that left before the read confirms nothing") {
  SoloServer one;
  one.become_leader();
  one.acknowledge(k1, 2);
  one.wait_for_deadline();
  const std::uint64_t before = one.one<Heartbeat>(k1).round;
  one.turn({ReadIndex{1}});
  one.receive(k1, HeartbeatReply{Term(2), before, Index(2)});
  one.receive(k2, HeartbeatReply{Term(2), before, Index(2)});
  CHECK(one.output().reads.empty());
}

TEST_CASE("K4: a read that arrives during a round waits for the next round") {
  SoloServer one;
  one.become_leader();
  one.acknowledge(k1, 2);
  one.turn({ReadIndex{1}});
  const std::uint64_t first = one.one<Heartbeat>(k1).round;
  one.turn({ReadIndex{2}, ReadIndex{3}});
  CHECK(one.sent<Heartbeat>(k1).empty());
  one.receive(k1, HeartbeatReply{Term(2), first, Index(2)});
  REQUIRE(one.output().reads.size() == 1);
  const std::uint64_t second = one.one<Heartbeat>(k1).round;
  CHECK(second > first);
  one.receive(k2, HeartbeatReply{Term(2), second, Index(2)});
  CHECK(one.output().reads.size() == 2);
}

TEST_CASE("K6: a follower asks the leader of its term and drops a reply from another leader") {
  SoloServer one;
  one.turn({ReadIndex{1}});
  CHECK(one.sent<ReadIndexRequest>(k1).empty());
  one.receive(k1, heartbeat(1));
  one.turn({ReadIndex{2}});
  CHECK(one.one<ReadIndexRequest>(k1).id == 2);
  one.receive_and_sync(k2, heartbeat(2));
  one.receive(k1, ReadIndexReply{Term(1), 2, Index(1)});
  CHECK(one.output().reads.empty());
  one.turn({ReadIndex{3}});
  one.receive(k2, ReadIndexReply{Term(2), 3, Index(1)});
  REQUIRE(one.output().reads.size() == 1);
  CHECK(one.output().reads[0].id == 3);
}

TEST_CASE("log time never decreases along the log") {
  SoloServer one;
  Heartbeat ahead = heartbeat(1);
  ahead.log_time = LogTime(5'000'000'000);
  one.receive(k1, ahead);
  one.become_leader();
  const LogTime first = one.raft().log().at(Index(2)).time;
  CHECK(first >= LogTime(5'000'000'000));
  one.acknowledge(k1, 2);
  one.wait(milliseconds(7));
  one.propose();
  CHECK(one.raft().log().at(Index(3)).time == LogTime(first.value + 7'000'000));
}

TEST_CASE("a server ignores a term that is out of range") {
  SoloServer one;
  one.receive(k1, heartbeat(kMaxTerm.value + 1));
  one.receive(k1, vote(UINT64_MAX, 9, 9));
  CHECK(one.raft().current_term() == Term(1));
  SoloServer last({.term = kMaxTerm.value});
  last.become_pre_candidate();
  last.grant_pre_votes();
  CHECK(last.raft().current_term() == kMaxTerm);
  CHECK_FALSE(last.is<Candidate>());
}
