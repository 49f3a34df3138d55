// Slow links: bytes wait in queues that fill up, like those of the server's peer links. This file
// also reports what each server sends to the checkers of resends and memory.
#include "sim/world.hpp"

namespace vesper::sim {
namespace {

constexpr std::size_t kSlice = 1'000;  // bytes sent before the other channel gets its turn

}  // namespace

// Slows the links of one server, some or all of them, in both directions or in one.
void World::narrow(Spell& spell) {
  const std::size_t a = pick_host();
  const std::int64_t shape = faults_.between(0, 3);
  const std::int64_t rate = std::int64_t{10'000} << faults_.between(0, 6);
  for (std::size_t b = 0; b < hosts_.size(); ++b) {
    if (b == a || (shape == 3 && chance(faults_, 50))) continue;
    if (shape != 1) spell.narrowed.emplace_back(a, b);
    if (shape != 2) spell.narrowed.emplace_back(b, a);
  }
  for (const auto& [from, to] : spell.narrowed) link(from, to).rate = rate;
  trace("links of server {} carry {} bytes a second ({})", a, rate, shape);
}

void World::widen(std::size_t from, std::size_t to) {
  Link& l = link(from, to);
  l.rate = 0;
  for (std::size_t c = 0; c < 2; ++c)
    for (Deliver& message : std::exchange(l.queues[c].waiting, {}))
      schedule_delivery(l, c == 1 ? raft::Channel::bulk : raft::Channel::control,
                        std::move(message));
  forget_queues(l);
}

void World::forget_queues(Link& l) {
  for (Link::Queue& queue : l.queues) {
    tally_.count(Count::lost, queue.waiting.size());
    queue = {};
  }
}

// Like peer/out_link.cpp: a message that does not fit is dropped; an empty queue accepts any
// message.
void World::enqueue(std::size_t from, std::size_t to, raft::Channel channel, Deliver message) {
  Link& l = link(from, to);
  Link::Queue& queue = l.queues[channel == raft::Channel::bulk ? 1 : 0];
  const std::size_t limit =
      plan_.raft.max_inflight_bytes * (channel == raft::Channel::bulk ? 2 : 1);
  const std::size_t size = message.bytes.size();
  if (queue.bytes > limit || (queue.bytes != 0 && queue.bytes + size > limit)) {
    tally_.count(Count::queues_full);
    return lose(from, to);
  }
  if (queue.waiting.empty()) queue.head_left = size;
  queue.bytes += size;
  queue.waiting.push_back(std::move(message));
  tally_.at_least(Count::queued_most, queue.bytes);
  if (!std::exchange(l.pumping, true)) pump(from, to);
}

// The two connections of a link share its bandwidth slice by slice.
void World::pump(std::size_t from, std::size_t to) {
  Link& l = link(from, to);
  if (l.rate == 0 || (l.queues[0].waiting.empty() && l.queues[1].waiting.empty())) {
    l.pumping = false;
    return;
  }
  const bool bulk = l.queues[1 - l.served].waiting.empty() ? l.served == 1 : l.served == 0;
  l.served = bulk ? 1 : 0;
  Link::Queue& queue = l.queues[l.served];
  const std::size_t take = std::min(kSlice, queue.head_left);
  queue.head_left -= take;
  queue.bytes -= take;
  if (queue.head_left == 0) {
    Deliver message = std::move(queue.waiting.front());
    queue.waiting.pop_front();
    if (!queue.waiting.empty()) queue.head_left = queue.waiting.front().bytes.size();
    schedule_delivery(l, bulk ? raft::Channel::bulk : raft::Channel::control, std::move(message));
  }
  after(nanoseconds(static_cast<std::int64_t>(take) * 1'000'000'000 / l.rate), Pump{from, to});
}

// ---- what is sent, and when it may be resent

void World::observe_bytes(Host& h, std::size_t to, const node::PeerMessage& message,
                          raft::Channel channel) {
  const std::size_t who = h.number();
  if (const auto* forward = std::get_if<node::Forward>(&message)) {
    if (forward->writes.empty()) return;
    return check(forwards_.sent(who, to, forward->term.value * 1'000'000 + h.boot,
                                forward->writes.front().sequence, forward->writes.back().sequence));
  }
  const auto* m = std::get_if<raft::Message>(&message);
  if (m == nullptr) return;
  if (const auto* append = std::get_if<raft::AppendEntries>(m)) {
    if (append->entries.empty()) return;
    std::vector<std::size_t> sizes;
    for (const raft::Entry& entry : append->entries) {
      sizes.push_back(entry.bytes.size());
      tally_.count(Count::entry_bytes_sent, sizes.back());
      if (const auto origin = route(h, entry.origin.server); !entry.origin.is_none() && origin)
        beats_.wrote(who, *origin, append->term.value, entry.index.value);
    }
    const std::uint64_t first = append->entries.front().index.value;
    // Checked only if connections behave like TCP and the receiver has room for the entries.
    const Violation wrong = sent_bytes_.sent(who, to, append->term.value, first, sizes, channel);
    const Host& target = host(to);
    const bool full =
        target.full || (target.up() && target.node->raft().disk_health() == raft::DiskHealth::full);
    if (!full && plan_.in_order && !plan_.has(FaultKind::duplicate) &&
        !plan_.has(FaultKind::stretch))
      check(wrong);
    else sent_bytes_.lost(who, to);
    return check(resends_.sent(who, to, append->term.value, first, first + sizes.size() - 1));
  }
  if (const auto* beat = std::get_if<raft::Heartbeat>(m))
    check(beats_.sent(who, to, beat->term.value, beat->round, beat->leader_commit.value,
                      h.clock.read(now_).ns, plan_.raft.heartbeat_interval.ns));
}

void World::overhear_losses(std::size_t who, std::size_t from, const node::PeerMessage& message) {
  if (const auto* reply = std::get_if<node::ForwardReply>(&message)) {
    if (reply->gap) forwards_.may_go_back(who, from);
    return;
  }
  const auto* m = std::get_if<raft::Message>(&message);
  if (m == nullptr) return;
  if (std::holds_alternative<raft::HeartbeatReply>(*m)) beats_.answered(who, from);
  const auto* reply = std::get_if<raft::AppendReply>(m);
  if (reply != nullptr && reply->success)
    sent_bytes_.acknowledged(who, from, reply->term.value, reply->match_index.value);
  if (reply != nullptr && !reply->success) {
    tally_.count(Count::appends_refused);
    resends_.may_go_back(who, from);
  }
  if (std::holds_alternative<raft::InstallSnapshotReply>(*m)) resends_.may_go_back(who, from);
}

}  // namespace vesper::sim
