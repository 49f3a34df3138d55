// Leader leases: promises not to vote, and what a leader may conclude from them. Also the age of a
// server's state, for reads that ask no other server. The arguments are in docs/raft.md, "Leases"
// and "Stale reads". They assume clocks that run at nearly the same rate, and nothing else.
#include <fmt/core.h>

#include <algorithm>

#include "raft/raft.hpp"

namespace vesper::raft {

// Defers the campaign until the promise has ended, plus a random delay that keeps it apart from the
// campaigns of others.
bool Raft::put_off_by_promise() {
  if (!promise_.binds(now_)) return false;
  const Duration apart = nanoseconds(prng_.between(0, kFastFailover.ns));
  output_->notes.push_back(fmt::format("promised no vote for another {} ms -> defer the campaign",
                                       (promise_.until() - now_).ms() + 1));
  role_ = Follower{std::nullopt, promise_.until() + apart};
  return true;
}

// ---- the leader's lease -------------------------------------------------------------------

void Raft::on_leader_lease_read() {
  if (auto* leader = std::get_if<Leader>(&role_))
    leader->leader_lease_wanted_until = now_ + kLeaderLeaseWanted;
}

std::uint32_t Leader::leader_lease_to_ask(Duration max_leader_lease, Instant now) const {
  if (now >= leader_lease_wanted_until || hand_over) return 0;
  return static_cast<std::uint32_t>(std::min(max_leader_lease, kMaxLeaderLease).ms());
}

// Why this is linearizable: `now` was read after the read arrived, and the returned index is the
// state of the same turn, however long the process was suspended in between. At `now` no other
// leader had been elected, so everything acknowledged by then is at or below commit_index_. That
// instant is within the read. K3: not before the first commit of the term.
std::optional<Index> Raft::leader_lease_index(Instant now) const {
  const auto* leader = std::get_if<Leader>(&role_);
  if (leader == nullptr || commit_index_ < leader->term_start) return std::nullopt;
  if (now >= leader->leader_lease_until(electorate_)) return std::nullopt;
  return commit_index_;
}

// ---- heartbeats ---------------------------------------------------------------------------

// All heartbeats of a round request the same promise, even those that only announce a commit,
// because a reply does not say which of them it answers.
Heartbeat Raft::heartbeat_to(const Progress& progress, const RoundFacts& facts) const {
  const auto& leader = std::get<Leader>(role_);
  Heartbeat m{current_term(), commit_index_, log_time(now_), leader.round};
  m.leader_lease_ms = leader.sent.newest().leader_lease_ms;
  m.write_block = facts.write_block;
  m.acknowledged = progress.match_index;
  m.acknowledged_term = log_.term_at(progress.match_index).value_or(Term(0));
  m.acknowledged_by = progress.incarnation;
  if (facts.confirmed) {
    const Duration age = std::max(Duration{}, progress.stamped_at - *facts.confirmed);
    if (age <= kMaxAge) {
      m.echo = progress.stamp;
      m.age = age;
    }
  }
  return m;
}

// A reply proves facts about the instant at which its heartbeat was sent. So a leader that was
// suspended does not take old replies for fresh ones.
void Raft::on_heartbeat_answered(Progress& progress, const HeartbeatReply& m) {
  if (m.round >= progress.acked_round) {
    progress.stamp = m.stamp;
    progress.stamped_at = now_;
  }
  const SentRound* at = std::get<Leader>(role_).sent.find(m.round);
  if (at == nullptr) return;
  progress.heard_at = std::max(progress.heard_at, at->sent_at);
  progress.acked_at = std::max(progress.acked_at, at->sent_at);
  progress.leader_lease_until = std::max(progress.leader_lease_until, at->leader_lease_end());
}

// Keeps what a leader knew about the freshness of its state, and when it last heard from a
// majority. Both remain true after the leader steps down.
void Raft::remember_leadership() {
  const auto* leader = std::get_if<Leader>(&role_);
  if (leader == nullptr) return;
  freshness_.remember(fresh_as_of());
  contact_.was_self(leader->heard_by_quorum(electorate_, now_));
}

// Each server of the majority answered, in this term, a heartbeat that was sent then or later. So
// no later leader existed, and everything acknowledged by then is at or below `committed`. K3:
// `committed` covers everything that older terms committed only once an entry of this term is
// committed.
std::optional<Instant> Leader::confirmed_at(const Electorate& electorate, Index committed,
                                            Instant now) const {
  if (committed < term_start) return std::nullopt;
  return acked_by_quorum(electorate, now);
}

RoundFacts Raft::round_facts() const {
  const auto& leader = std::get<Leader>(role_);
  return {write_block(), leader.confirmed_at(electorate_, commit_index_, now_)};
}

std::optional<Instant> Raft::fresh_as_of() const {
  const std::optional<Instant> as_of = freshness_.as_of(commit_index_);
  const auto* leader = std::get_if<Leader>(&role_);
  if (leader == nullptr) return as_of;
  return std::max(as_of, leader->confirmed_at(electorate_, commit_index_, now_));
}

}  // namespace vesper::raft
