// The effects that Raft requests from the node. They are complete: the node fills in no term, index
// or id. The node executes them in the order of the fields of Output. The inputs are in event.hpp.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "raft/membership.hpp"
#include "raft/message.hpp"

namespace vesper::raft {

struct Envelope {
  ServerId to;
  Message message;
  Channel channel = Channel::control;
};

// A message whose promises depend on Writes that are not durable yet. It may leave when
// Persisted::number >= after and Persisted::hard_state >= after_hard_state. It keeps the term under
// which it was made.
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
  bool leader_lease = false;  // based on the leader lease, not on a round
};

// Answers ChangeMembers.
struct MembersAnswer {
  std::uint64_t id = 0;
  // The index of the entry that carries the change, or of the present configuration if the request
  // changes nothing. The entry may still be lost before it is committed.
  std::variant<Index, MembersRefusal> outcome;
};

// Requests a chunk of a stored snapshot. ChunkRead answers.
struct ReadChunk {
  ServerId to;
  Index last_index;
  std::uint64_t chunk = 0;
};

// The next chunk of a snapshot that the leader sends, to be verified and written. ChunkStored
// answers, and SnapshotStored after the last chunk. A different snapshot, or chunk 0 again,
// replaces what was received before (S5).
struct StoreChunk {
  Snapshot snapshot;
  std::uint64_t chunk = 0;
  SharedBytes data;
};

struct Output {
  // Every term of this server in these messages is durable here. They include a leader's
  // AppendEntries, so that replication overlaps the leader's own disk write (thesis 10.2.1).
  std::vector<Envelope> send_now;
  std::optional<Write> write;
  std::vector<HeldEnvelope> send_after;
  std::vector<ReadChunk> read_chunks;
  std::vector<StoreChunk> store_chunks;
  // Replace the state by this snapshot before applying anything committed. The snapshot was
  // received, and its SnapshotStored has just been stepped.
  std::optional<Snapshot> install;
  // Newly committed entries, [committed_first, committed_last]; both 0: none. They may be applied
  // before the local disk has them, because a majority has them.
  Index committed_first;
  Index committed_last;
  std::vector<ReadReady> reads;
  std::vector<MembersAnswer> members;
  std::vector<std::string> notes;   // log lines: "fact -> decision"
  std::vector<std::string> alarms;  // like notes, but an operator has to act
  Instant deadline = kNever;        // when DeadlinePassed is due

  void clear() {
    send_now.clear();
    write.reset();
    send_after.clear();
    read_chunks.clear();
    store_chunks.clear();
    install.reset();
    committed_first = committed_last = Index(0);
    reads.clear();
    members.clear();
    notes.clear();
    alarms.clear();
  }
};

}  // namespace vesper::raft
