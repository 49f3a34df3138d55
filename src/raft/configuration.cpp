// The members of a configuration (types.hpp): lookups, and the numbers that are still to be given.
#include <algorithm>

#include "raft/types.hpp"

namespace vesper::raft {

const Member* Configuration::find(ServerId id) const {
  for (const Member& member : members)
    if (member.id == id) return &member;
  return nullptr;
}

const Member* Configuration::find(Incarnation incarnation) const {
  for (const Member& member : members)
    if (incarnation.value != 0 && member.incarnation == incarnation) return &member;
  return nullptr;
}

const Member* Configuration::find(NodeId node) const {
  const Member* found = nullptr;
  for (const Member& member : members)
    if (member.node == node && (found == nullptr || member.votes())) found = &member;
  return found;
}

bool Configuration::is_joint() const {
  return std::any_of(members.begin(), members.end(),
                     [](const Member& member) { return member.votes_in_one_set(); });
}

std::size_t Configuration::voters() const {
  return static_cast<std::size_t>(std::count_if(
      members.begin(), members.end(), [](const Member& member) { return member.votes_in_new(); }));
}

ServerId Configuration::unused_id() const {
  return members.empty() ? next_id : std::max(next_id, members.back().id.next());
}

NodeId Configuration::unused_node() const {
  NodeId unused = next_node;
  for (const Member& member : members) unused = std::max(unused, member.node.next());
  return unused;
}

void Configuration::keep_given_numbers() {
  next_id = unused_id();
  next_node = unused_node();
}

void Configuration::raise_level() {
  std::uint32_t all = 0;
  for (const Member& member : members)
    if (member.level != 0) all = all == 0 ? member.level : std::min(all, member.level);
  level = std::max(level, all);
}

}  // namespace vesper::raft
