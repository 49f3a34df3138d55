#include "node/held_envelopes.hpp"

namespace vesper::node {
namespace {

// Messages of the same kind supersede each other: the newest one carries the sender's current
// state.
struct Kind {
  std::size_t message = 0;             // index into raft::Message
  bool first = false, second = false;  // flags that further distinguish messages of one type

  bool operator==(const Kind&) const = default;
};

// One overload for each message type, so that a new type must define its kinds here.
struct FlagsOf {
  using Flags = std::pair<bool, bool>;
  Flags operator()(const raft::VoteRequest& m) const { return {m.pre_vote, false}; }
  Flags operator()(const raft::VoteReply& m) const { return {m.pre_vote, false}; }
  Flags operator()(const raft::AppendEntries&) const { return {}; }
  Flags operator()(const raft::AppendReply& m) const { return {m.success, false}; }
  Flags operator()(const raft::Heartbeat&) const { return {}; }
  Flags operator()(const raft::HeartbeatReply& m) const {
    // A report of a regressed disk names no round.
    return {m.disk == raft::DiskHealth::regressed, false};
  }
  Flags operator()(const raft::ReadIndexRequest&) const { return {}; }
  Flags operator()(const raft::ReadIndexReply&) const { return {}; }
  Flags operator()(const raft::InstallSnapshot&) const { return {}; }
  Flags operator()(const raft::InstallSnapshotReply& m) const { return {m.done, m.asked}; }
  Flags operator()(const raft::TimeoutNow&) const { return {}; }
};

Kind kind_of(const raft::Message& message) {
  const auto [first, second] = std::visit(FlagsOf{}, message);
  return {message.index(), first, second};
}

// A pre-vote carries the sender's term plus one.
raft::Term senders_term(const raft::Message& message) {
  const raft::Term term = raft::term_of(message);
  const auto* request = std::get_if<raft::VoteRequest>(&message);
  return request != nullptr && request->pre_vote ? raft::Term(term.value - 1) : term;
}

// A reply to a delayed request must not replace the reply to a newer one. `held` is of the same
// kind.
bool is_stale(const raft::Message& message, const raft::Message& held) {
  if (const auto* vote = std::get_if<raft::VoteReply>(&message))
    return vote->for_term < std::get<raft::VoteReply>(held).for_term;
  if (const auto* beat = std::get_if<raft::HeartbeatReply>(&message))
    return beat->round < std::get<raft::HeartbeatReply>(held).round;
  if (const auto* append = std::get_if<raft::AppendReply>(&message))
    return append->match_index < std::get<raft::AppendReply>(held).match_index;
  return false;
}

}  // namespace

void HeldEnvelopes::hold(raft::HeldEnvelope gated) {
  const raft::ServerId to = gated.envelope.to;
  const raft::Term term = senders_term(gated.envelope.message);
  const Kind kind = kind_of(gated.envelope.message);
  bool older_term = false;
  for (auto held = held_.rbegin(); held != held_.rend(); ++held) {
    if (held->envelope.to != to) continue;
    const raft::Message& message = held->envelope.message;
    older_term = senders_term(message) != term;
    if (older_term) break;  // all earlier messages to this peer are of that older term, too
    if (held->after != gated.after || held->after_hard_state != gated.after_hard_state) continue;
    if (kind_of(message) != kind) continue;
    if (!is_stale(gated.envelope.message, message)) held->envelope = std::move(gated.envelope);
    return;
  }
  // The peer has already left the older term, or will leave it when it hears of this one.
  if (older_term)
    std::erase_if(held_, [&](const raft::HeldEnvelope& held) {
      return held.envelope.to == to && senders_term(held.envelope.message) != term;
    });
  held_.push_back(std::move(gated));
}

}  // namespace vesper::node
