#include "node/new_cluster.hpp"

#include <utility>

namespace vesper::node {

void begin_new_cluster(Survey& survey, Id128 cluster, raft::Incarnation incarnation) {
  survey.store->begin_new_cluster(kv::LogTime{survey.state.log_time.value});
  survey.digest = survey.store->digest();
  survey.revision = survey.store->revision();
  raft::Member member = *survey.self();
  const raft::Configuration old = std::move(survey.state.configuration);
  member.incarnation = incarnation;
  member.seat = raft::Seat::voter;
  member.goal = raft::Goal::stay;
  member.plan = raft::Index(0);
  raft::Configuration& now = survey.state.configuration;
  now = {};
  now.cluster_id = cluster;
  now.members.push_back(std::move(member));
  now.next_id = old.unused_id();
  now.next_node = old.unused_node();
  now.index = survey.state.last_index;
  survey.incarnation = incarnation;
  survey.hard_state.voted_for.reset();
  survey.state.chunk_bytes = raft::kMaxChunk;
}

NewClusterWriter::NewClusterWriter(storage::Fs& fs, Survey& start) : fs_(fs), start_(start) {}

Result<void> NewClusterWriter::open() {
  auto wal =
      storage::Wal::open(fs_, start_.server, start_.incarnation, storage::WalOptions{}, log_);
  if (!wal) return std::move(wal).error();
  wal_ = std::move(wal.value());
  files_.emplace(fs_, storage::SnapshotOwner{start_.server, start_.incarnation});
  snapshotter_.emplace(*files_);
  snapshotter_->begin(start_.state, *start_.store, Instant{});
  VESPER_ASSERT(snapshotter_->is_taking());
  return {};
}

Result<void> NewClusterWriter::pump(Instant now) {
  snapshotter_->begin_turn();
  snapshotter_->pump_taking(start_.last_index());
  if (log_written_) wal_->flush(now);
  if (snapshotter_->stats().failed > 0)
    return Error{"there is not enough space for a second copy of the data"};
  return {};
}

// What Raft writes after it has installed a snapshot: nothing of an older log is kept.
void NewClusterWriter::write_log() {
  raft::Write write;
  write.number = log_.last_write.next();
  write.hard_state = start_.hard_state;
  write.commit_index = start_.last_index();
  write.keep_through = start_.last_index();
  write.base = {start_.last_index(), start_.last_term(), start_.configuration().cluster_id};
  wal_->write(std::move(write));
  wal_->finish();
  log_written_ = true;
}

Result<void> NewClusterWriter::on_done(const storage::JobDone& done, Instant now) {
  if (!storage::SnapshotFiles::owns(done.id)) return wal_->on_done(done, now);
  auto events = snapshotter_->on_done(done, now);
  if (!events) return std::move(events).error();
  if (!events->empty()) write_log();  // the snapshot is stored
  return {};
}

bool NewClusterWriter::is_done() const {
  return log_written_ && wal_->idle() && wal_->persisted() == log_.last_write.next();
}

}  // namespace vesper::node
