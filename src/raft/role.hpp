// A server's role and what exists in it only (§5.1): a follower has no next_index.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "raft/electorate.hpp"
#include "raft/progress.hpp"
#include "raft/sent_rounds.hpp"

namespace vesper::raft {

// Keeps `ids` in order and without duplicates.
void insert_sorted(std::vector<ServerId>& ids, ServerId id);

struct Follower {
  std::optional<ServerId> leader;  // of current_term, once it was heard
  Instant election_deadline;
  Instant take_over_at = kNever;  // the leader hands over, and this server's promise ends then
};

// Voters that refused for the time being, and when they are asked again.
struct AskAgain {
  std::vector<ServerId> voters;  // in id order
  Instant at = kNever;

  void add(ServerId voter, Instant when);  // at `when` or earlier
};

// Thesis 9.6: asks whether an election could be won, before it disturbs anybody with a new term.
struct PreCandidate {
  std::vector<ServerId> granted;  // in id order, self included where it counts
  Instant round_deadline;
  AskAgain again;  // those that hear a leader, or are bound by a promise
};

enum class VoteRound : std::uint8_t { pre_vote, vote };
enum class Campaign : std::uint8_t {
  own,        // no leader is heard
  hand_over,  // the leader asks for it (thesis 3.10): promises to it do not count
};

struct Candidate {
  std::map<ServerId, Incarnation> granted;  // others', and under which incarnation they voted
  WriteNumber own_vote;                     // counts once it is Persisted
  bool transfer = false;                    // the leader asked for it
  Instant round_deadline;
  AskAgain again;  // those that are bound by a promise
};

// What the heartbeats of one turn have in common.
struct RoundFacts {
  WriteBlock write_block = WriteBlock::none;
  std::optional<Instant> confirmed;  // a quorum has followed this leader at this instant
};

// Thesis 6.4: one round of heartbeats confirms leadership for all reads that came before it.
struct ReadRound {
  std::uint64_t round = 0;  // of the heartbeat that confirms it; 0: still gathering
  Index read_index;
  std::vector<std::uint64_t> local;                        // ids of ReadIndex
  std::vector<std::pair<ServerId, std::uint64_t>> remote;  // followers' ids
  bool empty() const { return local.empty() && remote.empty(); }
};

// Thesis 3.10. No proposals are taken meanwhile.
struct HandOver {
  ServerId to;
  bool sent = false;  // TimeoutNow, once
  Instant deadline;   // then it is given up
};

struct Leader {
  std::map<ServerId, Progress> progress;  // of every voter but self
  Index term_start;  // the first entry of this term: no reads before its commit
  // Of entries after `settled`, which is the last one that is committed and durable here.
  std::size_t unsettled_bytes = 0;
  Index settled;
  Instant next_heartbeat;
  std::uint64_t round = 0;  // of the last heartbeat sent
  SentRounds sent;
  ReadRound reading;           // in flight
  ReadRound gathering;         // the next one
  Instant lease_wanted_until;  // leases are asked for
  Instant own_lease_until;     // its own promise lasts longer than this
  std::optional<HandOver> hand_over;
  Instant no_hand_over_before;  // one that failed costs a pause: it is not tried without end

  // The largest index that a quorum has durably; `durable`: of this server's own log (L10).
  std::optional<Index> matched_by_quorum(const Electorate& electorate, Index durable) const;
  // Since when a quorum has been heard at least; Instant{}: no quorum counts.
  Instant heard_by_quorum(const Electorate& electorate, Instant now) const;
  // A quorum has answered, in this term, heartbeats that left at this instant or later.
  std::optional<Instant> acked_by_quorum(const Electorate& electorate, Instant now) const;
  // The leader lease ends at this instant; Instant{}: there is none.
  Instant leased_until(const Electorate& electorate) const;
  // A quorum has answered a heartbeat of this round or of a later one.
  bool is_confirmed(std::uint64_t round, const Electorate& electorate) const;

 private:
  // What a quorum has reached of a member of its progress; `own`: of this server itself.
  template <typename Value>
  std::optional<Value> reached(const Electorate& electorate, Value own,
                               Value Progress::*member) const;
};

using Role = std::variant<Follower, PreCandidate, Candidate, Leader>;

}  // namespace vesper::raft
