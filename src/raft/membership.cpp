#include "raft/membership.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <string_view>

#include "base/host_port.hpp"

namespace vesper::raft {
namespace {

using Why = MembersRefusal::Why;

void aim(Member& member, Goal goal, Index plan) {
  member.goal = goal;
  member.plan = plan;
}

void settle(Member& member) {
  aim(member, Goal::stay, Index(0));
}

// True if the disk of `member` is to take the place of that of `lost`.
bool replaces(const Member& member, const Member& lost) {
  return member.node == lost.node && member.id != lost.id && member.plan == lost.plan;
}

// Two URLs that differ in their scheme name the same port, where one server listens.
bool is_same_place(std::string_view a, std::string_view b) {
  take_scheme(a);
  take_scheme(b);
  return a == b;
}

// Builds the configuration that begins a change. The first contradiction ends it.
class ChangePlanner {
 public:
  ChangePlanner(const Configuration& now, Index index) : next_(now), index_(index) {
    next_.keep_given_numbers();
  }

  std::variant<Configuration, MembersRefusal> plan(const MembersRequest& request) {
    for (const NodeId node : request.remove) remove(node);
    for (const NodeId node : request.promote) set_goal(node, Goal::vote);
    for (const NodeId node : request.demote) set_goal(node, Goal::learn);
    for (const auto& move : request.update) update(move);
    for (const auto& addition : request.add) add(addition);
    if (!refusal_ && next_.members.size() > kMaxServers) refuse({.why = Why::too_many});
    if (!refusal_ && !keeps_a_voter()) refuse({.why = Why::no_voter});
    if (refusal_) return *refusal_;
    return std::move(next_);
  }

 private:
  void refuse(MembersRefusal refusal) {
    if (!refusal_) refusal_ = std::move(refusal);
  }

  // The members that `node` means. Two while a replaced disk catches up.
  std::vector<Member*> named(NodeId node) {
    std::vector<Member*> found;
    for (Member& member : next_.members)
      if (member.node == node) found.push_back(&member);
    if (found.empty()) refuse({.why = Why::unknown_node, .nodes = {node}});
    return found;
  }

  void name_once(NodeId node) {
    if (std::find(named_.begin(), named_.end(), node) != named_.end())
      refuse({.why = Why::repeated_node, .nodes = {node}});
    named_.push_back(node);
  }

  // `member` will not become a voter, so what was to happen together with that does not happen: the
  // voters that it was to replace stay.
  void withdraw_plan_of(const Member& member) {
    const Index plan = member.plan;
    if (member.goal != Goal::vote) return;
    for (Member& other : next_.members)
      if (other.plan == plan && other.goal != Goal::vote) settle(other);
  }

  // A learner leaves at once, because no quorum depends on it.
  void remove(NodeId node) {
    name_once(node);
    for (Member* member : named(node)) {
      withdraw_plan_of(*member);
      aim(*member, Goal::leave, index_);
    }
    std::erase_if(next_.members,
                  [node](const Member& member) { return member.node == node && !member.votes(); });
  }

  // While a replaced disk catches up, its node votes, or is about to again: a promotion changes
  // nothing, and after a demotion the new disk stays a learner. A goal that a member has already
  // keeps its plan, and what else is part of that.
  void set_goal(NodeId node, Goal goal) {
    name_once(node);
    const std::vector<Member*> members = named(node);
    const bool is_replaced = members.size() > 1;
    if (is_replaced && goal == Goal::vote) return;
    for (Member* member : members) {
      if (member->goal == goal) continue;
      withdraw_plan_of(*member);
      if (member->votes() == (goal == Goal::vote)) settle(*member);
      else aim(*member, is_replaced ? Goal::leave : goal, index_);
    }
  }

  void update(const MembersRequest::Move& move) {
    const std::vector<Member*> members = named(move.node);
    take_address(move.address, move.node);
    for (Member* member : members) {
      if (member->name == member->address) member->name = move.address;
      member->address = move.address;
    }
  }

  void add(const MembersRequest::Addition& addition) {
    take_address(addition.address, std::nullopt);
    if (addition.name.size() > kMaxName)
      refuse({.why = Why::bad_address, .address = addition.address});
    if (next_.next_id.value >= kMaxServerId || next_.next_node.value >= kMaxServerId)
      return refuse({.why = Why::too_many});
    Member member{next_.next_id, addition.address, {}, next_.next_node};
    if (!addition.name.empty()) member.name = addition.name;
    member.level = 0;
    member.seat = Seat::learner;
    member.goal = addition.goal;
    if (member.goal != Goal::stay) member.plan = index_;
    next_.members.push_back(std::move(member));
    next_.next_id = next_.next_id.next();
    next_.next_node = next_.next_node.next();
  }

  // The address of a member that leaves may be given to another one.
  void take_address(const std::string& address, std::optional<NodeId> owner) {
    if (address.empty() || address.size() > kMaxAddress)
      refuse({.why = Why::bad_address, .address = address});
    for (const Member& member : next_.members)
      if (is_same_place(member.address, address) && member.node != owner &&
          member.goal != Goal::leave)
        refuse({.why = Why::address_taken, .nodes = {member.node}, .address = address});
  }

  bool keeps_a_voter() const {
    return std::any_of(next_.members.begin(), next_.members.end(), [](const Member& member) {
      if (member.goal == Goal::stay) return member.votes();
      return member.goal == Goal::vote;
    });
  }

  Configuration next_;
  const Index index_;
  std::vector<NodeId> named_;
  std::optional<MembersRefusal> refusal_;
};

}  // namespace

std::variant<Configuration, MembersRefusal> plan_change(const Configuration& now,
                                                        const MembersRequest& request,
                                                        Index index) {
  VESPER_ASSERT(!now.is_joint());
  return ChangePlanner(now, index).plan(request);
}

std::vector<Index> plans_of(const Configuration& configuration) {
  std::vector<Index> plans;
  for (const Member& member : configuration.members)
    if (member.plan.value != 0) plans.push_back(member.plan);
  std::sort(plans.begin(), plans.end());
  plans.erase(std::unique(plans.begin(), plans.end()), plans.end());
  return plans;
}

Configuration begin_joint(Configuration configuration, Index plan) {
  VESPER_ASSERT(!configuration.is_joint());
  configuration.keep_given_numbers();
  for (Member& member : configuration.members) {
    if (member.plan != plan) continue;
    if (member.goal == Goal::vote) member.seat = Seat::incoming;
    else if (member.votes()) member.seat = Seat::outgoing;
  }
  std::erase_if(configuration.members, [plan](const Member& member) {
    return member.plan == plan && member.goal == Goal::leave && !member.votes();
  });
  return configuration;
}

Configuration end_joint(Configuration configuration) {
  configuration.keep_given_numbers();
  std::erase_if(configuration.members, [](const Member& member) {
    return member.seat == Seat::outgoing && member.goal == Goal::leave;
  });
  for (Member& member : configuration.members) {
    if (!member.votes_in_one_set()) continue;
    member.seat = member.seat == Seat::incoming ? Seat::voter : Seat::learner;
    settle(member);
  }
  return configuration;
}

std::optional<Configuration> replace_disk(const Configuration& now, const DiskReplaced& disk,
                                          Index index) {
  const Member* old = now.find(disk.id);
  if (old == nullptr || now.find(disk.incarnation) != nullptr) return std::nullopt;
  // If the disk of a replacement is lost, too, another one is found in the replacement's place.
  // What is known to be in the old member's place may be older than the replacement.
  if (old->goal == Goal::leave) return std::nullopt;
  if (now.unused_id().value >= kMaxServerId) return std::nullopt;
  Member added = *old;
  Configuration next = now;
  next.keep_given_numbers();
  added.id = next.next_id;
  added.incarnation = disk.incarnation;
  added.level = disk.level;
  added.seat = Seat::learner;
  // A learner, and a disk that did not vote yet, are replaced at once: no quorum depends on them.
  std::erase_if(next.members,
                [&](const Member& member) { return member.node == added.node && !member.votes(); });
  if (next.members.size() >= kMaxServers) return std::nullopt;
  if (old->votes()) {
    if (old->goal == Goal::learn) settle(added);
    else aim(added, Goal::vote, index);
    for (Member& member : next.members)
      if (member.id == disk.id) aim(member, Goal::leave, index);
  }
  next.members.push_back(std::move(added));
  next.next_id = next.next_id.next();
  return next;
}

std::optional<Configuration> withdraw_replacement(const Configuration& now, ServerId id) {
  const Member* old = now.find(id);
  if (old == nullptr || !is_being_replaced(now, *old)) return std::nullopt;
  Configuration next = now;
  next.keep_given_numbers();
  std::erase_if(next.members, [old](const Member& member) { return replaces(member, *old); });
  for (Member& member : next.members)
    if (member.id == id) settle(member);
  return next;
}

bool is_being_replaced(const Configuration& configuration, const Member& member) {
  return member.votes() && member.goal == Goal::leave &&
         std::any_of(configuration.members.begin(), configuration.members.end(),
                     [&](const Member& other) { return replaces(other, member); });
}

std::string describe_lost_majority(const std::vector<NodeId>& nodes) {
  std::string ids;
  for (const NodeId node : nodes) ids += fmt::format("{}{}", ids.empty() ? "" : ", ", node.value);
  return fmt::format(
      "node{} {} came back without data, and the other voters are no majority: nothing can be "
      "decided until enough of the lost disks are back; if they are lost for good, stop all "
      "servers and see `vesper recover`",
      nodes.size() == 1 ? "" : "s", ids);
}

}  // namespace vesper::raft
