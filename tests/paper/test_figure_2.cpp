// Figure 2 of the Raft paper, rule by rule. docs/raft.md says where Vesper differs.
#include "paper/solo_server.hpp"

using namespace vesper::paper;
using vesper::milliseconds;

TEST_CASE("Figure 2, AppendEntries 1: it replies false if term < currentTerm") {
  SoloServer one({.log = {1, 2}, .term = 5});
  one.receive(k1, append(4, 2, 2, {4}));
  const auto reply = one.one<AppendReply>(k1);
  CHECK_FALSE(reply.success);
  CHECK(reply.term == Term(5));
  CHECK(one.terms() == Terms{1, 2});
  CHECK(one.raft().leader() == std::nullopt);
}

TEST_CASE("Figure 2, AppendEntries 2: it replies false if the log has no entry at prevLogIndex") {
  SoloServer one({.log = {1, 2}});
  one.receive(k1, append(2, 5, 2, {2}));
  CHECK_FALSE(one.one<AppendReply>(k1).success);
  CHECK(one.terms() == Terms{1, 2});
}

TEST_CASE(
    "Figure 2, AppendEntries 2: it replies false if the entry at prevLogIndex has another term") {
  SoloServer one({.log = {1, 2, 2}, .term = 4});
  one.receive(k1, append(4, 3, 3, {4}));
  CHECK_FALSE(one.one<AppendReply>(k1).success);
  CHECK(one.terms() == Terms{1, 2, 2});
}

TEST_CASE("Figure 2, AppendEntries 3: it deletes a conflicting entry and all that follow it") {
  SoloServer one({.log = {1, 2, 2, 2}, .term = 3});
  one.receive_and_sync(k1, append(3, 2, 2, {3}));
  CHECK(one.terms() == Terms{1, 2, 3});
  CHECK(one.one<AppendReply>(k1).match_index == Index(3));
}

TEST_CASE("Figure 2, AppendEntries 4: it appends entries that are not in the log") {
  SoloServer one({.log = {1, 2}});
  one.receive_and_sync(k1, append(2, 1, 1, {2, 2, 2}));
  CHECK(one.terms() == Terms{1, 2, 2, 2});
  const auto reply = one.one<AppendReply>(k1);
  CHECK(reply.success);
  CHECK(reply.match_index == Index(4));
}

TEST_CASE("Figure 2, AppendEntries 5: it sets commitIndex to min(leaderCommit, last new entry)") {
  SoloServer one({.log = {1, 2, 2, 2}});
  one.receive(k1, append(2, 1, 1, {2}, 9));
  CHECK(one.raft().commit_index() == Index(2));
  one.receive(k1, append(2, 2, 2, {2, 2}, 3));
  CHECK(one.raft().commit_index() == Index(3));
}

TEST_CASE("Figure 2, RequestVote 1: it replies false if term < currentTerm") {
  SoloServer one({.term = 5});
  one.receive(k1, vote(4, 9, 4));
  const auto reply = one.one<VoteReply>(k1);
  CHECK(reply.refusal == VoteRefusal::old_term);
  CHECK(reply.term == Term(5));
  CHECK(one.raft().hard_state().voted_for == std::nullopt);
}

TEST_CASE("Figure 2, RequestVote 2: it grants if votedFor is null and the log is up to date") {
  SoloServer one;
  one.receive_and_sync(k1, vote(2, 1, 1));
  CHECK(one.one<VoteReply>(k1).granted());
  CHECK(one.raft().hard_state() == HardState{Term(2), k1});
}

TEST_CASE("Figure 2, RequestVote 2: it grants again if votedFor is the candidate") {
  SoloServer one({.term = 2, .voted_for = k1});
  one.receive(k1, vote(2, 1, 1));
  CHECK(one.one<VoteReply>(k1).granted());
}

TEST_CASE("Figure 2, RequestVote 2: it refuses if votedFor is another candidate") {
  SoloServer one({.term = 2, .voted_for = k1});
  one.receive(k2, vote(2, 9, 2));
  CHECK(one.one<VoteReply>(k2).refusal == VoteRefusal::already_voted);
  CHECK(one.raft().hard_state().voted_for == k1);
}

TEST_CASE("Figure 2, all servers: committed entries are applied in order, each once") {
  SoloServer one;
  one.receive(k1, append(2, 1, 1, {2, 2, 2}, 3));
  CHECK(one.output().committed_first == Index(2));
  CHECK(one.output().committed_last == Index(3));
  one.receive(k1, heartbeat(2, 4));
  CHECK(one.output().committed_first == Index(4));
  CHECK(one.output().committed_last == Index(4));
  one.receive(k1, heartbeat(2, 4));
  CHECK(one.output().committed_last == Index(0));
}

TEST_CASE("Figure 2, all servers: a higher term in any message makes the server a follower") {
  const std::vector<Message> messages = {VoteReply{Term(9), Term(2), false, VoteRefusal::old_term},
                                         append(9, 1, 1),
                                         AppendReply{.term = Term(9)},
                                         heartbeat(9),
                                         HeartbeatReply{Term(9), 0, Index(0)},
                                         ReadIndexRequest{Term(9), 1},
                                         ReadIndexReply{Term(9), 1, Index(1)}};
  for (const Message& message : messages) {
    SoloServer one;
    one.become_leader();
    one.receive(k1, message);
    CHECK(one.is<Follower>());
    CHECK(one.raft().hard_state() == HardState{Term(9), std::nullopt});
  }
}

TEST_CASE("Figure 2, followers: a server that hears nothing for a timeout starts an election") {
  SoloServer one;
  CHECK(one.is<Follower>());
  one.wait_for_deadline();
  CHECK(one.is<PreCandidate>());
}

TEST_CASE(
    "Figure 2, followers: AppendEntries of the leader and a granted vote restart the timeout") {
  const std::vector<Message> messages = {append(1, 1, 1), heartbeat(1), vote(2, 1, 1)};
  for (const Message& message : messages) {
    SoloServer one;
    const auto before = one.output().deadline;
    one.wait(milliseconds(149));
    one.receive(k1, message);
    CHECK(one.output().deadline >= one.now() + milliseconds(150));
    CHECK(one.output().deadline != before);
  }
}

TEST_CASE(
    "Figure 2, candidates: a candidate starts a term, votes for itself and asks all servers") {
  SoloServer one({.servers = 5});
  one.become_candidate();
  CHECK(one.is<Candidate>());
  CHECK(one.raft().hard_state() == HardState{Term(2), k0});
  CHECK(one.output().deadline > one.now());
  one.sync();
  for (const ServerId id : {k1, k2, k3, k4}) {
    const auto request = one.one<VoteRequest>(id);
    CHECK(request.term == Term(2));
    CHECK_FALSE(request.pre_vote);
    CHECK(request.last_log_index == Index(1));
    CHECK(request.last_log_term == Term(1));
  }
}

TEST_CASE("Figure 2, candidates: a majority of votes makes a leader, and fewer do not") {
  SoloServer one({.servers = 5});
  one.become_candidate();
  one.sync();
  one.vote_for_it(k1);
  one.vote_for_it(k1);
  CHECK(one.is<Candidate>());
  one.vote_for_it(k4);
  CHECK(one.is<Leader>());
}

TEST_CASE("Figure 2, candidates: AppendEntries of a leader of its term makes it a follower") {
  SoloServer one;
  one.become_candidate();
  one.receive(k2, append(2, 1, 1));
  CHECK(one.is<Follower>());
  CHECK(one.raft().leader() == k2);
  CHECK(one.raft().hard_state() == HardState{Term(2), k0});
}

TEST_CASE("Figure 2, candidates: a candidate starts a new election when its timeout passes") {
  SoloServer one;
  one.become_candidate();
  one.sync();
  one.wait_for_deadline();
  one.grant_pre_votes();
  CHECK(one.is<Candidate>());
  CHECK(one.raft().current_term() == Term(3));
}

TEST_CASE("Figure 2, leaders: a leader sends heartbeats upon election and again when idle") {
  SoloServer one;
  one.become_leader();
  CHECK(one.one<Heartbeat>(k1).term == Term(2));
  CHECK(one.one<Heartbeat>(k2).term == Term(2));
  CHECK(one.output().deadline == one.now() + milliseconds(50));
  one.wait_for_deadline();
  CHECK(one.sent<Heartbeat>(k1).size() == 1);
  CHECK(one.sent<Heartbeat>(k2).size() == 1);
}

TEST_CASE("Figure 2, leaders: a leader appends a command, and commits it before it replies") {
  SoloServer one;
  one.become_leader();
  one.acknowledge(k1, 2);
  one.propose();
  CHECK(one.terms() == Terms{1, 2, 2});
  CHECK(one.output().committed_last == Index(0));
  one.sync();
  one.acknowledge(k1, 3);
  CHECK(one.output().committed_last == Index(3));
}

TEST_CASE("Figure 2, leaders: a follower that lacks entries gets them from nextIndex on") {
  SoloServer one;
  one.become_leader();
  CHECK(one.one<AppendEntries>(k1).prev_log_index == Index(1));
  CHECK(one.one<AppendEntries>(k1).entries.size() == 1);
  one.acknowledge(k1, 2);
  one.propose(2);
  CHECK(one.one<AppendEntries>(k1).prev_log_index == Index(2));
  CHECK(one.one<AppendEntries>(k1).entries.size() == 2);
}

TEST_CASE("Figure 2, leaders: a refusal lowers nextIndex, and the rest is sent again") {
  SoloServer one({.log = {1, 2, 2, 3}});
  one.become_leader();
  AppendReply refusal{.term = Term(4), .prev_log_index = Index(4)};
  refusal.hint_index = Index(2);
  refusal.hint_term = Term(2);
  one.receive(k1, refusal);
  const auto again = one.one<AppendEntries>(k1);
  CHECK(again.prev_log_index == Index(2));
  CHECK(again.prev_log_term == Term(2));
  CHECK(again.entries.size() == 3);
}

TEST_CASE("Figure 2, leaders: an index N of the current term is committed once a majority has it") {
  SoloServer one({.servers = 5});
  one.become_leader();
  one.acknowledge(k1, 2);
  CHECK(one.raft().commit_index() == Index(1));
  one.acknowledge(k2, 2);
  CHECK(one.raft().commit_index() == Index(2));
}

TEST_CASE("Q1: a server that asks for pre-votes and hears no reply does not block elections") {
  SoloServer one;
  one.turn({PeerUp{k1, incarnation_of(k1), {}}, PeerUp{k2, incarnation_of(k2), {}}});
  bool campaigns = false;
  // Every 20 ms a server with an equal log asks. One that is deaf never goes on to an election.
  for (int n = 0; n < 100 && !campaigns; ++n) {
    one.wait(milliseconds(20));
    if (one.now() >= one.output().deadline) one.turn({DeadlinePassed{}});
    campaigns = one.is<PreCandidate>();
    VoteRequest request{.term = one.raft().current_term().next(), .pre_vote = true};
    request.last_log_index = one.raft().log().last_index();
    request.last_log_term = one.raft().log().last_term();
    request.cluster_id = one.raft().configuration().cluster_id;
    if (!campaigns) one.receive(k2, request);
  }
  CHECK(campaigns);
}

TEST_CASE("the election timer of a follower fires when somebody asks for it") {
  SoloServer one;
  one.receive_and_sync(k1, heartbeat(2));
  one.wait(milliseconds(1));
  one.turn({ElectionTimeout{}});
  CHECK(one.is<PreCandidate>());
  CHECK(one.sent<VoteRequest>(k2).size() == 1);
  SoloServer leader;
  leader.become_leader();
  leader.turn({ElectionTimeout{}});
  CHECK(leader.is<Leader>());
}
