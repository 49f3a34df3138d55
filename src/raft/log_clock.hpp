// The cluster's clock (log time). A leader stamps its entries with it. A follower extrapolates it
// from the last time that its leader sent. The argument is in docs/raft.md, "Log time".
#pragma once

#include <algorithm>

#include "raft/types.hpp"

namespace vesper::raft {

// The clock runs at most this far past the stamp of the oldest uncommitted entry. So an entry is
// decided within this time of its stamp.
inline constexpr Duration kMostUndecided = seconds(1);

class LogClock {
 public:
  LogClock(LogTime time, Instant now) : base_(time), base_at_(now), runs_until_(now) {}

  // The clock shows `time` at `now` and stops at `runs_until`. By then nothing has shown that the
  // cluster could still decide anything.
  void set(LogTime time, Instant now, Instant runs_until) {
    base_ = time;
    base_at_ = now;
    runs_until_ = std::max(now, runs_until);
  }
  // The clock shows `time` at `now`. It stops at the same instant as before.
  void resume(LogTime time, Instant now) { set(time, now, runs_until_); }
  LogTime at(Instant now) const {
    return LogTime(base_.value + (std::min(now, runs_until_) - base_at_).ns);
  }
  LogTime last_set() const { return base_; }

 private:
  LogTime base_;
  Instant base_at_;
  Instant runs_until_;
};

}  // namespace vesper::raft
