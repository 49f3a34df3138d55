// The rounds of heartbeats that a leader has sent lately: an answer proves something for the moment
// at which its round left.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>

#include "raft/types.hpp"

namespace vesper::raft {

// Why a round leaves.
enum class Heartbeats : std::uint8_t {
  regular,    // by the clock
  for_reads,  // to confirm reads; not to a follower that owes too many answers
};

// A round that left: which promise it asked for, and when.
struct SentRound {
  std::uint64_t round = 0;
  Instant sent_at;
  std::uint32_t lease_ms = 0;

  // The leader counts nine tenths of what was asked for, from when it was sent; who answers keeps
  // eleven tenths, from when it came.
  Instant lease_end() const { return sent_at + milliseconds(lease_ms) * 9 / 10; }
};

class SentRounds {
 public:
  // Requires rising rounds. The oldest of the same kind is forgotten: tens of thousands of rounds a
  // second for reads must not take the regular ones away from a follower that answers those only.
  void add(const SentRound& round, Heartbeats why) {
    std::deque<SentRound>& kind = why == Heartbeats::regular ? regular_ : for_reads_;
    kind.push_back(round);
    if (kind.size() > kRemembered) kind.pop_front();
    newest_ = round;
  }
  const SentRound& newest() const { return newest_; }
  // Null when it never left, or is forgotten.
  const SentRound* find(std::uint64_t round) const {
    const SentRound* found = find_in(for_reads_, round);
    return found != nullptr ? found : find_in(regular_, round);
  }

 private:
  static constexpr std::size_t kRemembered = 64;

  static const SentRound* find_in(const std::deque<SentRound>& kind, std::uint64_t round) {
    const auto at = std::lower_bound(
        kind.begin(), kind.end(), round,
        [](const SentRound& sent, std::uint64_t wanted) { return sent.round < wanted; });
    return at != kind.end() && at->round == round ? &*at : nullptr;
  }

  std::deque<SentRound> regular_, for_reads_;
  SentRound newest_;
};

}  // namespace vesper::raft
