// The leader's steps of a change of the members (§6, thesis 4.2 and 4.3), and what the others make
// of them. The plans themselves are in tests/raft/test_membership.cpp.
#include "paper/solo_server.hpp"

using namespace vesper::paper;
using vesper::seconds;

namespace {

using Force = MembersRequest::Force;
using Why = MembersRefusal::Why;

constexpr ServerId k5{5};

MembersRequest add(const std::string& address, Goal goal = Goal::vote) {
  MembersRequest request;
  request.add.push_back({address, "", goal});
  return request;
}

MembersRequest remove(std::initializer_list<std::uint32_t> nodes) {
  MembersRequest request;
  for (const std::uint32_t node : nodes) request.remove.emplace_back(node);
  return request;
}

// Server 0 leads, has committed in its term, and all others answer.
class LeaderOf : public SoloServer {
 public:
  explicit LeaderOf(std::uint32_t servers) : SoloServer({.servers = servers}) {
    become_leader();
    for (std::uint32_t i = 1; i < servers; ++i) acknowledge(ServerId(i), last());
    for (std::uint32_t i = 1; i < servers; ++i) answer(ServerId(i));
    REQUIRE(raft().commit_index().value == last());
    // The leader knows by now who can be reached.
    beats(8);
    REQUIRE(is<Leader>());
  }

  std::uint64_t last() const { return raft().log().last_index().value; }
  const Configuration& now_in_force() const { return raft().configuration(); }
  const Member& member(ServerId id) const { return *raft().configuration().find(id); }

  // One heartbeat round that all members except `silent` answer.
  void beat(std::vector<ServerId> silent = {}) {
    wait_for_deadline();
    if (!is<Leader>()) return;
    std::vector<ServerId> all;
    for (const Member& each : now_in_force().members) all.push_back(each.id);
    for (const ServerId id : all)
      if (id != k0 && std::find(silent.begin(), silent.end(), id) == silent.end()) answer(id);
  }
  void beats(int count, std::vector<ServerId> silent = {}) {
    for (; count > 0; --count) beat(silent);
  }
  void answer(ServerId id) {
    const auto& leader = std::get<Leader>(raft().role());
    receive(id, HeartbeatReply{raft().current_term(), leader.round, Index(0), 1});
  }
  // Everything is durable here, and then at these servers.
  void replicate(const std::vector<ServerId>& to) {
    sync();
    for (const ServerId id : to)
      if (is<Leader>()) acknowledge(id, last());
    sync();
  }
  std::variant<Index, MembersRefusal> ask(MembersRequest request) {
    turn({ChangeMembers{7, std::move(request)}});
    REQUIRE(output().members.size() == 1);
    CHECK(output().members.front().id == 7);
    return output().members.front().outcome;
  }
  Index begin(MembersRequest request) {
    const auto outcome = ask(std::move(request));
    REQUIRE(std::holds_alternative<Index>(outcome));
    return std::get<Index>(outcome);
  }
  MembersRefusal refused(MembersRequest request) {
    const auto outcome = ask(std::move(request));
    REQUIRE(std::holds_alternative<MembersRefusal>(outcome));
    return std::get<MembersRefusal>(outcome);
  }
  // A server with an empty disk answers at the address of member `id`.
  void connect(ServerId id) { turn({PeerUp{id, incarnation_of(id), PeerState{}}}); }
};

}  // namespace

TEST_CASE("C5: a learner receives the log, and counts for nothing") {
  LeaderOf one(3);
  const Index index = one.begin(add("http://d:4", Goal::stay));
  CHECK(one.member(k3).seat == Seat::learner);
  one.sync();
  one.acknowledge(k3, index.value);
  CHECK(one.raft().commit_index() < index);
  one.acknowledge(k1, index.value);
  CHECK(one.raft().commit_index() == index);
  one.connect(k3);
  one.sync();
  CHECK(one.sent<AppendEntries>(k3).empty());
  one.acknowledge(k1, one.last());
  CHECK_FALSE(one.sent<AppendEntries>(k3).empty());
  CHECK(one.raft().committed_configuration().find(k3)->node == NodeId(3));
}

TEST_CASE("C5: a learner neither campaigns nor makes a candidate win") {
  Configuration configuration{{1, 1}, {}};
  for (std::uint32_t i = 0; i < 4; ++i)
    configuration.members.push_back({ServerId(i), "http://a:1", incarnation_of(ServerId(i))});
  configuration.members[0].seat = configuration.members[3].seat = Seat::learner;
  SoloServer learner;
  AppendEntries m = append(1, 1, 1);
  m.leader_commit = Index(2);
  m.entries.push_back(make_entry(Index(2), Term(1), EntryType::membership, {}, {},
                                 encode_configuration(configuration)));
  learner.receive(k1, m);
  learner.sync();
  CHECK_FALSE(learner.raft().configuration().find(k0)->votes());
  learner.wait(seconds(10));
  learner.wait_for_deadline();
  CHECK(learner.is<Follower>());

  configuration.members[0].seat = Seat::voter;
  configuration.members[1].seat = Seat::learner;
  SoloServer voter;
  m.entries = {make_entry(Index(2), Term(1), EntryType::membership, {}, {},
                          encode_configuration(configuration))};
  voter.receive(k1, m);
  voter.sync();
  voter.wait(seconds(10));
  voter.wait_for_deadline();
  REQUIRE(voter.is<PreCandidate>());
  voter.sync();
  voter.receive(k1, VoteReply{Term(1), Term(2), true, VoteRefusal::none});
  voter.receive(k3, VoteReply{Term(1), Term(2), true, VoteRefusal::none});
  CHECK(voter.is<PreCandidate>());
  voter.receive(k2, VoteReply{Term(1), Term(2), true, VoteRefusal::none});
  CHECK(voter.is<Candidate>());
}

TEST_CASE("C6: an addition becomes a voter once it has caught up, by a joint configuration") {
  LeaderOf one(3);
  const Index plan = one.begin(add("http://d:4"));
  CHECK(one.member(k3).goal == Goal::vote);
  CHECK(one.member(k3).plan == plan);
  one.replicate({k1, k2});
  REQUIRE(one.raft().commit_index() == plan);
  one.connect(k3);  // its incarnation is registered
  CHECK(one.member(k3).incarnation == incarnation_of(k3));
  one.replicate({k1, k2});
  one.beat();
  CHECK(one.member(k3).seat == Seat::learner);
  one.acknowledge(k3, one.last());
  one.beat();
  REQUIRE(one.member(k3).seat == Seat::incoming);
  // Two of the old three are not enough: the new set has four.
  one.replicate({k1});
  CHECK_FALSE(one.raft().committed_configuration().is_joint());
  one.replicate({k3});
  CHECK(one.raft().committed_configuration().is_joint());
  CHECK(one.member(k3).seat == Seat::voter);  // C-new follows at once
  one.replicate({k1, k3});
  CHECK(one.raft().committed_configuration().find(k3)->seat == Seat::voter);
  CHECK(one.raft().committed_configuration().find(k3)->goal == Goal::stay);
}

TEST_CASE(
    "C6: a learner that has fallen behind again does not vote before it has caught up again") {
  LeaderOf one(3);
  one.begin(add("http://d:4", Goal::stay));
  one.replicate({k1, k2});
  one.connect(k3);
  one.replicate({k1, k2, k3});
  one.beat();
  // From now on it answers heartbeats, and takes nothing in.
  one.propose();
  one.replicate({k1, k2});
  one.beats(8);
  MembersRequest promote;
  promote.promote = {NodeId(3)};
  one.begin(promote);
  one.replicate({k1, k2});
  one.beats(8);
  CHECK(one.member(k3).goal == Goal::vote);
  CHECK(one.member(k3).seat == Seat::learner);
  one.acknowledge(k3, one.last());
  one.beat();
  CHECK(one.member(k3).seat == Seat::incoming);
}

TEST_CASE("C4: while the configuration is joint, both sets have to agree") {
  LeaderOf one(5);
  one.begin(remove({3, 4}));
  CHECK(one.now_in_force().is_joint());
  one.sync();
  // Of the old set {0, 1, 2, 3, 4} three are enough, of the new one {0, 1, 2} two.
  one.acknowledge(k3, one.last());
  one.acknowledge(k4, one.last());
  CHECK(one.raft().commit_index().value < one.last());
  one.acknowledge(k1, one.last());
  CHECK(one.raft().committed_configuration().is_joint());
}

TEST_CASE("C4: a candidate needs a majority of both sets") {
  Configuration configuration{{1, 1}, {}};
  for (std::uint32_t i = 0; i < 6; ++i) {
    configuration.members.push_back({ServerId(i), "http://a:1", incarnation_of(ServerId(i))});
    configuration.members.back().seat = i < 3 ? Seat::outgoing : Seat::incoming;
  }
  SoloServer one;
  one.follow_with(configuration);
  one.wait_for_deadline();
  REQUIRE(one.is<PreCandidate>());
  for (const ServerId id : {k1, k2, k3})
    one.receive(id, VoteReply{Term(1), Term(2), true, VoteRefusal::none});
  CHECK(one.is<PreCandidate>());
  one.receive(k4, VoteReply{Term(1), Term(2), true, VoteRefusal::none});
  REQUIRE(one.is<Candidate>());
  one.sync();
  for (const ServerId id : {k3, k4, k5}) one.vote_for_it(id);
  CHECK(one.is<Candidate>());
  one.vote_for_it(k1);
  CHECK(one.is<Leader>());
}

TEST_CASE("C1: no change before the one before it is committed") {
  LeaderOf one(3);
  const Index first = one.begin(add("http://d:4"));
  const MembersRefusal refusal = one.refused(add("http://e:5"));
  CHECK(refusal.why == Why::change_in_progress);
  CHECK(refusal.index == first);
  one.replicate({k1, k2});
  one.begin(add("http://e:5"));
  CHECK(one.now_in_force().members.size() == 5);
}

TEST_CASE("C2: a leader changes nothing before it has committed in its own term") {
  SoloServer one({.servers = 3, .log = {1, 1}});
  one.become_leader();
  one.turn({ChangeMembers{1, remove({2})}});
  REQUIRE(one.output().members.size() == 1);
  CHECK(std::get<MembersRefusal>(one.output().members.front().outcome).why == Why::not_leading);
  CHECK(one.raft().configuration().voters() == 3);
}

TEST_CASE("C3: a change that is truncated is undone") {
  LeaderOf one(3);
  one.begin(remove({2}));
  const Index last = one.raft().log().last_index();
  CHECK(one.now_in_force().is_joint());
  AppendEntries m = append(9, last.value - 1, one.terms()[last.value - 2], {9});
  one.receive(k1, m);
  CHECK_FALSE(one.now_in_force().is_joint());
  CHECK(one.now_in_force().voters() == 3);
}

TEST_CASE("C9: a leader that a joint configuration leaves out commits C-new without itself") {
  // The leader before it began the removal of server 0, and server 0 won the election after it.
  Configuration joint{{1, 1}, {}};
  for (std::uint32_t i = 0; i < 4; ++i)
    joint.members.push_back({ServerId(i), "http://a:1", incarnation_of(ServerId(i))});
  joint.members[0].seat = Seat::outgoing;
  joint.members[0].goal = Goal::leave;
  SoloServer one({.servers = 4});
  one.follow_with(joint);
  one.become_leader();
  for (const ServerId id : {k1, k2}) one.acknowledge(id, 3);
  CHECK(one.raft().commit_index() == Index(3));
  // It hands over, but its successor does not campaign.
  REQUIRE(std::get<Leader>(one.raft().role()).hand_over.has_value());
  for (int i = 0; i < 10 && one.is<Leader>() && one.raft().log().last_index() == Index(3); ++i) {
    one.wait_for_deadline();
    const auto& leader = std::get<Leader>(one.raft().role());
    for (const ServerId id : {k1, k2, k3})
      one.receive(id, HeartbeatReply{one.raft().current_term(), leader.round, Index(0), 1});
  }
  REQUIRE(one.raft().log().last_index() == Index(4));
  REQUIRE(one.raft().configuration().find(k0) == nullptr);  // C-new
  one.sync();
  one.acknowledge(k1, 4);
  CHECK(one.raft().commit_index() == Index(3));  // it does not count itself: 1 of 3
  CHECK(one.is<Leader>());
  one.acknowledge(k2, 4);
  CHECK(one.raft().commit_index() == Index(4));
  CHECK(one.is<Follower>());
  CHECK(one.raft().is_removed());
  one.wait(seconds(10));
  one.wait_for_deadline();
  CHECK(one.is<Follower>());
}

TEST_CASE("a round of reads ends when all who have not answered it are voters no more") {
  LeaderOf one(3);
  one.turn({ReadIndex{3}});
  one.begin(remove({1, 2}));
  one.sync();
  CHECK(one.output().reads.empty());
  one.acknowledge(k1, one.last());  // no heartbeat of the round is answered
  REQUIRE(one.now_in_force().members.size() == 1);
  REQUIRE(one.output().reads.size() == 1);
  CHECK(one.output().reads[0].id == 3);
  one.turn({ReadIndex{4}});
  REQUIRE(one.output().reads.size() == 1);
  CHECK(one.output().reads[0].id == 4);
}

TEST_CASE("thesis 4.2.2: a server that is left out campaigns until that is committed") {
  Configuration joint{{1, 1}, {}};
  for (std::uint32_t i = 0; i < 3; ++i)
    joint.members.push_back({ServerId(i), "http://a:1", incarnation_of(ServerId(i))});
  joint.members[0].seat = Seat::outgoing;
  joint.members[0].goal = Goal::leave;
  SoloServer one({.servers = 3});
  AppendEntries m = append(1, 1, 1);
  m.leader_commit = Index(2);
  for (const auto& [index, configuration] : {std::pair{2u, joint}, {3u, end_joint(joint)}})
    m.entries.push_back(make_entry(Index(index), Term(1), EntryType::membership, {}, {},
                                   encode_configuration(configuration)));
  one.receive(k1, m);
  one.sync();
  REQUIRE(one.raft().configuration().find(k0) == nullptr);
  one.wait(seconds(10));
  one.wait_for_deadline();
  REQUIRE(one.is<PreCandidate>());
  for (const ServerId id : {k1, k2})
    one.receive(id, VoteReply{Term(1), Term(2), true, VoteRefusal::none});
  one.sync();
  for (const ServerId id : {k1, k2}) one.vote_for_it(id);
  REQUIRE(one.is<Leader>());
  one.sync();
  one.acknowledge(k1, 4);
  CHECK(one.raft().commit_index() == Index(2));
  one.acknowledge(k2, 4);
  CHECK(one.raft().commit_index() == Index(4));
  CHECK(one.raft().is_removed());
}

TEST_CASE("a leader that is to leave hands leadership over first") {
  LeaderOf one(3);
  for (const ServerId id : {k1, k2}) one.acknowledge(id, one.last());
  const Index plan = one.begin(remove({0}));
  CHECK_FALSE(one.now_in_force().is_joint());
  CHECK(one.member(k0).goal == Goal::leave);
  one.replicate({k1, k2});
  REQUIRE(one.raft().commit_index() == plan);
  one.beat();
  one.beat();
  CHECK_FALSE(one.now_in_force().is_joint());
  CHECK(one.sent<TimeoutNow>(k1).size() + one.sent<TimeoutNow>(k2).size() +
            (std::get<Leader>(one.raft().role()).hand_over.has_value() ? 1 : 0) >=
        1);
}

TEST_CASE("if all voters leave, the joint configuration comes first, and then the hand-over") {
  LeaderOf one(1);
  MembersRequest request = remove({0});
  request.add.push_back({"http://d:4", "", Goal::vote});
  one.begin(request);
  one.replicate({});
  one.connect(k1);
  one.replicate({});
  REQUIRE(one.member(k1).incarnation == incarnation_of(k1));
  one.acknowledge(k1, one.last());
  one.beat();
  REQUIRE(one.now_in_force().is_joint());
  CHECK(one.member(k0).seat == Seat::outgoing);
  one.replicate({k1});
  REQUIRE(one.raft().committed_configuration().is_joint());
  REQUIRE(std::get<Leader>(one.raft().role()).hand_over.has_value());
  CHECK(std::get<Leader>(one.raft().role()).hand_over->to == k1);
}

TEST_CASE("C13: a member gets entries only once it is committed that it is one") {
  LeaderOf one(3);
  one.turn({PeerGone{k2}});
  one.beats(8, {k2});
  one.turn({DiskReplaced{k2, Incarnation(4711)}});
  one.turn({PeerUp{k3, Incarnation(4711), PeerState{}}});
  one.sync();
  CHECK(one.sent<AppendEntries>(k3).empty());
  one.acknowledge(k1, one.last());
  CHECK_FALSE(one.sent<AppendEntries>(k3).empty());
}

TEST_CASE("C13: a report about a disk that was taken in is forgotten") {
  LeaderOf one(3);
  one.turn({PeerGone{k2}});
  one.beats(8, {k2});
  one.turn({DiskReplaced{k2, Incarnation(4711)}});
  one.replicate({k1});
  one.turn({DiskReplaced{k3, Incarnation(4712)}});  // wiped again
  one.replicate({k1});
  CHECK(one.member(k4).incarnation == Incarnation(4712));
  for (int i = 0; i < 3; ++i) one.turn({});
  CHECK(one.now_in_force().unused_id() == k5);
  CHECK(one.now_in_force().find(k4) != nullptr);
}

TEST_CASE("C12: a server that has left disturbs no one") {
  LeaderOf one(4);
  one.begin(remove({3}));
  one.replicate({k1, k2, k3});
  one.replicate({k1, k2, k3});
  REQUIRE(one.raft().committed_configuration().find(k3) == nullptr);
  const Term before = one.raft().current_term();
  one.receive(k3, VoteRequest{Term(99), false, Index(99), Term(98), {1, 1}, true});
  one.receive(k3, HeartbeatReply{Term(99), 1});
  CHECK(one.raft().current_term() == before);
  CHECK(one.is<Leader>());
  CHECK(one.raft().has_left(k3));
  CHECK_FALSE(one.raft().has_left(k4));  // not given yet: this server may only lag
}

TEST_CASE("a server that has left is told so, for a while") {
  LeaderOf one(4);
  one.begin(remove({3}));
  one.replicate({k1, k2});
  one.replicate({k1, k2});
  REQUIRE(one.raft().committed_configuration().find(k3) == nullptr);
  CHECK(one.raft().progress_of(k3) != nullptr);
  one.beats(40, {k3});
  CHECK(one.raft().progress_of(k3) == nullptr);
}

TEST_CASE("C13: a lost disk comes back under a new number, and votes when it has caught up") {
  LeaderOf one(3);
  const Incarnation fresh(4711);
  one.turn({PeerGone{k2}});
  one.beats(8, {k2});
  one.turn({DiskReplaced{k2, fresh}});
  const Member added = one.member(k3);
  CHECK(added.node == NodeId(2));
  CHECK(added.incarnation == fresh);
  CHECK(added.seat == Seat::learner);
  CHECK(one.member(k2).goal == Goal::leave);
  // The same disk is not taken in twice.
  one.replicate({k1});
  one.turn({DiskReplaced{k2, fresh}});
  CHECK(one.now_in_force().members.size() == 4);
  const auto receive = [&](Message m) { one.turn({Received{k3, fresh, std::move(m)}}); };
  one.turn({PeerUp{k3, fresh, PeerState{}}});
  const auto caught_up = [&] {
    receive(AppendReply{
        .term = one.raft().current_term(), .success = true, .match_index = Index(one.last())});
    receive(HeartbeatReply{one.raft().current_term(), std::get<Leader>(one.raft().role()).round,
                           Index(0), 1});
  };
  caught_up();
  one.beat({k2, k3});
  caught_up();
  one.turn({});
  REQUIRE(one.member(k3).seat == Seat::incoming);
  CHECK(one.member(k2).seat == Seat::outgoing);
  one.replicate({k1});
  REQUIRE(one.raft().committed_configuration().is_joint());
  CHECK(one.now_in_force().find(k2) == nullptr);  // C-new follows at once
  one.replicate({k1});
  CHECK(one.raft().committed_configuration().find(k2) == nullptr);
  CHECK(one.raft().committed_configuration().find(NodeId(2))->id == k3);
  CHECK(one.raft().has_left(k2));
}

TEST_CASE("C13: without a place for its new disk a member waits, and the leader says so once") {
  LeaderOf one(kMaxServers);
  std::vector<ServerId> others;
  for (std::uint32_t i = 1; i < kMaxServers - 1; ++i)
    if (ServerId(i) != k2) others.emplace_back(i);
  one.turn({PeerGone{k2}});
  one.beats(8, {k2});
  const std::uint64_t last = one.last();
  one.turn({DiskReplaced{k2, Incarnation(4711)}});
  REQUIRE(one.output().alarms.size() == 1);
  CHECK(one.output().alarms[0].find("there are 64 members") != std::string::npos);
  one.turn({DiskReplaced{k2, Incarnation(4711)}});
  CHECK(one.output().alarms.empty());
  CHECK(one.last() == last);
  one.begin(remove({kMaxServers - 1}));
  for (int step = 0; step < 2; ++step) one.replicate(others);
  one.turn({});
  REQUIRE(one.now_in_force().find(ServerId(kMaxServers)) != nullptr);
  CHECK(one.member(ServerId(kMaxServers)).incarnation == Incarnation(4711));
}

TEST_CASE("C13: a disk that was only away keeps its place") {
  LeaderOf one(3);
  one.turn({PeerGone{k2}});
  one.beats(8, {k2});
  one.turn({DiskReplaced{k2, Incarnation(4711)}});
  one.replicate({k1});
  REQUIRE(one.now_in_force().find(k3) != nullptr);
  one.turn({PeerUp{k2, incarnation_of(k2), PeerState{}}});
  one.beat({k3});
  one.beat({k3});
  CHECK(one.now_in_force().find(k3) == nullptr);
  CHECK(one.member(k2).goal == Goal::stay);
  CHECK(one.now_in_force().unused_id() == k4);  // the number is not given again
}

TEST_CASE("a change that leaves no reachable majority is refused, unless it is forced") {
  LeaderOf one(3);
  one.beats(8, {k2});
  const MembersRefusal refusal = one.refused(remove({1}));
  CHECK(refusal.why == Why::would_lose_quorum);
  CHECK(refusal.nodes == std::vector{NodeId(2)});
  CHECK_FALSE(one.now_in_force().is_joint());
  MembersRequest forced = remove({1});
  forced.force = Force::yes;
  one.begin(forced);
  CHECK(one.now_in_force().is_joint());
}

TEST_CASE("an addition that never catches up blocks no other, and can be withdrawn") {
  LeaderOf one(3);
  const Index first = one.begin(add("http://nowhere:1"));
  one.replicate({k1, k2});
  // Another change begins and ends meanwhile.
  one.begin(remove({2}));
  one.replicate({k1, k2});
  one.replicate({k1});
  CHECK(one.raft().committed_configuration().find(k2) == nullptr);
  CHECK(one.member(k3).plan == first);
  one.begin(remove({3}));
  CHECK(one.now_in_force().find(k3) == nullptr);
}

TEST_CASE("a new leader carries a plan on") {
  // Server 0 gets the plan from the leader before it, and then leads.
  Configuration planned{{1, 1}, {}};
  for (std::uint32_t i = 0; i < 4; ++i)
    planned.members.push_back({ServerId(i), "http://a:1", incarnation_of(ServerId(i))});
  planned.members[3].seat = Seat::learner;
  planned.members[3].goal = Goal::vote;
  planned.members[3].plan = planned.members[2].plan = Index(2);
  planned.members[2].goal = Goal::leave;
  SoloServer one({.servers = 3});
  one.follow_with(planned);
  one.become_leader();
  one.acknowledge(k1, 3);
  one.acknowledge(k2, 3);
  REQUIRE(one.raft().commit_index() == Index(3));
  one.acknowledge(k3, 3);
  const auto& leader = std::get<Leader>(one.raft().role());
  for (const ServerId id : {k1, k2, k3})
    one.receive(id, HeartbeatReply{one.raft().current_term(), leader.round, Index(0), 1});
  one.turn({});
  CHECK(one.raft().configuration().find(k3)->seat == Seat::incoming);
  CHECK(one.raft().configuration().find(k2)->seat == Seat::outgoing);
}
