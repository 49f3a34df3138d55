#include "sim/resends.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace vesper::sim {
namespace {

// For reads, for commits that somebody waits for, and for the edges of intervals.
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

Wrong Beats::sent(std::size_t from, std::size_t to, std::uint64_t epoch, std::uint64_t round,
                  std::int64_t local, std::int64_t interval) {
  Link& link = links_[from * servers_ + to];
  if (link.epoch != epoch) link = {epoch, 0, 0, local};
  if (round <= link.round) return std::nullopt;
  if (link.rounds == 0) link.since = local;
  link.round = round;
  const auto regular = static_cast<std::uint64_t>((local - link.since) / interval);
  if (++link.rounds <= regular + kBeside) return std::nullopt;
  return fmt::format(
      "bounds: server {} has sent {} rounds of heartbeats to server {} in {:.1f} ms, and it has "
      "answered none",
      from, link.rounds, to, static_cast<double>(local - link.since) / 1e6);
}

}  // namespace vesper::sim
