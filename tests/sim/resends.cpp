#include "sim/resends.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace vesper::sim {
namespace {

// Allowance for reads, for entries that an earlier term left undecided, and for rounding.
constexpr std::uint64_t kBeside = 12;
constexpr std::uint64_t kMostPercent = 110;

}  // namespace

Violation Resends::sent(std::size_t from, std::size_t to, std::uint64_t epoch, std::uint64_t first,
                        std::uint64_t last) {
  Stream& stream = streams_[from * servers_ + to];
  if (stream.epoch != epoch) stream = {epoch, 0};
  if (first <= stream.sent_through)
    return fmt::format(
        "resends: server {} sends {} to {} again to server {}, though no loss is known", from,
        first, std::min(last, stream.sent_through), to);
  stream.sent_through = last;
  return std::nullopt;
}

Violation SentBytes::sent(std::size_t from, std::size_t to, std::uint64_t term, std::uint64_t first,
                          const std::vector<std::size_t>& sizes, raft::Channel channel) {
  Account& account = accounts_[from * servers_ + to];
  if (account.term != term) account = {.term = term};
  // One channel may overtake the other.
  if (account.channel && *account.channel != channel) account.state = Account::State::closed;
  account.channel = channel;
  for (std::size_t n = 0; n < sizes.size(); ++n) {
    account.sent += sizes[n];
    if (account.indexes.insert(first + n).second) account.needed += sizes[n];
  }
  if (account.state != Account::State::open || account.sent <= account.needed * kMostPercent / 100)
    return std::nullopt;
  return fmt::format(
      "resends: server {} has sent {} bytes of entries to server {}, but {} were needed", from,
      account.sent, to, account.needed);
}

void SentBytes::acknowledged(std::size_t from, std::size_t to, std::uint64_t term,
                             std::uint64_t match) {
  Account& account = accounts_[from * servers_ + to];
  if (account.term != term || account.indexes.empty()) return;
  if (account.state == Account::State::probing || match >= *account.indexes.rbegin())
    account = {.term = term, .state = Account::State::open};
}

void Beats::wrote(std::size_t leader, std::size_t by, std::uint64_t epoch, std::uint64_t index) {
  Link& l = link(leader, by, epoch);
  if (index > l.commit) l.own.insert(index);
}

Violation Beats::sent(std::size_t from, std::size_t to, std::uint64_t epoch, std::uint64_t round,
                      std::uint64_t commit, std::int64_t local, std::int64_t interval) {
  Link& link = this->link(from, to, epoch);
  link.commit = std::max(link.commit, commit);
  const auto told = link.own.upper_bound(commit);
  const bool tells_of_own = told != link.own.begin();
  link.own.erase(link.own.begin(), told);
  if (round <= link.round) return std::nullopt;
  if (link.rounds == 0) link.since = local;
  link.round = round;
  if (tells_of_own) return std::nullopt;  // clients of that server wait for this commit
  const auto regular = static_cast<std::uint64_t>((local - link.since) / interval);
  if (++link.rounds <= regular + kBeside) return std::nullopt;
  return fmt::format(
      "bounds: server {} has sent {} rounds of heartbeats to server {} in {:.1f} ms, and it has "
      "answered none",
      from, link.rounds, to, static_cast<double>(local - link.since) / 1e6);
}

}  // namespace vesper::sim
