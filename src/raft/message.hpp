// What Raft nodes say to each other: a closed variant. Each message carries the sender's term
// (figure 2); who sent it, and under which incarnation, is a property of the connection.
#pragma once

#include <variant>
#include <vector>

#include "raft/types.hpp"

namespace vesper::raft {

// Figure 2, RequestVote. A pre-vote (thesis 9.6) asks "would you vote for me in `term`?" and
// changes nothing on either side.
struct VoteRequest {
  Term term;  // the term that the candidate campaigns in (of a pre-vote: would campaign in)
  bool pre_vote = false;
  Index last_log_index;
  Term last_log_term;
  Id128 cluster_id;       // of the candidate's Bootstrap entry, committed or not; none: no entry
  bool transfer = false;  // the leader itself asked for this election (thesis 3.10)
};

enum class VoteRefusal : std::uint8_t {
  none = 0,          // granted
  old_term = 1,      // the voter's term is above the candidate's
  leader_fresh = 2,  // thesis 4.2.3: the voter hears a leader
  log_behind = 3,    // §5.4.1
  already_voted = 4,
  other_cluster = 5,
  promised = 6,        // a leader may hold a lease that this vote would break
  founding_waits = 7,  // the voter does not know yet that no cluster exists (raft/founding.hpp)
  regressed = 8,       // the voter's disk has gone back: it may have voted already
};

struct VoteReply {
  Term term;      // the voter's current term
  Term for_term;  // the request's
  bool pre_vote = false;
  VoteRefusal refusal = VoteRefusal::none;

  bool granted() const { return refusal == VoteRefusal::none; }
};

// Figure 2, AppendEntries, with entries or as a probe without.
struct AppendEntries {
  Term term;
  Index prev_log_index;
  Term prev_log_term;
  Index leader_commit;
  LogTime log_time;  // the leader's clock for the cluster when this left
  std::vector<Entry> entries;
};

// Success covers entries that are durable at the follower. A refusal carries where to go on: the
// follower's last entry at or below prev_log_index whose term is not above prev_log_term.
struct AppendReply {
  Term term;
  bool success = false;
  Index match_index;     // success: everything up to here equals the leader's log, and is durable
  Index prev_log_index;  // refusal: the request's, to tell a late reply
  Index hint_index;
  Term hint_term;
};

// Why a leader takes no writes.
enum class WriteBlock : std::uint8_t {
  none = 0,
  full = 1,     // so many disks are full that nothing could be committed: writes are refused
  waiting = 2,  // so many are stalled, or too much is uncommitted: writes wait where they are
};

// The leader lives, and asks for a sign that it still leads (thesis 6.4 where `round` is new).
struct Heartbeat {
  Term term;
  Index leader_commit;
  LogTime log_time;
  std::uint64_t round = 0;     // never reused within a term
  std::uint32_t lease_ms = 0;  // who answers votes for nobody for 1.1 times as long; <= kMaxLease
  // How fresh leader_commit is (raft/freshness.hpp): a majority is known to have followed this
  // leader `age` before it got the receiver's answer with the stamp `echo`, or later. 0: not known.
  std::uint64_t echo = 0;
  Duration age;  // never negative
  WriteBlock write_block = WriteBlock::none;
  // What the receiver has acknowledged to this leader, in this term, as durable under that
  // incarnation. Index 0: nothing. Term 0: not known any more.
  Index acknowledged;
  Term acknowledged_term;
  Incarnation acknowledged_by;
};

// How a server's disk does, as far as its leader should know.
enum class DiskHealth : std::uint8_t {
  ok = 0,
  stalled = 1,  // no write has ended for longer than the longest election timeout, though some wait
  full = 2,     // there is no space for more log
  regressed = 3,  // it lacks entries that were acknowledged (raft/regress.cpp)
};

struct HeartbeatReply {
  Term term;
  std::uint64_t round = 0;
  Index received_index;     // proven to match the leader's log, durable or not: need not be resent
  std::uint64_t stamp = 0;  // the follower's clock, in a form that only itself understands
  DiskHealth disk = DiskHealth::ok;
};

// Thesis 3.10: "your log has all of mine: start an election at once".
struct TimeoutNow {
  Term term;
};

// Thesis 6.4 for reads on a follower: "which index must I have applied?"
struct ReadIndexRequest {
  Term term;
  std::uint64_t id = 0;  // never reused by a process
  bool lease = false;    // the leader's lease will do in place of a round
};

struct ReadIndexReply {
  Term term;
  std::uint64_t id = 0;
  Index read_index;
  bool lease = false;  // it did
};

// Figure 13, InstallSnapshot: one chunk, in its stored form. Without data it asks how far the
// follower is with this snapshot, whoever sent it the rest. The checksum of the whole is part of
// the identity; the chunk has one of its own.
struct InstallSnapshot {
  Term term;
  Snapshot snapshot;
  std::uint64_t chunk = 0;
  SharedBytes data;
};

struct InstallSnapshotReply {
  Term term;
  Index last_index;  // which snapshot: index and checksum of the content
  std::uint64_t checksum = 0;
  bool done = false;             // the follower needs no chunk of it (any more)
  Index match_index;             // done: everything up to here is durable there
  std::uint64_t next_chunk = 0;  // not done: all before it is durable there
  bool asked = false;            // not done: answers a message without data
};

// Between two servers there are two connections. What is large, and what follows it, takes the bulk
// connection, where it does not delay a heartbeat.
enum class Channel : std::uint8_t { control = 0, bulk = 1 };

using Message = std::variant<VoteRequest, VoteReply, AppendEntries, AppendReply, Heartbeat,
                             HeartbeatReply, ReadIndexRequest, ReadIndexReply, InstallSnapshot,
                             InstallSnapshotReply, TimeoutNow>;

// The term that a message carries.
inline Term term_of(const Message& message) {
  return std::visit([](const auto& m) { return m.term; }, message);
}

}  // namespace vesper::raft
