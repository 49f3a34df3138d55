// How traces travel: the bytes of their messages, batches for those who ask, and what the viewers
// of one node get of all.
#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "node/codec.hpp"
#include "node/trace_askers.hpp"
#include "node/trace_feed.hpp"
#include "paper/solo_server.hpp"
#include "raft/entry.hpp"

namespace test_trace_feed {

using namespace vesper;
using namespace vesper::node;
using paper::k1;
using paper::k2;
using paper::k3;

namespace {

struct Wires final : Transport, Clients {
  std::vector<std::pair<raft::ServerId, PeerMessage>> sent;
  bool room = true;
  std::size_t wakes = 0;

  void send(raft::ServerId to, const PeerMessage& message, raft::Channel channel) override {
    CHECK(channel == raft::Channel::bulk);
    sent.emplace_back(to, message);
  }
  bool has_room(raft::ServerId, raft::Channel) const override { return room; }
  void reply(const Ticket&, ClientReply) override { FAIL("no reply is expected"); }
  void wake(const Ticket&) override { ++wakes; }
};

TraceState state_in(raft::Term term) {
  TraceState state;
  state.term = term;
  state.configuration.members.push_back({raft::NodeId(0), "http://a:1", raft::Seat::incoming});
  state.election = TraceTimer{Instant{seconds(9).ns}, milliseconds(150)};
  state.followers.push_back({raft::NodeId(2), raft::Index(5), MemberState::promoting});
  state.votes = TraceVotes{term, true, {raft::NodeId(1)}, {raft::NodeId(2)}, 2};
  state.log.push_back({term, raft::Index(1), raft::Index(5)});
  state.alarms = {.disk_full = false, .disk_slow = true, .diverged = false};
  return state;
}

// One event of each kind.
std::vector<TimedTraceEvent> all_kinds() {
  const raft::Term term(3);
  TraceRate rate;
  rate.messages[4] = 77;
  const std::vector<TraceEvent> events{
      state_in(term),
      TraceRole{ServerRole::learner, term, raft::NodeId(1)},
      TraceVote{term, raft::NodeId(1), true},
      TraceVotes{term, false, {}, {raft::NodeId(2)}, 3},
      TraceAppend{{term, raft::Index(4), raft::Index(6)}},
      TraceTruncate{raft::Index(4)},
      TraceCommit{raft::Index(4)},
      TraceApply{raft::Index(4)},
      TraceSnapshot{raft::Index(4)},
      TraceMatch{raft::NodeId(2), raft::Index(4)},
      TraceElection{TraceTimer{Instant{seconds(9).ns}, milliseconds(1)}},
      TraceConfiguration{raft::Index(4), true, {{raft::NodeId(1), "x", raft::Seat::learner}}},
      TraceReachable{raft::NodeId(2), true},
      TraceSend{raft::NodeId(2), TraceMessage::append, term, {{TraceField::bytes, 9}}},
      rate,
      TraceDropped{8},
      TraceSilent{}};
  std::vector<TimedTraceEvent> timed;
  for (std::size_t kind = 0; kind < events.size(); ++kind) {
    CHECK(events[kind].index() == kind);
    timed.push_back({Instant{seconds(8).ns}, events[kind]});
  }
  CHECK(events.size() == std::variant_size_v<TraceEvent>);
  return timed;
}

std::string bytes_of(const PeerMessage& message) {
  std::string bytes;
  encode(message, bytes);
  return bytes;
}

TraceHeard heard(std::vector<TimedTraceEvent> events) {
  return {raft::BootId(7),  Instant{seconds(1).ns}, milliseconds(2), Instant{seconds(8).ns}, 6,
          std::move(events)};
}

// A feed of a follower with two peers that were connected.
struct Feed {
  paper::SoloServer server;
  Wires wires;
  TraceFeed feed;
  Instant now{seconds(20).ns};
  std::map<raft::ServerId, std::uint64_t> recorded;  // events, by peer

  Feed() {
    for (const auto id : {k1, k2})
      server.turn({raft::PeerUp{id, paper::incarnation_of(id), raft::PeerState{}}});
  }
  void end_turn(Duration later) {
    now = now + later;
    feed.end_turn(server.raft(), wires, wires, now);
  }
  void hear(raft::ServerId from, std::vector<TimedTraceEvent> events, Duration ahead = {}) {
    const std::uint64_t before = std::exchange(recorded[from], recorded[from] + events.size());
    feed.on_heard(from,
                  {raft::BootId(7), now - milliseconds(2), milliseconds(2), now + ahead, before,
                   std::move(events)},
                  now);
  }
  std::vector<TraceItem> all(TraceViewer& viewer) {
    std::vector<TraceItem> items;
    while (auto item = viewer.next()) items.push_back(*item);
    return items;
  }
};

}  // namespace

TEST_CASE("messages that carry traces decode to what was encoded") {
  const TraceHeard sent = heard(all_kinds());
  const std::string bytes = bytes_of(sent);
  const auto back = decode(bytes);
  REQUIRE(back.ok());
  const auto& got = std::get<TraceHeard>(*back);
  CHECK(got.boot == sent.boot);
  CHECK(got.asked == sent.asked);
  CHECK(got.held == sent.held);
  CHECK(got.clock == sent.clock);
  CHECK(got.before == sent.before);
  REQUIRE(got.events.size() == sent.events.size());
  CHECK(bytes_of(got) == bytes);
  const auto& state = std::get<TraceState>(got.events[0].event);
  CHECK(state.configuration.members[0].address == "http://a:1");
  CHECK(state.votes == std::get<TraceState>(sent.events[0].event).votes);
  CHECK(state.log == std::get<TraceState>(sent.events[0].event).log);
  CHECK(state.alarms == std::get<TraceState>(sent.events[0].event).alarms);
  const auto asked = decode(bytes_of(TraceAsked{Instant{5}, true}));
  REQUIRE(asked.ok());
  CHECK(std::get<TraceAsked>(*asked).clock == Instant{5});
  CHECK(std::get<TraceAsked>(*asked).wants_state);
}

TEST_CASE("messages that carry traces are refused when they are cut or out of range") {
  const std::string bytes = bytes_of(heard(all_kinds()));
  for (std::size_t size = 0; size < bytes.size(); ++size)
    CHECK_FALSE(decode(std::string_view(bytes).substr(0, size)).ok());
  CHECK_FALSE(decode(bytes + "x").ok());
  const auto refuses = [](TraceEvent event) {
    return !decode(bytes_of(heard({{Instant{1}, std::move(event)}}))).ok();
  };
  CHECK(refuses(TraceCommit{raft::Index(raft::kMaxIndex.value + 1)}));
  CHECK(refuses(TraceMatch{raft::NodeId(raft::kMaxServerId + 1), {}}));
  CHECK(refuses(TraceRole{ServerRole{4}, {}, {}}));
  CHECK(refuses(TraceElection{TraceTimer{kNever, {}}}));
  CHECK(
      refuses(TraceConfiguration{{}, false, {{{}, std::string(raft::kMaxAddress + 1, 'a'), {}}}}));
  CHECK(refuses(TraceVotes{{}, false, std::vector<raft::NodeId>(300), {}, 1}));
  CHECK_FALSE(decode(bytes_of(TraceAsked{Instant{-1}, false})).ok());
}

TEST_CASE("a node that asks gets what is new in batches, until it stops asking") {
  TraceAskers askers{raft::BootId(7)};
  TraceRing<TimedTraceEvent> events;
  Wires wires;
  Instant now{seconds(5).ns};
  events.push({now, TraceCommit{raft::Index(1)}});
  CHECK(askers.on_asked(k1, {Instant{44}, false}, events.end(), now));
  events.push({now, TraceCommit{raft::Index(2)}});
  now = now + milliseconds(3);
  askers.send(events, wires, now);
  REQUIRE(wires.sent.size() == 1);
  const auto first = std::get<TraceHeard>(wires.sent[0].second);
  CHECK(first.asked == Instant{44});
  CHECK(first.held == milliseconds(3));
  CHECK(first.before == 1);
  REQUIRE(first.events.size() == 1);
  CHECK(std::get<TraceCommit>(first.events[0].event).index == raft::Index(2));

  askers.send(events, wires, now + milliseconds(49));
  CHECK(wires.sent.size() == 1);
  askers.send(events, wires, now + milliseconds(50));  // a sign of life
  CHECK(wires.sent.size() == 2);
  CHECK(std::get<TraceHeard>(wires.sent[1].second).events.empty());

  CHECK_FALSE(askers.on_asked(k1, {Instant{45}, false}, events.end(), now));
  askers.send(events, wires, now + seconds(3) + milliseconds(1));
  CHECK(askers.empty());
  CHECK(wires.sent.size() == 2);
}

TEST_CASE("a node whose connection is full misses events, and can tell how many") {
  TraceAskers askers{raft::BootId(7)};
  TraceRing<TimedTraceEvent> events;
  Wires wires;
  const Instant now{seconds(5).ns};
  askers.on_asked(k1, {}, events.end(), now);
  wires.room = false;
  const std::size_t many = TraceRing<TimedTraceEvent>::kMaxItems + 50;
  for (std::size_t i = 0; i < many; ++i) events.push({now, TraceCommit{raft::Index(i)}});
  askers.send(events, wires, now);
  CHECK(wires.sent.empty());
  const std::size_t missed = events.begin();
  CHECK(missed >= 50);
  wires.room = true;
  askers.send(events, wires, now);
  CHECK(std::get<TraceHeard>(wires.sent.at(0).second).before == missed);
}

TEST_CASE("events that a peer's connection has lost are counted, and its state is asked for") {
  Feed f;
  auto viewer = f.feed.open({1, 1});
  f.end_turn({});
  f.hear(k1, {{f.now, state_in(raft::Term(3))}});
  CHECK(f.all(*viewer).size() == 1);
  f.recorded[k1] += 7;
  f.wires.sent.clear();
  f.hear(k1, {{f.now, TraceCommit{raft::Index(8)}}});
  f.end_turn(milliseconds(1));
  const auto items = f.all(*viewer);
  REQUIRE(items.size() == 1);  // what follows means nothing without a state
  CHECK(items[0].node == raft::NodeId(1));
  CHECK(std::get<TraceDropped>(items[0].event).events == 7);
  REQUIRE(f.wires.sent.size() == 1);
  CHECK(f.wires.sent[0].first == k1);
  CHECK(std::get<TraceAsked>(f.wires.sent[0].second).wants_state);

  // What was counted as lost comes too late.
  f.feed.on_heard(k1, {raft::BootId(7), f.now, {}, f.now, 1, {{f.now, state_in(raft::Term(3))}}},
                  f.now);
  CHECK(f.all(*viewer).empty());

  // A process that has begun again counts from 0: nothing is missing.
  f.feed.on_heard(k1, {raft::BootId(8), f.now, {}, f.now, 0, {{f.now, state_in(raft::Term(4))}}},
                  f.now);
  const auto begun = f.all(*viewer);
  REQUIRE(begun.size() == 2);
  CHECK(std::holds_alternative<TraceSilent>(begun[0].event));
  CHECK(std::holds_alternative<TraceState>(begun[1].event));
}

TEST_CASE("peers are asked while somebody watches, and their events get this node's clock") {
  Feed f;
  f.end_turn({});
  CHECK(f.wires.sent.empty());
  auto viewer = f.feed.open({1, 1});
  CHECK(f.feed.has_question());
  f.end_turn({});
  CHECK_FALSE(f.feed.has_question());
  REQUIRE(f.wires.sent.size() == 2);
  CHECK(std::get<TraceAsked>(f.wires.sent[0].second).wants_state);

  f.now = f.now + milliseconds(10);
  // The clock there is 3 s ahead; the state was made 1 ms ago.
  f.hear(k1, {{f.now + seconds(3) - milliseconds(1), state_in(raft::Term(3))}}, seconds(3));
  f.end_turn(milliseconds(20));
  CHECK(f.wires.wakes > 0);
  const auto items = f.all(*viewer);
  REQUIRE(items.size() == 1);
  CHECK(items[0].node == raft::NodeId(1));
  CHECK(items[0].at == f.now - milliseconds(21));
  const auto& state = std::get<TraceState>(items[0].event);
  CHECK(state.election->deadline == Instant{seconds(6).ns});
  viewer.reset();
  f.wires.sent.clear();
  f.end_turn(seconds(2));
  CHECK(f.wires.sent.empty());
}

TEST_CASE("a peer that is not heard for 225 ms is silent, and asked for its state afterwards") {
  Feed f;
  auto viewer = f.feed.open({1, 1});
  f.end_turn({});
  for (int i = 0; i < 15; ++i) {
    f.hear(k1, {});
    f.end_turn(milliseconds(20));
  }
  auto items = f.all(*viewer);
  REQUIRE(items.size() == 1);
  CHECK(items[0].node == raft::NodeId(2));
  CHECK(std::holds_alternative<TraceSilent>(items[0].event));
  CHECK(items[0].at == Instant{seconds(20).ns});  // since when
  f.wires.sent.clear();
  f.hear(k2, {{f.now, TraceCommit{raft::Index(3)}}});
  f.end_turn(milliseconds(1));
  CHECK(f.all(*viewer).empty());  // nothing of a node before its state
  bool asked = false;
  for (const auto& [to, message] : f.wires.sent)
    asked |= to == k2 && std::get<TraceAsked>(message).wants_state;
  CHECK(asked);
  f.hear(k2, {{f.now, state_in(raft::Term(3))}, {f.now, TraceCommit{raft::Index(4)}}});
  CHECK(f.all(*viewer).size() == 2);
}

TEST_CASE("a peer that leaves and comes back begins with a state again") {
  Feed f;
  auto viewer = f.feed.open({1, 1});
  f.end_turn({});
  f.hear(k2, {{f.now, state_in(raft::Term(1))}});
  CHECK(f.all(*viewer).size() == 1);
  const raft::Log& log = f.server.raft().log();
  const raft::Index last = log.last_index();
  const raft::Term term = f.server.raft().current_term();
  raft::Configuration without = f.server.raft().configuration();
  std::erase_if(without.members, [](const raft::Member& member) { return member.id == k2; });
  raft::AppendEntries leave = paper::append(term.value, last.value, log.term_at(last)->value);
  leave.entries.push_back(raft::make_entry(last.next(), term, raft::EntryType::membership, {}, {},
                                           raft::encode_configuration(without)));
  f.server.receive(k1, leave);
  f.end_turn(milliseconds(1));
  // The next leader replaces the entry, so this server is a peer again.
  f.server.receive(
      k1, paper::append(term.value + 1, last.value, log.term_at(last)->value, {term.value + 1}));
  f.end_turn(milliseconds(1));
  f.hear(k2, {{f.now, TraceCommit{raft::Index(3)}}});
  const auto items = f.all(*viewer);
  REQUIRE(items.size() == 1);
  CHECK(std::holds_alternative<TraceSilent>(items[0].event));
  f.hear(k2, {{f.now, state_in(raft::Term(3))}, {f.now, TraceCommit{raft::Index(4)}}});
  CHECK(f.all(*viewer).size() == 2);
}

TEST_CASE("a new disk begins with a state again when the old one of the same node leaves") {
  Feed f;
  const auto configure = [&](std::vector<raft::Member> members) {
    const raft::Log& log = f.server.raft().log();
    const raft::Index last = log.last_index();
    const raft::Term term = f.server.raft().current_term();
    raft::Configuration next = f.server.raft().configuration();
    next.members = std::move(members);
    raft::AppendEntries change = paper::append(term.value, last.value, log.term_at(last)->value);
    change.entries.push_back(raft::make_entry(last.next(), term, raft::EntryType::membership, {},
                                              {}, raft::encode_configuration(next)));
    f.server.receive(k1, change);
  };
  std::vector<raft::Member> members = f.server.raft().configuration().members;
  members.push_back({k3, "http://127.0.0.1:1", paper::incarnation_of(k3), raft::NodeId(2)});
  configure(members);
  f.server.turn({raft::PeerUp{k3, paper::incarnation_of(k3), raft::PeerState{}}});
  auto viewer = f.feed.open({1, 1});
  f.end_turn({});
  f.hear(k3, {{f.now, state_in(raft::Term(1))}});
  CHECK(f.all(*viewer).size() == 1);

  std::erase_if(members, [](const raft::Member& member) { return member.id == k2; });
  configure(members);
  f.wires.sent.clear();
  f.end_turn(milliseconds(1));
  const auto items = f.all(*viewer);
  REQUIRE(items.size() == 1);
  CHECK(std::holds_alternative<TraceSilent>(items[0].event));
  REQUIRE(f.wires.sent.size() == 1);  // at once, and not only after kAskAgain
  CHECK(f.wires.sent[0].first == k3);
  CHECK(std::get<TraceAsked>(f.wires.sent[0].second).wants_state);
}

TEST_CASE("a slow viewer is told how much it missed, and states come again") {
  Feed f;
  auto slow = f.feed.open({1, 1}), fast = f.feed.open({2, 1});
  f.end_turn({});
  f.feed.add_own(raft::NodeId(0), {f.now, state_in(raft::Term(3))});
  CHECK(f.all(*fast).size() == 1);
  const std::size_t many = TraceRing<TraceItem>::kMaxItems + 10;
  for (std::size_t i = 0; i < many; ++i) {
    f.feed.add_own(raft::NodeId(0), {f.now, TraceCommit{raft::Index(i)}});
    CHECK(fast->next().has_value());
  }
  const auto first = slow->next();
  REQUIRE(first.has_value());
  CHECK(std::get<TraceDropped>(first->event).events == many + 1);
  CHECK_FALSE(slow->next().has_value());
  f.now = f.now + seconds(1);
  CHECK(f.feed.end_turn(f.server.raft(), f.wires, f.wires, f.now));
}

TEST_CASE("a node has at most 16 viewers") {
  Feed f;
  std::vector<std::unique_ptr<TraceViewer>> viewers;
  for (std::size_t i = 0; i < TraceFeed::kMaxViewers; ++i) viewers.push_back(f.feed.open({i, 1}));
  CHECK(viewers.back() != nullptr);
  CHECK(f.feed.open({99, 1}) == nullptr);
  viewers.pop_back();
  CHECK(f.feed.open({99, 1}) != nullptr);
}

}  // namespace test_trace_feed
