// Connections as the server's Peers keep them: each server dials every other one, sends on the
// connections that it has dialled, and tells its node which peers connect and disconnect. Messages
// are lost, delayed and duplicated.
#include "base/checksum.hpp"
#include "node/codec.hpp"
#include "sim/describe.hpp"
#include "sim/world.hpp"

namespace vesper::sim {
namespace {

constexpr Duration kDialAgainMin = milliseconds(20);
constexpr Duration kDialAgainMax = milliseconds(250);

bool asks_for_transfer(const node::PeerMessage& message) {
  const auto* m = std::get_if<raft::Message>(&message);
  const auto* request = m == nullptr ? nullptr : std::get_if<raft::VoteRequest>(m);
  return request != nullptr && request->transfer;
}

bool is_chunk(const node::PeerMessage& message) {
  const auto* m = std::get_if<raft::Message>(&message);
  const auto* chunk = m == nullptr ? nullptr : std::get_if<raft::InstallSnapshot>(m);
  return chunk != nullptr && !chunk->data.empty();
}

}  // namespace

void World::transmit(Host& from, std::size_t to, const node::PeerMessage& message,
                     raft::Channel channel) {
  VESPER_ASSERT(to < hosts_.size());
  VESPER_ASSERT(to != from.number());
  observe_vote(from, to, message);
  tally_.count(Count::messages);
  Link& l = link(from.number(), to);
  Host& target = host(to);
  if (!l.up) return lose(from.number(), to);
  if (target.boot != l.met_boot) {
    // The process is gone: a reset answers the first packet.
    if (linked(from.number(), to))
      after(between(network_, microseconds(50), delay_max_), Reset{from.number(), to, l.epoch});
    return lose(from.number(), to);
  }
  if (l.cuts > 0 || (loss_percent_ > 0 && chance(network_, loss_percent_)))
    return lose(from.number(), to);
  Deliver deliver{static_cast<std::uint32_t>(from.number()),
                  static_cast<std::uint32_t>(to),
                  l.epoch,
                  target.boot,
                  from.incarnation(),
                  followed_by(from, message),
                  {}};
  if (!spare_bytes_.empty()) {
    deliver.bytes = std::move(spare_bytes_.back());
    spare_bytes_.pop_back();
    deliver.bytes.clear();
  }
  node::encode(message, deliver.bytes);
  if (is_chunk(message)) remember_chunk(from.number(), deliver);
  mix(checksum64(deliver.bytes));
  if (options_.messages) trace("{} -> {}: {}", from.number(), to, describe(message));
  if (duplicate_percent_ > 0 && chance(network_, duplicate_percent_)) {
    tally_.count(Count::duplicated);
    after(between(network_, microseconds(50), delay_max_ * 10), deliver);
  }
  if (l.rate == 0) schedule_delivery(l, channel, std::move(deliver));
  else enqueue(from.number(), to, channel, std::move(deliver));
}

void World::lose(std::size_t from, std::size_t to) {
  tally_.count(Count::lost);
  sent_bytes_.lost(from, to);
}

void World::schedule_delivery(Link& l, raft::Channel channel, Deliver message) {
  Instant when = now_ + between(network_, microseconds(50), delay_max_);
  if (plan_.in_order) {
    Instant& last = l.last_delivery[channel == raft::Channel::bulk ? 1 : 0];
    when = last = std::max(when, last + nanoseconds(1));
  }
  at(when, std::move(message));
}

void World::deliver(Deliver& message) {
  Host& to = host(message.to);
  const Link& l = link(message.from, message.to);
  // Without ordering, an old message may arrive even after its connection has ended.
  const bool lost =
      to.boot != message.to_boot || l.cuts > 0 || (plan_.in_order && l.epoch != message.epoch);
  if (!lost) {
    auto decoded = node::decode(message.bytes);
    if (!decoded) return fail(fmt::format("codec: {}", decoded.error().what));
    if (asks_for_transfer(*decoded)) to.excused = true;
    overhear(to, message, *decoded);
    overhear_losses(to.number(), message.from, *decoded);
    post(to, node::FromPeer{raft::ServerId(message.from), message.incarnation,
                            std::move(decoded.value())});
  } else {
    lose(message.from, message.to);
  }
  if (spare_bytes_.size() < 256) spare_bytes_.push_back(std::move(message.bytes));
}

// ---- connections --------------------------------------------------------------------------

void World::dial(std::size_t from, std::size_t to, Duration delay) {
  Link& l = link(from, to);
  if (l.up || l.dialling || !host(from).up()) return;
  l.dialling = true;
  after(delay, Dial{from, to, host(from).boot});
}

void World::on_dial(const Dial& dialled) {
  const auto [from, to, boot] = dialled;
  Host& a = host(from);
  if (a.boot != boot) return;
  Link& l = link(from, to);
  l.dialling = false;
  if (l.up) return;
  const Duration again = between(network_, kDialAgainMin, kDialAgainMax);
  if (a.paused || a.stopping || !linked(from, to) || host(to).paused) return dial(from, to, again);
  Host& b = host(to);
  if (!b.up()) {
    gone(from, to);  // connection refused
    return dial(from, to, again);
  }
  if (b.stopping || !handshake(a, b)) {
    if (!b.stopping) {
      meet(from, to);
      say_state(from, b, Identity::unproven);
      say_state(to, a, Identity::unproven);
    }
    return dial(from, to, again * 4);
  }
  meet(from, to);
  l.up = true;
  ++l.epoch;
  l.last_delivery[0] = l.last_delivery[1] = now_;
  tally_.count(Count::connections);
  mix(from * 64 + to);
  announce(from, to);
  // The other side has proven its identity by dialling.
  meet(to, from);
  say_state(to, a, Identity::proven);
  if (!link(to, from).up) dial(to, from, between(network_, {}, milliseconds(2)));
}

bool World::handshake(Host& a, Host& b) {
  const Id128 of_a = a.node->status(now_).cluster_id;
  const Id128 of_b = b.node->status(now_).cluster_id;
  if (!lists_agree(a, b)) {
    tally_.count(Count::peers_refused);
    return false;
  }
  auto refusal = b.node->refuse_peer(a.id, a.incarnation(), of_a);
  if (!refusal) refusal = a.node->refuse_peer(b.id, b.incarnation(), of_b);
  if (!refusal) return true;
  tally_.count(Count::peers_refused);
  if (!a.wiped && !b.wiped)
    fail(fmt::format("servers {} and {} reject each other: {}", a.number(), b.number(),
                     refusal->detail));
  return false;
}

// If the process is not the one met before, the earlier one is gone.
void World::meet(std::size_t who, std::size_t other) {
  Link& l = link(who, other);
  const std::uint64_t boot = host(other).boot;
  if (l.met_boot == boot) return;
  if (l.met_boot != 0) {
    gone(who, other);
    if (l.up) reset(who, other);
  }
  l.met_boot = boot;
}

void World::announce(std::size_t who, std::size_t other) {
  Link& l = link(who, other);
  Host& b = host(other);
  l.announced = true;
  tally_.count(Count::peers_up);
  resends_.may_go_back(who, other);
  sent_bytes_.lost(who, other);
  post(host(who), node::PeerConnected{b.id, b.incarnation(), b.node->raft().peer_state()});
}

void World::gone(std::size_t who, std::size_t other) {
  Link& l = link(who, other);
  if (!std::exchange(l.announced, false)) return;
  tally_.count(Count::peers_gone);
  host(who).excused = true;
  post(host(who), node::PeerDisconnected{host(other).id});
}

// Loses what is in flight on the connection, and dials again at once.
void World::reset(std::size_t from, std::size_t to) {
  Link& l = link(from, to);
  if (!l.up) return;
  l.up = false;
  ++l.epoch;
  forget_queues(l);
  dial(from, to, between(network_, microseconds(100), milliseconds(3)));
}

// A process has ended: its kernel resets the connections from every reachable peer.
void World::connections_end(Host& h) {
  for (std::size_t j = 0; j < hosts_.size(); ++j) {
    if (j == h.number()) continue;
    Link& out = link(h.number(), j);
    out.up = out.dialling = out.announced = false;
    out.met_boot = 0;
    forget_queues(out);
    const Link& in = link(j, h.number());
    if (in.up && linked(j, h.number()))
      after(between(network_, microseconds(100), milliseconds(3)), Reset{j, h.number(), in.epoch});
  }
}

}  // namespace vesper::sim
