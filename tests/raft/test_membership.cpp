// Plans for changes of the members, as functions of a configuration (raft/membership.hpp).
#include <doctest/doctest.h>

#include <initializer_list>

#include "raft/electorate.hpp"
#include "raft/entry.hpp"
#include "raft/membership.hpp"

using namespace vesper;
using namespace vesper::raft;

namespace {

using Why = MembersRefusal::Why;
constexpr Index kPlan{50};

Configuration of(std::uint32_t voters) {
  Configuration configuration{{7, 7}, {}};
  for (std::uint32_t i = 0; i < voters; ++i)
    configuration.members.push_back(
        {ServerId(i), "http://s" + std::to_string(i) + ":1", Incarnation(100 + i)});
  configuration.index = Index(1);
  return configuration;
}

MembersRequest adding(const std::string& address, Goal goal = Goal::vote) {
  MembersRequest request;
  request.add.push_back({address, "", goal});
  return request;
}

MembersRequest removing(std::initializer_list<std::uint32_t> nodes) {
  MembersRequest request;
  for (const std::uint32_t node : nodes) request.remove.emplace_back(node);
  return request;
}

Configuration planned(const Configuration& now, const MembersRequest& request,
                      Index index = kPlan) {
  auto next = plan_change(now, request, index);
  REQUIRE(std::holds_alternative<Configuration>(next));
  return std::get<Configuration>(std::move(next));
}

MembersRefusal refused(const Configuration& now, const MembersRequest& request) {
  auto next = plan_change(now, request, kPlan);
  REQUIRE(std::holds_alternative<MembersRefusal>(next));
  return std::get<MembersRefusal>(std::move(next));
}

// "0v 1o 3i 4l": numbers and seats.
std::string seats(const Configuration& configuration) {
  std::string text;
  for (const Member& member : configuration.members) {
    text += (text.empty() ? "" : " ") + std::to_string(member.id.value);
    text += "lvio"[static_cast<int>(member.seat)];
  }
  return text;
}

}  // namespace

TEST_CASE("an addition becomes a learner with the next number and node id") {
  const Configuration next = planned(of(3), adding("http://d:1"));
  CHECK(seats(next) == "0v 1v 2v 3l");
  CHECK(next.members[3].node == NodeId(3));
  CHECK(next.members[3].name == "http://d:1");
  CHECK(next.members[3].incarnation == Incarnation(0));
  CHECK(next.members[3].goal == Goal::vote);
  CHECK(seats(begin_joint(next, kPlan)) == "0v 1v 2v 3i");
  CHECK(seats(end_joint(begin_joint(next, kPlan))) == "0v 1v 2v 3v");
  CHECK(seats(end_joint(begin_joint(planned(of(3), adding("http://d:1", Goal::stay)), kPlan))) ==
        "0v 1v 2v 3l");
}

TEST_CASE("numbers and node ids are given once") {
  Configuration now = planned(of(3), adding("http://d:1"));
  now = planned(now, removing({3}));
  CHECK(seats(now) == "0v 1v 2v");
  now = planned(now, adding("http://e:1"));
  CHECK(now.members.back().id == ServerId(4));
  CHECK(now.members.back().node == NodeId(4));
  now = end_joint(begin_joint(planned(now, removing({2})), kPlan));
  CHECK(now.unused_id() == ServerId(5));
  CHECK(now.unused_node() == NodeId(5));
}

TEST_CASE("any set becomes any set by one joint configuration") {
  MembersRequest request = removing({0, 1, 2});
  for (const char* address : {"http://d:1", "http://e:1", "http://f:1"})
    request.add.push_back({address, "", Goal::vote});
  const Configuration next = planned(of(3), request);
  CHECK(seats(next) == "0v 1v 2v 3l 4l 5l");
  const Configuration joint = begin_joint(next, kPlan);
  CHECK(seats(joint) == "0o 1o 2o 3i 4i 5i");
  CHECK(joint.is_joint());
  CHECK(joint.voters() == 3);
  const Configuration end = end_joint(joint);
  CHECK(seats(end) == "3v 4v 5v");
  CHECK_FALSE(end.is_joint());
  CHECK(plans_of(end).empty());
}

TEST_CASE("voters become learners and learners voters") {
  MembersRequest demote;
  demote.demote = {NodeId(2)};
  Configuration now = planned(of(3), demote);
  CHECK(seats(begin_joint(now, kPlan)) == "0v 1v 2o");
  now = end_joint(begin_joint(now, kPlan));
  CHECK(seats(now) == "0v 1v 2l");
  CHECK(now.members[2].goal == Goal::stay);
  MembersRequest promote;
  promote.promote = {NodeId(2), NodeId(1)};
  now = planned(now, promote);
  CHECK(now.members[1].goal == Goal::stay);  // it votes already
  CHECK(seats(begin_joint(now, kPlan)) == "0v 1v 2i");
}

TEST_CASE("an update changes the address, and the name only if it was the address") {
  Configuration now = of(3);
  now.members[1].name = "paris";
  MembersRequest request;
  request.update = {{NodeId(0), "http://x:1"}, {NodeId(1), "http://y:1"}};
  now = planned(now, request);
  CHECK(now.members[0].address == "http://x:1");
  CHECK(now.members[0].name == "http://x:1");
  CHECK(now.members[1].address == "http://y:1");
  CHECK(now.members[1].name == "paris");
  CHECK(plans_of(now).empty());
}

TEST_CASE("a request that contradicts itself or the members is refused whole") {
  CHECK(refused(of(3), removing({7})).why == Why::unknown_node);
  CHECK(refused(of(3), removing({7})).nodes == std::vector{NodeId(7)});
  CHECK(refused(of(3), removing({1, 1})).why == Why::repeated_node);
  CHECK(refused(of(3), removing({0, 1, 2})).why == Why::no_voter);
  CHECK(refused(of(3), adding("http://s1:1")).why == Why::address_taken);
  CHECK(refused(of(3), adding("https://s1:1")).why == Why::address_taken);  // the same port
  CHECK(refused(of(3), adding("http://s1:1")).address == "http://s1:1");
  MembersRequest both = removing({1});
  both.promote = {NodeId(1)};
  CHECK(refused(of(3), both).why == Why::repeated_node);
  MembersRequest twice = adding("http://d:1");
  twice.add.push_back({"http://d:1", "", Goal::stay});
  CHECK(refused(of(3), twice).why == Why::address_taken);
  CHECK(refused(of(kMaxServers), adding("http://d:1")).why == Why::too_many);
  MembersRequest moved;
  moved.update = {{NodeId(0), "http://s1:1"}};
  CHECK(refused(of(3), moved).why == Why::address_taken);
  MembersRequest demoted;
  demoted.demote = {NodeId(0)};
  CHECK(refused(of(1), demoted).why == Why::no_voter);
}

TEST_CASE("the address of a member that leaves may be given to another one") {
  MembersRequest request = removing({1});
  request.add.push_back({"http://s1:1", "", Goal::vote});
  CHECK(seats(planned(of(3), request)) == "0v 1v 2v 3l");
}

TEST_CASE("a withdrawn addition takes back what it was to replace") {
  MembersRequest replace = removing({1});
  replace.add.push_back({"http://d:1", "", Goal::vote});
  Configuration now = planned(of(3), replace, Index(40));
  CHECK(now.members[1].goal == Goal::leave);
  now = planned(now, removing({3}));
  CHECK(seats(now) == "0v 1v 2v");
  CHECK(now.members[1].goal == Goal::stay);
  CHECK(plans_of(now).empty());
}

TEST_CASE("plans stand side by side") {
  Configuration now = planned(of(3), adding("http://d:1"), Index(40));
  now = planned(now, adding("http://e:1"), Index(44));
  CHECK(plans_of(now) == std::vector{Index(40), Index(44)});
  now = end_joint(begin_joint(now, Index(44)));
  CHECK(seats(now) == "0v 1v 2v 3l 4v");
  CHECK(plans_of(now) == std::vector{Index(40)});
}

TEST_CASE("C13: a replaced disk joins under a new number and takes the node's place") {
  const Configuration now = of(3);
  const auto next = replace_disk(now, {ServerId(1), Incarnation(999)}, kPlan);
  REQUIRE(next.has_value());
  CHECK(seats(*next) == "0v 1v 2v 3l");
  CHECK(next->members[3].node == NodeId(1));
  CHECK(next->members[3].address == "http://s1:1");
  CHECK(next->find(NodeId(1))->id == ServerId(1));  // the one that votes
  CHECK(next->unused_node() == NodeId(3));
  CHECK(seats(end_joint(begin_joint(*next, kPlan))) == "0v 2v 3v");
  // An incarnation is accepted once.
  CHECK_FALSE(replace_disk(*next, {ServerId(1), Incarnation(999)}, Index(60)).has_value());
  CHECK_FALSE(replace_disk(now, {ServerId(1), Incarnation(102)}, kPlan).has_value());
  CHECK_FALSE(replace_disk(now, {ServerId(9), Incarnation(999)}, kPlan).has_value());
}

TEST_CASE("C13: the disk that replaces a lost one may be lost, too") {
  const auto first = replace_disk(of(3), {ServerId(1), Incarnation(999)}, kPlan);
  // A disk that was found in the place of member 1 may be an earlier one than that of member 3.
  CHECK_FALSE(replace_disk(*first, {ServerId(1), Incarnation(1000)}, Index(60)).has_value());
  const auto second = replace_disk(*first, {ServerId(3), Incarnation(1000)}, Index(60));
  REQUIRE(second.has_value());
  CHECK(seats(*second) == "0v 1v 2v 4l");
  CHECK(second->members[3].incarnation == Incarnation(1000));
  CHECK(plans_of(*second) == std::vector{kPlan});
  CHECK(seats(end_joint(begin_joint(*second, kPlan))) == "0v 2v 4v");
}

TEST_CASE("C13: a learner's lost disk is replaced at once, and a leaving member's is not") {
  Configuration now = of(3);
  now.members[2].seat = Seat::learner;
  const auto next = replace_disk(now, {ServerId(2), Incarnation(999)}, kPlan);
  REQUIRE(next.has_value());
  CHECK(seats(*next) == "0v 1v 3l");
  CHECK(plans_of(*next).empty());
  const Configuration leaving = planned(of(3), removing({1}));
  CHECK_FALSE(replace_disk(leaving, {ServerId(1), Incarnation(999)}, Index(60)).has_value());
}

TEST_CASE(
    "what replaces a voter may be promoted again without effect, and is demoted with its plan") {
  MembersRequest replace = adding("http://d:1");
  replace.remove = {NodeId(1)};
  const Configuration now = planned(of(3), replace);
  MembersRequest promote, demote;
  promote.promote = {NodeId(3)};
  demote.demote = {NodeId(3)};
  Configuration again = planned(now, promote, Index(60));
  CHECK(again.members == now.members);
  CHECK(plans_of(again) == std::vector{kPlan});
  const Configuration learner = planned(now, demote, Index(60));
  CHECK(learner.members[1].goal == Goal::stay);
  CHECK(learner.members[3].goal == Goal::stay);
  CHECK(plans_of(learner).empty());
}

TEST_CASE("C13: a disk that comes back withdraws its replacement") {
  const auto replaced = replace_disk(of(3), {ServerId(1), Incarnation(999)}, kPlan);
  const auto back = withdraw_replacement(*replaced, ServerId(1));
  REQUIRE(back.has_value());
  CHECK(seats(*back) == "0v 1v 2v");
  CHECK(back->members[1].goal == Goal::stay);
  CHECK(back->unused_id() == ServerId(4));
  CHECK_FALSE(withdraw_replacement(*back, ServerId(1)).has_value());
  // A member that leaves because it was asked to has no replacement.
  MembersRequest replace = removing({1});
  replace.add.push_back({"http://d:1", "", Goal::vote});
  CHECK_FALSE(withdraw_replacement(planned(of(3), replace), ServerId(1)).has_value());
}

TEST_CASE("while a disk is replaced, promoting its node changes nothing, and demoting it lasts") {
  const auto replaced = replace_disk(of(3), {ServerId(1), Incarnation(999)}, kPlan);
  MembersRequest promote;
  promote.promote = {NodeId(1)};
  CHECK(planned(*replaced, promote, Index(60)).members == replaced->members);
  MembersRequest demote;
  demote.demote = {NodeId(1)};
  const Configuration demoted = planned(*replaced, demote, Index(60));
  CHECK(seats(end_joint(begin_joint(demoted, Index(60)))) == "0v 2v 3l");
}

TEST_CASE("an address or a name that no entry can hold is refused") {
  CHECK(refused(of(3), adding("")).why == Why::bad_address);
  CHECK(refused(of(3), adding(std::string(kMaxAddress + 1, 'a'))).why == Why::bad_address);
  MembersRequest named = adding("http://d:1");
  named.add[0].name = std::string(kMaxName + 1, 'n');
  CHECK(refused(of(3), named).why == Why::bad_address);
}

TEST_CASE("a new disk that reads the whole log has not left, though another disk had its place") {
  constexpr Incarnation kOld{7}, kNew{8};
  const auto entry = [](std::uint64_t index, EntryType type, const std::string& payload) {
    return make_entry(Index(index), Term(1), type, {}, Origin{}, payload);
  };
  Configuration listed = of(3);
  Configuration founded = listed;
  founded.members[2].incarnation = Incarnation(0);
  listed.cluster_id = {};
  Electorate electorate(ServerId(2), kNew);
  electorate.adopt(listed);
  const auto commit = [&](const Entry& next) {
    electorate.append(next);
    electorate.commit_to(next.index);
  };
  commit(entry(1, EntryType::bootstrap, encode_configuration(founded)));
  commit(entry(2, EntryType::registration, encode_registration({ServerId(2), kOld})));
  CHECK_FALSE(electorate.is_removed());
  CHECK(electorate.self() == kNoServer);
  auto replaced = replace_disk(electorate.committed(), {ServerId(2), kNew}, Index(3));
  REQUIRE(replaced);
  commit(entry(3, EntryType::membership, encode_configuration(*replaced)));
  CHECK(electorate.self() == ServerId(3));
  // Once it was a member, it can leave.
  replaced->members.pop_back();
  commit(entry(4, EntryType::membership, encode_configuration(*replaced)));
  CHECK(electorate.is_removed());
}
