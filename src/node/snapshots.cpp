// Snapshots in the node: when one is taken, its slices, chunks for followers, and a state that is
// replaced by a received one. At most one chunk of each kind a turn, so that the loop is never
// stopped for longer than a few milliseconds, whatever the size of the store.
#include <fmt/core.h>

#include <algorithm>

#include "node/node.hpp"
#include "storage/snapshot_format.hpp"

namespace vesper::node {
namespace {

using storage::SnapshotFiles;
constexpr auto kTaken = SnapshotFiles::Writer::taken;
constexpr auto kReceived = SnapshotFiles::Writer::received;

constexpr std::size_t kRecordsPerSlice = 1024;  // keys looked at in one turn
constexpr std::size_t kSweptPerTurn = 4096;     // keys of a store that was replaced ...
constexpr std::size_t kSweptBytes = 4u << 20;   // ... whose values come to that
constexpr Duration kRetryAfter = seconds(1);    // when there was no space

}  // namespace

// ---- taking -------------------------------------------------------------------------------

// Snapshots are taken where the log crosses a multiple of a number of entries or bytes: positions
// that are the same on every server, so that their snapshots are, too.
bool Node::crosses_snapshot_position(const raft::Entry& entry) const {
  const std::uint64_t before = applied_bytes_ - entry.bytes.size();
  return entry.index.value % limits_.snapshot_entries == 0 ||
         before / limits_.snapshot_bytes != applied_bytes_ / limits_.snapshot_bytes;
}

// S1: of the state after the last applied entry, which is committed.
void Node::begin_snapshot() {
  if (taking_ || files_.writing(kTaken) || stopping_ || now_ < snapshot_retry_at_) return;
  if (applied_index_.value == 0 || configuration_.cluster_id.is_none()) return;
  raft::Snapshot snapshot;
  snapshot.last_index = applied_index_;
  snapshot.last_term = applied_term_;
  snapshot.log_time = applied_time_;
  snapshot.log_bytes = applied_bytes_;
  snapshot.configuration = configuration_;
  snapshot.chunk_bytes = limits_.snapshot_chunk_bytes;
  taking_ = std::make_unique<TakingSnapshot>(std::move(snapshot), *store_);
  files_.begin(kTaken, applied_index_, limits_.snapshot_chunk_bytes);
}

void Node::pump_taking() {
  if (!taking_ || taking_->finishing || !files_.ready(kTaken)) return;
  TakingSnapshot& taking = *taking_;
  const std::size_t limit = taking.snapshot.chunk_bytes;
  // A turn collects or compresses, not both.
  if (!taking.ended && taking.chunk.size() < limit) {
    taking.ended = taking.content.read(taking.chunk, limit, kRecordsPerSlice);
    turn_again_ = true;
  } else if (!taking.chunk.empty()) {
    taking.sum.add(taking.chunk);
    taking.snapshot.content_bytes += taking.chunk.size();
    files_.append(kTaken, storage::encode_chunk(files_.zstd(), taking.snapshot.last_index,
                                                taking.next_chunk++, taking.chunk));
    taking.chunk.clear();
  } else if (raft_.durable_index() >= taking.snapshot.last_index) {
    // Not above what this disk has of the log: what others know by a majority is not ours yet.
    taking.finishing = true;
    taking.snapshot.checksum = taking.sum.digest();
    files_.finish(kTaken, taking.snapshot);
  }
}

// ---- receiving ----------------------------------------------------------------------------

void Node::on_store_chunk(raft::StoreChunk chunk) {
  turn_again_ = true;
  if (now_ < receive_retry_at_) {
    receive_failed_ = true;
    return;
  }
  const bool same = receiving_ && receiving_->snapshot == chunk.snapshot;
  if (!same || chunk.chunk == 0) {
    stop_receiving();
    receiving_ = std::make_unique<ReceivingSnapshot>(chunk.snapshot, store_->replies().most());
  }
  if (chunk.chunk != receiving_->taken_in + receiving_->waiting.size()) {
    receive_failed_ = true;  // not from its beginning
    return;
  }
  receiving_->waiting.push_back(std::move(chunk.data));
}

void Node::stop_receiving() {
  if (!receiving_) return;
  if (receiving_->begun) files_.give_up(kReceived);
  if (receiving_->store) retire(std::move(receiving_->store));
  else retire(receiving_->content.give_up());
  receiving_.reset();
}

void Node::fail_receiving(std::string_view why) {
  notes_.push_back(fmt::format("the snapshot at {} that is being received is {} -> begin again",
                               receiving_->snapshot.last_index.value, why));
  stop_receiving();
  receive_failed_ = true;
}

void Node::pump_receiving() {
  if (output_.install) return;  // it is about to take effect
  // The log has overtaken it.
  if (receiving_ && receiving_->snapshot.last_index <= raft_.commit_index()) stop_receiving();
  if (std::exchange(receive_failed_, false)) {
    stop_receiving();
    step(raft::ReceiveFailed{});
  }
  if (!receiving_ || receiving_->waiting.empty()) return;
  ReceivingSnapshot& receiving = *receiving_;
  if (!receiving.begun) {
    if (files_.writing(kReceived)) return;  // the one before is being removed
    receiving.begun = true;
    files_.begin(kReceived, receiving.snapshot.last_index, receiving.snapshot.chunk_bytes);
  }
  if (!files_.ready(kReceived)) return;
  SharedBytes record = std::move(receiving.waiting.front());
  receiving.waiting.pop_front();
  auto content = storage::decode_chunk(files_.zstd(), record.view(), receiving.snapshot.last_index,
                                       receiving.taken_in);
  if (!content) return fail_receiving(content.error().what);
  const bool last = receiving.taken_in + 1 == receiving.snapshot.chunks();
  receiving.content_bytes += content->size();
  const bool right_size = last ? receiving.content_bytes == receiving.snapshot.content_bytes
                               : content->size() == receiving.snapshot.chunk_bytes;
  if (!right_size) return fail_receiving("not cut as it says");
  receiving.sum.add(*content);
  if (auto added = receiving.content.add(*content); !added)
    return fail_receiving(added.error().what);
  if (last) {
    // S5: as a whole, before it has a name.
    if (receiving.sum.digest() != receiving.snapshot.checksum)
      return fail_receiving("not what its checksum says");
    auto store = receiving.content.finish();
    if (!store) return fail_receiving(store.error().what);
    receiving.store = std::move(store.value());
  }
  ++receiving.taken_in;
  files_.append(kReceived, std::move(record));
}

// The store of a snapshot in place of this one (figure 13, step 8). What this node's writes came to
// may be hidden in it.
void Node::install(const raft::Snapshot& snapshot) {
  VESPER_ASSERT(receiving_ != nullptr);
  VESPER_ASSERT(receiving_->snapshot == snapshot);
  VESPER_ASSERT(receiving_->store != nullptr);
  if (taking_) stop_taking();
  retire(std::exchange(store_, std::move(receiving_->store)));
  receiving_.reset();
  applied_index_ = snapshot.last_index;
  applied_term_ = snapshot.last_term;
  applied_time_ = snapshot.log_time;
  applied_bytes_ = snapshot.log_bytes;
  configuration_ = snapshot.configuration;
  ++counters_.snapshots_installed;
  for (const PendingWrites::Expired& hidden : writes_.hide(snapshot.last_term)) {
    ++counters_.writes_unknown;
    end_write(hidden.ticket, Refusal::outcome_unknown);
  }
}

void Node::stop_taking() {
  taking_.reset();  // before the store that it reads
  files_.give_up(kTaken);
}

void Node::retire(std::unique_ptr<kv::Store> store) {
  if (!store) return;
  store->retire();
  retired_.push_back(std::move(store));
}

// ---- every turn ---------------------------------------------------------------------------

void Node::pump_snapshots() {
  turn_again_ = false;
  counters_.transfers_resumed = raft_.transfers_resumed();
  if (stopping_) return;
  pump_receiving();
  const storage::StoredSnapshot* newest = files_.find(raft_.snapshot().last_index);
  if (newest != nullptr && newest->damaged) begin_snapshot();  // it must not be the only one
  pump_taking();
  files_.prune(wal_.durable_base(), raft_.snapshots_in_use());
  if (!store_->sweep(kSweptPerTurn, kSweptBytes)) turn_again_ = true;
  if (!retired_.empty()) {
    if (retired_.back()->sweep(kSweptPerTurn, kSweptBytes)) retired_.pop_back();
    turn_again_ |= !retired_.empty();
  }
}

Result<void> Node::on_snapshot_job(const storage::JobDone& done) {
  auto outcome = files_.on_done(done);
  if (!outcome) return std::move(outcome).error();
  if (!outcome->note.empty()) notes_.push_back(std::move(outcome->note));
  if (outcome->read) {
    SnapshotFiles::ReadDone& read = *outcome->read;
    if (!read.record.empty()) ++counters_.snapshot_chunks_sent;
    step(raft::ChunkRead{raft::ServerId(static_cast<std::uint32_t>(read.token)), read.snapshot,
                         read.chunk, std::move(read.record)});
  }
  if (outcome->failed) {
    ++counters_.snapshots_failed;
    if (*outcome->failed == kTaken) {
      taking_.reset();
      snapshot_retry_at_ = now_ + kRetryAfter;
    } else if (receiving_ && receiving_->begun) {
      receive_retry_at_ = now_ + kRetryAfter;
      fail_receiving("more than there is space for");
    }
  }
  if (outcome->appended == kReceived && receiving_ && receiving_->begun) {
    ++receiving_->durable;
    step(raft::ChunkStored{receiving_->snapshot.last_index, receiving_->snapshot.checksum,
                           receiving_->durable});
    if (receiving_->store) files_.finish(kReceived, receiving_->snapshot);
  }
  if (outcome->finished) on_snapshot_stored(*outcome->finished);
  return {};
}

void Node::on_snapshot_stored(SnapshotFiles::Writer writer) {
  const storage::StoredSnapshot& stored = files_.stored().back();
  const raft::Snapshot snapshot = stored.snapshot;
  notes_.push_back(fmt::format("snapshot {} at index {}: {} bytes in {} chunks",
                               writer == kTaken ? "taken" : "received", snapshot.last_index.value,
                               stored.file_bytes, snapshot.chunks()));
  if (writer == kTaken) {
    ++counters_.snapshots_taken;
    taking_.reset();
  }
  step(raft::SnapshotStored{snapshot});
}

}  // namespace vesper::node
