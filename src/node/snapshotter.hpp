// The snapshots in progress on a node: one being taken from the store, one being received from the
// leader, and the replaced stores that are freed in steps. Each does at most one chunk of work per
// turn, so that the loop never stalls for more than a few milliseconds, however large the store is.
// storage::SnapshotFiles does the I/O.
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
    std::uint64_t chunks = 0, of = 0;  // durable chunks, of the snapshot's total
  };

  // `files` must outlive this object. So must a store while a snapshot of it is being taken.
  explicit Snapshotter(storage::SnapshotFiles& files) : files_(files) {}

  // ---- taking

  // S1: begins a snapshot of `store`, whose state `identity` names. Does nothing while another
  // snapshot is being taken, for a while after the disk was full, and before the cluster is
  // founded.
  void begin(raft::Snapshot identity, kv::Store& store, Instant now);
  // Discards the snapshot being taken, because its store is about to be replaced.
  void stop_taking();
  bool is_taking() const { return taking_ != nullptr; }

  // ---- receiving

  // Accepts the next chunk of a snapshot that the leader sends. `max_idempotency_keys` is passed to
  // the new store.
  void add_chunk(raft::StoreChunk chunk, std::size_t max_idempotency_keys, Instant now);
  // Verifies one chunk, and gives the disk all that are verified once it is free. Returns true if
  // the snapshot cannot be received; the caller must then tell Raft (ReceiveFailed).
  [[nodiscard]] bool pump_receiving(raft::Index committed);
  // True if pump_receiving() has work.
  bool is_receiving() const { return receiving_ != nullptr || receive_failed_; }
  // Hands over the received store, which becomes the node's state. Requires that `snapshot` is
  // complete and stored.
  std::unique_ptr<kv::Store> take_received(const raft::Snapshot& snapshot);
  void stop_receiving();
  std::optional<Receiving> receiving() const;

  // ---- every turn

  void begin_turn() { busy_ = false; }
  // Collects, compresses or finishes one chunk of the snapshot being taken. `durable`: the last log
  // index that is durable on this disk.
  void pump_taking(raft::Index durable);
  // Frees part of what `store` has discarded, and part of the replaced stores.
  void sweep(kv::Store& store);
  // Takes a replaced store and frees it in steps.
  void retire(std::unique_ptr<kv::Store> store);
  // True if work remains that needs another turn even without input.
  bool is_busy() const { return busy_; }

  // A job of SnapshotFiles completed. Returns the events that Raft must be told of, in order. An
  // error is fatal.
  Result<std::vector<raft::Event>> on_done(const storage::JobDone& done, Instant now);
  // Discards the snapshot being taken, because the process is about to exit.
  void shut_down() { taking_.reset(); }

  const Stats& stats() const { return stats_; }
  std::vector<std::string> take_notes() { return std::exchange(notes_, {}); }

 private:
  struct Taken {
    Taken(raft::Snapshot identity, kv::Store& store)
        : snapshot(std::move(identity)), content(store) {}

    raft::Snapshot snapshot;  // content_bytes and checksum are set once the content has ended
    kv::Export content;
    Checksum64 sum;
    std::string chunk;  // the content of the next chunk so far
    std::uint64_t next_chunk = 0;
    bool ended = false;      // the content is complete; only its last chunk may be left
    bool finishing = false;  // the end of the file is being written
  };
  struct Received {
    Received(raft::Snapshot identity, std::size_t max_idempotency_keys)
        : snapshot(std::move(identity)), content(max_idempotency_keys) {}

    raft::Snapshot snapshot;
    kv::Import content;
    Checksum64 sum;
    std::uint64_t content_bytes = 0;    // received so far
    std::deque<SharedBytes> waiting;    // chunks received and not verified yet
    std::vector<SharedBytes> verified;  // chunks that wait for the disk
    bool begun = false;                 // its file was begun
    std::uint64_t taken_in = 0;         // chunks verified
    std::uint64_t durable = 0;          // chunks on the disk
    std::unique_ptr<kv::Store> store;   // complete and verified; set by the last chunk
  };

  Result<void> verify(std::string_view record);
  void fail_receiving(std::string_view why);
  void on_no_space(storage::SnapshotFiles::Writer writer, Instant now);
  raft::SnapshotStored on_stored(storage::SnapshotFiles::Writer writer);

  storage::SnapshotFiles& files_;
  std::unique_ptr<Taken> taking_;
  std::unique_ptr<Received> receiving_;
  std::vector<std::unique_ptr<kv::Store>> retired_;
  Instant take_retry_at_, receive_retry_at_;  // after no space was left: no retry before this
  bool receive_failed_ = false;               // Raft must be told
  bool busy_ = false;
  Stats stats_;
  std::vector<std::string> notes_;
};

}  // namespace vesper::node
