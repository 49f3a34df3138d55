// What Raft wants done, sealed: the shell fills in no term, index or id. It is executed in the
// order of its fields.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "raft/message.hpp"

namespace vesper::raft {

struct Envelope {
  ServerId to;
  Message message;
  Channel channel = Channel::control;
};

// An envelope that promises what Writes make durable: it leaves when Persisted::number >= after and
// Persisted::hard_state >= after_hard_state. It keeps the term that it was made with.
struct HeldEnvelope {
  Envelope envelope;
  WriteNumber after;
  WriteNumber after_hard_state;

  bool may_leave(WriteNumber persisted, WriteNumber hard_state) const {
    return after <= persisted && after_hard_state <= hard_state;
  }
};

// A batch of reads may be answered from a state that has applied `index`.
struct ReadReady {
  std::uint64_t id = 0;
  Index index;
  bool lease = false;  // the leader's lease says so, not a round
};

// A chunk of a stored snapshot is wanted: ChunkRead answers.
struct ReadChunk {
  ServerId to;
  Index last_index;
  std::uint64_t chunk = 0;
};

// The next chunk of a snapshot that the leader sends, to be verified and written; ChunkStored
// answers, after the last one SnapshotStored. Another snapshot, or chunk 0 again, replaces what
// was received before (S5).
struct StoreChunk {
  Snapshot snapshot;
  std::uint64_t chunk = 0;
  SharedBytes data;
};

struct Output {
  // Carries no term of ours that is not durable here. A leader's AppendEntries is here, too: it
  // overlaps the leader's own disk write (thesis 10.2.1).
  std::vector<Envelope> send_now;
  std::optional<Write> write;
  std::vector<HeldEnvelope> send_after;
  std::vector<ReadChunk> read_chunks;
  std::vector<StoreChunk> store_chunks;
  // The state is replaced by that of this snapshot, before anything committed is applied: it was
  // received, and SnapshotStored has just been stepped.
  std::optional<Snapshot> install;
  // Newly committed entries, [committed_first, committed_last]; both 0: none. They may be
  // applied whatever the local disk does: a majority has them.
  Index committed_first;
  Index committed_last;
  std::vector<ReadReady> reads;
  std::vector<std::string> notes;   // log lines: "fact -> decision"
  std::vector<std::string> alarms;  // as notes, for an operator to act on
  Instant deadline = kNever;        // when DeadlinePassed wants to be stepped

  void clear() {
    send_now.clear();
    write.reset();
    send_after.clear();
    read_chunks.clear();
    store_chunks.clear();
    install.reset();
    committed_first = committed_last = Index(0);
    reads.clear();
    notes.clear();
    alarms.clear();
  }
};

}  // namespace vesper::raft
