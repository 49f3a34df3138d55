// The inputs of Raft::step(): a closed variant of everything that can happen to a Raft node. Time
// is not part of an event, because step() takes it as an argument. The results are in output.hpp.
#pragma once

#include <optional>
#include <variant>
#include <vector>

#include "raft/membership.hpp"
#include "raft/message.hpp"

namespace vesper::raft {

struct Received {
  ServerId from;
  Incarnation incarnation;  // the sender's, proven by the handshake of its connection
  Message message;
};

// Every Write up to `number` is durable. Term and vote of every Write up to `hard_state` are
// durable: it may exceed `number` when there is no space for entries. It carries no information if
// it is below `number`.
struct Persisted {
  WriteNumber number;
  WriteNumber hard_state;
};

// The space for the log has changed. `room`: bytes of entries that can still be written; valid only
// while `full`.
struct DiskSpace {
  bool full = false;
  std::uint64_t room = 0;
};

struct Proposal {
  Origin origin;
  SharedBytes payload;
};

// Clients' writes, in order. Requires that this server leads.
struct Propose {
  std::vector<Proposal> proposals;
};

// A batch of linearizable reads asks which index it must see (thesis 6.4). The answer comes in
// Output::reads, or never. The caller asks again under a new id if the leader or the term changes,
// or if the answer takes too long.
struct ReadIndex {
  std::uint64_t id = 0;
  bool leader_lease = false;  // every read of the batch accepts the leader lease instead of a round
};

// Hands leadership to `to`, or to any fit server (thesis 3.10). Has no effect if this server does
// not lead, or if no server is fit.
struct TransferLeadership {
  std::optional<ServerId> to;
};
// A read arrived that a leader lease would answer. The leader requests leases for a while
// (kLeaderLeaseWanted).
struct LeaderLeaseRead {};
// Whether clients of this server wait for changes. While they do, the leader sends a heartbeat for
// each commit, in the turn in which it happens. Otherwise only the server that an entry came from
// gets one.
struct CommitsWanted {
  bool wanted = false;
};

// What a server reports about itself in every handshake, even in one that it refuses.
struct PeerState {
  Id128 cluster_id;                     // of its committed Bootstrap entry; none before that
  Term term;                            // its current term
  Index last_index;                     // of its log; 0: empty
  std::uint32_t level = kFeatureLevel;  // of its build

  bool operator==(const PeerState&) const = default;
};

// A connection to the peer is established, and its handshake has passed.
struct PeerUp {
  ServerId id;
  Incarnation incarnation;
  PeerState state;
};

// The peer has reported its state, but there is no connection to it: it refused, or it dialled this
// server. Without `state` the peer is still reading its log.
struct PeerSaid {
  ServerId id;
  std::optional<PeerState> state;
};

// The peer's process is known to be gone: its connections ended, and a new one was refused or
// answered by another boot. A connection that hangs does not cause this event.
struct PeerGone {
  ServerId id;
};

// A peer has seen a later start of this server's data directory: it is an older copy.
struct OlderCopy {};

// Changes the members (§6). The answer comes in Output::members, in the same step.
struct ChangeMembers {
  std::uint64_t id = 0;  // chosen by the caller
  MembersRequest request;
};

// A snapshot is durable under its final name. Either this server took it, or it was received and is
// complete and verified (S2). After a received one, the node can replace its state at once.
struct SnapshotStored {
  Snapshot snapshot;
};

// Answers Output::read_chunks. Empty `data`: the chunk cannot be read.
struct ChunkRead {
  ServerId to;
  Index last_index;
  std::uint64_t chunk = 0;
  SharedBytes data;
};

// All chunks before `next_chunk` of the snapshot being received are durable and verified.
struct ChunkStored {
  Index last_index;
  std::uint64_t checksum = 0;
  std::uint64_t next_chunk = 0;
};

// Receiving the snapshot was abandoned: there is no space, or a chunk is damaged.
struct ReceiveFailed {};

// The deadline of the last Output may have passed.
struct DeadlinePassed {};

inline constexpr Index kAllApplied{UINT64_MAX};  // every committed entry

// The election timer of a follower fires now, whatever its deadline. Somebody has asked for it.
struct ElectionTimeout {};

// Every event of this turn of the loop has been stepped. Raft now emits its batches.
struct EndOfTurn {
  Index applied = kAllApplied;  // the log is not compacted beyond this
};

using Event = std::variant<Received, Persisted, Propose, ReadIndex, LeaderLeaseRead, CommitsWanted,
                           PeerUp, PeerSaid, PeerGone, DiskReplaced, OlderCopy, ChangeMembers,
                           SnapshotStored, ChunkRead, ChunkStored, ReceiveFailed, DiskSpace,
                           TransferLeadership, DeadlinePassed, ElectionTimeout, EndOfTurn>;

}  // namespace vesper::raft
