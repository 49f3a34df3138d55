// The parts of a node that serve /trace. While there is no viewer, here or at another node, they
// record, send and compute nothing: Node only asks is_on().
#pragma once

#include <optional>

#include "node/trace_askers.hpp"
#include "node/trace_feed.hpp"
#include "node/tracer.hpp"

namespace vesper::node {

class Tracing {
 public:
  explicit Tracing(raft::BootId boot) : askers_(boot) {}

  // True while this node traces itself.
  bool is_on() const { return is_on_; }
  // For clients that watch, between turns.
  TraceFeed& feed() { return feed_; }
  // True if a viewer waits for a turn.
  bool has_question() const { return feed_.has_question() || (!is_on_ && !askers_.empty()); }

  void on_sent(const raft::Raft& raft, raft::ServerId to, const PeerMessage& message, Instant now) {
    tracer_.on_sent(raft, to, message, now);
  }
  void on_vote_reply(raft::ServerId from, const raft::VoteReply& reply) {
    tracer_.on_vote_reply(from, reply);
  }
  void on_asked(raft::ServerId from, const TraceAsked& asked, Instant now);
  void on_heard(raft::ServerId from, TraceHeard&& heard, Instant now) {
    feed_.on_heard(from, std::move(heard), now);
  }
  // Call at the end of each turn.
  void end_turn(const raft::Raft& raft, const TracedNode& node, Transport& transport,
                Clients& clients, Instant now);
  // When the next turn is due; kNever if none is.
  Instant deadline() const { return is_on_ ? shared_at_ + TraceAskers::kBatch : kNever; }

 private:
  // Of a server without a number, which is not part of a cluster yet.
  static constexpr raft::NodeId kNoNode{raft::kNoServer.value};

  bool switch_on_or_off();
  void follow_own_name(const raft::Raft& raft, Instant now);

  Tracer tracer_;
  raft::NodeId own_ = kNoNode;         // what people call this node
  TraceRing<TimedTraceEvent> events_;  // of this node
  std::uint64_t merged_ = 0;           // its place up to which the feed has them
  TraceAskers askers_;
  TraceFeed feed_;
  bool is_on_ = false;
  Instant shared_at_;  // when the events were last handed on
};

}  // namespace vesper::node
