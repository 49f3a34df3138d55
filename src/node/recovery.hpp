// What a data directory remembers, put together: the newest intact snapshot, and the log from
// there on. Boot only; blocks.
#pragma once

#include <memory>

#include "kv/store.hpp"
#include "raft/raft.hpp"
#include "storage/snapshot_files.hpp"
#include "storage/wal.hpp"

namespace vesper::node {

struct Recovery {
  std::unique_ptr<storage::Wal> wal;
  std::unique_ptr<storage::SnapshotFiles> snapshots;
  std::unique_ptr<kv::Store> store;  // after durable.snapshot
  raft::Durable durable;
  raft::Incarnation incarnation;   // of the directory
  std::vector<std::string> notes;  // for the log: what was found and what was done about it
};

// A damaged snapshot is passed over if the log still leads on from the one before it (F50).
// Refused, naming file and offset: what Wal::open refuses; a log that begins after every intact
// snapshot (F54); a snapshot of another node or cluster, or one that contradicts what is committed
// in the log. Of the entries that are in the newest snapshot, Durable has the last `tail`
// (raft::Config says how many Raft keeps) if that one is intact. `max_replies`: of Store. `fs`
// outlives what comes back.
Result<Recovery> recover(storage::Fs& fs, raft::ServerId self, raft::Incarnation fresh,
                         const storage::WalOptions& options, std::size_t tail,
                         std::size_t max_replies = kv::kMaxReplies);

}  // namespace vesper::node
