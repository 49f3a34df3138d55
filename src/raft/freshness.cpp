#include "raft/freshness.hpp"

#include <algorithm>

#include "base/prng.hpp"

namespace vesper::raft {

Freshness::Freshness(std::uint64_t seed, Instant now)
    : base_((Prng(~seed).next() >> 3) | (std::uint64_t{1} << 60)), started_at_(now) {}

std::uint64_t Freshness::stamp(Instant now) const {
  return base_ + static_cast<std::uint64_t>((now - started_at_).ns);
}

// Why this is safe: the leader received the reply after it left this server. The leader's statement
// holds for the instant `age` before it received the reply. So that instant is not before the
// reply's stamp minus the age. The leader's clock measured the age, so the age is scaled by the
// clock allowance of leases. The statement: everything that was acknowledged by then is at or below
// leader_commit.
void Freshness::learn(const Heartbeat& m, Index committed, Instant now) {
  if (awaited_ && awaited_->index <= committed) {
    as_of_ = as_of(committed);
    awaited_.reset();
  }
  if (m.echo < base_ || m.echo > stamp(now)) return;
  const Duration since_start = nanoseconds(static_cast<std::int64_t>(m.echo - base_));
  const Instant as_of = started_at_ + since_start - m.age * 11 / 9;
  if (m.leader_commit <= committed) as_of_ = std::max(as_of_.value_or(as_of), as_of);
  // Keep an awaited index until it is reached. Under steady load the newest one would never be
  // reached.
  else if (!awaited_) awaited_ = Awaited{m.leader_commit, as_of};
}

std::optional<Instant> Freshness::as_of(Index committed) const {
  if (!awaited_ || awaited_->index > committed) return as_of_;
  return std::max(as_of_.value_or(awaited_->as_of), awaited_->as_of);
}

}  // namespace vesper::raft
