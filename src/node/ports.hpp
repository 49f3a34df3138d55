// The interface between the node and its environment: messages, requests, replies and inputs.
// Contains no I/O. The server implements the ports over sockets, the simulator in memory.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "kv/range_reader.hpp"
#include "kv/store.hpp"
#include "node/lock_reads.hpp"
#include "node/peer_rules.hpp"
#include "node/trace_event.hpp"
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

// A5: the leader judges what a client asks it to do, so these questions carry the identity of the
// client's token. Nothing: it has none.

// Asks the leader of `term` to transfer leadership to `to`, or to any fit server.
struct TransferAsked {
  raft::Term term;
  std::optional<raft::ServerId> to;
  std::optional<kv::Identity> identity{};
};
// The leader of `term` transfers nothing for the client with this token.
struct TransferRefused {
  raft::Term term;
  std::optional<kv::Identity> identity;
};

// The leader of `term` asks for the digest of the state after the entry at `index`. It adds the
// result of an earlier round, if a majority agreed.
struct DigestAsked {
  struct Verdict {
    raft::Index index;
    Id128 digest;  // of a majority
  };
  raft::Term term;
  raft::Index index;
  std::optional<Verdict> verdict;
};
struct DigestReply {
  raft::Term term;
  raft::Index index;
  Id128 digest;
};

// Asks the leader of `term` to change the members. A process has one such question open at a time
// and repeats it until it is answered. `number` increases with each new question, so that the
// leader carries each one out once.
struct MembersAsked {
  raft::Term term;
  raft::BootId boot;  // of the asking process
  std::uint64_t number = 0;
  raft::MembersRequest request;
  std::optional<kv::Identity> identity{};
};
// The leader has appended the change at `index` in `term`. A term of 0: the members are already as
// requested, and the entry at `index` is committed.
struct MembersAppended {
  raft::Index index;
  raft::Term term;

  bool operator==(const MembersAppended&) const = default;
};
// The token of the client does not allow the change.
struct MembersForbidden {
  bool operator==(const MembersForbidden&) const = default;
};
struct MembersReply {
  raft::BootId boot;  // boot and number are those of the question
  std::uint64_t number = 0;
  std::variant<MembersAppended, raft::MembersRefusal, MembersForbidden> outcome;
};

// What a server knows of the members.
struct ClusterView {
  struct Row {
    raft::ServerId member;
    bool is_reachable = false;
    MemberState state = MemberState::unknown;
    std::optional<raft::Index> match_index;  // nothing: unknown
  };
  raft::Configuration configuration;     // the latest in the log, committed or not
  bool is_leaders = false;               // the leader's view; otherwise that of the asked server
  std::optional<raft::ServerId> leader;  // nothing: unknown
  raft::Index last_index;                // of the log
  std::vector<Row> rows;                 // one for each member
};

// Asks the leader of `term` for its view of the members.
struct ClusterAsked {
  raft::Term term;
  raft::BootId boot;
  std::uint64_t number = 0;
};
struct ClusterReply {
  raft::BootId boot;
  std::uint64_t number = 0;
  ClusterView view;
};

// Somebody watches the trace of the cluster at the sender, which repeats this each second. Sent
// only to a peer of kTraceLevel.
struct TraceAsked {
  Instant clock;             // the sender's, now
  bool wants_state = false;  // TraceState is to come next
};
// What has happened at the sender since its last message of this kind. `asked` and `held` allow
// the receiver to compare the two clocks.
struct TraceHeard {
  raft::BootId boot;  // the sender's
  Instant asked;      // the clock of the newest TraceAsked
  Duration held;      // how long ago the sender got it
  Instant clock;      // the sender's, now
  // How many events the sender has recorded before these. The receiver sees in it what was lost.
  std::uint64_t before = 0;
  std::vector<TimedTraceEvent> events;
};

// One message between peers.
using PeerMessage = std::variant<raft::Message, Forward, ForwardReply, TransferAsked,
                                 TransferRefused, DigestAsked, DigestReply, MembersAsked,
                                 MembersReply, ClusterAsked, ClusterReply, TraceAsked, TraceHeard>;

class Transport {
 public:
  virtual ~Transport() = default;
  // Never blocks. May lose the message.
  virtual void send(raft::ServerId to, const PeerMessage& message, raft::Channel channel) = 0;
  // False if a message that matters little had better not be sent now: there is no connection, or
  // much waits for it already.
  virtual bool has_room(raft::ServerId, raft::Channel) const { return true; }
  // From now on this server talks to these servers, and to diallers that it does not know yet.
  // Called at the end of a turn that changed them, and first in the first turn. Identities may
  // have changed with the same contacts, so each peer has to be judged again.
  virtual void follow(const std::vector<Contact>&) {}
};

// Identifies the request that a reply belongs to. A process never reuses a connection id. The
// requests of one connection take effect in the order in which they were posted.
struct Ticket {
  std::uint64_t connection = 0;
  std::uint64_t request = 0;
  std::uint32_t part = 0;  // of a request that posts several writes
};

// Why a request ended without a result from the store.
enum class Refusal : std::uint8_t {
  no_leader,        // certainly not applied
  overloaded,       // certainly not applied
  shutting_down,    // certainly not applied
  disk_full,        // certainly not applied
  no_other_member,  // transfers only: the cluster has no other voter
  timeout,          // reads, transfers and changes of the members only; nothing was applied
  unreached,        // reads only: min_revision is not applied here yet
  too_stale,        // reads only: older than max_staleness, or the age is unknown
  diverged,         // this node's state differs from a majority's; certainly not applied
  // Clients need a token, and this one has none that is valid now. Not of writes, whose results say
  // so. Nothing was applied.
  unauthorized,
  outcome_unknown,  // writes and changes of the members only: in some log, outcome unknown
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

// What a read asks for. A revision of 0 means the present one.
struct ReadKey {
  std::string key;
  std::uint64_t revision = 0;
};
struct ReadHistory {
  std::string key;
  std::size_t limit = 0;
};
struct ReadRange {
  // `page`: the reply has a RangeResult. `stream`: it has a RangeStream, which the caller reads.
  enum class Form : std::uint8_t { page, stream };
  kv::RangeQuery query;
  Form form = Form::page;
  // A later page: the count that the first page reported.
  std::optional<std::uint64_t> known_count;
};
// A transaction that only reads (kv::is_read_only).
struct ReadTransaction {
  std::shared_ptr<const kv::Transaction> transaction;
};
// Nothing but that this node has applied what the leader had committed, tokens included. Answered
// without a token.
struct ReadAccess {};
using ReadQuery = std::variant<ReadKey, ReadHistory, ReadRange, ReadTransaction, ReadLease,
                               ReadLeases, ReadLock, ReadLocks, ReadAccess>;

// The answers to these queries.
struct KeyFound {
  kv::VersionRef version;  // null: no such key
};
struct HistoryFound {
  std::vector<kv::VersionRef> versions;  // newest first; empty: none is readable
  std::uint64_t oldest_revision = 0;
};
struct RangeFound {
  kv::RangeResult page;
  std::uint64_t revision = 0;  // at which the range was read
};
struct StreamFound {
  std::unique_ptr<kv::RangeStream> stream;
};
struct AccessIsFresh {};
// The revision that was asked for cannot be read: it lies above the store's (`future`), or below
// the oldest one.
struct RevisionUnreadable {
  bool future = false;
  std::uint64_t oldest_revision = 0;
};
using ReadContent =
    std::variant<KeyFound, HistoryFound, RangeFound, StreamFound, kv::WriteResult,
                 RevisionUnreadable, LeaseFound, LeasesFound, LockFound, LocksFound, AccessIsFresh>;

struct ReadResult {
  ReadContent content;         // without meaning if `unchanged`
  std::uint64_t revision = 0;  // of the store, when it was read
  // The cluster's clock then, as this node knows it: for what is left of a time to live.
  kv::LogTime log_time;
  ReadLevel level = ReadLevel::linearizable;
  std::optional<Duration> staleness;  // stale only: an upper bound; nothing: no bound is known
  bool unchanged = false;             // nothing that ClientRead::wait names has changed
};

// The new leader. It has committed an entry of this term.
struct TransferResult {
  raft::ServerId leader;
  raft::Term term;
};

// The change that a client asked for is in a committed configuration.
struct MembersResult {
  raft::Index index;  // of the latest committed configuration
  bool is_joint = false;
  // The members of the change that have not reached their goal yet. Always empty unless the request
  // waited for them.
  std::vector<raft::NodeId> pending;
};

using ClientReply = std::variant<kv::WriteResult, ReadResult, TransferResult, MembersResult,
                                 raft::MembersRefusal, ClusterView, Refusal>;

class Clients {
 public:
  virtual ~Clients() = default;
  // Called once for each request, unless ClientGone was posted first.
  virtual void reply(const Ticket& ticket, ClientReply reply) = 0;
  // The watch that answers this request (node/watch_stream.hpp) has more to say. Only those who
  // open watches need it.
  virtual void wake(const Ticket&) {}
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
// See PeerLostDisk.
struct PeerDiskReplaced {
  raft::ServerId id;
  raft::Incarnation incarnation;              // of the empty disk
  std::uint32_t level = raft::kFeatureLevel;  // of the build there
};
// A peer has seen a later start of this server's data directory (raft::OlderCopy).
struct ToldToBeOlder {};
// A peer that has proven the key says that this server has left the cluster (PeerHasLeft).
struct ToldToHaveLeft {};
// Of a write that asks for a lock (kv::AcquireLock).
struct LockWait {
  kv::LockName lock;
  Instant until;                // when the client gives up waiting for the lock
  std::string idempotency_key;  // empty: none
};
struct ClientWrite {
  Ticket ticket;
  SharedBytes command;                        // kv::encode_put() and the like
  Instant deadline;                           // for the command; LockWait::until is the client's
  std::shared_ptr<const LockWait> lock_wait;  // null unless the command is a kv::AcquireLock
};
// A read that waits until something in a range has changed after a revision.
struct ChangeWait {
  kv::KeyRange range;
  std::optional<std::uint64_t> since;  // nothing: the revision of this node when the read comes
  Instant until;                       // then the read is carried out, whether it changed or not
};
class LongPoll;
struct ClientRead {
  Ticket ticket;
  ReadQuery query;
  Instant deadline;  // from when the read comes; what it waits for a change is added
  ReadOptions options;
  std::shared_ptr<const ChangeWait> wait;  // null: it does not wait for a change
  std::shared_ptr<LongPoll> poll;          // set by the node, if `wait` is
  // Whose token must be valid when the read is carried out, if clients need one. Whoever posts the
  // read has judged the rules of the token, which never change. Nothing: the client has none.
  std::optional<kv::Identity> identity;
};
// Transfers leadership to `to`, or to any other server. Not ordered with the connection's other
// requests.
struct ClientTransfer {
  Ticket ticket;
  std::optional<raft::ServerId> to;
  Instant deadline;
  std::optional<kv::Identity> identity{};
};
// Changes the members. Not ordered with the connection's other requests.
struct ClientMembers {
  Ticket ticket;
  raft::MembersRequest request;
  Instant deadline;      // for the first step of the change
  Instant wait_until{};  // for the other steps; then the reply says what is pending
  std::optional<kv::Identity> identity{};
};
// Asks what the leader knows of the members, or this server if there is no leader. At the deadline,
// this server answers from its own view.
struct ClientCluster {
  Ticket ticket;
  Instant deadline;
};
struct ClientGone {
  std::uint64_t connection = 0;
};
struct DiskDone {
  storage::JobDone done;
};
struct TimerFired {};
struct FireElectionTimer {};  // of this server, if it follows: somebody asks for an election
struct HandOver {};           // transfer leadership if another server can take it; keep serving
struct Shutdown {};           // refuse new requests and finish those in flight

using Input = std::variant<FromPeer, PeerConnected, PeerStateHeard, PeerDisconnected,
                           PeerDiskReplaced, ToldToHaveLeft, ToldToBeOlder, ClientWrite, ClientRead,
                           ClientTransfer, ClientMembers, ClientCluster, ClientGone, DiskDone,
                           TimerFired, FireElectionTimer, HandOver, Shutdown>;

}  // namespace vesper::node
