// What a server says once it knows that a majority of the voters has lost its disks.
#include "paper/solo_server.hpp"
#include "raft/membership.hpp"

using namespace vesper::paper;

TEST_CASE("a server says once which lost disks leave no majority, and takes it back") {
  SoloServer one({.servers = 5});
  const auto lose = [&](ServerId id) {
    one.turn({PeerGone{id}, DiskReplaced{id, Incarnation(4700 + id.value)}});
    return one.output().alarms.size();
  };
  CHECK(lose(k1) == 0);
  CHECK(lose(k2) == 0);
  CHECK(one.raft().lost_majority().empty());
  CHECK(lose(k3) == 1);
  CHECK(one.output().alarms[0].starts_with("nodes 1, 2, 3 came back without data"));
  CHECK(one.raft().lost_majority() == std::vector{NodeId(1), NodeId(2), NodeId(3)});
  one.turn({});
  CHECK(one.output().alarms.empty());
  one.turn({PeerUp{k3, incarnation_of(k3), PeerState{}}});  // its volume was not mounted
  CHECK(one.raft().lost_majority().empty());
  CHECK(lose(k3) == 1);
}

TEST_CASE("a server that knows a leader misses no majority, whoever answers without data") {
  SoloServer one;
  one.receive_and_sync(k1, heartbeat(2));
  one.turn({DiskReplaced{k1, Incarnation(4711)}, DiskReplaced{k2, Incarnation(4712)}});
  CHECK(one.output().alarms.empty());
  CHECK(one.raft().lost_majority().empty());
}

TEST_CASE("a leader whose followers are wiped says so once it leads no more") {
  SoloServer one;
  one.become_leader();
  for (const ServerId id : {k1, k2}) one.acknowledge(id, 2);
  one.turn({PeerGone{k1}});
  const auto beat = [&] {
    one.wait_for_deadline();
    if (!one.is<Leader>()) return;
    const auto round = std::get<Leader>(one.raft().role()).round;
    one.receive(k2, HeartbeatReply{one.raft().current_term(), round, Index(0), 1});
  };
  for (int i = 0; i < 8; ++i) beat();
  one.turn({DiskReplaced{k1, Incarnation(4711)}});
  REQUIRE(one.raft().configuration().find(k3) != nullptr);  // it is not committed
  one.turn({PeerGone{k2}, DiskReplaced{k2, Incarnation(4712)}});
  CHECK(one.raft().lost_majority().empty());
  std::size_t alarms = 0;
  for (int i = 0; i < 99 && one.is<Leader>(); ++i) {
    one.wait_for_deadline();
    alarms += one.output().alarms.size();
  }
  REQUIRE_FALSE(one.is<Leader>());
  CHECK(alarms == 1);
  CHECK(one.raft().lost_majority() == std::vector{NodeId(1), NodeId(2)});
  one.turn({PeerUp{k1, incarnation_of(k1), PeerState{}}});  // its volume was not mounted
  CHECK(one.raft().lost_majority().empty());
}

TEST_CASE("a voter that is being replaced counts as lost until its own disk answers") {
  SoloServer one({.servers = 5});
  Configuration replacing = one.raft().configuration();
  for (const ServerId id : {k1, k2}) {
    const DiskReplaced disk{id, Incarnation(4700 + id.value)};
    replacing = *replace_disk(replacing, disk, Index(2));
  }
  AppendEntries m = append(1, 1, 1);
  m.leader_commit = Index(2);
  m.entries.push_back(make_entry(Index(2), Term(1), EntryType::membership, {}, {},
                                 encode_configuration(replacing)));
  one.receive_and_sync(k4, m);
  one.turn({DiskReplaced{k3, Incarnation(4703)}});
  CHECK(one.raft().lost_majority().empty());  // it knows a leader
  one.wait_for_deadline();
  REQUIRE_FALSE(one.raft().leader());
  CHECK(one.raft().lost_majority() == std::vector{NodeId(1), NodeId(2), NodeId(3)});
  one.turn({PeerUp{k2, incarnation_of(k2), PeerState{}}});
  CHECK(one.raft().lost_majority().empty());
}
