#include "sim/roster.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace vesper::sim {
namespace {

// Little-endian numbers, one after another. `good` is false once the bytes have ended.
struct Bytes {
  std::string_view left;
  bool good = true;

  std::uint64_t number(std::size_t width) {
    std::uint64_t value = 0;
    if (left.size() < width) good = false;
    for (std::size_t i = 0; good && i < width; ++i)
      value |= std::uint64_t{static_cast<unsigned char>(left[i])} << (8 * i);
    if (good) left.remove_prefix(width);
    return value;
  }
  std::uint32_t word() { return static_cast<std::uint32_t>(number(4)); }
  std::string text() {
    const std::size_t size = word();
    if (left.size() < size) good = false;
    if (!good) return {};
    std::string value(left.substr(0, size));
    left.remove_prefix(size);
    return value;
  }
};

// docs/disk-format.md: the numbers of seats and goals.
Roster::Member read_one(Bytes& bytes) {
  Roster::Member member;
  member.number = bytes.word();
  member.node = bytes.word();
  member.incarnation = bytes.number(8);
  const std::uint64_t seat = bytes.number(1);
  const std::uint64_t goal = bytes.number(1);
  member.in_new = seat == 1 || seat == 2;
  member.in_old = seat == 1 || seat == 3;
  member.will_vote = goal == 1;
  member.will_learn = goal == 2;
  member.will_leave = goal == 3;
  member.plan = bytes.number(8);
  bytes.word();  // what its build understands
  member.address = bytes.text();
  bytes.text();  // its name
  return member;
}

using Votes = bool Roster::Member::*;

bool same_voters(const Roster& a, Votes in_a, const Roster& b, Votes in_b) {
  const auto within = [](const Roster& one, Votes in_one, const Roster& other, Votes in_other) {
    return std::all_of(one.members.begin(), one.members.end(), [&](const Roster::Member& member) {
      const Roster::Member* there = other.with_number(member.number);
      return !(member.*in_one) || (there != nullptr && there->*in_other);
    });
  };
  return within(a, in_a, b, in_b) && within(b, in_b, a, in_a);
}

Violation judge_voters(const Roster& before, const Roster& now) {
  constexpr Votes kNew = &Roster::Member::in_new, kOld = &Roster::Member::in_old;
  const bool right = before.is_joint() == now.is_joint() ? same_voters(before, kNew, now, kNew) &&
                                                               same_voters(before, kOld, now, kOld)
                     : now.is_joint() ? same_voters(before, kNew, now, kOld)
                                      : same_voters(before, kNew, now, kNew);
  if (right) return std::nullopt;
  return fmt::format("C4: configuration {} has other voters than {}, and no joint one between them",
                     now.index, before.index);
}

}  // namespace

const Roster::Member* Roster::with_number(std::uint32_t number) const {
  for (const Member& member : members)
    if (member.number == number) return &member;
  return nullptr;
}

const Roster::Member* Roster::with_incarnation(std::uint64_t incarnation) const {
  for (const Member& member : members)
    if (incarnation != 0 && member.incarnation == incarnation) return &member;
  return nullptr;
}

bool Roster::is_joint() const {
  return std::any_of(members.begin(), members.end(),
                     [](const Member& member) { return member.in_new != member.in_old; });
}

std::optional<Roster> read_roster(RosterEntry kind, std::string_view payload, std::uint64_t index,
                                  const Roster* before) {
  Bytes bytes{payload};
  bytes.number(1);  // the version
  if (kind == RosterEntry::registration) {
    if (before == nullptr) return std::nullopt;
    Roster roster = *before;
    roster.index = index;
    roster.kind = kind;
    const std::uint32_t number = bytes.word();
    const std::uint64_t incarnation = bytes.number(8);
    for (Roster::Member& member : roster.members)
      if (member.number == number && member.incarnation == 0) member.incarnation = incarnation;
    if (!bytes.good) return std::nullopt;
    return roster;
  }
  Roster roster;
  bytes.number(8);  // the cluster
  bytes.number(8);
  bytes.number(8);  // the index, as its author saw it
  bytes.word();     // what all builds understand
  roster.index = index;
  roster.next_number = bytes.word();
  roster.next_node = bytes.word();
  for (std::uint32_t count = bytes.word(); count > 0 && bytes.good; --count)
    roster.members.push_back(read_one(bytes));
  if (!bytes.good) return std::nullopt;
  return roster;
}

Violation judge_step(const Roster& before, const Roster& now) {
  if (auto wrong = judge_voters(before, now)) return wrong;
  for (const Roster::Member& member : now.members) {
    if (const Roster::Member* same = before.with_number(member.number)) {
      if (same->node != member.node ||
          (same->incarnation != 0 && same->incarnation != member.incarnation))
        return fmt::format("C13: configuration {} gives number {} to another disk or node",
                           now.index, member.number);
    } else if (member.number < before.next_number) {
      return fmt::format("C13: configuration {} gives number {} again", now.index, member.number);
    }
    const bool is_known =
        std::any_of(before.members.begin(), before.members.end(),
                    [&](const Roster::Member& other) { return other.node == member.node; });
    if (!is_known && member.node < before.next_node)
      return fmt::format("C13: configuration {} gives node id {} again", now.index, member.node);
    for (const Roster::Member& other : now.members)
      if (&other != &member && other.node == member.node && other.in_new && member.in_new)
        return fmt::format("C13: node {} votes twice in configuration {}", member.node, now.index);
    for (const Roster::Member& other : now.members)
      if (&other != &member && other.incarnation == member.incarnation && member.incarnation != 0)
        return fmt::format("C13: configuration {} has one disk under numbers {} and {}", now.index,
                           member.number, other.number);
  }
  return std::nullopt;
}

}  // namespace vesper::sim
