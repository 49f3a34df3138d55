// How a Raft node is set up: its settings, the constants that are no settings, and what a restart
// found on the disk.
#pragma once

#include <vector>

#include "raft/types.hpp"

namespace vesper::raft {

inline constexpr Duration kLeaseWanted = seconds(1);  // leases are asked for, after a lease read

struct Config {
  ServerId self;
  Incarnation incarnation;
  std::vector<Voter> initial_voters;  // of the list file; what counts once the log has a Bootstrap
                                      // entry is that entry
  std::uint64_t seed = 0;             // of timeouts, and of the cluster id if this node bootstraps
  Duration election_timeout = milliseconds(150);  // drawn from [this, 2 * this] (§5.6, §9.3)
  Duration heartbeat_interval = milliseconds(50);
  Duration max_lease = kMaxLease;           // at most that; 0: none is asked for
  Duration found_after = seconds(5);        // a majority waits for silent servers before it founds
  std::size_t max_append_bytes = 1u << 20;  // entries in one AppendEntries (or one entry)
  std::size_t max_inflight_bytes = 8u << 20;  // unacknowledged to one follower (or one entry)
  std::size_t max_inflight_messages = 128;    // likewise
  std::size_t bulk_bytes = 64u << 10;         // an AppendEntries above this goes the slow way
  // Kept in memory behind the newest snapshot, for slow followers: at most so many, and so large.
  std::size_t log_tail_entries = 10'000;
  std::size_t log_tail_bytes = 16u << 20;
  // Above this nothing more is kept for followers that a snapshot is bringing forward (S10).
  std::size_t log_kept_bytes = 256u << 20;
  // Of a leader's entries that are not committed, or not on its own disk: no proposal is taken
  // beyond this (or one entry).
  std::size_t max_uncommitted_bytes = 64u << 20;
  std::size_t snapshot_window = 4;  // chunks unacknowledged to one follower

  Duration transfer_patience() const;  // kTransferPatience as a time
};

// What a restart found on the disk.
struct RecoveredState {
  HardState hard_state;
  Index commit_index;
  std::vector<Entry> entries;  // behind begins().index, contiguous
  WriteNumber last_write;
  LogBase base;
  LogBase kept;       // entries up to here were left on the disk: nobody needs them in memory
  Snapshot snapshot;  // the newest intact one; base.index <= its last_index <= commit_index
  // The log on the disk does not reach the snapshot, or contradicts it: it is given up, and the
  // next Write says so. entries is empty then, base and hard_state are what it will say.
  bool replaces_log = false;

  const LogBase& begins() const { return kept.index > base.index ? kept : base; }
};

// Fast failover and fast start (docs/raft.md).
inline constexpr Duration kFastFailover = milliseconds(15);  // at most, until the first pre-vote
inline constexpr Duration kFastStartMin = milliseconds(10);
inline constexpr Duration kFastStartMax = milliseconds(60);
inline constexpr Duration kFastRound = milliseconds(20);  // first vote round: [this, 2 * this]
inline constexpr Duration kHoldBack = milliseconds(30);   // of one's own, after a granted pre-vote
inline constexpr Duration kAskAgain = milliseconds(10);   // those that refused for the time being

// What a follower needs behind a snapshot is kept for it in the log for so long after it last came
// forward (S10), in election timeouts.
inline constexpr std::int64_t kTransferPatience = 100;
inline Duration Config::transfer_patience() const {
  return election_timeout * kTransferPatience;
}

}  // namespace vesper::raft
