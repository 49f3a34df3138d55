// When a server with an empty log may found a cluster: raft/founding.hpp, and what Raft does with
// it.
#include <doctest/doctest.h>

#include "paper/solo_server.hpp"
#include "raft/founding.hpp"

using namespace vesper;
using namespace vesper::raft;
using namespace vesper::paper;

namespace {

constexpr Instant kBegin{1'000'000'000};
constexpr Duration kPatience = seconds(5);
constexpr PeerState kEmpty{};
constexpr PeerState kBegun{.term = Term(3), .last_index = Index(1)};  // a Bootstrap, not committed
constexpr Id128 kCluster{7, 7};
constexpr PeerState kFounded{.cluster_id = kCluster, .term = Term(3), .last_index = Index(9)};

ServerId id(std::uint32_t number) {
  return ServerId(number);
}

Founding of(std::uint32_t servers) {
  std::vector<Member> listed;
  for (std::uint32_t i = 0; i < servers; ++i) listed.push_back({id(i), "http://127.0.0.1:1", {}});
  return Founding(id(0), listed, kPatience, kBegin);
}

VoteRequest founder(std::uint64_t term) {
  VoteRequest request = vote(term, 0, 0);
  request.cluster_id = {};
  return request;
}

VoteRefusal answer_to(SoloServer& one, ServerId from, const VoteRequest& request) {
  one.receive_and_sync(from, request);
  return one.one<VoteReply>(from).refusal;
}

}  // namespace

TEST_CASE("a server that is alone in the list founds at once") {
  CHECK(of(1).is_allowed(kBegin));
}

TEST_CASE("a server founds at once when every other server has said that its log is empty") {
  Founding founding = of(3);
  CHECK_FALSE(founding.is_allowed(kBegin));
  founding.on_said(id(1), kEmpty, kBegin);
  CHECK_FALSE(founding.is_allowed(kBegin));
  CHECK(founding.missing() == std::vector{id(2)});
  founding.on_said(id(2), kEmpty, kBegin);
  CHECK(founding.is_unanimous());
  CHECK(founding.is_allowed(kBegin));
  // The next process there may have another list and another directory: it has to say so itself.
  founding.on_gone(id(2), kBegin);
  CHECK_FALSE(founding.is_allowed(kBegin));
}

TEST_CASE("a majority waits for servers that say nothing, and a minority never founds") {
  Founding founding = of(5);
  founding.on_connected(id(1), kBegin);
  CHECK(founding.waits_until() == kNever);
  CHECK_FALSE(founding.is_allowed(kBegin + seconds(3600)));
  const Instant there = kBegin + seconds(10);
  founding.on_connected(id(2), there);
  CHECK(founding.waits_until() == there + kPatience);
  CHECK_FALSE(founding.is_allowed(there + kPatience - nanoseconds(1)));
  CHECK(founding.is_allowed(there + kPatience));
  // The wait counts from when the majority is there again.
  founding.on_gone(id(2), there + seconds(1));
  CHECK_FALSE(founding.is_allowed(there + kPatience));
  founding.on_connected(id(3), there + seconds(4));
  CHECK(founding.waits_until() == there + seconds(4) + kPatience);
}

TEST_CASE("a server that has seen a cluster never founds, whatever follows") {
  for (const bool refused : {true, false}) {
    Founding founding = of(3);
    founding.on_said(id(1), kEmpty, kBegin);
    founding.on_said(id(2), kFounded, kBegin);
    if (refused) founding.on_gone(id(2), kBegin);
    founding.on_said(id(2), kEmpty, kBegin);  // it has lost its disk since
    founding.on_connected(id(1), kBegin);
    CHECK(founding.cluster_seen({}) == kCluster);
    CHECK_FALSE(founding.cluster_seen(kCluster).has_value());
    CHECK_FALSE(founding.is_unanimous());
    CHECK_FALSE(founding.is_allowed(kBegin + seconds(3600)));
    CHECK(founding.waits_until() == kNever);
  }
}

TEST_CASE("a server that still reads its log, or has one, restarts the wait") {
  for (const std::optional<PeerState>& said : {std::optional<PeerState>{}, std::optional{kBegun}}) {
    Founding founding = of(3);
    founding.on_connected(id(1), kBegin);
    founding.on_said(id(1), kEmpty, kBegin);
    founding.on_said(id(2), said, kBegin + seconds(4));
    CHECK_FALSE(founding.is_allowed(kBegin + kPatience));
    founding.on_said(id(2), said, kBegin + seconds(8));
    CHECK_FALSE(founding.is_allowed(kBegin + seconds(12)));
    CHECK(founding.is_allowed(kBegin + seconds(13)));
  }
}

TEST_CASE(
    "no cluster is founded while a server with a log is reachable, however long it is silent") {
  Founding founding = of(3);
  for (const std::uint32_t other : {1u, 2u}) founding.on_connected(id(other), kBegin);
  founding.on_said(id(1), kEmpty, kBegin);
  founding.on_said(id(2), kBegun, kBegin);
  CHECK(founding.holder() == id(2));
  CHECK(founding.waits_until() == kNever);
  CHECK_FALSE(founding.is_allowed(kBegin + seconds(3600)));
  // Its process is gone, and what it has shown with it.
  founding.on_gone(id(2), kBegin + seconds(10));
  CHECK_FALSE(founding.holder().has_value());
  CHECK(founding.is_allowed(kBegin + seconds(10)));
}

TEST_CASE("a server that is not in the list only keeps this one from founding") {
  Founding founding = of(2);
  founding.on_said(id(7), kFounded, kBegin);
  founding.on_connected(id(7), kBegin);
  CHECK(founding.cluster_seen({}) == kCluster);
  CHECK(founding.missing() == std::vector{id(1)});
  founding.on_said(id(1), kEmpty, kBegin);
  CHECK_FALSE(founding.is_allowed(kBegin));
}

// ---- in Raft -------------------------------------------------------------------------------

TEST_CASE(
    "founding: a server neither campaigns nor votes before all others have said they are empty") {
  SoloServer one({.log = {}, .alone = true});
  one.turn({PeerUp{k1, incarnation_of(k1), {}}});
  for (int i = 0; i < 5; ++i) one.wait_for_deadline();
  CHECK(one.is<Follower>());
  CHECK(answer_to(one, k1, founder(1)) == VoteRefusal::founding_waits);
  one.turn({PeerSaid{k2, PeerState{}}});
  CHECK(answer_to(one, k1, founder(1)) == VoteRefusal::none);
}

TEST_CASE(
    "founding: a majority founds after --found-after, and reports the missing servers until then") {
  SoloServer one({.log = {}, .alone = true});
  one.turn({PeerUp{k1, incarnation_of(k1), {}}});
  const Instant from = one.now();
  std::vector<std::string> said;
  while (one.is<Follower>() && one.now() < from + seconds(6)) {
    one.wait_for_deadline();
    for (const std::string& note : one.output().notes)
      if (note.find("server 2 (http://127.0.0.1:1)") != std::string::npos) said.push_back(note);
  }
  CHECK(one.now() >= from + seconds(5));
  CHECK(one.is<PreCandidate>());
  REQUIRE(said.size() == 5);
  CHECK(said.front().find("in 5 s") != std::string::npos);
  CHECK(said.back().find("in 1 s") != std::string::npos);
}

TEST_CASE("founding: one refusal that names a cluster is enough, and is remembered") {
  SoloServer one({.log = {}});
  one.turn({PeerSaid{k1, kFounded}});
  one.turn({PeerUp{k1, incarnation_of(k1), {}}, PeerUp{k2, incarnation_of(k2), {}}});
  for (int i = 0; i < 50; ++i) one.wait_for_deadline();
  CHECK(one.is<Follower>());
  CHECK(answer_to(one, k2, founder(9)) == VoteRefusal::other_cluster);
  CHECK(one.raft().cluster_seen() == kCluster);
}

TEST_CASE("founding: a refusal because of a log keeps an empty server from founding") {
  SoloServer one({.log = {}});
  one.turn({PeerUp{k1, incarnation_of(k1), {}}, PeerUp{k2, incarnation_of(k2), {}}});
  one.become_pre_candidate();
  one.receive(k1, VoteReply{Term(0), Term(1), true, VoteRefusal::log_behind});
  CHECK_FALSE(one.raft().founding().is_allowed(one.now()));
}

TEST_CASE("E4: a server that may have lost its disk does not vote in terms that others know") {
  SoloServer one({.log = {}, .alone = true});
  one.turn({PeerSaid{k1, PeerState{.term = Term(4)}}, PeerSaid{k2, PeerState{}}});
  CHECK(one.raft().current_term() == Term(4));
  CHECK(answer_to(one, k1, founder(4)) == VoteRefusal::old_term);
  CHECK(answer_to(one, k2, founder(5)) == VoteRefusal::none);
  CHECK(answer_to(one, k2, founder(5)) == VoteRefusal::none);  // its answer got lost
  CHECK(answer_to(one, k1, founder(5)) == VoteRefusal::already_voted);
}

TEST_CASE("founding: the Bootstrap registers no server that has been silent for long") {
  SoloServer one({.log = {}});
  one.turn({PeerUp{k1, incarnation_of(k1), {}}, PeerUp{k2, incarnation_of(k2), {}}});
  one.wait(seconds(1));
  one.become_leader();
  const auto founded = decode_configuration(one.raft().log().at(Index(1)).payload().view());
  REQUIRE(founded.ok());
  CHECK(founded->members[1].incarnation == incarnation_of(k1));
  CHECK(founded->members[2].incarnation == Incarnation(0));
  // It is registered once it has answered.
  one.acknowledge(k1, 1);
  CHECK(one.raft().configuration().members[2].incarnation == Incarnation(0));
  one.receive(k2, HeartbeatReply{one.raft().current_term(), 1, Index(0), 1});
  CHECK(one.raft().configuration().members[2].incarnation == incarnation_of(k2));
}

TEST_CASE("C2: a leader registers no voter before it has committed in its term") {
  SoloServer one({.log = {}});
  one.turn({PeerUp{k1, incarnation_of(k1), {}}, PeerUp{k2, incarnation_of(k2), {}}});
  one.wait(seconds(1));
  one.become_leader();
  one.receive(k2, HeartbeatReply{one.raft().current_term(), 1, Index(0), 1});
  CHECK(one.raft().log().last_index() == Index(1));
  CHECK(one.raft().configuration().members[2].incarnation == Incarnation(0));
  one.acknowledge(k1, 1);
  CHECK(one.raft().configuration().members[2].incarnation == incarnation_of(k2));
}

TEST_CASE("C3: a configuration is in force from its append until it is truncated") {
  const auto bootstrap = [](std::uint64_t term, Id128 cluster) {
    Configuration founded{cluster, {}};
    for (const ServerId id : {k0, k1, k2})
      founded.members.push_back({id, "http://127.0.0.1:1", incarnation_of(id)});
    AppendEntries m = append(term, 0, 0);
    m.entries.push_back(make_entry(Index(1), Term(term), EntryType::bootstrap, {}, {},
                                   encode_configuration(founded)));
    return m;
  };
  SoloServer one({.log = {}});
  one.receive(k1, bootstrap(1, {3, 3}));
  CHECK(one.raft().configuration().cluster_id == Id128{3, 3});
  one.receive(k2, bootstrap(2, {9, 9}));
  CHECK(one.raft().configuration().cluster_id == Id128{9, 9});
}
