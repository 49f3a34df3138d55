// The snapshots of a data directory: writing one beside and giving it its name, reading chunks of
// it for followers, removing what is superseded; at boot, reading one back. It decides when bytes
// go to disk; what they look like is snapshot_format's, what they mean kv's. It reads no clock.
//
// At most one job is in flight for all of it, of a chunk at most: that is what an append to the log
// may have to wait for.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "base/checksum.hpp"
#include "base/result.hpp"
#include "raft/types.hpp"
#include "storage/fs.hpp"
#include "storage/snapshot_format.hpp"

namespace vesper::storage {

// A snapshot under its name, durable.
struct StoredSnapshot {
  raft::Snapshot snapshot;
  std::vector<std::uint64_t> offsets;  // of the chunks' records; after them that of the end
  std::uint64_t file_bytes = 0;
  bool damaged = false;  // a read found it so: not to be used any more
};

// Whose directory it is: stands in each head.
struct SnapshotOwner {
  raft::ServerId server;
  raft::Incarnation incarnation;
};

// Boot, before anything in the directory is changed: refuses a snapshot of another node,
// incarnation or version of the format. Damage is left to SnapshotReader.
Result<void> check_owner(Fs& fs, SnapshotOwner owner, raft::Index index);

// Boot: reads one snapshot from front to back; blocks. Every error names file and offset.
class SnapshotReader {
 public:
  SnapshotReader(Fs& fs, SnapshotOwner owner, raft::Index index);

  // The content of the next chunk; empty when the end was reached and all of it is as promised.
  Result<std::string> next();
  // After the end.
  const StoredSnapshot& stored() const { return stored_; }

 private:
  friend Result<void> check_owner(Fs& fs, SnapshotOwner owner, raft::Index index);
  Result<void> read_head();
  Result<std::string_view> view(std::size_t length);
  Result<std::string> finish(std::string_view record);
  Error error(std::string_view what) const;

  Fs& fs_;
  const SnapshotOwner owner_;
  const raft::Index index_;
  const std::string file_;
  StoredSnapshot stored_;
  SnapshotHead head_;
  SharedBytes window_;
  std::uint64_t window_at_ = 0;
  std::uint64_t at_ = 0;  // of the next record; 0: the head
  std::uint64_t content_ = 0;
  Checksum64 sum_;
  Zstd zstd_;
};

class SnapshotFiles {
 public:
  // One file is written for a snapshot taken here, one for a snapshot received, independently.
  enum class Writer : std::uint8_t { taken, received };

  // `fs` outlives it.
  SnapshotFiles(Fs& fs, SnapshotOwner owner) : fs_(fs), owner_(owner) {}
  SnapshotFiles(const SnapshotFiles&) = delete;
  SnapshotFiles& operator=(const SnapshotFiles&) = delete;

  // Boot; blocks. Gives the indexes of the snapshots, newest first. What was never finished is gone
  // by then: Wal::open removes it. Errors as in Fs.
  Result<std::vector<raft::Index>> open();
  // Boot: this one was read back, or (nothing) could not be.
  void add(StoredSnapshot stored) { stored_.push_back(std::move(stored)); }

  // ---- writing. Calls on a writer come in the order begin, append..., finish; give_up any time.

  // Requires !writing(w).
  void begin(Writer w, raft::Index last_index, std::uint32_t chunk_bytes);
  bool writing(Writer w) const { return writers_[at(w)].state != State::idle; }
  // The next append or finish may come; also while the file is still being made.
  bool ready(Writer w) const;
  void append(Writer w, SharedBytes record);
  // The content is whole: writes the end, then gives the file its name.
  void finish(Writer w, const raft::Snapshot& snapshot);
  void give_up(Writer w);

  // ---- reading

  struct ReadDone {
    raft::Index snapshot;
    std::uint64_t chunk = 0;
    std::uint64_t asker = 0;
    SharedBytes record;  // verified; empty: cannot be read, or is gone
  };
  // Answered in Outcome::read. `asker` comes back with it.
  void read(raft::Index snapshot, std::uint64_t chunk, std::uint64_t asker);

  // ---- removing

  // Removes every snapshot below `log_begins`, where the log can no longer go on from it, but the
  // ones in `used`.
  void prune(raft::Index log_begins, const std::vector<raft::Index>& used);

  // ---- completions

  struct Outcome {
    std::optional<Writer> appended;  // a chunk of this one is durable
    std::optional<Writer> failed;    // no space: it was given up
    std::optional<Writer> finished;  // it has its name, durably; stored().back() is it
    std::optional<ReadDone> read;
    std::string note;
  };
  static bool owns(JobId job) { return job.owner == JobOwner::snapshots; }
  // Requires owns(done.id). An error is fatal, as in Wal::on_done; no space is none.
  Result<Outcome> on_done(const JobDone& done);
  bool idle() const { return !in_flight_; }
  // Nothing is started any more: the process ends.
  void stop() { stopped_ = true; }

  // For the chunks of its writers.
  Zstd& zstd() { return zstd_; }

  // In the order in which they were stored.
  const std::vector<StoredSnapshot>& stored() const { return stored_; }
  const StoredSnapshot* find(raft::Index index) const;
  // Files under a snapshot's name, with those that were found at boot and not read.
  std::size_t files() const;

 private:
  enum class State : std::uint8_t { idle, making, open, appending, ending, naming, removing };
  struct Writing {
    State state = State::idle;
    raft::Index last_index;
    std::uint32_t chunk_bytes = 0;
    std::uint64_t offset = 0;            // of the next record
    std::vector<std::uint64_t> offsets;  // of the records so far
    SharedBytes waiting;                 // a record that came before the file was made
    raft::Snapshot snapshot;             // from finish() on
    bool given_up = false;
  };
  enum class Doing : std::uint8_t { write, read, remove };
  struct Task {
    Doing doing = Doing::write;
    Writer writer = Writer::taken;
    ReadDone read;
    raft::Index removed;
    Work work;
  };

  static std::size_t at(Writer w) { return static_cast<std::size_t>(w); }
  static std::string temporary(Writer w);
  void submit(Task task);
  void start_next();
  void write_record(Writer w, State state, const SharedBytes& record);
  void remove_temporary(Writer w);
  Result<void> written(Writer w, const JobDone& done, Outcome& out);
  void read_done(Task& task, const JobDone& done, Outcome& out);

  Fs& fs_;
  const SnapshotOwner owner_;
  std::vector<StoredSnapshot> stored_;
  std::vector<raft::Index> on_disk_;  // found at boot and not in stored_
  Writing writers_[2];
  std::deque<Task> queue_;  // the front is in flight
  std::optional<JobId> in_flight_;
  Zstd zstd_;
  bool stopped_ = false;
  std::uint64_t next_job_ = 0;
};

}  // namespace vesper::storage
