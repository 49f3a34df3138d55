// What a node reports about itself: its state at one instant, and counters that only increase. The
// api library renders both (api/status.cpp, api/metrics_page.cpp).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/ids.hpp"
#include "kv/idempotency_table.hpp"
#include "node/housekeeping.hpp"
#include "node/self_check.hpp"
#include "node/watches.hpp"
#include "raft/types.hpp"

namespace vesper::node {

// What /status, /readyz and /metrics show: this node's own view.
struct Status {
  std::string_view role;  // "leader", "follower", "candidate" or "learner"
  raft::Term term;
  std::optional<raft::ServerId> leader;
  raft::Index last_index, commit_index, applied_index;
  std::uint64_t revision = 0;
  Id128 digest;
  Id128 cluster_id;                   // none before the Bootstrap entry is committed
  std::optional<Id128> cluster_seen;  // a different cluster id, seen on a server of the list
  bool leader_fresh = false;          // heard from the leader within twice the election timeout
  bool caught_up = false;  // applied everything that leader had committed when last heard
  std::optional<Divergence> divergence;  // set: this node is out of service
  bool regressed = false;  // this disk has lost entries that the server had acknowledged
  std::uint64_t log_entries = 0, log_bytes = 0;  // in memory
  raft::Index log_first_index;                   // in memory
  raft::Index snapshot_index;                    // of the newest snapshot stored here; 0: none
  std::uint64_t snapshot_bytes = 0;              // size of that snapshot's file
  std::size_t snapshots = 0;                     // number of snapshot files
  bool taking_snapshot = false;
  std::uint64_t receiving_chunks = 0, receiving_of = 0;  // progress of a snapshot from the leader
  std::uint64_t keys = 0;
  // kv::Leases::size(), kv::Locks::held() (elections included) and waiters().
  std::size_t leases = 0, locks = 0, lock_waiters = 0;
  std::uint64_t store_bytes = 0;      // of the keys and values that exist
  std::uint64_t store_cost = 0;       // kv::Store::cost(): what counts for the quota
  std::uint64_t history_bytes = 0;    // kv::Keyspace::history_cost()
  std::uint64_t oldest_revision = 0;  // that can be read
  QuotaState quota = QuotaState::fine;
  std::size_t idempotency_bytes = 0;
  std::size_t idempotency_keys = 0;  // keys with a stored result
  std::size_t inflight_requests = 0, inflight_bytes = 0;
  Watches::Figures watches;
  std::size_t waiters = 0;  // requests that wait for a change or a lock
};

struct Counters {
  std::uint64_t leader_changes = 0;     // leaders seen in office, this server included
  std::uint64_t elections_started = 0;  // campaigns of this node, pre-votes included
  std::uint64_t turns = 0, posts = 0;
  std::uint64_t entries_applied = 0;
  std::uint64_t writes_proposed = 0, writes_forwarded = 0, writes_retried = 0;
  std::uint64_t read_rounds = 0;
  std::array<std::uint64_t, 3> reads{};  // answered, by ReadLevel
  std::uint64_t reads_too_stale = 0;
  std::uint64_t writes_unknown = 0;
  // For this node's clients: results replayed from the table, and idempotency keys refused.
  std::uint64_t writes_replayed = 0, idempotency_keys_reused = 0, idempotency_refused_full = 0;
  std::uint64_t snapshots_taken = 0, snapshots_installed = 0, snapshots_failed = 0;
  std::uint64_t snapshot_chunks_sent = 0, transfers_resumed = 0;
  // Entries per Write to the disk: buckets of at most 1, 2, 4, ... 512 entries, and one for more.
  std::array<std::uint64_t, 11> batch_buckets{};
  std::uint64_t batch_sum = 0, batch_count = 0;

  void count_batch(std::size_t entries);
  void count_result(const kv::WriteResult& result);
};

}  // namespace vesper::node
