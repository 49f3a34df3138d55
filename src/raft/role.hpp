// A server's role (§5.1), with the state that exists only in that role: a follower has no
// next_index. The behavior of each role is in follower.cpp, candidate.cpp and leader.cpp.
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
  std::optional<ServerId> leader;  // of current_term, once this server has heard from it
  Instant election_deadline;
  Instant take_over_at = kNever;  // the leader hands over, and this server's promise ends then
};

// Voters that refused temporarily, and when the candidate asks them again.
struct AskAgain {
  std::vector<ServerId> voters;  // in id order
  Instant at = kNever;

  void add(ServerId voter, Instant when);  // at `when` or earlier
};

// Thesis 9.6: asks whether an election could be won, before a new term disturbs the other servers.
struct PreCandidate {
  std::vector<ServerId> granted;  // in id order, self included if it counts
  Instant round_deadline;
  AskAgain again;  // voters that hear a leader, or are bound by a promise
};

enum class VoteRound : std::uint8_t { pre_vote, vote };
enum class Campaign : std::uint8_t {
  own,        // this server hears no leader
  hand_over,  // the leader requested it (thesis 3.10): promises to it do not count
};

struct Candidate {
  std::map<ServerId, Incarnation> granted;  // votes of others, with their incarnation
  WriteNumber own_vote;                     // counts once this Write is Persisted
  bool transfer = false;                    // the leader requested it
  Instant round_deadline;
  AskAgain again;  // voters that are bound by a promise
};

// The facts that all heartbeats of one turn share.
struct RoundFacts {
  WriteBlock write_block = WriteBlock::none;
  std::optional<Instant> confirmed;  // a quorum followed this leader at this instant
};

// Thesis 6.4: one round of heartbeats confirms leadership for all reads that arrived before it.
struct ReadRound {
  std::uint64_t round = 0;  // the round that confirms these reads; 0: still gathering
  Index read_index;
  std::vector<std::uint64_t> local;                        // ids of ReadIndex
  std::vector<std::pair<ServerId, std::uint64_t>> remote;  // followers' ids
  bool empty() const { return local.empty() && remote.empty(); }
};

// A hand-over of leadership (thesis 3.10). The leader takes no proposals meanwhile.
struct HandOver {
  ServerId to;
  bool sent = false;  // TimeoutNow was sent; it is sent once
  Instant deadline;   // the hand-over is abandoned then
};

struct Leader {
  std::map<ServerId, Progress> progress;  // of every member except self, and of those that left
  Instant since;                          // when it was elected
  // The first entry of this term. The leader answers no reads before it is committed.
  Index term_start;
  // Bytes of the entries after `settled`, which is the last entry that is both committed and
  // durable here.
  std::size_t unsettled_bytes = 0;
  Index settled;
  Instant next_heartbeat;
  std::uint64_t round = 0;  // of the newest heartbeat sent
  SentRounds sent;
  ReadRound reading;                  // in flight
  ReadRound gathering;                // for the next round
  Instant leader_lease_wanted_until;  // the leader requests leases until then
  Instant own_leader_lease_until;     // its own promise outlasts this instant
  Incarnation without_place;  // the new disk that was last reported to find the cluster full
  std::optional<HandOver> hand_over;
  // After a hand-over failed, the leader pauses before it tries again.
  Instant no_hand_over_before;

  // The progress that a reply belongs to. Null if the reply comes from another incarnation: the
  // disk of that incarnation is gone.
  Progress* progress_of(ServerId id, Incarnation incarnation);
  // The progress of another voter under the incarnation that counts. Null: it counts for nothing.
  const Progress* counted(const Electorate& electorate, const Member& voter) const;
  // The largest index that is durable at a quorum. `durable`: the durable index of this server's
  // own log (L10).
  std::optional<Index> matched_by_quorum(const Electorate& electorate, Index durable) const;
  // The instant since which the leader has heard from a quorum. Instant{}: no quorum counts.
  Instant heard_by_quorum(const Electorate& electorate, Instant now) const;
  // A quorum has answered, in this term, heartbeats that were sent at this instant or later.
  std::optional<Instant> acked_by_quorum(const Electorate& electorate, Instant now) const;
  // An instant at which a majority was still in this leader's term. Nothing: unknown.
  // `committed`: this server's commit index.
  std::optional<Instant> confirmed_at(const Electorate& electorate, Index committed,
                                      Instant now) const;
  // The lease that the next heartbeat round requests, in ms. 0: none.
  std::uint32_t leader_lease_to_ask(Duration max_leader_lease, Instant now) const;
  // When the leader lease ends. Instant{}: there is none.
  Instant leader_lease_until(const Electorate& electorate) const;
  // True if a quorum has answered a heartbeat of this round or of a later one.
  bool is_confirmed(std::uint64_t round, const Electorate& electorate) const;
  // Returns `to`, or a lower index if a follower in or after a snapshot transfer needs the entries
  // after that index. Entries after `tail` are kept anyway. A follower that has made no progress
  // for `patience` is ignored.
  Index kept_for_followers(Index to, Index tail, Duration patience, Instant now);

 private:
  // The largest value of a Progress member that a quorum has reached. `own`: this server's value.
  template <typename Value>
  std::optional<Value> reached(const Electorate& electorate, Value own,
                               Value Progress::*member) const;
};

using Role = std::variant<Follower, PreCandidate, Candidate, Leader>;

}  // namespace vesper::raft
