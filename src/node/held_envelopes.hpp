// Outgoing messages that promise state which is not durable yet. They wait for the disk, which may
// stall for minutes while peers keep retrying. So that they do not pile up, a newer message
// replaces the one that it supersedes.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "raft/output.hpp"

namespace vesper::node {

// Bounded by construction: per peer it holds messages of one term only, and at most one message of
// each kind for each Write that they wait for. A replaced message counts as lost; the transport may
// lose any message.
class HeldEnvelopes {
 public:
  void hold(raft::HeldEnvelope gated);
  // Calls send(const Envelope&) for each message that may leave, in the order in which they were
  // held. Returns at once if neither number has changed, because messages held since the last call
  // wait for later writes.
  template <typename Send>
  void release(raft::WriteNumber persisted, raft::WriteNumber hard_state, Send&& send) {
    if (persisted == persisted_ && hard_state == hard_state_) return;
    persisted_ = persisted;
    hard_state_ = hard_state;
    // Writes become durable in order, but an envelope may wait for an older Write than the one
    // before it does.
    std::erase_if(held_, [&](const raft::HeldEnvelope& held) {
      if (!held.may_leave(persisted, hard_state)) return false;
      send(held.envelope);
      return true;
    });
  }
  std::size_t size() const { return held_.size(); }

 private:
  std::vector<raft::HeldEnvelope> held_;
  raft::WriteNumber persisted_, hard_state_;  // as of the last release
};

}  // namespace vesper::node
