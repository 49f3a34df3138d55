// What a Tracer tells of a Raft core: folded, its events give the state that Raft shows; under load
// it tells less.
#include <doctest/doctest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "node/tracer.hpp"
#include "paper/solo_server.hpp"

namespace test_tracer {

using namespace vesper;
using namespace vesper::node;
using namespace vesper::paper;

namespace {

// What a viewer makes of the events.
struct Picture {
  TraceState state;
  std::size_t states = 0;

  void append(const TraceRun& run) {
    CHECK(run.from == state.last_index.next());
    state.last_index = run.to;
    if (!state.log.empty() && state.log.back().term == run.term) state.log.back().to = run.to;
    else state.log.push_back(run);
  }
  void truncate(raft::Index from) {
    state.last_index = raft::Index(from.value - 1);
    while (!state.log.empty() && state.log.back().from >= from) state.log.pop_back();
    if (!state.log.empty()) state.log.back().to = std::min(state.log.back().to, state.last_index);
  }
  void take(const TraceEvent& event) {
    if (const auto* e = std::get_if<TraceState>(&event)) {
      state = *e;
      ++states;
    }
    if (const auto* e = std::get_if<TraceRole>(&event)) {
      state.role = e->role;
      state.term = e->term;
      state.leader = e->leader;
    }
    if (const auto* e = std::get_if<TraceAppend>(&event)) append(e->entries);
    if (const auto* e = std::get_if<TraceTruncate>(&event)) truncate(e->from);
    if (const auto* e = std::get_if<TraceCommit>(&event)) state.commit_index = e->index;
  }
};

struct Traced {
  SoloServer server;
  Tracer tracer;
  TraceRing<TimedTraceEvent> events;
  std::uint64_t read = 0;
  Picture picture;
  TracedNode node;  // besides `applied`

  explicit Traced(Setup setup = {}) : server(std::move(setup)) { end_turn(); }
  // Returns the events of the turn.
  std::vector<TraceEvent> end_turn() {
    node.applied = server.raft().commit_index();
    tracer.end_turn(server.raft(), node, server.now(), events);
    std::vector<TraceEvent> turn;
    for (; read < events.end(); ++read) {
      turn.push_back(events.at(read).event);
      picture.take(turn.back());
    }
    return turn;
  }
  void check_picture() const {
    const raft::Raft& raft = server.raft();
    CHECK(picture.state.role == role_of(raft));
    CHECK(picture.state.term == raft.current_term());
    CHECK(picture.state.last_index == raft.log().last_index());
    CHECK(picture.state.commit_index == raft.commit_index());
    for (const TraceRun& run : picture.state.log)
      for (raft::Index at = run.from; at <= run.to; at = at.next())
        CHECK(raft.log().term_at(at) == run.term);
  }
};

template <typename Event>
std::vector<Event> those(const std::vector<TraceEvent>& events) {
  std::vector<Event> found;
  for (const TraceEvent& event : events)
    if (const auto* one = std::get_if<Event>(&event)) found.push_back(*one);
  return found;
}

}  // namespace

TEST_CASE("a trace begins with the whole state, and turns that change nothing add nothing") {
  Traced t({.log = {1, 1, 2}});
  CHECK(t.picture.states == 1);
  const TraceState& state = t.picture.state;
  CHECK(state.role == ServerRole::follower);
  CHECK(state.term == raft::Term(2));
  CHECK(state.log == std::vector<TraceRun>{{raft::Term(1), raft::Index(1), raft::Index(2)},
                                           {raft::Term(2), raft::Index(3), raft::Index(3)}});
  CHECK(state.configuration.members.size() == 3);
  CHECK(state.election.has_value());
  CHECK(t.end_turn().empty());
  t.server.wait(seconds(1));
  CHECK(those<TraceState>(t.end_turn()).size() == 1);
}

TEST_CASE("what is wrong with the disk or the state is told at once, a slow disk for ten seconds") {
  Traced t({.log = {1}});
  const auto told = [&] { return those<TraceState>(t.end_turn()); };
  t.node.disk_full = true;
  auto states = told();
  REQUIRE(states.size() == 1);
  CHECK(states[0].alarms == TraceAlarms{.disk_full = true});
  CHECK(told().empty());
  t.node.disk_full = false;
  t.node.diverged = true;
  CHECK(told().at(0).alarms == TraceAlarms{.diverged = true});

  t.node.diverged = false;
  t.node.log_writes = 1;
  t.node.last_log_write = Tracer::kSlowWrite - milliseconds(1);
  CHECK(told().at(0).alarms == TraceAlarms{});
  t.server.wait(Tracer::kSlowFor);
  t.node.last_log_write = Tracer::kSlowWrite;
  t.node.log_writes = 2;
  CHECK(told().at(0).alarms == TraceAlarms{});  // of one slow write, and because a second is over
  t.node.log_writes = 3;
  CHECK(told().at(0).alarms == TraceAlarms{.disk_slow = true});
  t.server.wait(Tracer::kSlowFor - milliseconds(1));
  CHECK(told().at(0).alarms.disk_slow);
  t.server.wait(milliseconds(1));
  CHECK(told().at(0).alarms == TraceAlarms{});
}

TEST_CASE("an election is told vote by vote, and what the leader does after it") {
  Traced t({.servers = 5});
  t.server.become_pre_candidate();
  auto turn = t.end_turn();
  REQUIRE(those<TraceVote>(turn).size() == 1);
  CHECK(those<TraceVote>(turn)[0].pre_vote);
  REQUIRE(those<TraceVotes>(turn).size() == 1);
  CHECK(those<TraceVotes>(turn)[0].needed == 3);
  CHECK(those<TraceVotes>(turn)[0].granted == std::vector{raft::NodeId(0)});

  t.server.grant_pre_votes();
  turn = t.end_turn();
  REQUIRE(those<TraceRole>(turn).size() == 1);
  CHECK(those<TraceRole>(turn)[0].role == ServerRole::candidate);
  CHECK(those<TraceVote>(turn)[0].candidate == raft::NodeId(0));
  CHECK_FALSE(those<TraceVote>(turn)[0].pre_vote);

  const raft::Term term = t.server.raft().current_term();
  const raft::VoteReply refusal{term, term, false, raft::VoteRefusal::already_voted};
  t.server.receive(k3, refusal);
  t.tracer.on_vote_reply(k3, refusal);
  t.server.sync();
  t.server.vote_for_it(k1);
  turn = t.end_turn();
  REQUIRE(those<TraceVotes>(turn).size() == 1);
  CHECK(those<TraceVotes>(turn)[0].granted == std::vector{raft::NodeId(0), raft::NodeId(1)});
  CHECK(those<TraceVotes>(turn)[0].refused == std::vector{raft::NodeId(3)});

  t.server.vote_for_it(k2);
  turn = t.end_turn();
  REQUIRE(those<TraceRole>(turn).size() == 1);
  CHECK(those<TraceRole>(turn)[0].role == ServerRole::leader);
  CHECK(those<TraceAppend>(turn).size() == 1);
  REQUIRE(those<TraceElection>(turn).size() == 1);
  CHECK_FALSE(those<TraceElection>(turn)[0].timer.has_value());
  t.server.sync();
  t.server.acknowledge(k1, 2);
  t.server.acknowledge(k2, 2);
  turn = t.end_turn();
  CHECK(those<TraceMatch>(turn).size() == 2);
  REQUIRE(those<TraceCommit>(turn).size() == 1);
  CHECK(those<TraceCommit>(turn)[0].index == raft::Index(2));
  t.check_picture();
}

TEST_CASE("entries that a new leader replaces are told as truncated and appended") {
  Traced t({.log = {1, 2, 2, 2}});
  t.server.receive_and_sync(k1, append(3, 1, 1, {3, 3}));
  const auto turn = t.end_turn();
  REQUIRE(those<TraceTruncate>(turn).size() == 1);
  CHECK(those<TraceTruncate>(turn)[0].from == raft::Index(2));
  REQUIRE(those<TraceAppend>(turn).size() == 1);
  CHECK(those<TraceAppend>(turn)[0].entries ==
        TraceRun{raft::Term(3), raft::Index(2), raft::Index(3)});
  CHECK(t.picture.states == 1);
  t.check_picture();
}

TEST_CASE("positions that change in every turn are compared less often, and catch up") {
  Traced t;
  t.server.become_leader();
  t.end_turn();
  std::size_t appends = 0;
  for (int i = 0; i < 2000; ++i) {
    t.server.wait(microseconds(100));
    t.server.propose();
    appends += those<TraceAppend>(t.end_turn()).size();
  }
  CHECK(appends >= 20);
  CHECK(appends <= 20 + 5);  // the burst, and one each 50 ms
  t.server.wait(milliseconds(50));
  t.end_turn();
  t.check_picture();
}

TEST_CASE("of many messages of a kind some are shown, and all are counted") {
  Traced t;
  t.server.become_leader();
  t.server.wait(seconds(9));
  t.end_turn();
  std::size_t shown = 0;
  std::uint64_t counted = 0;
  for (int i = 0; i < 10'000; ++i) {
    t.server.wait(microseconds(100));
    t.tracer.on_sent(t.server.raft(), k1, raft::Message{heartbeat(1)}, t.server.now());
    const auto turn = t.end_turn();
    shown += those<TraceSend>(turn).size();
    for (const TraceRate& rate : those<TraceRate>(turn))
      counted += rate.messages[static_cast<std::size_t>(TraceMessage::heartbeat)];
  }
  CHECK(shown >= 40 + 20);
  CHECK(shown <= 40 + 20 + 23);  // the burst, one each 50 ms, one each 45 ms
  CHECK(counted >= 7'500);       // the last quarter of a second may be missing
  CHECK(counted <= 10'000);
}

TEST_CASE("each kind of message to each server stays in sight, whatever crowds it") {
  Traced t;
  t.server.become_leader();
  t.end_turn();
  std::map<std::pair<raft::NodeId, TraceMessage>, std::size_t> shown;
  const auto take = [&] {
    for (const TraceSend& send : those<TraceSend>(t.end_turn())) ++shown[{send.to, send.message}];
  };
  for (int i = 0; i < 10'000; ++i) {
    t.server.wait(microseconds(100));
    for (const auto to : {k1, k2})
      t.tracer.on_sent(t.server.raft(), to, raft::Message{append(1, 1, 1, {1})}, t.server.now());
    if (i % 1000 == 999)
      t.tracer.on_sent(t.server.raft(), k2, raft::Message{heartbeat(1)}, t.server.now());
    take();
  }
  CHECK(shown[{raft::NodeId(1), TraceMessage::append}] >= 20);
  CHECK(shown[{raft::NodeId(2), TraceMessage::append}] >= 20);
  CHECK(shown[{raft::NodeId(2), TraceMessage::heartbeat}] == 10);
}

TEST_CASE("while little happens, no message is left out") {
  Traced t;
  t.server.become_leader();
  t.server.wait(seconds(9));
  t.end_turn();
  std::size_t shown = 0;
  for (int i = 0; i < 30; ++i) {
    t.server.wait(milliseconds(1));
    t.tracer.on_sent(t.server.raft(), k1, raft::Message{append(1, 1, 1, {1})}, t.server.now());
    shown += those<TraceSend>(t.end_turn()).size();
  }
  CHECK(shown == 30);
}

TEST_CASE("a pre-vote that is granted is told, and what a message says") {
  Traced t;
  t.tracer.on_sent(
      t.server.raft(), k1,
      raft::Message{raft::VoteReply{raft::Term(1), raft::Term(2), true, raft::VoteRefusal::none}},
      t.server.now());
  t.tracer.on_sent(t.server.raft(), k2, raft::Message{append(1, 4, 1, {1, 1}, 3)}, t.server.now());
  t.tracer.on_sent(t.server.raft(), k2, TraceAsked{}, t.server.now());
  const auto turn = t.end_turn();
  REQUIRE(those<TraceVote>(turn).size() == 1);
  CHECK(those<TraceVote>(turn)[0].candidate == raft::NodeId(1));
  CHECK(those<TraceVote>(turn)[0].term == raft::Term(2));
  const auto sent = those<TraceSend>(turn);
  REQUIRE(sent.size() == 2);
  CHECK(sent[0].message == TraceMessage::pre_vote_reply);
  CHECK(sent[1].message == TraceMessage::append);
  REQUIRE(sent[1].fields.size() == 5);
  CHECK(sent[1].fields[0].value == 4);
  CHECK(sent[1].fields[2].value == 2);
}

}  // namespace test_tracer
