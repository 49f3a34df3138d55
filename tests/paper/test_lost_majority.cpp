// What a server says once it knows that a majority of the voters has lost its disks.
#include "paper/solo_server.hpp"

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
  CHECK(one.output().alarms[0].starts_with("nodes 1, 2, 3 answer without data"));
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
