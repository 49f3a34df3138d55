// Writes a data directory that is the start of a new cluster: one snapshot and an empty log, with
// this server as the only voter. `vesper recover` does so after a majority was lost. Offline; the
// disk's jobs are run by the caller.
#pragma once

#include <memory>
#include <optional>

#include "node/snapshotter.hpp"
#include "node/survey.hpp"
#include "storage/snapshot_files.hpp"
#include "storage/wal.hpp"

namespace vesper::node {

// Turns what was found into the start of a new cluster with this id: the store leaps (see
// kv::Store::begin_new_cluster), and the configuration has one member, the server itself under a
// new incarnation. Numbers of members that were given are not given again.
void begin_new_cluster(Survey& survey, Id128 cluster, raft::Incarnation incarnation);

class NewClusterWriter {
 public:
  // `start`: after begin_new_cluster(). Both must outlive this.
  NewClusterWriter(storage::Fs& fs, Survey& start);

  // Requires an empty directory. Blocks.
  Result<void> open();
  // Submits the next jobs. Called until is_done().
  Result<void> pump(Instant now);
  // Takes the completion of a job. After an error the directory is of no use.
  Result<void> on_done(const storage::JobDone& done, Instant now);
  // True if pump() has work even though no job is in flight.
  bool wants_turn() const { return snapshotter_ && snapshotter_->is_busy(); }
  // Everything is durable.
  bool is_done() const;

 private:
  void write_log();

  storage::Fs& fs_;
  Survey& start_;
  storage::RecoveredLog log_;
  std::unique_ptr<storage::Wal> wal_;
  std::optional<storage::SnapshotFiles> files_;
  std::optional<Snapshotter> snapshotter_;  // reads the store and files_
  bool log_written_ = false;
};

}  // namespace vesper::node
