// Checks the cluster's clock by the world's true time, not by stamps. The bounds on what the clock
// may have counted follow from when leaders committed, or had nothing left to commit.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>

namespace vesper::sim {

using Violation = std::optional<std::string>;  // the broken rule, or nothing

// At the commit of an entry. Log time since an earlier entry lies between the two differences, plus
// at most one second, since an entry is stamped up to a second before it is committed.
struct Passed {
  std::int64_t now = 0;  // ns of the world's time
  std::int64_t at_least = 0, at_most = 0;
};

class LogClock {
 public:
  static constexpr std::int64_t kSecond = 1'000'000'000;
  static constexpr std::int64_t kMostUndecided = kSecond;

  // The rates of the slowest and the fastest clock, in millionths. `patience`: how long a leader
  // keeps leading without replies.
  LogClock(std::int64_t slowest, std::int64_t fastest, std::int64_t patience)
      : slowest_(slowest), fastest_(fastest), most_unseen_(patience + kMostUndecided) {}

  // A turn of a leader has ended. `healthy`: it could reach a majority the whole time since its
  // last turn.
  struct Turn {
    std::int64_t now = 0;
    std::uint64_t term = 0;
    bool all_committed = false;   // its log has no uncommitted entry
    bool committed_more = false;  // in this turn
    bool healthy = false;
  };
  void leads(const Turn& turn);
  // A server's clock jumps forward.
  void jumps(std::int64_t forward) { jumped_ += forward; }

  // The next entry of the committed log. Call it after leads() of the turn that committed it.
  Violation commits(std::uint64_t term, std::int64_t stamp);
  const Passed& passed() const { return passed_; }
  // The bounds for this moment, as if an entry were committed now.
  Passed passed_by(std::int64_t now) const;

 private:
  static std::int64_t scaled(std::int64_t ns, std::int64_t rate) {
    __extension__ using Wide = __int128;
    return static_cast<std::int64_t>(Wide{ns} * rate / 1'000'000);
  }

  std::int64_t slowest_, fastest_, most_unseen_;
  Passed passed_;            // as of the last turn that showed that entries can be decided
  std::int64_t jumped_ = 0;  // since then
  Turn last_;
  std::int64_t ran_ = 0;  // the least that it ran since the last commit, within its term
  std::int64_t stamp_ = 0;
  std::uint64_t term_ = 0;
  std::int64_t furthest_ = INT64_MAX;  // the smallest stamp - at_most so far
};

}  // namespace vesper::sim
