// The snapshots on their way through a node: one being taken from the store, one being received
// from the leader, and the stores that were replaced and are freed little by little. Each of them
// does at most one chunk of work per turn, so that the loop is never stopped for longer than a few
// milliseconds, whatever the size of the store. storage::SnapshotFiles does the I/O.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/checksum.hpp"
#include "kv/snapshot.hpp"
#include "raft/event.hpp"
#include "raft/output.hpp"
#include "storage/snapshot_files.hpp"

namespace vesper::node {

class Snapshotter {
 public:
  struct Stats {
    std::uint64_t taken = 0, failed = 0, chunks_sent = 0;
  };
  struct Receiving {
    std::uint64_t chunks = 0, of = 0;  // durable, of the snapshot
  };

  // `files` outlives it. A store that is being taken has to outlive it, too.
  explicit Snapshotter(storage::SnapshotFiles& files) : files_(files) {}

  // ---- taking

  // S1: begins a snapshot of `store`, which is the state that `identity` names. Nothing happens
  // while one is being taken, for a while after the disk was full, and before the cluster is
  // founded.
  void begin(raft::Snapshot identity, kv::Store& store, Instant now);
  // The store is about to be replaced: the snapshot of it is given up.
  void stop_taking();
  bool is_taking() const { return taking_ != nullptr; }

  // ---- receiving

  // The next chunk of a snapshot that the leader sends. `max_idempotency_keys`: of a store.
  void add_chunk(raft::StoreChunk chunk, std::size_t max_idempotency_keys, Instant now);
  // Verifies one chunk and gives it to the disk. True if the snapshot cannot be received: Raft is
  // to be told (ReceiveFailed).
  [[nodiscard]] bool pump_receiving(raft::Index committed);
  // pump_receiving() has something to look at.
  bool is_receiving() const { return receiving_ != nullptr || receive_failed_; }
  // The received snapshot is to be the state. Requires that `snapshot` is whole and stored.
  std::unique_ptr<kv::Store> take_received(const raft::Snapshot& snapshot);
  void stop_receiving();
  std::optional<Receiving> receiving() const;

  // ---- every turn

  void begin_turn() { busy_ = false; }
  // Collects, compresses or ends one chunk of the snapshot being taken. `durable`: the log on this
  // disk up to there.
  void pump_taking(raft::Index durable);
  // Frees a part of what `store` has discarded, and of the stores that were replaced.
  void sweep(kv::Store& store);
  // A store that was replaced.
  void retire(std::unique_ptr<kv::Store> store);
  // There is more to do though nothing happens.
  bool is_busy() const { return busy_; }

  // The completion of a job of SnapshotFiles. Gives what Raft has to be told, in order. An error is
  // fatal.
  Result<std::vector<raft::Event>> on_done(const storage::JobDone& done, Instant now);
  // Gives up what is being taken: the process ends.
  void shut_down() { taking_.reset(); }

  const Stats& stats() const { return stats_; }
  std::vector<std::string> take_notes() { return std::exchange(notes_, {}); }

 private:
  struct Taken {
    Taken(raft::Snapshot identity, kv::Store& store)
        : snapshot(std::move(identity)), content(store) {}

    raft::Snapshot snapshot;  // content_bytes and checksum when the content has ended
    kv::Export content;
    Checksum64 sum;
    std::string chunk;  // what the next chunk has so far
    std::uint64_t next_chunk = 0;
    bool ended = false;      // the content is whole; what is left is its last chunk, if anything
    bool finishing = false;  // the end is being written
  };
  struct Received {
    Received(raft::Snapshot identity, std::size_t max_idempotency_keys)
        : snapshot(std::move(identity)), content(max_idempotency_keys) {}

    raft::Snapshot snapshot;
    kv::Import content;
    Checksum64 sum;
    std::uint64_t content_bytes = 0;   // so far
    std::deque<SharedBytes> waiting;   // chunks that came and are not verified yet
    bool begun = false;                // its file is being written
    std::uint64_t taken_in = 0;        // chunks verified and given to the disk
    std::uint64_t durable = 0;         // chunks on the disk
    std::unique_ptr<kv::Store> store;  // whole and verified, from the last chunk on
  };

  Result<void> verify(std::string_view record);
  void fail_receiving(std::string_view why);
  void on_no_space(storage::SnapshotFiles::Writer writer, Instant now);
  raft::SnapshotStored on_stored(storage::SnapshotFiles::Writer writer);

  storage::SnapshotFiles& files_;
  std::unique_ptr<Taken> taking_;
  std::unique_ptr<Received> receiving_;
  std::vector<std::unique_ptr<kv::Store>> retired_;
  Instant take_retry_at_, receive_retry_at_;  // not before: there was no space
  bool receive_failed_ = false;               // Raft is to be told
  bool busy_ = false;
  Stats stats_;
  std::vector<std::string> notes_;
};

}  // namespace vesper::node
