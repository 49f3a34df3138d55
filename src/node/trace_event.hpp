// What a node tells about its own Raft while somebody watches (GET /trace, docs/http-api.md). Plain
// values: tracer.hpp makes them, trace_codec.hpp carries them between nodes.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/time.hpp"
#include "node/views.hpp"
#include "raft/types.hpp"

namespace vesper::node {

// Entries of the log's tail that a TraceState describes.
inline constexpr std::uint64_t kTraceLogWindow = 200;

// Of an election, or of a round of one. On the clock of the node that says so, until the event is
// merged (TraceFeed).
struct TraceTimer {
  Instant deadline;
  Duration timeout;  // what was left when the timer was set
};

struct TraceConfiguration {
  struct Member {
    raft::NodeId node;
    std::string address;
    raft::Seat seat = raft::Seat::voter;
  };
  raft::Index index;
  bool is_joint = false;
  std::vector<Member> members;
};

// The tally of a candidate.
struct TraceVotes {
  raft::Term term;
  bool pre_vote = false;
  std::vector<raft::NodeId> granted, refused;
  std::uint32_t needed = 0;  // of the new set of voters

  bool operator==(const TraceVotes&) const = default;
};

// Consecutive entries of one term.
struct TraceRun {
  raft::Term term;
  raft::Index from, to;

  bool operator==(const TraceRun&) const = default;
};

struct TraceFollower {
  raft::NodeId node;
  raft::Index match_index;
  MemberState state = MemberState::unknown;
};

// What is wrong with the disk or the state of a node.
struct TraceAlarms {
  bool disk_full = false;
  bool disk_slow = false;
  bool diverged = false;

  bool operator==(const TraceAlarms&) const = default;
};

struct TraceState {
  ServerRole role = ServerRole::follower;
  raft::Term term;
  std::optional<raft::NodeId> voted_for, leader;
  raft::Index first_index, last_index, commit_index, applied_index, snapshot_index;
  TraceConfiguration configuration;
  std::optional<TraceTimer> election;
  std::vector<TraceFollower> followers;  // of a leader
  std::optional<TraceVotes> votes;       // of a candidate
  std::vector<TraceRun> log;             // of the last kTraceLogWindow entries
  TraceAlarms alarms;
};

struct TraceRole {
  ServerRole role = ServerRole::follower;
  raft::Term term;
  std::optional<raft::NodeId> leader;
};
// This node has granted its vote.
struct TraceVote {
  raft::Term term;
  raft::NodeId candidate;
  bool pre_vote = false;
};
struct TraceAppend {
  TraceRun entries;
};
struct TraceTruncate {
  raft::Index from;
};
struct TraceCommit {
  raft::Index index;
};
struct TraceApply {
  raft::Index index;
};
struct TraceSnapshot {
  raft::Index index;
};
struct TraceMatch {
  raft::NodeId follower;
  raft::Index index;
};
struct TraceElection {
  std::optional<TraceTimer> timer;  // nothing: it has stopped
};
struct TraceReachable {
  raft::NodeId peer;
  bool is_reachable = false;
};

enum class TraceMessage : std::uint8_t {
  pre_vote,
  pre_vote_reply,
  vote,
  vote_reply,
  append,
  append_reply,
  heartbeat,
  heartbeat_reply,
  snapshot,
  snapshot_reply,
  forward,
  forward_reply,
  read,
  read_reply,
  transfer,
  other,
};
inline constexpr std::size_t kTraceMessages = 16;
enum class TraceField : std::uint8_t {
  prev_index,
  prev_term,
  entries,
  commit_index,
  success,  // 0 or 1
  match_index,
  granted,  // 0 or 1
  last_index,
  last_term,
  bytes,
};
// A message left.
struct TraceSend {
  struct Field {
    TraceField field = TraceField::bytes;
    std::uint64_t value = 0;
  };
  raft::NodeId to;
  TraceMessage message = TraceMessage::other;
  std::optional<raft::Term> term;
  std::vector<Field> fields;
};
// How many messages of each kind left lately, because some of them were not shown.
struct TraceRate {
  std::array<std::uint64_t, kTraceMessages> messages{};
};
// So many events of this node are missing here. A state follows.
struct TraceDropped {
  std::uint64_t events = 0;
};
// The serving node hears nothing of this node since the time of the event. A state follows once it
// does.
struct TraceSilent {};

using TraceEvent = std::variant<TraceState, TraceRole, TraceVote, TraceVotes, TraceAppend,
                                TraceTruncate, TraceCommit, TraceApply, TraceSnapshot, TraceMatch,
                                TraceElection, TraceConfiguration, TraceReachable, TraceSend,
                                TraceRate, TraceDropped, TraceSilent>;

struct TimedTraceEvent {
  Instant at;
  TraceEvent event;
};

// An event of one of the nodes.
struct TraceItem {
  raft::NodeId node;
  Instant at;
  TraceEvent event;
};

// An estimate of the memory that an event takes.
std::size_t cost_of(const TraceEvent& event);

}  // namespace vesper::node
