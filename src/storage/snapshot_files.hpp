// The snapshots of a data directory: writes one under a temporary name and publishes it, reads
// chunks for followers, removes superseded files, and reads one back at boot. This part decides
// when bytes go to disk. Their format is in snapshot_format.hpp, their meaning in kv/snapshot.hpp.
// It reads no clock.
//
// At most one job is in flight at a time, with at most one chunk, because an append to the log may
// have to wait for it.
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

// A published snapshot, which is durable.
struct StoredSnapshot {
  raft::Snapshot snapshot;
  std::vector<std::uint64_t> offsets;  // of the chunks' records, then of the end record
  std::uint64_t file_bytes = 0;
  bool damaged = false;  // a read found damage: must not be used any more
};

// The owner of the directory, stored in each head.
struct SnapshotOwner {
  raft::ServerId server;
  raft::Incarnation incarnation;
};

// Boot only, before anything in the directory is changed. Refuses a snapshot of another node, of
// another incarnation or of an unknown format version. Damage is left to SnapshotReader.
Result<void> check_owner(Fs& fs, SnapshotOwner owner, raft::Index index);

// Boot only: reads one snapshot from front to back. Blocks. Every error names file and offset.
class SnapshotReader {
 public:
  SnapshotReader(Fs& fs, SnapshotOwner owner, raft::Index index);

  // Returns the content of the next chunk. Empty at the end, once the whole content has been
  // verified.
  Result<std::string> next();
  // Valid after the end.
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
  // Up to two files are written independently: a snapshot taken here, and a received one.
  enum class Writer : std::uint8_t { taken, received };

  // `fs` must outlive this.
  SnapshotFiles(Fs& fs, SnapshotOwner owner) : fs_(fs), owner_(owner) {}
  SnapshotFiles(const SnapshotFiles&) = delete;
  SnapshotFiles& operator=(const SnapshotFiles&) = delete;

  // Boot only; blocks. Returns the indexes of the snapshots, newest first. Unfinished files are
  // gone by then, because Wal::open removes them. Errors as in Fs.
  Result<std::vector<raft::Index>> open();
  // Boot only: adds a snapshot that was read back.
  void add(StoredSnapshot stored) { stored_.push_back(std::move(stored)); }

  // ---- writing. Calls on a writer come in the order begin, append..., finish; give_up any time.

  // Requires !writing(w).
  void begin(Writer w, raft::Index last_index, std::uint32_t chunk_bytes);
  bool writing(Writer w) const { return writers_[at(w)].state != State::idle; }
  // True if the next append or finish may come, which includes the time while the file is being
  // created.
  bool ready(Writer w) const;
  // Chunks in the order of the content, at least one. They become durable together, with one sync.
  void append(Writer w, std::vector<SharedBytes> records);
  // The content is complete: writes the end, then publishes the file.
  void finish(Writer w, const raft::Snapshot& snapshot);
  void give_up(Writer w);

  // ---- reading

  struct ReadDone {
    raft::Index snapshot;
    std::uint64_t chunk = 0;
    std::uint64_t asker = 0;
    SharedBytes record;  // verified; empty: unreadable or removed
  };
  // Outcome::read answers, with the same `asker`.
  void read(raft::Index snapshot, std::uint64_t chunk, std::uint64_t asker);

  // ---- removing

  // Removes every snapshot below `log_begins`, because the log can no longer continue from it.
  // Keeps the snapshots in `used`.
  void prune(raft::Index log_begins, const std::vector<raft::Index>& used);

  // ---- completions

  struct Outcome {
    std::optional<Writer> appended;  // chunks of this writer are durable
    std::size_t records = 0;         // how many, with `appended`
    std::optional<Writer> failed;    // out of space: this writer was abandoned
    std::optional<Writer> finished;  // published and durable; it is stored().back()
    std::optional<ReadDone> read;
    std::string note;
  };
  static bool owns(JobId job) { return job.owner == JobOwner::snapshots; }
  // Requires owns(done.id). An error is fatal, as in Wal::on_done. Lack of space is not an error.
  Result<Outcome> on_done(const JobDone& done);
  bool idle() const { return !in_flight_; }
  // Starts no further jobs, because the process is about to end.
  void stop() { stopped_ = true; }

  // For compressing the chunks to append.
  Zstd& zstd() { return zstd_; }

  // In the order in which they were stored.
  const std::vector<StoredSnapshot>& stored() const { return stored_; }
  const StoredSnapshot* find(raft::Index index) const;
  // The number of snapshot files, including those that were found at boot but not read.
  std::size_t files() const;

 private:
  enum class State : std::uint8_t { idle, making, open, appending, ending, naming, removing };
  struct Writing {
    State state = State::idle;
    raft::Index last_index;
    std::uint32_t chunk_bytes = 0;
    std::uint64_t offset = 0;            // of the next record
    std::vector<std::uint64_t> offsets;  // of the records so far
    std::vector<SharedBytes> waiting;    // records that arrived before the file was created
    std::size_t in_flight = 0;           // records in the present job
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
  void write_records(Writer w, State state, const std::vector<SharedBytes>& records);
  void remove_temporary(Writer w);
  Result<void> written(Writer w, const JobDone& done, Outcome& out);
  void read_done(Task& task, const JobDone& done, Outcome& out);

  Fs& fs_;
  const SnapshotOwner owner_;
  std::vector<StoredSnapshot> stored_;
  std::vector<raft::Index> on_disk_;  // found at boot, and not in stored_
  Writing writers_[2];
  std::deque<Task> queue_;  // the front is in flight
  std::optional<JobId> in_flight_;
  Zstd zstd_;
  bool stopped_ = false;
  std::uint64_t next_job_ = 0;
};

}  // namespace vesper::storage
