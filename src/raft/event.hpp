// What can happen to a Raft node: a closed variant. Time is not in here; it enters with each step.
#pragma once

#include <optional>
#include <variant>
#include <vector>

#include "raft/message.hpp"

namespace vesper::raft {

struct Received {
  ServerId from;
  Incarnation incarnation;  // of the sender, proven by the handshake of its connection
  Message message;
};

// Every Write up to `number` is durable; of those up to `hard_state` term and vote are, which may
// be ahead when there is no space for entries. Below `number` it says nothing.
struct Persisted {
  WriteNumber number;
  WriteNumber hard_state;
};

// What became of the space for the log. `room`: bytes of entries that can still be written; looked
// at only while `full`.
struct DiskSpace {
  bool full = false;
  std::uint64_t room = 0;
};

struct Proposal {
  Origin origin;
  SharedBytes payload;
};

// Clients' writes, in order. Only the leader may be asked.
struct Propose {
  std::vector<Proposal> proposals;
};

// A batch of linearizable reads asks which index it must see (thesis 6.4). Answered in
// Output::reads, or never: the asker asks again under a new id when leader or term changes, or
// when it takes too long.
struct ReadIndex {
  std::uint64_t id = 0;
  bool lease = false;  // all of them take the leader's lease for a round
};

// Hand leadership to `to`, or to whoever is fit for it (thesis 3.10). Nothing happens on a server
// that does not lead, and where nobody is fit.
struct TransferLeadership {
  std::optional<ServerId> to;
};
// A read came that a lease would answer: a leader asks for leases from now on, for a while.
struct LeaseRead {};

// What a server says of itself in every handshake, also in one that it refuses.
struct PeerState {
  Id128 cluster_id;  // of its committed Bootstrap entry; none before
  Term term;         // its current term
  Index last_index;  // of its log; 0: empty

  bool operator==(const PeerState&) const = default;
};

// A connection to the peer stands, and its handshake has passed.
struct PeerUp {
  ServerId id;
  Incarnation incarnation;
  PeerState state;
};

// The peer has said what it holds, but no connection to it stands: it refused, or it has dialled.
// Nothing: it is still reading its log.
struct PeerSaid {
  ServerId id;
  std::optional<PeerState> state;
};

// The peer's process is known to be gone: its connections ended, and a new one was refused or
// answered by another boot. A connection that merely hangs is not this.
struct PeerGone {
  ServerId id;
};

// A snapshot has its name, durably: one that was taken here, or a received one that is whole and
// verified (S2). In the second case the node can replace its state by it at once.
struct SnapshotStored {
  Snapshot snapshot;
};

// Answers Output::read_chunks. No data: it cannot be read.
struct ChunkRead {
  ServerId to;
  Index last_index;
  std::uint64_t chunk = 0;
  SharedBytes data;
};

// All chunks of the snapshot being received before `next_chunk` are durable and verified.
struct ChunkStored {
  Index last_index;
  std::uint64_t checksum = 0;
  std::uint64_t next_chunk = 0;
};

// The snapshot being received was given up: no space, or a chunk is damaged.
struct ReceiveFailed {};

// The deadline of the last Output may have passed.
struct DeadlinePassed {};

inline constexpr Index kAllApplied{UINT64_MAX};  // of the committed entries

// Everything that one turn of the loop brought has been stepped: batches leave now.
struct EndOfTurn {
  Index applied = kAllApplied;  // the log is not cut beyond it
};

using Event = std::variant<Received, Persisted, Propose, ReadIndex, LeaseRead, PeerUp, PeerSaid,
                           PeerGone, SnapshotStored, ChunkRead, ChunkStored, ReceiveFailed,
                           DiskSpace, TransferLeadership, DeadlinePassed, EndOfTurn>;

}  // namespace vesper::raft
