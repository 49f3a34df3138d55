// Recovers a node from its data directory: the newest intact snapshot and the log after it. Used at
// startup only; blocks. storage/wal.hpp and storage/snapshot_files.hpp read the files.
#pragma once

#include <memory>

#include "kv/store.hpp"
#include "raft/raft.hpp"
#include "storage/snapshot_files.hpp"
#include "storage/wal.hpp"

namespace vesper::node {

struct RecoveredNode {
  std::unique_ptr<storage::Wal> wal;
  std::unique_ptr<storage::SnapshotFiles> snapshots;
  std::unique_ptr<kv::Store> store;  // as of durable.snapshot
  raft::RecoveredState durable;
  raft::Incarnation incarnation;   // identity of the directory
  std::vector<std::string> notes;  // for the log: what was found and how it was handled
};

// A damaged snapshot is skipped if the log continues from an older one (D9). Errors name the file
// and offset. Fails in these cases: Wal::open fails; the log begins after every intact snapshot
// (D5); a snapshot belongs to another node or cluster (D7); a snapshot contradicts a committed
// entry of the log. If the newest snapshot is intact, `durable` also holds up to `tail` of the
// entries that it covers (raft::Config says how many Raft keeps). `max_idempotency_keys` is passed
// to Store. `fs` must outlive the result.
Result<RecoveredNode> recover(storage::Fs& fs, raft::ServerId self, raft::Incarnation fresh,
                              const storage::WalOptions& options, std::size_t tail,
                              std::size_t max_idempotency_keys = kv::kMaxIdempotencyKeys);

}  // namespace vesper::node
