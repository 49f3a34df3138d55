#include "raft/role.hpp"

#include <algorithm>

namespace vesper::raft {

void insert_sorted(std::vector<ServerId>& ids, ServerId id) {
  const auto at = std::lower_bound(ids.begin(), ids.end(), id);
  if (at == ids.end() || *at != id) ids.insert(at, id);
}

void AskAgain::add(ServerId voter, Instant when) {
  insert_sorted(voters, voter);
  at = std::min(at, when);
}

Progress* Leader::progress_of(ServerId id, Incarnation incarnation) {
  const auto at = progress.find(id);
  if (at == progress.end()) return nullptr;
  if (at->second.incarnation.value == 0) at->second.incarnation = incarnation;
  return at->second.incarnation == incarnation ? &at->second : nullptr;
}

const Progress* Leader::counted(const Electorate& electorate, const Member& voter) const {
  const auto at = progress.find(voter.id);
  if (at == progress.end() || !electorate.counts(voter, at->second.incarnation)) return nullptr;
  return &at->second;
}

template <typename Value>
std::optional<Value> Leader::reached(const Electorate& electorate, Value own,
                                     Value Progress::*member) const {
  return electorate.quorum().reached([&](const Member& voter) -> std::optional<Value> {
    if (electorate.is_self(voter.id))
      return electorate.self_counts() ? std::optional(own) : std::nullopt;
    const Progress* const other = counted(electorate, voter);
    return other == nullptr ? std::nullopt : std::optional(other->*member);
  });
}

std::optional<Index> Leader::matched_by_quorum(const Electorate& electorate, Index durable) const {
  return electorate.quorum().reached([&](const Member& voter) -> std::optional<Index> {
    if (electorate.is_self(voter.id))
      return electorate.self_counts() ? std::optional(durable) : std::nullopt;
    const Progress* const other = counted(electorate, voter);
    return other == nullptr || other->regressed ? std::nullopt : std::optional(other->match_index);
  });
}

Instant Leader::heard_by_quorum(const Electorate& electorate, Instant now) const {
  return reached(electorate, now, &Progress::heard_at).value_or(Instant{});
}

std::optional<Instant> Leader::acked_by_quorum(const Electorate& electorate, Instant now) const {
  const auto at = reached(electorate, now, &Progress::acked_at);
  return at == Instant{} ? std::nullopt : at;  // Instant{}: a voter has answered none yet
}

Instant Leader::leader_lease_until(const Electorate& electorate) const {
  return reached(electorate, own_leader_lease_until, &Progress::leader_lease_until)
      .value_or(Instant{});
}

bool Leader::is_confirmed(std::uint64_t wanted, const Electorate& electorate) const {
  return electorate.quorum().holds([&](const Member& voter) {
    if (electorate.is_self(voter.id)) return electorate.self_counts();
    const Progress* const other = counted(electorate, voter);
    return other != nullptr && other->acked_round >= wanted;
  });
}

}  // namespace vesper::raft
