// Judges the cluster's clock by the world's true time. No stamp tells time here: what the clock may
// have counted at most, and has to have counted at least, follows from when leaders committed, or
// had nothing left to commit.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>

namespace vesper::sim {

using Violation = std::optional<std::string>;  // what is, or nothing

// At the commit of an entry. Log time since an earlier one is between the two differences, and one
// second more at most, since an entry is stamped up to a second before it is committed.
struct Passed {
  std::int64_t now = 0;  // ns of the world
  std::int64_t at_least = 0, at_most = 0;
};

class LogClock {
 public:
  static constexpr std::int64_t kSecond = 1'000'000'000;
  static constexpr std::int64_t kMostUndecided = kSecond;

  // The rates of the slowest and the fastest clock, in millionths. `patience`: how long a leader
  // leads that hears from nobody.
  LogClock(std::int64_t slowest, std::int64_t fastest, std::int64_t patience)
      : slowest_(slowest), fastest_(fastest), most_unseen_(patience + kMostUndecided) {}

  // A turn of a leader has ended. `healthy`: nothing has kept it from a majority since its last
  // one.
  struct Turn {
    std::int64_t now = 0;
    std::uint64_t term = 0;
    bool all_committed = false;   // whatever its log holds
    bool committed_more = false;  // in this turn
    bool healthy = false;
  };
  void leads(const Turn& turn);
  // Some server's clock jumps forward.
  void jumps(std::int64_t forward) { jumped_ += forward; }

  // The next entry of the committed log. After leads() of the turn that committed it.
  Violation commits(std::uint64_t term, std::int64_t stamp);
  const Passed& passed() const { return passed_; }
  // Of this moment, if something were committed in it.
  Passed passed_by(std::int64_t now) const;

 private:
  static std::int64_t scaled(std::int64_t ns, std::int64_t rate) {
    __extension__ using Wide = __int128;
    return static_cast<std::int64_t>(Wide{ns} * rate / 1'000'000);
  }

  std::int64_t slowest_, fastest_, most_unseen_;
  Passed passed_;            // now: of the last turn that showed that entries can be decided
  std::int64_t jumped_ = 0;  // since then
  Turn last_;
  std::int64_t ran_ = 0;  // at least, since the last commit and in its term
  std::int64_t stamp_ = 0;
  std::uint64_t term_ = 0;
  std::int64_t furthest_ = INT64_MAX;  // the least stamp - at_most so far
};

}  // namespace vesper::sim
