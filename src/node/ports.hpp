// What the node asks of the world around it, and what the world tells it. Pure: the server
// implements the ports over sockets, the simulator in memory.
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

// Clients' writes on their way from the node that took them to the leader that it means. Within
// (origin boot, term) the writes form one stream: `previous` is the sequence of the write before
// the first one here (0: none), so that the leader accepts without gaps, in order, each once.
// Without writes it asks whether everything up to `previous` has come.
struct Forward {
  struct Write {
    std::uint64_t sequence = 0;
    SharedBytes command;
  };
  raft::Term term;  // of the leader that is meant; a leader of another term refuses
  raft::BootId boot;
  std::uint32_t attempt = 0;  // how often the stream went back before this was sent
  std::uint64_t previous = 0;
  std::vector<Write> writes;
};

// `accepted`: the last sequence of (boot, term) in the leader's log, 0 for none. What was sent
// after it in this attempt is to be sent again when `gap` is set.
struct ForwardReply {
  raft::Term term;
  raft::BootId boot;
  std::uint32_t attempt = 0;  // the Forward's
  std::uint64_t accepted = 0;
  bool gap = false;
};

// A server asks the leader of `term` to hand over: to `to`, or to a server that it finds fit.
struct TransferAsked {
  raft::Term term;
  std::optional<raft::ServerId> to;
};

// One message between peers. Raft's own, or the node's.
using PeerMessage = std::variant<raft::Message, Forward, ForwardReply, TransferAsked>;

class Transport {
 public:
  virtual ~Transport() = default;
  // Never blocks, may lose the message.
  virtual void send(raft::ServerId to, const PeerMessage& message, raft::Channel channel) = 0;
};

// Where an answer goes: a connection, and which of its requests. Connection ids are never reused
// by a process. Requests of one connection take effect in the order in which they were posted.
struct Ticket {
  std::uint64_t connection = 0;
  std::uint64_t request = 0;
};

// How a request ended when not by the store.
enum class Refusal : std::uint8_t {
  no_leader,        // certainly not applied
  overloaded,       // certainly not applied
  shutting_down,    // certainly not applied
  disk_full,        // certainly not applied
  no_other_member,  // transfers only: no other server votes
  timeout,          // reads and transfers only
  unreached,        // reads only: min_revision is not applied here yet
  too_stale,        // reads only: older than max_staleness, or how old is not known
  outcome_unknown,  // writes only: in some log, fate unknown
};

// What a read asks for, and what it got: a lease read is linearizable if no lease was held.
enum class ReadLevel : std::uint8_t {
  linearizable,  // confirmed by a round of heartbeats
  lease,         // by the leader's lease: as good as long as clocks run at nearly the same rate
  stale,         // asks no server
};

struct ReadOptions {
  ReadLevel level = ReadLevel::linearizable;
  std::optional<Duration> max_staleness;  // stale only
  std::uint64_t min_revision = 0;         // waits until the store has reached it
};

struct ReadResult {
  std::optional<kv::Item> item;  // nothing: no such key
  std::uint64_t revision = 0;    // the store's, at the instant of the read
  ReadLevel level = ReadLevel::linearizable;
  std::optional<Duration> staleness;  // stale: at most that; nothing: no bound is known
};

// Who leads now. It has committed an entry of this term.
struct TransferResult {
  raft::ServerId leader;
  raft::Term term;
};

using ClientReply = std::variant<kv::WriteResult, ReadResult, TransferResult, Refusal>;

class Clients {
 public:
  virtual ~Clients() = default;
  // Called once for each request, unless ClientGone was posted before.
  virtual void reply(const Ticket& ticket, ClientReply reply) = 0;
};

// Why a peer may not speak to Raft, and what its operator can do about it.
struct PeerRefusal {
  std::string detail;
  std::string hint;
};

// What the world posts into the mailbox.
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
  std::optional<raft::PeerState> state;  // nothing: it is still reading its log
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
// Leadership is to move: to `to`, or to any other server. Takes no part in a connection's order.
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
struct HandOver {};  // lead no longer, if another server can; goes on serving
struct Shutdown {};  // refuse what is new, answer what is in flight

using Input =
    std::variant<FromPeer, PeerConnected, PeerStateHeard, PeerDisconnected, ClientWrite, ClientRead,
                 ClientTransfer, ClientGone, DiskDone, TimerFired, HandOver, Shutdown>;

}  // namespace vesper::node
