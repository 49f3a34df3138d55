// The messages between Raft nodes: a closed variant. Each message carries the sender's term (figure
// 2). The sender and its incarnation are properties of the connection. The encoding is in
// codec.hpp.
#pragma once

#include <variant>
#include <vector>

#include "raft/types.hpp"

namespace vesper::raft {

// Figure 2, RequestVote. A pre-vote (thesis 9.6) asks "would you vote for me in `term`?" and
// changes nothing on either side.
struct VoteRequest {
  // The term that the candidate campaigns in. In a pre-vote: the term that it would campaign in.
  Term term;
  bool pre_vote = false;
  Index last_log_index;
  Term last_log_term;
  Id128 cluster_id;       // of the candidate's Bootstrap entry, committed or not; none: no entry
  bool transfer = false;  // the leader requested this election (thesis 3.10)
};

enum class VoteRefusal : std::uint8_t {
  none = 0,          // granted
  old_term = 1,      // the voter's term is above the candidate's
  leader_fresh = 2,  // thesis 4.2.3: the voter has heard from a leader recently
  log_behind = 3,    // §5.4.1
  already_voted = 4,
  other_cluster = 5,
  promised = 6,        // a leader may hold a lease that this vote would break
  founding_waits = 7,  // the voter does not know yet that no cluster exists (raft/founding.hpp)
  regressed = 8,       // the voter's disk is an older copy: it may have voted already
};

struct VoteReply {
  Term term;      // the voter's current term
  Term for_term;  // the term of the request
  bool pre_vote = false;
  VoteRefusal refusal = VoteRefusal::none;

  bool granted() const { return refusal == VoteRefusal::none; }
};

// Figure 2, AppendEntries. Without entries it is a probe.
struct AppendEntries {
  Term term;
  Index prev_log_index;
  Term prev_log_term;
  Index leader_commit;
  LogTime log_time;  // the cluster's clock when the leader sent this
  std::vector<Entry> entries;
};

// A success covers entries that are durable at the follower. A refusal tells the leader where to
// continue: at the follower's last entry at or below prev_log_index with a term of at most
// prev_log_term.
struct AppendReply {
  Term term;
  bool success = false;
  // Success: everything up to here equals the leader's log and is durable.
  Index match_index;
  Index prev_log_index;  // refusal: copied from the request, to detect a late reply
  Index hint_index;
  Term hint_term;
};

// Why a leader takes no writes.
enum class WriteBlock : std::uint8_t {
  none = 0,
  full = 1,  // full disks prevent every commit: writes are refused
  // Stalled disks prevent every commit, or too much is uncommitted. Writes wait where they are.
  waiting = 2,
};

// The leader is alive, and asks for proof that it still leads (thesis 6.4, if `round` is new).
struct Heartbeat {
  Term term;
  Index leader_commit;
  LogTime log_time;
  std::uint64_t round = 0;  // never reused within a term
  // A server that replies grants no vote for 1.1 × this duration. At most kMaxLeaderLease.
  std::uint32_t leader_lease_ms = 0;
  // How fresh leader_commit is (raft/freshness.hpp). The leader has received a reply from this
  // follower with the stamp `echo`. A majority followed the leader at the instant `age` before
  // that, or later. An `echo` of 0: not known.
  std::uint64_t echo = 0;
  Duration age;  // never negative
  WriteBlock write_block = WriteBlock::none;
  // What the receiver has acknowledged to this leader in this term as durable, under the
  // incarnation `acknowledged_by`. Index 0: nothing. Term 0: no longer known.
  Index acknowledged;
  Term acknowledged_term;
  Incarnation acknowledged_by;
};

// The health of a server's disk, as far as its leader needs to know.
enum class DiskHealth : std::uint8_t {
  ok = 0,
  // Writes are pending, and none has completed for longer than the longest election timeout.
  stalled = 1,
  full = 2,       // there is no space for more log
  regressed = 3,  // it lacks entries that were acknowledged (raft/regress.cpp)
};

struct HeartbeatReply {
  Term term;
  std::uint64_t round = 0;
  // Proven to match the leader's log, durable or not. The leader need not resend entries up to
  // here.
  Index received_index;
  std::uint64_t stamp = 0;  // the follower's clock, opaque to the leader
  DiskHealth disk = DiskHealth::ok;
  bool wants_commits = false;  // clients wait for changes here: see CommitsWanted
};

// Thesis 3.10: "your log has all of mine: start an election at once".
struct TimeoutNow {
  Term term;
};

// Thesis 6.4 for reads on a follower: "which index must I have applied?"
struct ReadIndexRequest {
  Term term;
  std::uint64_t id = 0;       // never reused by a process
  bool leader_lease = false;  // the leader lease is enough, without a round
};

struct ReadIndexReply {
  Term term;
  std::uint64_t id = 0;
  Index read_index;
  bool leader_lease = false;  // the answer rests on the leader lease
};

// Figure 13, InstallSnapshot: one chunk in its stored form. Without data it asks how many chunks of
// this snapshot the follower has, from any leader. The identity includes the checksum of the whole
// snapshot. Each chunk has its own checksum.
struct InstallSnapshot {
  Term term;
  Snapshot snapshot;
  std::uint64_t chunk = 0;
  SharedBytes data;
};

struct InstallSnapshotReply {
  Term term;
  Index last_index;  // identifies the snapshot, together with `checksum`
  std::uint64_t checksum = 0;
  bool done = false;             // the follower needs no (more) chunks of it
  Index match_index;             // if done: everything up to here is durable there
  std::uint64_t next_chunk = 0;  // if not done: all chunks before it are durable there
  bool asked = false;            // if not done: replies to a message without data
};

// Two servers share two connections. Large messages, and the messages that must stay in order after
// them, use the bulk connection, so that they do not delay heartbeats.
enum class Channel : std::uint8_t { control = 0, bulk = 1 };

using Message = std::variant<VoteRequest, VoteReply, AppendEntries, AppendReply, Heartbeat,
                             HeartbeatReply, ReadIndexRequest, ReadIndexReply, InstallSnapshot,
                             InstallSnapshotReply, TimeoutNow>;

inline Term term_of(const Message& message) {
  return std::visit([](const auto& m) { return m.term; }, message);
}

}  // namespace vesper::raft
