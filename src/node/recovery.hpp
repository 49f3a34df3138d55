// What a data directory remembers, put together: the newest intact snapshot, and the log from
// there on. Boot only; blocks.
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
  std::unique_ptr<kv::Store> store;  // after durable.snapshot
  raft::RecoveredState durable;
  raft::Incarnation incarnation;   // of the directory
  std::vector<std::string> notes;  // for the log: what was found and what was done about it
};

// A damaged snapshot is passed over if the log leads on from an older one (D9). An error names file
// and offset. Refused are: what Wal::open refuses; a log that begins after every intact snapshot
// (D5); a snapshot of another node or cluster (D7); a snapshot that contradicts a committed entry
// of the log. If the newest snapshot is intact, Durable has the last `tail` of the entries that it
// covers (raft::Config says how many Raft keeps). `max_idempotency_keys` is Store's. `fs` outlives
// the result.
Result<RecoveredNode> recover(storage::Fs& fs, raft::ServerId self, raft::Incarnation fresh,
                              const storage::WalOptions& options, std::size_t tail,
                              std::size_t max_idempotency_keys = kv::kMaxIdempotencyKeys);

}  // namespace vesper::node
