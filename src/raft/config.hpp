// The inputs of a Raft node: its settings, the constants that no setting changes, and the state
// that a restart recovered from the disk.
#pragma once

#include <vector>

#include "raft/types.hpp"

namespace vesper::raft {

// After a lease read, the leader requests leases for this long.
inline constexpr Duration kLeaderLeaseWanted = seconds(1);

struct Config {
  ServerId self;
  Incarnation incarnation;
  // From the list file. Once the log has a Bootstrap entry, that entry counts instead.
  std::vector<Member> initial_voters;
  std::uint32_t level = kFeatureLevel;  // what this build announces
  // Seeds the timeouts, and the cluster id if this node bootstraps.
  std::uint64_t seed = 0;
  Duration election_timeout = milliseconds(150);  // drawn from [this, 2 * this] (§5.6, §9.3)
  Duration heartbeat_interval = milliseconds(50);
  Duration max_leader_lease = kMaxLeaderLease;  // upper bound; 0: leases are off
  // How long a majority waits for silent servers before it founds a cluster.
  Duration found_after = seconds(5);
  // Bytes of entries in one AppendEntries. A single larger entry is still sent.
  std::size_t max_append_bytes = 1u << 20;
  // Unacknowledged bytes to one follower. A single larger entry is still sent.
  std::size_t max_inflight_bytes = 8u << 20;
  std::size_t max_inflight_messages = 128;  // unacknowledged to one follower
  std::size_t bulk_bytes = 64u << 10;       // a larger AppendEntries uses the bulk connection
  // The log tail: entries up to the newest snapshot that stay in memory for slow followers, within
  // both limits.
  std::size_t log_tail_entries = 10'000;
  std::size_t log_tail_bytes = 16u << 20;
  // If the log in memory exceeds this, it keeps no entries for followers that are catching up
  // through a snapshot (S10).
  std::size_t log_kept_bytes = 256u << 20;
  // Bytes of a leader's entries that are uncommitted or not yet on its own disk. At this limit the
  // leader takes no proposal. A single larger entry is still taken.
  std::size_t max_uncommitted_bytes = 64u << 20;
  // Unacknowledged chunks to one follower. They become durable together, so a round trip and a sync
  // of the follower's disk carry up to so many. At most 3.9 MiB, in the memory of both.
  std::size_t snapshot_window = 16;

  Duration transfer_patience() const;  // kTransferPatience as a duration
};

// The state that a restart recovered from the disk.
struct RecoveredState {
  HardState hard_state;
  Index commit_index;
  std::vector<Entry> entries;  // contiguous, from begins().index + 1 on
  WriteNumber last_write;
  LogBase base;
  // Recovery left the entries up to here on the disk because they are not needed in memory.
  LogBase kept;
  Snapshot snapshot;  // newest intact; base.index <= its last_index <= commit_index
  // The log on the disk does not reach the snapshot, or contradicts it, and is discarded. Then
  // `entries` is empty, and the next Write records `base` and `hard_state` as the new state.
  bool replaces_log = false;

  const LogBase& begins() const { return kept.index > base.index ? kept : base; }
};

// Fast failover and fast start (docs/raft.md).
// The longest wait before the first pre-vote.
inline constexpr Duration kFastFailover = milliseconds(15);
inline constexpr Duration kFastStartMin = milliseconds(10);
inline constexpr Duration kFastStartMax = milliseconds(60);
// The first vote round lasts [this, 2 * this].
inline constexpr Duration kFastRound = milliseconds(20);
// How long a server waits before it campaigns after granting a pre-vote.
inline constexpr Duration kHoldBack = milliseconds(30);
// How long a candidate waits before it asks again the voters that refused temporarily.
inline constexpr Duration kAskAgain = milliseconds(10);

// How long, in election timeouts, the log keeps the entries that a follower needs after a snapshot,
// counted from the last progress of that follower (S10).
inline constexpr std::int64_t kTransferPatience = 100;
inline Duration Config::transfer_patience() const {
  return election_timeout * kTransferPatience;
}

}  // namespace vesper::raft
