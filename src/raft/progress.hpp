// What a leader knows of one follower (figure 2, nextIndex and matchIndex), and the window that
// bounds the entries in flight to it. The decisions are in leader.cpp and snapshots.cpp.
#pragma once

#include <algorithm>
#include <deque>
#include <optional>

#include "raft/message.hpp"

namespace vesper::raft {

struct Progress {
  // probe: one AppendEntries at a time, until one is accepted. replicate: a pipeline. snapshot: the
  // follower needs entries that only a snapshot has (§7).
  enum class State : std::uint8_t { probe, replicate, snapshot };

  // A snapshot transfer: chunks are sent in order, with a few unacknowledged.
  struct Transfer {
    Snapshot snapshot;
    bool asked = false;       // the leader has asked which chunks the follower has ...
    bool answered = false;    // ... and the follower has answered: chunks may be sent
    std::uint64_t acked = 0;  // chunks that are durable at the follower
    std::uint64_t next = 0;   // the next chunk to read and send
    bool unreadable = false;  // a local read failed: the next attempt sends the newest snapshot
  };

  State state = State::probe;
  Index next_index;         // > match_index
  Index match_index;        // durable at the follower; never falls within a term (L12)
  Index received_index;     // proven to be there, durable or not; >= match_index
  Incarnation incarnation;  // the follower's incarnation that acknowledged this; 0: none yet
  bool probe_sent = false;
  Index probe_last;  // if probe_sent: the last entry of that message
  // The prev_log_index of the newest empty AppendEntries that asked what has arrived. Unset if none
  // was sent since the leader last went back.
  std::optional<Index> asked_behind;
  // The follower has acknowledged nothing for a while, and was asked what has arrived.
  bool arrival_asked = false;

  struct InFlight {
    Index last_index;
    std::size_t bytes = 0;
  };
  std::optional<Transfer> transfer;  // only in state snapshot
  // When the follower last made progress. Set from the start of a transfer until the follower has
  // caught up to the log tail (S10).
  std::optional<Instant> kept_at;
  std::deque<InFlight> in_flight;  // last_index ascending; at most one in state probe
  std::size_t in_flight_bytes = 0;
  // A large message with entries up to here is in flight. Later entries use the bulk connection,
  // too.
  Index bulk_until;

  Instant heard_at;  // when the newest heartbeat that it has answered was sent
  // The same, but Instant{} until this incarnation has answered a heartbeat.
  Instant acked_at;
  Instant leader_lease_until;        // its promise outlasts this instant
  DiskHealth disk = DiskHealth::ok;  // from its newest reply
  std::uint64_t stamp = 0;           // from its newest reply; 0: none yet
  Instant stamped_at;                // when that reply arrived
  Instant progress_at;               // last sign of progress, or start of sending; drives resending
  std::uint64_t acked_round = 0;     // newest heartbeat round that it has answered
  std::uint64_t told_round = 0;      // newest heartbeat round sent to it
  std::size_t owes = 0;              // unanswered heartbeats, if none was lost
  Index told_commit;                 // newest commit index sent to it
  bool wants_commits = false;        // from its newest reply
  bool waits_for_commit = false;     // it is to learn of the newest commit in this turn
  // Rounds of catching up (thesis 4.2.1), for a member that is to become a voter. A round ends when
  // the follower has everything that the log had when the round began.
  Index round_target;  // 0: no round has begun
  Instant round_began;
  bool caught_up = false;  // a round was shorter than an election timeout
  // It has left the configuration, and is told so until then.
  std::optional<Instant> leaves_at;
  bool regressed = false;  // it lacks entries up to match_index: it counts for nothing

  void forget_rounds() {
    round_target = Index(0);
    caught_up = false;
  }
  void become_probe(Index next) {
    state = State::probe;
    transfer.reset();
    next_index = next;
    probe_sent = false;
    asked_behind.reset();
    in_flight.clear();
    in_flight_bytes = 0;
  }
  // The last entry that was sent and is not known to be lost.
  Index sent_through() const {
    if (state != State::probe) return Index(next_index.value - 1);
    return probe_sent ? probe_last : match_index;
  }
  // The probe may still be in flight when an earlier message is acknowledged. It is not sent again.
  void become_replicate() {
    const Index sent = probe_sent ? probe_last : match_index;
    state = State::replicate;
    transfer.reset();
    probe_sent = false;
    next_index = std::max({match_index, received_index, sent}).next();
  }
  void news(Instant now) {
    progress_at = now;
    arrival_asked = false;
  }
  void become_snapshot(const Snapshot& snapshot) {
    become_probe(next_index);
    forget_rounds();
    state = State::snapshot;
    transfer = Transfer{.snapshot = snapshot};
  }
  void acknowledge(Index match, Instant now) {
    if (kept_at && match > match_index) kept_at = now;
    match_index = std::max(match_index, match);
    received_index = std::max(received_index, match_index);
    next_index = std::max(next_index, match_index.next());
    while (!in_flight.empty() && in_flight.front().last_index <= match_index) {
      in_flight_bytes -= in_flight.front().bytes;
      in_flight.pop_front();
    }
  }
};

}  // namespace vesper::raft
