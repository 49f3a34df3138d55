// The heartbeat rounds that a leader has sent recently. A reply proves facts about the instant at
// which its round was sent, so the leader looks that instant up here.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>

#include "raft/types.hpp"

namespace vesper::raft {

// Why a round is sent.
enum class Heartbeats : std::uint8_t {
  regular,    // the heartbeat interval has passed
  for_reads,  // to confirm reads; skips followers with too many unanswered heartbeats
};

// A round that was sent, and the lease that it requested.
struct SentRound {
  std::uint64_t round = 0;
  Instant sent_at;
  std::uint32_t leader_lease_ms = 0;

  // The leader counts on 0.9 × the requested lease, from when it sent the round. The server that
  // replies keeps its promise for 1.1 × the lease, from when it received the round.
  Instant leader_lease_end() const { return sent_at + milliseconds(leader_lease_ms) * 9 / 10; }
};

class SentRounds {
 public:
  // Requires rising rounds. Each kind evicts its own oldest round. Read rounds may number tens of
  // thousands a second. They must not evict the regular rounds, because a slow follower gets only
  // regular ones.
  void add(const SentRound& round, Heartbeats why) {
    std::deque<SentRound>& kind = why == Heartbeats::regular ? regular_ : for_reads_;
    kind.push_back(round);
    if (kind.size() > kRemembered) kind.pop_front();
    newest_ = round;
  }
  const SentRound& newest() const { return newest_; }
  // Null if this round was never sent, or was evicted.
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
