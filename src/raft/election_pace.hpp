// How long a server waits before it campaigns, and how long one round of its campaign lasts (§5.6,
// §9.3). Rounds are short at first after a failover or a start, and become longer as they fail.
#pragma once

#include <algorithm>

#include "base/prng.hpp"
#include "raft/config.hpp"

namespace vesper::raft {

class ElectionPace {
 public:
  explicit ElectionPace(Duration election_timeout)
      : election_timeout_(election_timeout), base_(election_timeout) {}

  // A leader is heard, or this server leads.
  void relax() { base_ = election_timeout_; }
  // No leader protects the term: the first round is short.
  void hurry() { base_ = std::min(kFastRound, election_timeout_); }
  // A round has failed.
  void slow_down() { base_ = std::min(base_ * 2, election_timeout_); }
  bool is_relaxed() const { return base_ == election_timeout_; }

  // A wait from [base, 2 * base]. Each is drawn separately, so that two servers that split a vote
  // do not split the next one (E7).
  Duration draw(Prng& prng) const { return nanoseconds(prng.between(base_.ns, 2 * base_.ns)); }

  // Q1: since it heard a leader or of a new term, a server delays its campaign by up to an election
  // timeout in favour of the candidates that it grants a pre-vote. A candidate that hears no answer
  // asks for ever, and would keep the others from electing a leader.
  bool may_hold_back() const { return held_back_ < election_timeout_; }
  void held_back(Duration delay) { held_back_ = held_back_ + delay; }
  void forget_held_back() { held_back_ = {}; }

 private:
  Duration election_timeout_;
  Duration base_;
  Duration held_back_;
};

}  // namespace vesper::raft
