// This server's promise to grant no vote and start no election. A leader's read lease rests on
// these promises. The argument is in docs/raft.md, "Leases".
#pragma once

#include <algorithm>

#include "raft/types.hpp"

namespace vesper::raft {

class VotePromise {
 public:
  // A leader has requested a lease of `leader_lease_ms` milliseconds. More than kMaxLeaderLease
  // counts as kMaxLeaderLease; 0 requests nothing. The promise lasts 1.1 × the lease, because
  // clocks may run at different rates.
  void give(std::uint32_t leader_lease_ms, Instant now) {
    const Duration leader_lease = std::min(milliseconds(leader_lease_ms), kMaxLeaderLease);
    if (leader_lease.ns > 0) until_ = std::max(until_, now + leader_lease * 11 / 10);
  }
  // Promises are not on the disk. After a restart the server assumes that it has given the longest
  // one.
  void assume(Instant now) { until_ = now + kMaxLeaderLease * 11 / 10; }

  bool binds(Instant now) const { return now < until_; }
  // This server grants no vote before this instant, not even to itself. Instant{}: it has never
  // promised anything.
  Instant until() const { return until_; }
  // When the promises that this leader requested have ended everywhere, by its own clock. It
  // assumes that they began with its own promise. By other clocks they may last a little longer, so
  // the successor and its voters wait for that.
  Instant over_elsewhere_at() const { return until_ == Instant{} ? Instant{} : until_ + kSlack; }

 private:
  // How long the heartbeat that requested the promise may have travelled.
  static constexpr Duration kSlack = milliseconds(5);

  Instant until_;
};

}  // namespace vesper::raft
