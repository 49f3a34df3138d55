#include "sim/resends.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace vesper::sim {
namespace {

// For reads, for what an earlier term left undecided, and for the edges of intervals.
constexpr std::uint64_t kBeside = 12;

}  // namespace

Wrong Resends::sent(std::size_t from, std::size_t to, std::uint64_t epoch, std::uint64_t first,
                    std::uint64_t last) {
  Stream& stream = streams_[from * servers_ + to];
  if (stream.epoch != epoch) stream = {epoch, 0};
  if (first <= stream.sent_through)
    return fmt::format("resends: server {} sends {} to {} again to server {}, and knows of no loss",
                       from, first, std::min(last, stream.sent_through), to);
  stream.sent_through = last;
  return std::nullopt;
}

void Beats::wrote(std::size_t leader, std::size_t by, std::uint64_t epoch, std::uint64_t index) {
  Link& l = link(leader, by, epoch);
  if (index > l.commit) l.own.insert(index);
}

Wrong Beats::sent(std::size_t from, std::size_t to, std::uint64_t epoch, std::uint64_t round,
                  std::uint64_t commit, std::int64_t local, std::int64_t interval) {
  Link& link = this->link(from, to, epoch);
  link.commit = std::max(link.commit, commit);
  const auto told = link.own.upper_bound(commit);
  const bool tells_of_own = told != link.own.begin();
  link.own.erase(link.own.begin(), told);
  if (round <= link.round) return std::nullopt;
  if (link.rounds == 0) link.since = local;
  link.round = round;
  if (tells_of_own) return std::nullopt;  // its clients wait for that
  const auto regular = static_cast<std::uint64_t>((local - link.since) / interval);
  if (++link.rounds <= regular + kBeside) return std::nullopt;
  return fmt::format(
      "bounds: server {} has sent {} rounds of heartbeats to server {} in {:.1f} ms, and it has "
      "answered none",
      from, link.rounds, to, static_cast<double>(local - link.since) / 1e6);
}

}  // namespace vesper::sim
