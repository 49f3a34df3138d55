// What a leader knows of one follower (figure 2, nextIndex and matchIndex), and the window that
// bounds what is under way to it.
#pragma once

#include <algorithm>
#include <deque>
#include <optional>

#include "raft/message.hpp"

namespace vesper::raft {

struct Progress {
  // probe: one AppendEntries at a time, until one is accepted; replicate: a pipeline; snapshot: it
  // needs entries that are in a snapshot only (§7).
  enum class State : std::uint8_t { probe, replicate, snapshot };

  // A snapshot on its way: chunks in order, a few unacknowledged.
  struct Transfer {
    Snapshot snapshot;
    bool asked = false;       // the question how far it is has been sent ...
    bool answered = false;    // ... and answered: chunks may go
    std::uint64_t acked = 0;  // chunks that the follower has, durably
    std::uint64_t next = 0;   // to be read and sent
    bool unreadable = false;  // here: the next attempt takes the newest
  };

  State state = State::probe;
  Index next_index;         // > match_index
  Index match_index;        // durable at the follower; never falls within a term (L12)
  Index received_index;     // proven to be there, durable or not; >= match_index
  Incarnation incarnation;  // whose acknowledgements these are; 0: none came yet
  bool probe_sent = false;
  Index probe_last;  // with probe_sent: the last entry of that message
  // Of the empty AppendEntries that asked, since the leader went back last, what has arrived.
  std::optional<Index> asked_behind;
  bool arrival_asked = false;  // nothing came of what was sent for long, and the follower was asked

  struct InFlight {
    Index last_index;
    std::size_t bytes = 0;
  };
  std::optional<Transfer> transfer;  // snapshot only
  // From the beginning of a transfer until it is no further behind than the log's tail: when it
  // last came forward (S10).
  std::optional<Instant> kept_at;
  std::deque<InFlight> in_flight;  // last_index ascending; of a probe at most one
  std::size_t in_flight_bytes = 0;
  Index bulk_until;  // something large up to here is under way: what follows goes the same way

  Instant heard_at;                  // when the newest heartbeat that it has answered was sent
  Instant acked_at;                  // likewise; Instant{}: none was, under this incarnation
  Instant lease_until;               // what it has promised lasts longer than this
  DiskHealth disk = DiskHealth::ok;  // as it said with its newest answer
  std::uint64_t stamp = 0;           // of its newest answer; 0: none came
  Instant stamped_at;                // when that came
  Instant progress_at;               // when something came of what was sent; drives resending
  std::uint64_t acked_round = 0;     // newest heartbeat round that it has answered
  std::uint64_t told_round = 0;      // newest that was sent to it
  std::size_t owes = 0;              // answers to heartbeats, as far as none was lost
  Index told_commit;                 // newest commit index that was sent to it
  bool waits_for_commit = false;     // an entry that it asked for has been committed
  bool regressed = false;            // it lacks entries up to match_index: counts for nothing

  void become_probe(Index next) {
    state = State::probe;
    transfer.reset();
    next_index = next;
    probe_sent = false;
    asked_behind.reset();
    in_flight.clear();
    in_flight_bytes = 0;
  }
  // What has been sent ends here; as far as is known, none of it is lost.
  Index sent_through() const {
    if (state != State::probe) return Index(next_index.value - 1);
    return probe_sent ? probe_last : match_index;
  }
  // The probe may still be under way, when an earlier message is acknowledged: it is not sent
  // again.
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
