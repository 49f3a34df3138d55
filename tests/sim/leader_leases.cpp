#include "sim/leader_leases.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace vesper::sim {
namespace {

constexpr std::size_t kRememberedRounds = 64;

// How long the server that replies is bound by a lease of this length.
std::int64_t promise_of(std::int64_t leader_lease) {
  return leader_lease * 11 / 10;
}

}  // namespace

void LeaderLeases::asks(std::size_t server, std::uint64_t term, std::int64_t leader_lease,
                        std::int64_t local) {
  Server& s = servers_[server];
  s.promised_to = std::max(s.promised_to, term);
  s.promised_until = std::max(s.promised_until, local + promise_of(leader_lease));
}

// Duplicates and commit notices repeat the same round. A reply does not say which heartbeat of the
// round it answers, so the first one counts.
void LeaderLeases::hears(std::size_t server, std::uint64_t term, std::uint64_t round,
                         std::int64_t leader_lease, std::int64_t local) {
  std::deque<Heard>& heard = servers_[server].heard;
  const auto same = [&](const Heard& h) { return h.term == term && h.round == round; };
  if (std::any_of(heard.begin(), heard.end(), same)) return;
  heard.push_back({term, round, local + promise_of(leader_lease), local});
  if (heard.size() > kRememberedRounds) heard.pop_front();
}

Violation LeaderLeases::answers(std::size_t server, std::uint64_t term, std::uint64_t round) {
  Server& s = servers_[server];
  const auto at = std::find_if(s.heard.begin(), s.heard.end(),
                               [&](const Heard& h) { return h.term == term && h.round == round; });
  if (at == s.heard.end()) return std::nullopt;  // the heartbeat asked for no lease
  ++promises_;
  s.promised_to = std::max(s.promised_to, term);
  s.promised_until = std::max(s.promised_until, at->until);
  if (s.voted_term <= term || s.voted_at < at->since || s.voted_at >= at->until)
    return std::nullopt;
  return fmt::format(
      "K7: server {} makes a promise to the leader of term {} that its vote in term {} broke",
      server, term, s.voted_term);
}

Violation LeaderLeases::votes(std::size_t server, std::uint64_t term, std::int64_t local) {
  Server& s = servers_[server];
  s.voted_term = term;
  s.voted_at = local;
  if (local >= s.promised_until || term <= s.promised_to) return std::nullopt;
  return fmt::format(
      "K7: server {} votes in term {}, {:.3f} ms before its promise to the leader of term {} ends",
      server, term, static_cast<double>(s.promised_until - local) / 1e6, s.promised_to);
}

Violation LeaderLeases::holds(std::size_t server, std::uint64_t term) const {
  if (term >= newest_) return std::nullopt;
  return fmt::format("K7: server {} has a lease of term {} while term {} has a leader", server,
                     term, newest_);
}

}  // namespace vesper::sim
