// The node's Transport, with a look at what is sent while somebody watches the trace.
#pragma once

#include <vector>

#include "node/tracing.hpp"

namespace vesper::node {

class TracedTransport final : public Transport {
 public:
  // All of them must outlive this. `now`: when the present turn began.
  TracedTransport(Transport& out, const raft::Raft& raft, Tracing& tracing, const Instant& now)
      : out_(out), raft_(raft), tracing_(tracing), now_(now) {}

  void send(raft::ServerId to, const PeerMessage& message, raft::Channel channel) override {
    if (tracing_.is_on()) tracing_.on_sent(raft_, to, message, now_);
    out_.send(to, message, channel);
  }
  bool has_room(raft::ServerId to, raft::Channel channel) const override {
    return out_.has_room(to, channel);
  }
  void follow(const std::vector<Contact>& contacts) override { out_.follow(contacts); }

 private:
  Transport& out_;
  const raft::Raft& raft_;
  Tracing& tracing_;
  const Instant& now_;
};

}  // namespace vesper::node
