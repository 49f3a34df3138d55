// How events of a trace are written as JSON.
#include <doctest/doctest.h>

#include <string>

#include "api/trace_json.hpp"

namespace test_trace {

using namespace vesper;
using namespace vesper::node;

namespace {

// The object without its common members.
std::string text_of(TraceEvent event) {
  std::string text;
  api::append_trace(text, {raft::NodeId(2), Instant{1'234'567'890}, std::move(event)});
  const std::string begin = "{\"node\":2,\"kind\":\"";
  REQUIRE(text.starts_with(begin));
  text = text.substr(begin.size());
  const std::string at = ",\"at\":1234.567";
  const std::size_t place = text.find(at);
  REQUIRE(place != std::string::npos);
  return text.erase(place, at.size());
}

constexpr raft::Term kTerm{3};

}  // namespace

TEST_CASE("events are written as the documentation says") {
  CHECK(text_of(TraceRole{ServerRole::leader, kTerm, raft::NodeId(2)}) ==
        R"(role","role":"leader","term":3,"leader":2})");
  CHECK(text_of(TraceRole{ServerRole::candidate, kTerm, {}}) ==
        R"(role","role":"candidate","term":3})");
  CHECK(text_of(TraceVote{kTerm, raft::NodeId(1), true}) ==
        R"(vote","term":3,"for":1,"pre_vote":true})");
  CHECK(
      text_of(TraceVotes{kTerm, false, {raft::NodeId(0), raft::NodeId(2)}, {raft::NodeId(1)}, 2}) ==
      R"(votes","term":3,"pre_vote":false,"granted":[0,2],"refused":[1],"needed":2})");
  CHECK(text_of(TraceAppend{{kTerm, raft::Index(4), raft::Index(6)}}) ==
        R"(append","from":4,"to":6,"term":3})");
  CHECK(text_of(TraceTruncate{raft::Index(4)}) == R"(truncate","from":4})");
  CHECK(text_of(TraceCommit{raft::Index(4)}) == R"(commit","index":4})");
  CHECK(text_of(TraceApply{raft::Index(4)}) == R"(apply","index":4})");
  CHECK(text_of(TraceSnapshot{raft::Index(4)}) == R"(snapshot","index":4})");
  CHECK(text_of(TraceMatch{raft::NodeId(1), raft::Index(4)}) ==
        R"(match","follower":1,"index":4})");
  CHECK(text_of(TraceElection{TraceTimer{Instant{2'000'001'000}, milliseconds(150)}}) ==
        R"(election","deadline":2000.001,"timeout_ms":150})");
  CHECK(text_of(TraceElection{}) == R"(election"})");
  CHECK(text_of(TraceReachable{raft::NodeId(1), false}) ==
        R"(reachable","peer":1,"reachable":false})");
  CHECK(text_of(TraceDropped{57}) == R"(dropped","events":57})");
  CHECK(text_of(TraceSilent{}) == R"(silent"})");
  CHECK(text_of(TraceSend{raft::NodeId(1),
                          TraceMessage::append_reply,
                          kTerm,
                          {{TraceField::success, 1}, {TraceField::match_index, 9}}}) ==
        R"(send","to":1,"message":"append_reply","term":3,"success":true,"match_index":9})");
  CHECK(text_of(TraceSend{raft::NodeId(1), TraceMessage::other, {}, {}}) ==
        R"(send","to":1,"message":"other"})");
  TraceRate rate;
  rate.messages[static_cast<std::size_t>(TraceMessage::heartbeat)] = 40;
  CHECK(text_of(rate) == R"(rate","messages":{"heartbeat":40}})");
}

TEST_CASE("a state is written with what its role has") {
  TraceState state;
  state.role = ServerRole::leader;
  state.term = kTerm;
  state.leader = raft::NodeId(2);
  state.first_index = raft::Index(1);
  state.last_index = raft::Index(25);
  state.commit_index = state.applied_index = raft::Index(24);
  state.configuration = {raft::Index(1),
                         true,
                         {{raft::NodeId(0), "http://a:1", raft::Seat::outgoing},
                          {raft::NodeId(1), "\xff", raft::Seat::learner}}};
  state.followers.push_back({raft::NodeId(1), raft::Index(24), MemberState::probing});
  state.log.push_back({kTerm, raft::Index(1), raft::Index(25)});
  CHECK(text_of(state) ==
        R"(state","role":"leader","term":3,"leader":2,"first_index":1,"last_index":25,)"
        R"("commit_index":24,"applied_index":24,"snapshot_index":0,)"
        R"("configuration":{"index":1,"joint":true,"members":[)"
        R"({"id":0,"address":"http://a:1","seat":"outgoing"},)"
        R"({"id":1,"address_base64":"/w==","seat":"learner"}]},)"
        R"("followers":[{"id":1,"match_index":24,"state":"probing"}],)"
        R"("log":[{"from":1,"to":25,"term":3}]})");
  state.role = ServerRole::candidate;
  state.leader.reset();
  state.voted_for = raft::NodeId(2);
  state.election = TraceTimer{Instant{5'000'000}, milliseconds(3)};
  state.votes = TraceVotes{kTerm, false, {raft::NodeId(2)}, {}, 2};
  state.followers.clear();
  state.configuration.members.clear();
  state.log.clear();
  state.alarms = {.disk_full = true, .disk_slow = true, .diverged = true};
  CHECK(text_of(state) ==
        R"(state","role":"candidate","term":3,"voted_for":2,"first_index":1,"last_index":25,)"
        R"("commit_index":24,"applied_index":24,"snapshot_index":0,)"
        R"("configuration":{"index":1,"joint":true,"members":[]},)"
        R"("election":{"deadline":5.000,"timeout_ms":3},)"
        R"("votes":{"term":3,"pre_vote":false,"granted":[2],"refused":[],"needed":2},)"
        R"("disk_full":true,"disk_slow":true,"diverged":true,"log":[]})");
}

}  // namespace test_trace
