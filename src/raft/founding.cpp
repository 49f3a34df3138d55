#include "raft/founding.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "raft/names.hpp"
#include "raft/quorum.hpp"

namespace vesper::raft {

Founding::Founding(ServerId self, std::vector<Member> listed, Duration patience, Instant now)
    : patience_(patience), listed_(std::move(listed)) {
  for (const Member& server : listed_)
    if (server.id != self) others_[server.id];
  if (majority_is_there()) waits_since_ = now;
}

bool Founding::majority_is_there() const {
  return Quorum(listed_).holds([&](const Member& server) {
    const auto other = others_.find(server.id);
    // This server itself counts as reachable.
    return other == others_.end() || other->second.reachable;
  });
}

void Founding::see(Id128 cluster) {
  if (seen_.size() < 2 && std::find(seen_.begin(), seen_.end(), cluster) == seen_.end())
    seen_.push_back(cluster);
}

void Founding::on_said(ServerId id, const std::optional<PeerState>& state, Instant now) {
  // A server that the list does not name may have joined the cluster later.
  if (state && !state->cluster_id.is_none()) see(state->cluster_id);
  const auto at = others_.find(id);
  if (at == others_.end()) return;
  if (!state) return wait_again(at->second, now);
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

void Founding::on_connected(ServerId id, Instant now) {
  const auto at = others_.find(id);
  if (at == others_.end()) return;
  at->second.reachable = true;
  review_majority(now);
}

void Founding::on_gone(ServerId id, Instant now) {
  const auto at = others_.find(id);
  if (at == others_.end()) return;
  at->second = Other{};
  review_majority(now);
}

void Founding::review_majority(Instant now) {
  if (!majority_is_there()) waits_since_ = kNever;
  else if (waits_since_ == kNever) waits_since_ = now;
}

std::optional<Id128> Founding::cluster_seen(Id128 own) const {
  for (const Id128& cluster : seen_)
    if (cluster != own) return cluster;
  return std::nullopt;
}

// A server without a log may vote for a candidate of a cluster; the candidate's log decides whether
// that vote counts (C10). It helps to found a cluster only if it may found one itself, and in no
// term in which it may have voted before it lost its disk (E4).
VoteRefusal Founding::judge_vote(ServerId from, const VoteRequest& m, const HardState& own,
                                 Instant now) const {
  if (!m.cluster_id.is_none())
    return may_join(m.cluster_id) ? VoteRefusal::none : VoteRefusal::other_cluster;
  if (cluster_seen({})) return VoteRefusal::other_cluster;
  if (!is_allowed(now)) return VoteRefusal::founding_waits;
  const bool again = m.term == own.current_term && own.voted_for == from;
  return m.term > term_floor_ || again ? VoteRefusal::none : VoteRefusal::old_term;
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

std::vector<std::string> Founding::news(Instant now) {
  std::vector<std::string> news;
  if (const auto at = holder(); at && said_ != 0) {
    said_ = 0;
    news.push_back(fmt::format("{} has a log -> found no second cluster", name(*at)));
  }
  const Instant until = waits_until();
  if (until == kNever) return news;
  const std::int64_t left = (until - now).ns / seconds(1).ns + 1;
  if (left == said_) return news;
  said_ = left;
  std::string names;
  for (const Member& server : listed_)
    if (const auto other = others_.find(server.id); other != others_.end() && !other->second.empty)
      names += fmt::format("{}{} ({})", names.empty() ? "" : ", ", name(server.id), server.address);
  news.push_back(
      fmt::format("no word from {} that it holds no data -> found a cluster without it in {} s; if "
                  "it has the data of a cluster, start it first",
                  names, left));
  return news;
}

}  // namespace vesper::raft
