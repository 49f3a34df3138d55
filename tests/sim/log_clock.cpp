#include "sim/log_clock.hpp"

#include <fmt/core.h>

namespace vesper::sim {

// Between two moments at which a leader shows that entries can be decided, the clock may run. It
// may not run further than one leader can take it: until that leader gives up, and by at most the
// limit for its oldest undecided entry.
Passed LogClock::passed_by(std::int64_t now) const {
  Passed passed = passed_;
  passed.at_most += std::min(scaled(now - passed_.now, fastest_) + jumped_, most_unseen_);
  passed.now = now;
  return passed;
}

void LogClock::leads(const Turn& turn) {
  if (turn.term != last_.term) ran_ = 0;
  else if (turn.all_committed && last_.all_committed && turn.healthy && last_.healthy)
    ran_ += scaled(turn.now - last_.now, slowest_);
  last_ = turn;
  if (!turn.all_committed && !turn.committed_more) return;
  passed_ = passed_by(turn.now);
  jumped_ = 0;
}

Violation LogClock::commits(std::uint64_t term, std::int64_t stamp) {
  const bool same_term = term == term_;
  const std::int64_t ran = same_term ? ran_ : 0;
  const std::int64_t further = stamp - passed_.at_most;
  if (furthest_ != INT64_MAX && further > furthest_ + kMostUndecided)
    return fmt::format(
        "K2: the cluster's clock ran while nothing could be decided: {:.3f} ms too far",
        static_cast<double>(further - furthest_ - kMostUndecided) / 1e6);
  if (stamp - stamp_ < ran)
    return fmt::format("K2: the cluster's clock stood still: {:.3f} ms of {:.3f}",
                       static_cast<double>(stamp - stamp_) / 1e6, static_cast<double>(ran) / 1e6);
  furthest_ = std::min(furthest_, further);
  passed_.at_least += ran;
  ran_ = 0;
  stamp_ = stamp;
  term_ = term;
  return std::nullopt;
}

}  // namespace vesper::sim
