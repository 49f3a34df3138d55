// Leases: promises not to vote, and what a leader may conclude from them. And how old the state of
// a server is at most, for reads that ask nobody. The argument is in docs/raft.md, "Leases" and
// "Stale reads"; it rests on clocks that run at nearly the same rate, and on nothing else here.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <functional>

#include "raft/raft.hpp"

namespace vesper::raft {
namespace {

// The largest value that a majority of the counting servers reaches; Instant{}: none does.
class Majority {
 public:
  void add(Instant value) { values_[size_++] = value.ns; }
  Instant reaches(std::size_t majority) {
    if (size_ < majority) return Instant{};
    const auto begin = values_.begin();
    const auto at = begin + static_cast<std::ptrdiff_t>(majority - 1);
    std::nth_element(begin, at, begin + static_cast<std::ptrdiff_t>(size_), std::greater<>());
    return Instant{*at};
  }

 private:
  std::array<std::int64_t, kMaxServers> values_;  // the first size_ of them
  std::size_t size_ = 0;
};

}  // namespace

// ---- promises -----------------------------------------------------------------------------

// From receipt, which `now_` is or precedes only by what this server itself took.
void Raft::promise(std::uint32_t lease_ms) {
  const Duration lease = std::min(milliseconds(lease_ms), kMaxLease);
  if (lease.ns > 0) promised_until_ = std::max(promised_until_, now_ + lease * 11 / 10);
}

// Promises are not on the disk. Whose disk knows no term has never answered a heartbeat, since an
// answer waits for its term; and where one server is the majority, nobody else can be elected.
void Raft::promise_after_restart() {
  stamp_base_ = (Prng(~config_.seed).next() >> 3) | (std::uint64_t{1} << 60);
  if (current_term().value > 0 && majority() > 1) promised_until_ = now_ + kMaxLease * 11 / 10;
}

// A campaign begins when the promise is over, a little apart from those of others.
bool Raft::put_off_by_promise() {
  if (!promised()) return false;
  const Duration apart = nanoseconds(prng_.between(0, kFastFailover.ns));
  output_->notes.push_back(fmt::format("promised no vote for another {} ms -> campaign then",
                                       (promised_until_ - now_).ms() + 1));
  role_ = Follower{std::nullopt, promised_until_ + apart};
  return true;
}

// ---- the leader's lease -------------------------------------------------------------------

void Raft::on_lease_read() {
  if (auto* leader = std::get_if<Leader>(&role_)) leader->lease_wanted_until = now_ + kLeaseWanted;
}

std::uint32_t Raft::lease_to_ask() const {
  const auto& leader = std::get<Leader>(role_);
  if (now_ >= leader.lease_wanted_until || leader.hand_over) return 0;
  return static_cast<std::uint32_t>(std::min(config_.max_lease, kMaxLease).ms());
}

Instant Raft::lease_until() const {
  const auto& leader = std::get<Leader>(role_);
  Majority held;
  if (self_counts()) held.add(leader.own_lease_until);
  for (const auto& [id, progress] : leader.progress)
    if (counts(id, progress.incarnation)) held.add(progress.lease_until);
  return held.reaches(majority());
}

// `now` was read after the read had come in, and what it returns is the state of the same turn. So
// however long this process was stopped in between: at `now` no other leader had been elected, and
// all that was acknowledged by then is at or below commit_index_. That instant is within the read.
// K3: not before the first commit of the term.
std::optional<Index> Raft::lease_index(Instant now) const {
  const auto* leader = std::get_if<Leader>(&role_);
  if (leader == nullptr || commit_index_ < leader->term_start) return std::nullopt;
  if (now >= lease_until()) return std::nullopt;
  return commit_index_;
}

// ---- heartbeats ---------------------------------------------------------------------------

// All heartbeats of a round ask for the same promise, also those that only tell a commit: an answer
// does not say which of them it answers.
Heartbeat Raft::heartbeat_to(const Progress& progress, const RoundFacts& facts) const {
  const auto& leader = std::get<Leader>(role_);
  Heartbeat m{current_term(), commit_index_, log_time(now_), leader.round};
  m.lease_ms = leader.sent.newest().lease_ms;
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

// What an answer proves, it proves for the moment at which its heartbeat left: a leader that was
// frozen does not take old answers for fresh ones.
void Raft::on_heartbeat_answered(Progress& progress, const HeartbeatReply& m) {
  if (m.round >= progress.acked_round) {
    progress.stamp = m.stamp;
    progress.stamped_at = now_;
  }
  const SentRound* at = std::get<Leader>(role_).sent.find(m.round);
  if (at == nullptr) return;
  progress.heard_at = std::max(progress.heard_at, at->sent_at);
  progress.acked_at = std::max(progress.acked_at, at->sent_at);
  progress.lease_until = std::max(progress.lease_until, at->lease_end());
}

// What a leader knew of its state's freshness holds when it no longer leads, too.
void Raft::remember_freshness() {
  if (is_leader()) fresh_as_of_ = fresh_as_of();
}

// ---- how fresh the state is ---------------------------------------------------------------

// At this instant a majority had not gone beyond this leader's term: each of them answered, in it,
// a heartbeat that was sent then or later. So there was no later leader, and what had been
// acknowledged to anybody is at or below commit_index_ (K3: which knows all that older terms have
// committed only when an entry of this term is).
std::optional<Instant> Raft::confirmed_at() const {
  const auto& leader = std::get<Leader>(role_);
  if (commit_index_ < leader.term_start) return std::nullopt;
  Majority acked;
  if (self_counts()) acked.add(now_);
  for (const auto& [id, progress] : leader.progress)
    if (counts(id, progress.incarnation)) acked.add(progress.acked_at);
  const Instant at = acked.reaches(majority());
  if (at == Instant{}) return std::nullopt;
  return at;
}

// This server's clock since its start, above a number that no other process of it has: an echo of
// another one's is not taken for its own.
std::uint64_t Raft::stamp() const {
  return stamp_base_ + static_cast<std::uint64_t>((now_ - started_at_).ns);
}

// The leader got the answer after it left here. So the instant for which the leader's word holds,
// `age` before it got it, is not before the answer's stamp less the age, which the leader's clock
// has measured: taken with the allowance that leases have. What the word says, is that all that was
// acknowledged by then is at or below leader_commit.
void Raft::learn_freshness(const Heartbeat& m) {
  if (awaited_ && awaited_->index <= commit_index_) {
    fresh_as_of_ = fresh_as_of();
    awaited_.reset();
  }
  if (m.echo < stamp_base_ || m.echo > stamp()) return;
  const Duration since_start = nanoseconds(static_cast<std::int64_t>(m.echo - stamp_base_));
  const Instant as_of = started_at_ + since_start - m.age * 11 / 9;
  if (m.leader_commit <= commit_index_)
    fresh_as_of_ = std::max(fresh_as_of_.value_or(as_of), as_of);
  else if (!awaited_)  // not replaced: under steady load the newest would never be reached
    awaited_ = Awaited{m.leader_commit, as_of};
}

std::optional<Instant> Raft::fresh_as_of() const {
  std::optional<Instant> best = fresh_as_of_;
  const auto consider = [&](Instant as_of) { best = std::max(best.value_or(as_of), as_of); };
  if (awaited_ && awaited_->index <= commit_index_) consider(awaited_->as_of);
  if (is_leader())
    if (const auto confirmed = confirmed_at()) consider(*confirmed);
  return best;
}

}  // namespace vesper::raft
