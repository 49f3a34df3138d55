// The interface between the node and its environment: messages, requests, replies and inputs.
// Contains no I/O. The server implements the ports over sockets, the simulator in memory.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "kv/store.hpp"
#include "raft/event.hpp"
#include "storage/fs.hpp"

namespace vesper::node {

// Clients' writes on their way from the server that received them to the leader of `term`. The
// writes of one (boot, term) form one stream. `previous` is the sequence of the write before the
// first one in this message (0: none), so that the leader can accept each write once, in order and
// without gaps. A Forward without writes asks whether everything up to `previous` has arrived.
struct Forward {
  struct Write {
    std::uint64_t sequence = 0;
    SharedBytes command;
  };
  raft::Term term;  // the intended leader's; a leader of another term ignores the message
  raft::BootId boot;
  std::uint32_t attempt = 0;  // how often the stream had gone back when this was sent
  std::uint64_t previous = 0;
  std::vector<Write> writes;
};

// `accepted`: the last sequence of (boot, term) in the leader's log, 0 for none. If `gap` is set,
// the origin must send again everything after `accepted` that it sent in this attempt.
struct ForwardReply {
  raft::Term term;
  raft::BootId boot;
  std::uint32_t attempt = 0;  // the Forward's
  std::uint64_t accepted = 0;
  bool gap = false;
};

// Asks the leader of `term` to transfer leadership to `to`, or to any fit server.
struct TransferAsked {
  raft::Term term;
  std::optional<raft::ServerId> to;
};

// One message between peers.
using PeerMessage = std::variant<raft::Message, Forward, ForwardReply, TransferAsked>;

class Transport {
 public:
  virtual ~Transport() = default;
  // Never blocks. May lose the message.
  virtual void send(raft::ServerId to, const PeerMessage& message, raft::Channel channel) = 0;
};

// Identifies the request that a reply belongs to. A process never reuses a connection id. The
// requests of one connection take effect in the order in which they were posted.
struct Ticket {
  std::uint64_t connection = 0;
  std::uint64_t request = 0;
};

// Why a request ended without a result from the store.
enum class Refusal : std::uint8_t {
  no_leader,        // certainly not applied
  overloaded,       // certainly not applied
  shutting_down,    // certainly not applied
  disk_full,        // certainly not applied
  no_other_member,  // transfers only: the cluster has no other voter
  timeout,          // reads and transfers only
  unreached,        // reads only: min_revision is not applied here yet
  too_stale,        // reads only: older than max_staleness, or the age is unknown
  outcome_unknown,  // writes only: in some log, outcome unknown
};

// The consistency that a read asks for, and the one it got. A lease read falls back to linearizable
// if the leader holds no lease.
enum class ReadLevel : std::uint8_t {
  linearizable,  // confirmed by a round of heartbeats
  lease,         // by the leader's lease: valid while clocks run at nearly the same rate
  stale,         // from the local store, without asking another server
};

struct ReadOptions {
  ReadLevel level = ReadLevel::linearizable;
  std::optional<Duration> max_staleness;  // stale only
  std::uint64_t min_revision = 0;         // wait until the store has reached this revision
};

struct ReadResult {
  std::optional<kv::Item> item;  // nothing: no such key
  std::uint64_t revision = 0;    // of the store, when it was read
  ReadLevel level = ReadLevel::linearizable;
  std::optional<Duration> staleness;  // stale only: an upper bound; nothing: no bound is known
};

// The new leader. It has committed an entry of this term.
struct TransferResult {
  raft::ServerId leader;
  raft::Term term;
};

using ClientReply = std::variant<kv::WriteResult, ReadResult, TransferResult, Refusal>;

class Clients {
 public:
  virtual ~Clients() = default;
  // Called once for each request, unless ClientGone was posted first.
  virtual void reply(const Ticket& ticket, ClientReply reply) = 0;
};

// Why a peer may not speak to Raft, and what the operator can do about it.
struct PeerRefusal {
  std::string detail;
  std::string hint;
};

// The inputs of the node's mailbox.
struct FromPeer {
  raft::ServerId from;
  raft::Incarnation incarnation;
  PeerMessage message;
};
struct PeerConnected {
  raft::ServerId id;
  raft::Incarnation incarnation;
  raft::PeerState state;
};
struct PeerStateHeard {
  raft::ServerId id;
  std::optional<raft::PeerState> state;  // nothing: the peer is still recovering its log
};
struct PeerDisconnected {
  raft::ServerId id;
};
struct ClientWrite {
  Ticket ticket;
  SharedBytes command;  // kv::encode_command
  Instant deadline;
};
struct ClientRead {
  Ticket ticket;
  std::string key;
  Instant deadline;
  ReadOptions options;
};
// Transfers leadership to `to`, or to any other server. Not ordered with the connection's other
// requests.
struct ClientTransfer {
  Ticket ticket;
  std::optional<raft::ServerId> to;
  Instant deadline;
};
struct ClientGone {
  std::uint64_t connection = 0;
};
struct DiskDone {
  storage::JobDone done;
};
struct TimerFired {};
struct HandOver {};  // transfer leadership if another server can take it; keep serving
struct Shutdown {};  // refuse new requests and finish those in flight

using Input =
    std::variant<FromPeer, PeerConnected, PeerStateHeard, PeerDisconnected, ClientWrite, ClientRead,
                 ClientTransfer, ClientGone, DiskDone, TimerFired, HandOver, Shutdown>;

}  // namespace vesper::node
