#include "node/snapshotter.hpp"

#include <fmt/core.h>

#include <utility>

#include "storage/snapshot_format.hpp"

namespace vesper::node {
namespace {

using storage::SnapshotFiles;
constexpr auto kTaken = SnapshotFiles::Writer::taken;
constexpr auto kReceived = SnapshotFiles::Writer::received;

constexpr std::size_t kRecordsPerSlice = 1024;  // keys visited in one turn
// Versions freed in one turn: of a store that was replaced, and of the present one, where each is
// looked up first, so that a turn takes less than 1 ms. Fewer, once they reach so many bytes.
constexpr std::size_t kSweptPerTurn = 4096;
constexpr std::size_t kTrimmedPerTurn = 256;
constexpr std::size_t kSweptBytes = 4u << 20;
constexpr Duration kRetryAfter = seconds(1);  // after the disk was full

}  // namespace

// ---- taking -------------------------------------------------------------------------------

void Snapshotter::begin(raft::Snapshot identity, kv::Store& store, Instant now) {
  if (taking_ || files_.writing(kTaken) || now < take_retry_at_) return;
  if (identity.is_none() || identity.configuration.cluster_id.is_none()) return;
  const raft::Index index = identity.last_index;
  const std::uint32_t chunk_bytes = identity.chunk_bytes;
  taking_ = std::make_unique<Taken>(std::move(identity), store);
  files_.begin(kTaken, index, chunk_bytes);
}

void Snapshotter::stop_taking() {
  if (!taking_) return;
  taking_.reset();  // reads the store, so it must go first
  files_.give_up(kTaken);
}

void Snapshotter::pump_taking(raft::Index durable) {
  if (!taking_ || taking_->finishing || !files_.ready(kTaken)) return;
  Taken& taking = *taking_;
  const std::size_t limit = taking.snapshot.chunk_bytes;
  // One turn either collects or compresses, so that neither adds to the other's delay.
  if (!taking.ended && taking.chunk.size() < limit) {
    taking.ended = taking.content.read(taking.chunk, limit, kRecordsPerSlice);
    busy_ = true;
  } else if (!taking.chunk.empty()) {
    taking.sum.add(taking.chunk);
    taking.snapshot.content_bytes += taking.chunk.size();
    files_.append(kTaken, {storage::encode_chunk(files_.zstd(), taking.snapshot.last_index,
                                                 taking.next_chunk++, taking.chunk)});
    taking.chunk.clear();
  } else if (durable >= taking.snapshot.last_index) {
    // The snapshot must not go beyond the durable log: a commit may rest on a majority without this
    // server.
    taking.finishing = true;
    taking.snapshot.checksum = taking.sum.digest();
    files_.finish(kTaken, taking.snapshot);
  }
}

// ---- receiving ----------------------------------------------------------------------------

void Snapshotter::add_chunk(raft::StoreChunk chunk, std::size_t max_idempotency_keys, Instant now) {
  busy_ = true;
  if (now < receive_retry_at_) {
    receive_failed_ = true;
    return;
  }
  const bool same = receiving_ && receiving_->snapshot == chunk.snapshot;
  if (!same || chunk.chunk == 0) {
    stop_receiving();
    receiving_ = std::make_unique<Received>(chunk.snapshot, max_idempotency_keys);
  }
  if (chunk.chunk != receiving_->taken_in + receiving_->waiting.size()) {
    receive_failed_ = true;  // an earlier chunk is missing
    return;
  }
  receiving_->waiting.push_back(std::move(chunk.data));
}

void Snapshotter::stop_receiving() {
  if (!receiving_) return;
  if (receiving_->begun) files_.give_up(kReceived);
  if (receiving_->store) retire(std::move(receiving_->store));
  else retire(receiving_->content.give_up());
  receiving_.reset();
}

void Snapshotter::fail_receiving(std::string_view why) {
  notes_.push_back(fmt::format("cannot receive the snapshot at index {}: {} -> starting over",
                               receiving_->snapshot.last_index.value, why));
  stop_receiving();
  receive_failed_ = true;
}

bool Snapshotter::pump_receiving(raft::Index committed) {
  // The log has caught up with the snapshot, so it is no longer needed.
  if (receiving_ && receiving_->snapshot.last_index <= committed) stop_receiving();
  if (std::exchange(receive_failed_, false)) {
    stop_receiving();
    return true;
  }
  if (!receiving_) return false;
  Received& receiving = *receiving_;
  // One chunk in each turn, also while the disk writes those before it.
  if (!receiving.waiting.empty()) {
    SharedBytes record = std::move(receiving.waiting.front());
    receiving.waiting.pop_front();
    if (auto verified = verify(record.view()); !verified) {
      fail_receiving(verified.error().what);
      return false;
    }
    ++receiving.taken_in;
    receiving.verified.push_back(std::move(record));
    busy_ |= !receiving.waiting.empty();
  }
  if (receiving.verified.empty()) return false;
  if (!receiving.begun) {
    if (files_.writing(kReceived)) return false;  // the previous one is still being removed
    receiving.begun = true;
    files_.begin(kReceived, receiving.snapshot.last_index, receiving.snapshot.chunk_bytes);
  }
  if (files_.ready(kReceived)) files_.append(kReceived, std::exchange(receiving.verified, {}));
  return false;
}

// Adds the next chunk to the store being built. The last chunk is accepted only if the whole
// snapshot is correct.
Result<void> Snapshotter::verify(std::string_view record) {
  Received& receiving = *receiving_;
  auto content = storage::decode_chunk(files_.zstd(), record, receiving.snapshot.last_index,
                                       receiving.taken_in);
  if (!content) return std::move(content).error();
  const bool last = receiving.taken_in + 1 == receiving.snapshot.chunks();
  receiving.content_bytes += content->size();
  const bool right_size = last ? receiving.content_bytes == receiving.snapshot.content_bytes
                               : content->size() == receiving.snapshot.chunk_bytes;
  if (!right_size) return Error{"its chunks do not have the announced size"};
  receiving.sum.add(*content);
  if (auto added = receiving.content.add(*content); !added) return added;
  if (!last) return {};
  // S5: the snapshot is verified as a whole before its file gets a name.
  if (receiving.sum.digest() != receiving.snapshot.checksum)
    return Error{"its checksum does not match"};
  auto store = receiving.content.finish();
  if (!store) return std::move(store).error();
  receiving.store = std::move(store.value());
  return {};
}

std::unique_ptr<kv::Store> Snapshotter::take_received(const raft::Snapshot& snapshot) {
  VESPER_ASSERT(receiving_ != nullptr);
  VESPER_ASSERT(receiving_->snapshot == snapshot);
  VESPER_ASSERT(receiving_->store != nullptr);
  std::unique_ptr<kv::Store> store = std::move(receiving_->store);
  receiving_.reset();
  return store;
}

std::optional<Snapshotter::Receiving> Snapshotter::receiving() const {
  if (!receiving_) return std::nullopt;
  return Receiving{receiving_->durable, receiving_->snapshot.chunks()};
}

// ---- freeing ------------------------------------------------------------------------------

void Snapshotter::retire(std::unique_ptr<kv::Store> store) {
  if (!store) return;
  store->retire();
  retired_.push_back(std::move(store));
}

void Snapshotter::sweep(kv::Store& store) {
  if (!store.sweep(kTrimmedPerTurn, kSweptBytes)) busy_ = true;
  // A stream may still read a store that was replaced.
  if (retired_.empty() || retired_.back()->keyspace().is_pinned()) return;
  if (retired_.back()->sweep(kSweptPerTurn, kSweptBytes)) retired_.pop_back();
  busy_ |= !retired_.empty();
}

// ---- completions --------------------------------------------------------------------------

Result<std::vector<raft::Event>> Snapshotter::on_done(const storage::JobDone& done, Instant now) {
  auto outcome = files_.on_done(done);
  if (!outcome) return std::move(outcome).error();
  std::vector<raft::Event> events;
  if (!outcome->note.empty()) notes_.push_back(std::move(outcome->note));
  if (outcome->read) {
    SnapshotFiles::ReadDone& read = *outcome->read;
    if (!read.record.empty()) ++stats_.chunks_sent;
    events.push_back(raft::ChunkRead{raft::ServerId(static_cast<std::uint32_t>(read.asker)),
                                     read.snapshot, read.chunk, std::move(read.record)});
  }
  if (outcome->failed) on_no_space(*outcome->failed, now);
  if (outcome->appended == kReceived && receiving_ && receiving_->begun) {
    receiving_->durable += outcome->records;
    events.push_back(raft::ChunkStored{receiving_->snapshot.last_index,
                                       receiving_->snapshot.checksum, receiving_->durable});
    if (receiving_->durable == receiving_->snapshot.chunks())
      files_.finish(kReceived, receiving_->snapshot);
  }
  if (outcome->finished) events.push_back(on_stored(*outcome->finished));
  return events;
}

void Snapshotter::on_no_space(SnapshotFiles::Writer writer, Instant now) {
  ++stats_.failed;
  if (writer == kTaken) {
    taking_.reset();
    take_retry_at_ = now + kRetryAfter;
  } else if (receiving_ && receiving_->begun) {
    receive_retry_at_ = now + kRetryAfter;
    fail_receiving("there is not enough space");
  }
}

raft::SnapshotStored Snapshotter::on_stored(SnapshotFiles::Writer writer) {
  const storage::StoredSnapshot& stored = files_.stored().back();
  notes_.push_back(fmt::format(
      "snapshot {} at index {}: {} bytes in {} chunks", writer == kTaken ? "taken" : "received",
      stored.snapshot.last_index.value, stored.file_bytes, stored.snapshot.chunks()));
  if (writer == kTaken) {
    ++stats_.taken;
    taking_.reset();
  }
  return {stored.snapshot};
}

}  // namespace vesper::node
