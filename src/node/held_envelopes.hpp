// Messages to peers that promise what is not durable yet. They wait for the disk, which may hang
// for minutes, while peers ask again and again: so a message replaces what it supersedes.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "raft/output.hpp"

namespace vesper::node {

// Bounded by construction: for each peer there are only messages of one term, and of those at most
// one of a kind for each Write that they wait for. What is replaced counts as lost, which the
// transport may do to any message.
class HeldEnvelopes {
 public:
  void hold(raft::HeldEnvelope gated);
  // Calls send(const Envelope&) for each one that may leave, in the order in which they came. Looks
  // only when the numbers have moved: what was held since waits for more than these.
  template <typename Send>
  void release(raft::WriteNumber persisted, raft::WriteNumber hard_state, Send&& send) {
    if (persisted == persisted_ && hard_state == hard_state_) return;
    persisted_ = persisted;
    hard_state_ = hard_state;
    // Writes are durable in order, but an envelope may wait for an older one than its neighbour.
    std::erase_if(held_, [&](const raft::HeldEnvelope& held) {
      if (!held.may_leave(persisted, hard_state)) return false;
      send(held.envelope);
      return true;
    });
  }
  std::size_t size() const { return held_.size(); }

 private:
  std::vector<raft::HeldEnvelope> held_;
  raft::WriteNumber persisted_, hard_state_;  // at the last release
};

}  // namespace vesper::node
