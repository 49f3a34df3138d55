// Counts voters. A decision needs a majority of every voter set of the configuration. There is one
// set normally, and two sets, old and new, while the configuration is joint (Raft §6, thesis 4.3).
// No other file compares a count with a number of voters.
#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <span>

#include "raft/types.hpp"

namespace vesper::raft {

// A view. It must not outlive the voters that it was made from.
class Quorum {
 public:
  // Requires at most kMaxServers voters in each set. If `outgoing` is empty, the configuration is
  // not joint.
  explicit Quorum(std::span<const Voter> voters, std::span<const Voter> outgoing = {})
      : voters_(voters), outgoing_(outgoing) {
    VESPER_ASSERT(voters_.size() <= kMaxServers);
    VESPER_ASSERT(outgoing_.size() <= kMaxServers);
  }

  // True if `in(voter)` is true for a majority of each set. False for a configuration without
  // voters.
  template <typename In>
  bool holds(In&& in) const {
    return majority_of(voters_, in) && (outgoing_.empty() || majority_of(outgoing_, in));
  }

  // The largest value that a quorum has reached: a majority of each set is at or above it.
  // `value_of(voter)` returns an optional, and a voter without a value does not count. Nothing if
  // no quorum has a value.
  template <typename ValueOf>
  auto reached(ValueOf&& value_of) const {
    auto value = reached_by(voters_, value_of);
    if (outgoing_.empty() || !value) return value;
    const auto other = reached_by(outgoing_, value_of);
    if (!other) return other;
    return std::min(value, other);
  }

  // True if one voter decides alone.
  bool is_single() const { return voters_.size() == 1 && outgoing_.empty(); }

 private:
  static std::size_t majority(std::span<const Voter> set) { return set.size() / 2 + 1; }

  template <typename In>
  static bool majority_of(std::span<const Voter> set, In&& in) {
    return static_cast<std::size_t>(std::count_if(set.begin(), set.end(), in)) >= majority(set);
  }

  template <typename ValueOf>
  static auto reached_by(std::span<const Voter> set, ValueOf&& value_of)
      -> decltype(value_of(set.front())) {
    using Value = typename decltype(value_of(set.front()))::value_type;
    // Not initialized: clearing all of them would cost more than counting a few.
    union Slot {
      Slot() {}
      Value value;
    };
    std::array<Slot, kMaxServers> slots;
    auto end = slots.begin();
    for (const Voter& voter : set)
      if (const auto value = value_of(voter)) (end++)->value = *value;
    const auto wanted = static_cast<std::ptrdiff_t>(majority(set));
    if (end - slots.begin() < wanted) return std::nullopt;
    const auto at = slots.begin() + (wanted - 1);
    std::nth_element(slots.begin(), at, end,
                     [](const Slot& a, const Slot& b) { return a.value > b.value; });
    return at->value;
  }

  std::span<const Voter> voters_, outgoing_;
};

}  // namespace vesper::raft
