// Checks fenced writes by nothing but the replies to them (T3): the tokens with
// which they took effect never fall, so no two holders of a lock were both able to write.
#pragma once

#include <fmt/core.h>

#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <string>

#include "sim/holdings.hpp"

namespace vesper::sim {

class FencedWrites {
 public:
  // A write with the holder's token took effect at a revision. Replies may arrive in any order.
  std::optional<std::string> took_effect(const LockId& lock, std::uint64_t token,
                                         std::uint64_t revision) {
    auto& writes = by_lock_[lock];
    const auto [here, added] = writes.emplace(revision, token);
    const auto wrong = [&](std::uint64_t other) {
      return fmt::format(
          "T3: the fenced write at revision {} took effect with token {} of '{}', one around it "
          "with {}",
          revision, token, lock.name, other);
    };
    if (token >= revision) return wrong(revision);
    if (here != writes.begin() && std::prev(here)->second > token)
      return wrong(std::prev(here)->second);
    if (std::next(here) != writes.end() && std::next(here)->second < token)
      return wrong(std::next(here)->second);
    return std::nullopt;
  }

 private:
  std::map<LockId, std::map<std::uint64_t, std::uint64_t>> by_lock_;  // revision -> token
};

}  // namespace vesper::sim
