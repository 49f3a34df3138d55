#include "node/trace_feed.hpp"

#include <algorithm>
#include <utility>

#include "base/assert.hpp"

namespace vesper::node {
namespace {

void shift(TraceEvent& event, Duration ahead) {
  const auto shift_timer = [ahead](std::optional<TraceTimer>& timer) {
    if (timer) timer->deadline = timer->deadline - ahead;
  };
  if (auto* state = std::get_if<TraceState>(&event)) shift_timer(state->election);
  if (auto* election = std::get_if<TraceElection>(&event)) shift_timer(election->timer);
}

}  // namespace

// ---- TraceViewer --------------------------------------------------------------------------

TraceViewer::TraceViewer(TraceFeed& feed, const Ticket& ticket)
    : feed_(feed), ticket_(ticket), place_(feed.events_.end()) {}

TraceViewer::~TraceViewer() {
  feed_.viewers_.erase(listed_);
}

std::optional<TraceItem> TraceViewer::next() {
  const TraceRing<TraceItem>& events = feed_.events_;
  // What is left is old, and means nothing without a state: go on with what happens now.
  if (place_ < events.begin()) {
    const TraceDropped dropped{events.end() - place_};
    const Instant newest = events.at(events.end() - 1).at;
    place_ = events.end();
    begun_.clear();
    feed_.want_states();
    return TraceItem{feed_.self_, newest, dropped};
  }
  while (place_ < events.end()) {
    const TraceItem& item = events.at(place_++);
    if (std::holds_alternative<TraceSilent>(item.event) ||
        std::holds_alternative<TraceDropped>(item.event)) {
      begun_.erase(item.node);
      return item;
    }
    if (std::holds_alternative<TraceState>(item.event)) begun_.insert(item.node);
    if (begun_.contains(item.node)) return item;
  }
  return std::nullopt;
}

// ---- TraceFeed ----------------------------------------------------------------------------

TraceFeed::~TraceFeed() {
  VESPER_ASSERT(viewers_.empty());
}

std::unique_ptr<TraceViewer> TraceFeed::open(const Ticket& ticket) {
  if (viewers_.size() >= kMaxViewers) return nullptr;
  auto viewer = std::make_unique<TraceViewer>(*this, ticket);
  viewer->listed_ = viewers_.insert(viewers_.end(), viewer.get());
  want_states();
  states_asked_at_ = {};
  return viewer;
}

void TraceFeed::clear() {
  peers_.clear();
  events_.clear();
}

void TraceFeed::add_own(raft::NodeId self, TimedTraceEvent event) {
  events_.push({self, event.at, std::move(event.event)});
}

void TraceFeed::interrupt(raft::NodeId node, Instant at) {
  events_.push({node, at, TraceSilent{}});
}

// While a disk is replaced, two servers are one node. The silence of the old disk also hides the
// new one until its next state.
void TraceFeed::interrupt_server(raft::ServerId id, raft::NodeId node, Instant at) {
  interrupt(node, at);
  for (auto& [other, peer] : peers_)
    if (other != id && peer.node == node) peer.wants_state = true;
  if (node == self_) want_states();
}

void TraceFeed::on_heard(raft::ServerId from, TraceHeard&& heard, Instant now) {
  const auto at = peers_.find(from);
  if (at == peers_.end() || viewers_.empty()) return;
  Peer& peer = at->second;
  const Duration trip = now - heard.asked - heard.held;
  if (heard.asked > now || trip < Duration{}) return;  // no answer to this process
  if (peer.next && heard.boot != peer.boot) {
    // Another process: nothing that the one before has said helps to understand this one.
    peer.next.reset();
    interrupt(peer.node, peer.heard_at);
    peer.wants_state = true;
  }
  if (heard.boot != peer.boot || trip <= peer.round_trip || now - peer.measured_at > kOffsetLasts) {
    peer.boot = heard.boot;
    peer.round_trip = trip;
    peer.ahead = heard.clock - (now - trip / 2);
    peer.measured_at = now;
  }
  peer.heard_at = now;
  if (std::exchange(peer.is_silent, false)) peer.wants_state = true;
  // Only connections that do not keep the order bring what was counted as lost.
  if (peer.next && heard.before < *peer.next) return;
  if (peer.next && heard.before > *peer.next) {
    const Instant next = heard.events.empty() ? heard.clock : heard.events.front().at;
    events_.push({peer.node, next - peer.ahead, TraceDropped{heard.before - *peer.next}});
    peer.wants_state = true;
  }
  peer.next = heard.before + heard.events.size();
  for (TimedTraceEvent& each : heard.events) {
    shift(each.event, peer.ahead);
    events_.push({peer.node, each.at - peer.ahead, std::move(each.event)});
  }
}

// Peers are the other members.
void TraceFeed::follow(const raft::Raft& raft, Instant now) {
  const raft::Configuration& configuration = raft.configuration();
  std::erase_if(peers_, [&](const auto& each) {
    const auto& [id, peer] = each;
    if (configuration.find(id) != nullptr && id != raft.self()) return false;
    // It may come back, without the events in between.
    if (id != raft.self()) interrupt_server(id, peer.node, peer.heard_at);
    return true;
  });
  for (const raft::Member& member : configuration.members) {
    if (member.id == raft.self()) continue;
    const auto [at, is_new] = peers_.try_emplace(member.id);
    at->second.node = member.node;
    if (is_new) at->second.heard_at = now;
  }
}

bool TraceFeed::end_turn(const raft::Raft& raft, Transport& transport, Clients& clients,
                         Instant now) {
  if (viewers_.empty()) {
    clear();
    return false;
  }
  self_ = node_of(raft, raft.self());
  follow(raft, now);
  const bool all = states_wanted_ && now - states_asked_at_ >= kStatesAgain;
  if (all) {
    states_wanted_ = false;
    states_asked_at_ = now;
  }
  for (auto& [id, peer] : peers_) {
    if (!peer.is_silent && now - peer.heard_at > kSilence) {
      peer.is_silent = true;
      interrupt_server(id, peer.node, peer.heard_at);
    } else if (peer.is_silent && all) {
      interrupt(peer.node, now);  // for those who came later
    }
    peer.wants_state |= all;
    if (!peer.wants_state && now - peer.asked_at < kAskAgain) continue;
    if (raft.level_of(id) < raft::kTraceLevel || !transport.has_room(id, raft::Channel::bulk))
      continue;
    peer.asked_at = now;
    transport.send(id, TraceAsked{now, std::exchange(peer.wants_state, false)},
                   raft::Channel::bulk);
  }
  if (now - woken_at_ >= kWake) {
    woken_at_ = now;
    for (const TraceViewer* viewer : viewers_) clients.wake(viewer->ticket_);
  }
  return all;
}

}  // namespace vesper::node
