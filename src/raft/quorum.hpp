// Counts voters. A decision needs a majority of every voter set of the configuration. There is one
// set normally, and two sets, old and new, while the configuration is joint (Raft §6, thesis 4.3).
// No other file compares a count with a number of voters.
#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <type_traits>

#include "raft/types.hpp"

namespace vesper::raft {

// A view. It must not outlive the members that it was made from.
class Quorum {
 public:
  // Requires at most kMaxServers members.
  explicit Quorum(std::span<const Member> members) : members_(members) {
    VESPER_ASSERT(members_.size() <= kMaxServers);
  }

  // True if `in(member)` is true for a majority of each set. Asks about voters only. False for a
  // configuration without voters.
  template <typename In>
  bool holds(In&& in) const {
    Count incoming, outgoing;
    for (const Member& member : members_) {
      if (!member.votes()) continue;
      const bool is_in = in(member);
      if (member.votes_in_new()) incoming.add(is_in);
      if (member.votes_in_old()) outgoing.add(is_in);
    }
    return incoming.is_majority() && outgoing.is_majority();
  }

  // The largest value that a quorum has reached: a majority of each set is at or above it.
  // `value_of(member)` returns an optional, and a member without a value does not count. Nothing if
  // no quorum has a value.
  template <typename ValueOf>
  auto reached(ValueOf&& value_of) const {
    auto value = reached_by(&Member::votes_in_new, value_of);
    if (!value || !is_joint()) return value;
    const auto other = reached_by(&Member::votes_in_old, value_of);
    if (!other) return other;
    return std::min(value, other);
  }

  // How many votes are a majority of the new set.
  std::size_t needed() const {
    return majority(static_cast<std::size_t>(
        std::count_if(members_.begin(), members_.end(),
                      [](const Member& member) { return member.votes_in_new(); })));
  }

  // True if one voter decides alone.
  bool is_single() const {
    return !is_joint() && std::count_if(members_.begin(), members_.end(),
                                        [](const Member& member) { return member.votes(); }) == 1;
  }

 private:
  struct Count {
    std::size_t in = 0, all = 0;
    void add(bool is_in) {
      ++all;
      in += is_in ? 1 : 0;
    }
    bool is_majority() const { return in >= majority(all); }
  };

  static std::size_t majority(std::size_t size) { return size / 2 + 1; }

  bool is_joint() const {
    return std::any_of(members_.begin(), members_.end(),
                       [](const Member& member) { return member.votes_in_one_set(); });
  }

  template <typename ValueOf>
  auto reached_by(bool (Member::*votes)() const, ValueOf&& value_of) const
      -> std::invoke_result_t<ValueOf&, const Member&> {
    using Value = typename std::invoke_result_t<ValueOf&, const Member&>::value_type;
    // Not initialized: clearing all of them would cost more than counting a few.
    union Slot {
      Slot() {}
      Value value;
    };
    std::array<Slot, kMaxServers> slots;
    auto end = slots.begin();
    std::size_t all = 0;
    for (const Member& member : members_) {
      if (!(member.*votes)()) continue;
      ++all;
      if (const auto value = value_of(member)) (end++)->value = *value;
    }
    const auto wanted = static_cast<std::ptrdiff_t>(majority(all));
    if (end - slots.begin() < wanted) return std::nullopt;
    const auto at = slots.begin() + (wanted - 1);
    std::nth_element(slots.begin(), at, end,
                     [](const Slot& a, const Slot& b) { return a.value > b.value; });
    return at->value;
  }

  std::span<const Member> members_;
};

}  // namespace vesper::raft
