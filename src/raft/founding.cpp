#include "raft/founding.hpp"

#include <algorithm>

namespace vesper::raft {

Founding::Founding(ServerId self, const std::vector<Voter>& listed, Duration patience, Instant now)
    : patience_(patience) {
  for (const Voter& server : listed)
    if (server.id != self) others_[server.id];
  if (majority_is_there()) waits_since_ = now;
}

bool Founding::majority_is_there() const {
  std::size_t there = 1;
  for (const auto& [id, other] : others_) there += other.reachable;
  return there >= (others_.size() + 1) / 2 + 1;
}

void Founding::see(Id128 cluster) {
  if (seen_.size() < 2 && std::find(seen_.begin(), seen_.end(), cluster) == seen_.end())
    seen_.push_back(cluster);
}

void Founding::on_said(ServerId id, const std::optional<PeerState>& state, Instant now) {
  const auto at = others_.find(id);
  if (at == others_.end()) return;
  if (!state) return wait_again(at->second, now);
  if (!state->cluster_id.is_none()) see(state->cluster_id);
  term_floor_ = std::max(term_floor_, state->term);
  if (state->last_index.value > 0) return on_sign_of_a_log(id, now);
  at->second.empty = true;
  at->second.has_log = false;
}

// A log without a committed Bootstrap entry may still be the last copy of a cluster.
void Founding::on_sign_of_a_log(ServerId id, Instant now) {
  const auto at = others_.find(id);
  if (at == others_.end()) return;
  at->second.has_log = true;
  wait_again(at->second, now);
}

void Founding::wait_again(Other& other, Instant now) {
  other.empty = false;
  if (waits_since_ != kNever) waits_since_ = now;
}

std::optional<ServerId> Founding::holder() const {
  for (const auto& [id, other] : others_)
    if (other.reachable && other.has_log) return id;
  return std::nullopt;
}

void Founding::on_reachable(ServerId id, bool reachable, Instant now) {
  const auto at = others_.find(id);
  if (at == others_.end()) return;
  at->second.reachable = reachable;
  // What a process has said holds no longer than the process.
  if (!reachable) at->second.empty = at->second.has_log = false;
  if (!majority_is_there()) waits_since_ = kNever;
  else if (waits_since_ == kNever) waits_since_ = now;
}

std::optional<Id128> Founding::cluster_seen(Id128 own) const {
  for (const Id128& cluster : seen_)
    if (cluster != own) return cluster;
  return std::nullopt;
}

bool Founding::may_join(Id128 cluster) const {
  return seen_.empty() || std::find(seen_.begin(), seen_.end(), cluster) != seen_.end();
}

bool Founding::is_unanimous() const {
  return seen_.empty() && std::all_of(others_.begin(), others_.end(),
                                      [](const auto& other) { return other.second.empty; });
}

bool Founding::is_allowed(Instant now) const {
  if (!seen_.empty()) return false;
  return is_unanimous() || now >= waits_until();
}

Instant Founding::waits_until() const {
  if (!seen_.empty() || waits_since_ == kNever || holder()) return kNever;
  return waits_since_ + patience_;
}

std::vector<ServerId> Founding::missing() const {
  std::vector<ServerId> missing;
  for (const auto& [id, other] : others_)
    if (!other.empty) missing.push_back(id);
  return missing;
}

}  // namespace vesper::raft
