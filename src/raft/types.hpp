// The terms of the Raft paper as types. No code in src/raft opens a file, reads a clock, calls
// back, or draws a random number except from the seed in its configuration.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/time.hpp"

namespace vesper::raft {

using Term = StrongId<struct TermTag, std::uint64_t>;          // 0: before the first election
using Index = StrongId<struct IndexTag, std::uint64_t>;        // 1-based; 0: before the first entry
using ServerId = StrongId<struct ServerIdTag, std::uint32_t>;  // of a member; kNoServer: of none
using NodeId = StrongId<struct NodeIdTag, std::uint32_t>;      // what people call a server
using Incarnation = StrongId<struct IncarnationTag, std::uint64_t>;  // of a data directory; 0: none
using BootId = StrongId<struct BootIdTag, std::uint64_t>;            // of a process; 0: none
using WriteNumber = StrongId<struct WriteNumberTag, std::uint64_t>;  // 1-based; 0: nothing written
using LogTime = StrongId<struct LogTimeTag, std::int64_t>;  // ns of the cluster's clock, from 0

inline constexpr std::uint32_t kMaxServers = 64;  // in one configuration
// The number of a server that no configuration names. A number or a node id above kMaxServerId is
// refused from any source.
inline constexpr ServerId kNoServer{UINT32_MAX};
inline constexpr std::uint32_t kMaxServerId = 1u << 30;
inline constexpr std::size_t kMaxAddress = 512;  // bytes
inline constexpr std::size_t kMaxName = 512;     // bytes
// Passed to Raft::send() for a message that needs no Write except the one that makes its term
// durable.
inline constexpr WriteNumber kTermOnly{0};
// What a build understands, announced in each handshake. A feature is used only when every member
// has it. A level is never lowered, and a build refuses data that need a higher one.
inline constexpr std::uint32_t kMaxLevel = 1u << 16;
inline constexpr std::uint32_t kFeatureLevel = 2;     // of this build
inline constexpr std::uint32_t kMembershipLevel = 2;  // membership entries
inline constexpr std::uint32_t kTraceLevel = 2;   // messages that ask for traces, and carry them
inline constexpr std::uint32_t kAccessLevel = 2;  // commands about tokens, and with them
// A larger term is refused from any source. It could only be damage or forgery, and the limit keeps
// arithmetic on terms from wrapping.
inline constexpr Term kMaxTerm{std::uint64_t{1} << 62};
// A snapshot that claims a larger index, and a log time outside [0, kMaxLogTime], are refused for
// the same reason. kMaxLogTime is 146 years of a cluster's life.
inline constexpr Index kMaxIndex{std::uint64_t{1} << 62};
inline constexpr LogTime kMaxLogTime{std::int64_t{1} << 62};

// No leader requests a longer lease, and no server promises one. This is a constant and not a
// setting, because a restarted server waits until every promise that it may have made to any leader
// has ended.
inline constexpr Duration kMaxLeaderLease = milliseconds(100);
// A leader's statement that is older than this is not used for freshness.
inline constexpr Duration kMaxAge = seconds(24 * 3600);

// The source of an entry: the sequence-th write of one process. {0, 0, 0} for entries that no
// client requested.
struct Origin {
  ServerId server;
  BootId boot;
  std::uint64_t sequence = 0;

  auto operator<=>(const Origin&) const = default;
  bool is_none() const { return boot.value == 0; }
};

enum class EntryType : std::uint8_t {
  noop = 1,          // §8: the first entry of a term
  bootstrap = 2,     // cluster id and members; the first entry of a log
  registration = 3,  // the incarnation of a member that was unknown until now
  command = 4,       // a client's write, opaque to raft
  membership = 5,    // §6: the configuration from here on
};

// An entry of the log. `bytes` is its byte form, the same in memory, in AppendEntries and on every
// disk (raft/entry.hpp). The other fields are decoded from it once. Only make_entry and
// decode_entry create entries.
struct Entry {
  Index index;
  Term term;
  EntryType type = EntryType::noop;
  LogTime time;
  Origin origin;
  SharedBytes bytes;

  SharedBytes payload() const;  // a slice of `bytes`
};

// Figure 2, "persistent state on all servers", without the log.
struct HardState {
  Term current_term;
  std::optional<ServerId> voted_for;

  bool operator==(const HardState&) const = default;
};

// Where a log begins: after this entry, which is in a snapshot. All zero: the log begins at its
// first entry.
struct LogBase {
  Index index;
  Term term;
  Id128 cluster_id;  // of the Bootstrap entry, which is at or below `index`

  bool operator==(const LogBase&) const = default;
};

// What has to reach the disk. Raft numbers its Writes without gaps, and they are carried out in
// order. Afterwards the log consists of its old entries up to `keep_through`, then of `entries`.
struct Write {
  WriteNumber number;
  HardState hard_state;
  // Never above the last entry of this Write. With it a restarted server can apply entries before
  // it hears from a leader.
  Index commit_index;
  Index keep_through;  // if there are entries, entries[0].index == keep_through + 1
  std::vector<Entry> entries;
  // The log on the disk may be cut up to here. Never falls, and is never above a stored snapshot.
  // If it moves to keep_through, nothing of the old log is kept, and keep_through may be beyond the
  // end of that log (§7: "discard the entire log").
  LogBase base;
};

// What a member counts for. The voters of the new set and of the old set decide together while the
// configuration is joint (§6, thesis 4.3).
enum class Seat : std::uint8_t {
  learner = 0,   // receives the log and never votes (thesis 4.2.1)
  voter = 1,     // votes, in both sets if the configuration is joint
  incoming = 2,  // joint: votes in the new set only
  outgoing = 3,  // joint: votes in the old set only
};

// What a change that has been asked for will make of a member.
enum class Goal : std::uint8_t {
  stay = 0,
  vote = 1,   // becomes a voter once it has caught up
  learn = 2,  // becomes a learner
  leave = 3,  // leaves the configuration
};

// A member of a configuration. Its vote and its acknowledgements count only under the incarnation
// that the log has registered, which is 0 before that.
struct Member {
  // Its number inside consensus. No other disk ever had it: a replaced disk gets a new one.
  ServerId id;
  std::string address;  // a URL, for contact only: the identity is (id, incarnation)
  Incarnation incarnation;
  // What people call it: its place in the first list, or a number that the cluster gave it. Two
  // members share it while a replaced disk takes the place of the lost one.
  NodeId node{id.value};
  std::string name = address;  // never empty
  Seat seat = Seat::voter;
  Goal goal = Goal::stay;
  // The index of the entry that set the goal. Goals of one plan are reached together. 0: none.
  Index plan;
  // Of the build that it runs, as registered last. 0: it was never met. A build that is too old is
  // refused when it is met.
  std::uint32_t level = kFeatureLevel;

  bool operator==(const Member&) const = default;
  bool votes_in_new() const { return seat == Seat::voter || seat == Seat::incoming; }
  bool votes_in_old() const { return seat == Seat::voter || seat == Seat::outgoing; }
  bool votes() const { return seat != Seat::learner; }
  bool votes_in_one_set() const { return seat == Seat::incoming || seat == Seat::outgoing; }
};

// The members (§6), in id order.
struct Configuration {
  Id128 cluster_id;  // none before the Bootstrap entry
  std::vector<Member> members;
  // Every number and every node id below these has been given. 0: those of `members`.
  ServerId next_id;
  NodeId next_node;
  Index index;                          // of the last entry that changed it; 0: of the list
  std::uint32_t level = kFeatureLevel;  // in use: every member that was met had it at one time

  bool operator==(const Configuration&) const = default;
  const Member* find(ServerId id) const;
  // The member whose disk this is. Null for incarnation 0, which is no disk's.
  const Member* find(Incarnation incarnation) const;
  // The member that people call `node`. While a replaced disk catches up: the one that votes.
  const Member* find(NodeId node) const;
  bool is_joint() const;
  std::size_t voters() const;  // of the new set
  ServerId unused_id() const;  // above every number that was ever given
  NodeId unused_node() const;  // above every node id that was ever given
  // Records in `next_id` and `next_node` what was given. Call it before members are removed.
  void keep_given_numbers();
  // C14: raises `level` to what all members have that were met.
  void raise_level();
};

// The identity of a snapshot: the state after the entries 1 to last_index (§7). It is equal on
// every server that takes a snapshot at this index, so that the next leader can continue a transfer
// that another one began.
struct Snapshot {
  Index last_index;               // 0: none
  Term last_term;                 // of the entry at last_index
  LogTime log_time;               // stamp of the entry at last_index
  std::uint64_t log_bytes = 0;    // bytes of the entries 1 to last_index in their byte form
  Configuration configuration;    // in force at last_index (S7)
  std::uint32_t chunk_bytes = 0;  // content in each chunk except the last
  std::uint64_t content_bytes = 0;
  std::uint64_t checksum = 0;  // XXH3-64 of the content, before compression

  bool operator==(const Snapshot&) const = default;
  bool is_none() const { return last_index.value == 0; }
  std::uint64_t chunks() const {
    return chunk_bytes == 0 ? 0 : (content_bytes + chunk_bytes - 1) / chunk_bytes;
  }
};

// The largest chunk of content. After compression it fits a frame between peers, with the other
// fields of its message.
inline constexpr std::uint32_t kMaxChunk = 248u << 10;
// A larger content length is damage or forgery. The limit keeps arithmetic on lengths from
// wrapping.
inline constexpr std::uint64_t kMaxContent = std::uint64_t{1} << 50;

}  // namespace vesper::raft
