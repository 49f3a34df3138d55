// Feature levels: what the members' builds understand, and what may be used (C14).
#include "paper/solo_server.hpp"

using namespace vesper::paper;

namespace {

// Three members, of which 2 runs an older build.
Configuration with_an_older_build() {
  Configuration members{{1, 1}, {}};
  for (std::uint32_t i = 0; i < 3; ++i)
    members.members.push_back({ServerId(i), "http://a:1", incarnation_of(ServerId(i))});
  members.members[2].level = members.level = kFeatureLevel - 1;
  return members;
}

void lead_with_an_older_build(SoloServer& one) {
  one.follow_with(with_an_older_build());
  one.become_leader();
  one.acknowledge(k1, 3);
}

}  // namespace

TEST_CASE("C14: a build that lacks the level in use is not registered") {
  SoloServer one({.servers = 3});
  lead_with_an_older_build(one);
  one.turn({PeerUp{k2, incarnation_of(k2), PeerState{}}});
  REQUIRE(one.raft().configuration().level == kFeatureLevel);
  const Index last = one.raft().log().last_index();
  one.turn({PeerUp{k2, incarnation_of(k2), PeerState{.level = kFeatureLevel - 1}}});
  CHECK(one.raft().log().last_index() == last);
  CHECK(one.raft().configuration().find(k2)->level == kFeatureLevel);
}

TEST_CASE("C14: an upgrade raises no level past a build that is registered together with it") {
  SoloServer one({.servers = 3});
  Configuration old = with_an_older_build();
  old.members[0].level = kFeatureLevel - 1;  // before this start
  old.members[2].incarnation = {};
  old.members[2].level = 0;
  one.follow_with(old);
  one.turn({PeerUp{k2, incarnation_of(k2), PeerState{.level = kFeatureLevel - 1}}});
  one.become_leader();
  one.acknowledge(k1, 3);
  const Configuration& now = one.raft().configuration();
  CHECK(now.find(k0)->level == kFeatureLevel);
  CHECK(now.find(k2)->incarnation == incarnation_of(k2));
  CHECK(now.find(k2)->level == kFeatureLevel - 1);
  CHECK(now.level == kFeatureLevel - 1);
}

TEST_CASE("C14: a feature is used only when every member that was met has it") {
  SoloServer one({.servers = 3});
  lead_with_an_older_build(one);
  MembersRequest removal;
  removal.remove.emplace_back(1);
  one.turn({ChangeMembers{1, removal}});
  REQUIRE(one.output().members.size() == 1);
  const auto refusal = std::get<MembersRefusal>(one.output().members.front().outcome);
  CHECK(refusal.why == MembersRefusal::Why::too_old);
  CHECK(refusal.nodes == std::vector{NodeId(2)});
  // Server 2 comes back with this build.
  one.turn({PeerUp{k2, incarnation_of(k2), PeerState{}}});
  CHECK(one.raft().configuration().find(k2)->level == kFeatureLevel);
  CHECK(one.raft().configuration().level == kFeatureLevel);
  // It is registered once.
  const Index last = one.raft().log().last_index();
  one.turn({PeerUp{k2, incarnation_of(k2), PeerState{}}});
  CHECK(one.raft().log().last_index() == last);
}
