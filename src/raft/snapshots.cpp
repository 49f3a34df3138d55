// Snapshots (§7): which log entries a stored snapshot frees, how a leader sends one and how a
// follower receives it. The node reads and writes the bytes: chunks are requested and handed over
// in Output, and come back as events.
#include <fmt/core.h>

#include <algorithm>

#include "raft/names.hpp"
#include "raft/raft.hpp"

namespace vesper::raft {
namespace {

// Freeing more than this in one turn would stall the loop.
constexpr std::size_t kCompactedPerTurn = 4096;  // entries
constexpr std::size_t kCompactedBytesPerTurn = 4u << 20;

}  // namespace

// ---- stored here --------------------------------------------------------------------------

void Raft::on_snapshot_stored(const Snapshot& snapshot) {
  const bool received = receipt_.is(snapshot);
  if (snapshot.last_index > snapshot_.last_index) {
    if (snapshot.last_index <= commit_index_) {
      adopt_snapshot(snapshot);
      plan_compaction();
    } else if (log_.term_at(snapshot.last_index) == snapshot.last_term) {
      // S3: the log has caught up with the snapshot and agrees with it, so the log is kept. The
      // node has yet to apply these entries; the next snapshot frees them.
      proven_index_ = std::max(proven_index_, snapshot.last_index);
      commit_to(snapshot.last_index);
      adopt_snapshot(snapshot);
    } else {
      install(snapshot);
    }
  }
  if (!received) return;
  receipt_.end();
  if (const auto to = leader(); to && *to != self()) send_done(*to, snapshot);
}

// S2: only now may the log be cut. The disk keeps the entries between the previous snapshot and
// this one, in case this one turns out to be damaged.
void Raft::adopt_snapshot(const Snapshot& snapshot) {
  VESPER_ASSERT(log_.term_at(snapshot.last_index).value_or(snapshot.last_term) ==
                snapshot.last_term);
  if (!snapshot_.is_none())
    disk_base_ = {snapshot_.last_index, snapshot_.last_term, snapshot_.configuration.cluster_id};
  writes_.change();  // the commit index, too: a recovery may then do without this snapshot
  snapshot_ = snapshot;
  // The entries in the snapshot survive a crash even if the log on this disk lacks them.
  writes_.cover(snapshot.last_index);
}

// §7, figure 13, step 7: discards the log and replaces the state by the snapshot. S3: this is
// atomic, because a recovery that finds both the snapshot and the old log does the same.
void Raft::install(const Snapshot& snapshot) {
  VESPER_ASSERT(!is_leader());
  output_->notes.push_back(fmt::format(
      "snapshot of {} at index {} is stored, the log ends at {} -> replace state and log",
      name(snapshot.last_term), snapshot.last_index.value, log_.last_index().value));
  const Index last = snapshot.last_index;
  snapshot_ = snapshot;
  if (last > log_.base_index()) log_.reset({last, snapshot.last_term, snapshot.log_time});
  disk_base_ = {last, snapshot.last_term, snapshot.configuration.cluster_id};
  compact_to_ = last;
  commit_index_ = proven_index_ = last;
  writes_.replace(last);
  output_->committed_first = output_->committed_last = Index(0);
  output_->install = snapshot;
  recompute_configuration();  // S7
}

// Decides how far the log in memory may be compacted. A tail is kept for slow followers (S10).
void Raft::plan_compaction() {
  const Index last = snapshot_.last_index;
  Index keep_from = std::min(last, log_.last_index()).next();
  std::size_t entries = 0;
  std::size_t bytes = 0;
  while (keep_from > log_.first_index()) {
    const Entry& entry = log_.at(Index(keep_from.value - 1));
    bytes += entry.bytes.size();
    if (++entries > config_.log_tail_entries || bytes > config_.log_tail_bytes) break;
    keep_from = entry.index;
  }
  compact_to_ = std::max(compact_to_, Index(keep_from.value - 1));
}

// S10: a follower in a transfer will need the entries after the snapshot. After the transfer it
// needs them until it has caught up to the tail. Otherwise it would receive one snapshot after
// another and never reach the log.
Index Leader::kept_for_followers(Index to, Index tail, Duration patience, Instant now) {
  for (auto& [id, follower] : progress) {
    if (!follower.kept_at || now - *follower.kept_at >= patience) continue;
    const Index needs =
        follower.transfer ? follower.transfer->snapshot.last_index : follower.match_index;
    if (!follower.transfer && needs >= tail) follower.kept_at.reset();
    else to = std::min(to, needs);
  }
  return to;
}

void Raft::compact_log(Index applied) {
  log_.sweep(kCompactedPerTurn, kCompactedBytesPerTurn);
  Index to = std::min({compact_to_, snapshot_.last_index, applied});
  if (to <= log_.base_index()) return;
  if (auto* leader = std::get_if<Leader>(&role_);
      leader != nullptr && log_.bytes() <= config_.log_kept_bytes)
    to = leader->kept_for_followers(to, compact_to_, config_.transfer_patience(), now_);
  // Entries that are committed in this turn are not applied yet.
  if (output_->committed_first.value != 0)
    to = std::min(to, Index(output_->committed_first.value - 1));
  if (to > log_.base_index()) log_.compact(to, kCompactedPerTurn, kCompactedBytesPerTurn);
}

std::vector<Index> Raft::snapshots_in_use() const {
  std::vector<Index> used;
  if (!snapshot_.is_none()) used.push_back(snapshot_.last_index);
  if (const auto* leader = std::get_if<Leader>(&role_)) {
    for (const auto& [id, progress] : leader->progress)
      if (progress.transfer) used.push_back(progress.transfer->snapshot.last_index);
  }
  return used;
}

// ---- the leader's side --------------------------------------------------------------------

// First asks which chunks the follower has, because a connection may have broken, or another leader
// may have begun the transfer. The question uses the same connection as the chunks: when it is
// answered, earlier chunks have arrived. So the leader does not fill a slow link with chunks that
// are in flight already.
void Raft::send_snapshot(ServerId id, Progress& progress) {
  Progress::Transfer& transfer = *progress.transfer;
  if (!transfer.asked) {
    transfer.asked = true;
    progress.news(now_);
    return send(id, InstallSnapshot{current_term(), transfer.snapshot, 0, {}}, kTermOnly,
                Channel::bulk);
  }
  if (!transfer.answered) return;
  const std::uint64_t end =
      std::min(transfer.snapshot.chunks(), transfer.acked + config_.snapshot_window);
  for (; transfer.next < end; ++transfer.next)
    output_->read_chunks.push_back({id, transfer.snapshot.last_index, transfer.next});
}

void Raft::begin_transfer(ServerId id, Progress& progress) {
  VESPER_ASSERT(!snapshot_.is_none());
  output_->notes.push_back(
      fmt::format("{} needs entry {}, the log begins at {} -> send the snapshot at {}", name(id),
                  progress.next_index.value, log_.first_index().value, snapshot_.last_index.value));
  progress.become_snapshot(snapshot_);
  progress.kept_at = now_;
}

void Raft::on_chunk_read(const ChunkRead& read) {
  auto* leader = std::get_if<Leader>(&role_);
  if (leader == nullptr) return;
  const auto it = leader->progress.find(read.to);
  if (it == leader->progress.end() || !it->second.transfer) return;
  Progress::Transfer& transfer = *it->second.transfer;
  if (transfer.snapshot.last_index != read.last_index) return;
  if (read.data.empty()) {
    transfer.unreadable = true;  // ask_stalled retries with the newest snapshot
    return;
  }
  send(read.to, InstallSnapshot{current_term(), transfer.snapshot, read.chunk, read.data},
       kTermOnly, Channel::bulk);
}

void Raft::on_install_snapshot_reply(ServerId from, Incarnation incarnation,
                                     const InstallSnapshotReply& m) {
  auto* leader = std::get_if<Leader>(&role_);
  Progress* progress = leader == nullptr ? nullptr : leader->progress_of(from, incarnation);
  if (progress == nullptr) return;
  if (m.done) {
    if (m.match_index > log_.last_index()) return;
    progress->news(now_);
    progress->acknowledge(m.match_index, now_);
    review_catch_up(*progress);
    if (progress->state != Progress::State::replicate) {
      // If the log was compacted further meanwhile, a newer snapshot is next.
      if (progress->match_index >= log_.base_index()) progress->become_replicate();
      else progress->become_probe(progress->match_index.next());
    }
    return advance_commit();
  }
  if (!progress->transfer || progress->transfer->snapshot.last_index != m.last_index ||
      progress->transfer->snapshot.checksum != m.checksum)
    return;
  Progress::Transfer& transfer = *progress->transfer;
  if (m.next_chunk > transfer.snapshot.chunks()) return;
  progress->news(now_);
  progress->kept_at = now_;
  if (m.asked && transfer.answered) return;  // asked twice: chunks are already in flight again
  if (!m.asked) {
    transfer.acked = std::max(transfer.acked, m.next_chunk);
    transfer.next = std::max(transfer.next, transfer.acked);
    return;
  }
  // The follower has nothing yet, so send the newest snapshot: other leaders can continue that one.
  if (m.next_chunk == 0 && transfer.snapshot != snapshot_)
    return progress->become_snapshot(snapshot_);
  if (m.next_chunk > 0) {
    ++transfers_resumed_;
    output_->notes.push_back(fmt::format("{} has {} of {} chunks -> resume there", name(from),
                                         m.next_chunk, transfer.snapshot.chunks()));
  }
  transfer.answered = true;
  transfer.acked = transfer.next = m.next_chunk;
}

// ---- the follower's side ------------------------------------------------------------------

void Raft::on_install_snapshot(ServerId from, InstallSnapshot m) {
  // The message may have been in flight for long, so it carries no log time.
  if (!hear_leader(from, m.snapshot.last_index, std::nullopt) || regressed_) return;
  const Snapshot& snapshot = m.snapshot;
  if (snapshot.last_term > m.term) return;  // no leader sends that
  if (snapshot.last_index > commit_index_ &&
      log_.term_at(snapshot.last_index) == snapshot.last_term) {
    // The log has everything (S3), and entries in a snapshot are committed.
    proven_index_ = std::max(proven_index_, snapshot.last_index);
    commit_to(snapshot.last_index);
  }
  if (snapshot.last_index <= commit_index_) return send_done(from, snapshot);  // S4
  if (m.data.empty()) {
    const std::optional<Snapshot> before = receipt_.current();
    if (!receipt_.offer(m.term, snapshot)) return;
    if (before && *before != snapshot)
      output_->notes.push_back(fmt::format("snapshot at {} replaces the one at {}",
                                           snapshot.last_index.value, before->last_index.value));
    return send_progress(from, ReceiptReport::answer);
  }
  // Drops a chunk of a snapshot that was abandoned. The leader asks again before it sends.
  if (!receipt_.take(snapshot, m.chunk, config_.snapshot_window * 2)) return;
  output_->store_chunks.push_back({snapshot, m.chunk, std::move(m.data)});
}

void Raft::on_chunk_stored(const ChunkStored& stored) {
  if (!receipt_.store(stored)) return;
  if (const auto to = leader(); to && *to != self()) send_progress(*to, ReceiptReport::stored);
}

void Raft::send_progress(ServerId to, ReceiptReport why) {
  InstallSnapshotReply reply{.term = current_term()};
  reply.last_index = receipt_.current()->last_index;
  reply.checksum = receipt_.current()->checksum;
  reply.next_chunk = receipt_.stored();
  reply.asked = why == ReceiptReport::answer;
  send(to, reply, kTermOnly);
}

// L10: the reply leaves once everything that it covers is durable, in the log or in a snapshot.
void Raft::send_done(ServerId to, const Snapshot& snapshot) {
  InstallSnapshotReply reply{.term = current_term()};
  reply.last_index = snapshot.last_index;
  reply.checksum = snapshot.checksum;
  reply.done = true;
  reply.match_index = commit_index_;
  send(to, reply, writes_.covering(commit_index_));
}

}  // namespace vesper::raft
