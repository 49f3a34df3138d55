#include "node/tracing.hpp"

#include <algorithm>
#include <utility>

namespace vesper::node {

void Tracing::on_asked(raft::ServerId from, const TraceAsked& asked, Instant now) {
  if (askers_.on_asked(from, asked, events_.end(), now)) tracer_.want_state();
}

// Returns is_on().
bool Tracing::switch_on_or_off() {
  const bool is_wanted = !askers_.empty() || !feed_.is_idle();
  if (std::exchange(is_on_, is_wanted) == is_wanted) return is_wanted;
  tracer_.reset();
  events_.clear();
  merged_ = events_.end();
  if (!is_wanted) feed_.clear();
  return is_wanted;
}

// A server that joins, leaves or is replaced is called otherwise from then on.
void Tracing::follow_own_name(const raft::Raft& raft, Instant now) {
  const raft::NodeId own = node_of(raft, raft.self());
  const raft::NodeId before = std::exchange(own_, own);
  if (own == before) return;
  merged_ = events_.end();
  if (before != kNoNode) feed_.interrupt(before, now);
  tracer_.want_state();
}

void Tracing::end_turn(const raft::Raft& raft, const TracedNode& node, Transport& transport,
                       Clients& clients, Instant now) {
  if (!switch_on_or_off()) return;
  follow_own_name(raft, now);
  if (own_ != kNoNode) tracer_.end_turn(raft, node, now, events_);
  if (now - shared_at_ < TraceAskers::kBatch && !feed_.has_question()) return;
  shared_at_ = now;
  askers_.send(events_, transport, now);
  for (merged_ = std::max(merged_, events_.begin()); merged_ < events_.end(); ++merged_)
    if (!feed_.is_idle()) feed_.add_own(node_of(raft, raft.self()), events_.at(merged_));
  if (feed_.end_turn(raft, transport, clients, now)) tracer_.want_state();
}

}  // namespace vesper::node
