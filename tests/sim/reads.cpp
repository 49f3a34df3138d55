#include "sim/reads.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <functional>

#include "base/assert.hpp"

namespace vesper::sim {
namespace {

constexpr std::size_t kMostServers = 64;

}  // namespace

void ReadRounds::sent(std::size_t leader, std::uint64_t term, std::uint64_t round,
                      std::int64_t now) {
  Server& s = servers_[leader];
  if (s.term != term) {
    s.term = term;
    s.sent.clear();
    s.answered.assign(servers_.size(), 0);
  }
  if (s.sent.size() <= round) s.sent.resize(round + 1, now);
}

void ReadRounds::answered(std::size_t leader, std::size_t by, std::uint64_t term,
                          std::uint64_t round) {
  Server& s = servers_[leader];
  if (s.term != term || round >= s.sent.size()) return;
  if (s.answered.size() <= by) s.answered.resize(servers_.size());
  s.answered[by] = std::max(s.answered[by], s.sent[round]);
}

std::int64_t ReadRounds::followed_until(std::size_t leader, std::uint64_t term,
                                        std::int64_t now) const {
  const Server& s = servers_[leader];
  // Before a log has members: of any servers.
  const std::size_t others = voters_ / 2;  // followers that form a majority with the leader
  if (others == 0) return now;
  if (s.term != term) return 0;
  VESPER_ASSERT(s.answered.size() <= kMostServers);
  std::array<std::int64_t, kMostServers> answered{};
  std::copy(s.answered.begin(), s.answered.end(), answered.begin());
  const auto at = answered.begin() + static_cast<std::ptrdiff_t>(others - 1);
  std::nth_element(answered.begin(), at, answered.end(), std::greater<>());
  return *at;
}

std::int64_t ReadRounds::followed_until(std::size_t leader, std::uint64_t term, std::int64_t now,
                                        const std::vector<std::vector<std::size_t>>& sets) const {
  const Server& s = servers_[leader];
  std::int64_t all = now;
  for (const std::vector<std::size_t>& set : sets) {
    VESPER_ASSERT(!set.empty() && set.size() <= kMostServers);
    std::array<std::int64_t, kMostServers> answered{};
    for (std::size_t i = 0; i < set.size(); ++i) {
      if (set[i] == leader) answered[i] = now;
      else if (s.term == term && set[i] < s.answered.size()) answered[i] = s.answered[set[i]];
    }
    const auto end = answered.begin() + static_cast<std::ptrdiff_t>(set.size());
    const auto at = answered.begin() + static_cast<std::ptrdiff_t>(set.size() / 2);
    std::nth_element(answered.begin(), at, end, std::greater<>());
    all = std::min(all, *at);
  }
  return all;
}

void ReadRounds::learns(std::size_t server, std::int64_t followed) {
  servers_[server].followed = std::max(servers_[server].followed, followed);
}

Violation ReadRounds::reads(std::size_t server, std::int64_t asked) const {
  const std::int64_t followed = servers_[server].followed;
  if (followed >= asked) return std::nullopt;
  return fmt::format(
      "K4: server {} answers a read that arrived at {:.3f} ms, but knows that a majority followed "
      "its leader only up to {:.3f} ms",
      server, static_cast<double>(asked) / 1e6, static_cast<double>(followed) / 1e6);
}

}  // namespace vesper::sim
