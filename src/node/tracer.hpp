// What this node's Raft has done, as a trace. At the end of a turn the tracer compares what Raft
// shows with what it showed before, and takes the messages that the turn has sent. So a busy node's
// trace grows with its turns at most, and under load with the time: positions in the log are then
// compared less often, and most messages are only counted. It works only while somebody watches.
#pragma once

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <vector>

#include "node/ports.hpp"
#include "node/trace_ring.hpp"
#include "raft/raft.hpp"

namespace vesper::node {

// Lets an action happen once per `interval` on average, and up to `burst` times in a row after a
// pause.
class TracePace {
 public:
  TracePace(Duration interval, std::int64_t burst) : interval_(interval), burst_(burst) {}

  // True if the action may happen now, and counts it then.
  bool take(Instant now) {
    free_at_ = std::max(free_at_, now - interval_ * burst_);
    if (free_at_ >= now) return false;
    free_at_ = free_at_ + interval_;
    return true;
  }

 private:
  const Duration interval_;
  const std::int64_t burst_;
  Instant free_at_;
};

// What a trace tells of a node besides its Raft.
struct TracedNode {
  raft::Index applied;  // of the store
  bool disk_full = false;
  bool diverged = false;
  std::uint64_t log_writes = 0;  // finished since the start
  Duration last_log_write;       // how long the newest of them took
};

class Tracer {
 public:
  // How often the whole state is repeated.
  static constexpr Duration kStateInterval = seconds(1);
  static constexpr Duration kRateInterval = milliseconds(250);
  // When more messages leave than can be shown: between two of a kind to the same server.
  static constexpr Duration kMessageGap = milliseconds(45);
  // A disk is slow from the second write to the log that took so long, for a while after the last.
  // The page and `vesper top` have the same bound for the p99.
  static constexpr Duration kSlowWrite = milliseconds(100);
  static constexpr Duration kSlowFor = seconds(10);

  // Forgets what it saw. A state comes first.
  void reset();
  // The next turn ends with the whole state.
  void want_state() { wants_state_ = true; }

  // In the turn: a message leaves for `to`, or a vote came in.
  void on_sent(const raft::Raft& raft, raft::ServerId to, const PeerMessage& message, Instant now);
  void on_vote_reply(raft::ServerId from, const raft::VoteReply& reply);

  // The end of a turn. Also call it without a turn that changed anything, at least every few tens
  // of ms.
  void end_turn(const raft::Raft& raft, const TracedNode& node, Instant now,
                TraceRing<TimedTraceEvent>& out);

 private:
  // What the last comparison saw. Only the part of TraceState that is cheap to compare.
  struct Seen {
    ServerRole role = ServerRole::follower;
    raft::Term term;
    std::optional<raft::ServerId> voted_for, leader;
    raft::Index last_index, commit_index, applied_index, snapshot_index, configuration_index;
    std::optional<Instant> deadline;  // of the election timer
    bool is_pre_candidate = false;
    std::optional<TraceVotes> votes;
    std::vector<TraceRun> log;  // its last kTraceLogWindow entries
    std::map<raft::ServerId, raft::Index> matches;
    std::map<raft::ServerId, bool> reachable;
    TraceAlarms alarms;
  };
  struct Turn {
    const raft::Raft& raft;
    const TracedNode& node;
    Instant now;
    TraceRing<TimedTraceEvent>& out;

    template <typename Event>
    void yield(Event&& event) const {
      out.push({now, TraceEvent{std::forward<Event>(event)}});
    }
  };

  TraceAlarms alarms_of(const Turn& turn);
  void yield_state(const Turn& turn, const TraceAlarms& alarms);
  void compare_role(const Turn& turn);
  void compare_votes(const Turn& turn);
  void compare_configuration(const Turn& turn);
  void compare_log(const Turn& turn);
  void compare_progress(const Turn& turn);
  void compare_reachable(const Turn& turn);
  void yield_messages(const Turn& turn);
  bool may_show(raft::ServerId to, TraceMessage kind, Instant now);
  bool has_truncated(const raft::Log& log) const;
  std::optional<raft::Term> seen_term_at(raft::Index index) const;
  std::optional<TraceVotes> tally(const raft::Raft& raft);

  Seen seen_;
  bool has_seen_ = false;
  bool wants_state_ = false;
  Instant state_at_;  // of the last one
  std::uint64_t log_writes_ = 0;
  Instant slow_until_;  // the disk

  // Of the present round of a candidate.
  std::vector<raft::ServerId> refused_;
  raft::Term refused_term_;
  bool refused_pre_vote_ = false;
  Instant refused_round_;

  std::vector<TraceSend> sent_;                         // in this turn, to be shown
  std::vector<TraceVote> granted_;                      // pre-votes, in this turn
  std::array<std::uint64_t, kTraceMessages> counts_{};  // since rate_at_
  std::uint64_t hidden_ = 0;                            // of these
  Instant rate_at_;
  // When a message of each kind was last shown.
  std::map<raft::ServerId, std::array<Instant, kTraceMessages>> shown_at_;
  // Messages closer than kMessageGap, and comparisons of positions in the log: all of them while
  // little happens, and otherwise 20 a second.
  TracePace message_pace_{milliseconds(50), 40}, progress_pace_{milliseconds(50), 20};
};

}  // namespace vesper::node
