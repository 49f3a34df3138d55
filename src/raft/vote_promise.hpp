// This server's promise to grant no vote and start no election: the ground on which a leader's read
// lease stands. docs/raft.md, "Leases", has the argument.
#pragma once

#include <algorithm>

#include "raft/types.hpp"

namespace vesper::raft {

class VotePromise {
 public:
  // A leader has asked for a lease of `lease_ms` milliseconds (more than kMaxLease counts as that;
  // 0 asks for nothing). The promise lasts 1.1 times as long, because clocks may differ.
  void give(std::uint32_t lease_ms, Instant now) {
    const Duration lease = std::min(milliseconds(lease_ms), kMaxLease);
    if (lease.ns > 0) until_ = std::max(until_, now + lease * 11 / 10);
  }
  // Promises are not on the disk: after a restart the longest possible one is taken as given.
  void assume(Instant now) { until_ = now + kMaxLease * 11 / 10; }

  bool binds(Instant now) const { return now < until_; }
  Instant until() const { return until_; }  // Instant{}: none was ever given
  // When the promises that a leader asked for end, by its clock, if they began with its own. By
  // other clocks they may last a little longer: the successor and its voters wait for that.
  Instant over_elsewhere_at() const { return until_ == Instant{} ? Instant{} : until_ + kSlack; }

 private:
  // How long the heartbeat that asked for the promise may have travelled.
  static constexpr Duration kSlack = milliseconds(5);

  Instant until_;
};

}  // namespace vesper::raft
