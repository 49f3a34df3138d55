// The snapshot that a follower is receiving (§7): which one, and how many chunks it has. The
// sender's side is Progress::Transfer (progress.hpp).
#pragma once

#include <optional>

#include "raft/event.hpp"

namespace vesper::raft {

// Why a follower reports its progress.
enum class ReceiptReport : std::uint8_t {
  answer,  // the leader asked
  stored,  // chunks became durable
};

class SnapshotReceipt {
 public:
  // The leader of `term` asks which chunks of this snapshot have arrived. Returns false if the
  // message was delayed: a leader never goes back to an earlier snapshot. If another leader offers
  // the same snapshot, the transfer continues. A different snapshot replaces what was received
  // (S5).
  bool offer(Term term, const Snapshot& snapshot) {
    if (current_ && term_ == term && snapshot.last_index < current_->last_index) return false;
    if (!is(snapshot)) {
      current_ = snapshot;
      next_ = stored_ = 0;
    }
    term_ = term;
    return true;
  }
  // True if this chunk is to be stored now. Chunks are taken in order, and at most `window` of them
  // may be waiting for storage. Chunks that are duplicate, early or too fast are dropped.
  bool take(const Snapshot& snapshot, std::uint64_t chunk, std::uint64_t window) {
    if (!is(snapshot) || chunk != next_ || chunk >= snapshot.chunks()) return false;
    if (chunk - stored_ >= window) return false;
    ++next_;
    return true;
  }
  // True if `stored` belongs to the snapshot being received, and not to an earlier start of it.
  bool store(const ChunkStored& stored) {
    if (!current_ || current_->last_index != stored.last_index ||
        current_->checksum != stored.checksum || stored.next_chunk > next_)
      return false;
    stored_ = std::max(stored_, stored.next_chunk);
    return true;
  }
  void end() { current_.reset(); }

  bool is(const Snapshot& snapshot) const { return current_ && *current_ == snapshot; }
  // Nothing: no snapshot is being received.
  const std::optional<Snapshot>& current() const { return current_; }
  std::uint64_t stored() const { return stored_; }  // durable chunks

 private:
  std::optional<Snapshot> current_;
  Term term_;                 // of the leader that offered it last
  std::uint64_t next_ = 0;    // next chunk expected from the leader
  std::uint64_t stored_ = 0;  // <= next_
};

}  // namespace vesper::raft
