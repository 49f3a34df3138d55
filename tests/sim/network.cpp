// Connections as the server's Peers keep them: each server dials the addresses of the members that
// its node names, sends on the connections that it has dialled, and tells its node which peers
// connect and disconnect. Messages go to numbers; node/peer_rules decides who has which. Messages
// are lost, delayed and duplicated.
#include <algorithm>

#include "base/checksum.hpp"
#include "node/codec.hpp"
#include "sim/describe.hpp"
#include "sim/world.hpp"

namespace vesper::sim {
namespace {

constexpr Duration kDialAgainMin = milliseconds(20);
constexpr Duration kDialAgainMax = milliseconds(250);
constexpr std::size_t kMostStrangers = 16;

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

// The machine at which `from` finds member `to`.
std::optional<std::size_t> World::route(const Host& from, raft::ServerId to) const {
  for (const auto* contacts : {&from.contacts, &from.strangers})
    for (const node::Contact& contact : *contacts)
      if (contact.number == to) return host_at(contact.address);
  return std::nullopt;
}

void World::send(Host& from, raft::ServerId to, const node::PeerMessage& message,
                 raft::Channel channel) {
  observe_send(from, message);
  observe_trace(from, message);
  observe_vote(from, to, message);
  const auto place = route(from, to);
  tally_.count(Count::messages);
  if (!place || *place == from.number()) return tally_.count(Count::lost);
  const Link& l = link(from.number(), *place);
  // At the address may be another member: a lost disk and the one that replaces it share it.
  if (l.as != to) {
    if (l.as == raft::kNoServer) return lose(from.number(), *place);
    return tally_.count(Count::lost);
  }
  observe_bytes(from, *place, message, channel);
  transmit(from, *place, message, channel);
  stretch(from, *place, message);
}

void World::transmit(Host& from, std::size_t to, const node::PeerMessage& message,
                     raft::Channel channel) {
  VESPER_ASSERT(to < hosts_.size());
  VESPER_ASSERT(to != from.number());
  Link& l = link(from.number(), to);
  Host& target = host(to);
  if (!l.up) return lose(from.number(), to);
  observe_copy(from, message);
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
                  from.drive,
                  l.sender,
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
    post(to, node::FromPeer{message.number, message.incarnation, std::move(decoded.value())});
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
  if (l.up || expected_at(a, to).empty()) return;
  const Duration again = between(network_, kDialAgainMin, kDialAgainMax);
  if (a.paused || a.stopping || !linked(from, to) || host(to).paused) return dial(from, to, again);
  Host& b = host(to);
  if (b.up() && is_unnoticed(a, b)) return dial(from, to, again);
  if (!b.up()) {
    gone(from, to);  // connection refused
    return dial(from, to, again);
  }
  const Handshake greeted = b.stopping ? Handshake::silent : handshake(a, b);
  if (greeted != Handshake::passed) {
    if (greeted == Handshake::refused) {
      meet(from, to);
      say_state(from, b, Identity::unproven);
      say_state(to, a, Identity::unproven);
    }
    return dial(from, to, again * 4);
  }
  learn_boots(a, b);
  meet(from, to);
  l.up = true;
  ++l.epoch;
  l.last_delivery[0] = l.last_delivery[1] = now_;
  tally_.count(Count::connections);
  mix(from * 64 + to);
  announce(from, to, l.as);
  // The other side has proven its identity by dialling.
  meet(to, from);
  say_state(to, a, Identity::proven);
  if (!link(to, from).up) dial(to, from, between(network_, {}, milliseconds(2)));
}

// The members that `from` looks for at this machine, the newest first.
std::vector<node::Contact> World::expected_at(const Host& from, std::size_t to) const {
  std::vector<node::Contact> expected;
  for (const auto* contacts : {&from.contacts, &from.strangers})
    for (const node::Contact& contact : *contacts)
      if (host_at(contact.address) == to) expected.push_back(contact);
  std::sort(expected.begin(), expected.end(),
            [](const auto& a, const auto& b) { return a.number > b.number; });
  return expected;
}

// Both sides judge what the other says about itself, as node/peer_rules does for the transport.
World::Handshake World::handshake(Host& a, Host& b) {
  Link& l = link(a.number(), b.number());
  const std::vector<node::Contact> expected = expected_at(a, b.number());
  if (!lists_agree(a, b)) {
    tally_.count(Count::peers_refused);
    return Handshake::refused;
  }
  raft::ServerId as = raft::kNoServer;
  for (const node::Contact& contact : expected) {
    as = judge(a, b, contact);
    if (as != raft::kNoServer) break;
  }
  l.said = a.node->greeting(address_of(a));
  const auto theirs = node::judge_dialler(l.said, b.node->view());
  if (std::holds_alternative<node::PeerHasLeft>(theirs)) {
    tally_.count(Count::told_to_have_left);
    trace("server {} tells server {} that it has left", b.number(), a.number());
    post(a, node::ToldToHaveLeft{});
    return Handshake::silent;
  }
  if (const auto* refusal = std::get_if<node::PeerRefusal>(&theirs)) {
    refused(b, a, *refusal);
    return Handshake::refused;
  }
  if (as == raft::kNoServer) return Handshake::silent;
  const raft::ServerId sender = std::get<node::PeerIs>(theirs).number;
  l.as = as;
  l.sender = sender;
  meet_stranger(b, a, sender);
  return Handshake::passed;
}

// What `a` takes `b` for, at the address of this member. kNoServer: it is not that member.
raft::ServerId World::judge(Host& a, Host& b, const node::Contact& expected) {
  const auto verdict = node::judge_acceptor(expected.number, b.node->greeting(address_of(b)),
                                            a.node->view(), expected.address);
  if (const auto* lost = std::get_if<node::PeerLostDisk>(&verdict)) {
    tally_.count(Count::disks_missed);
    trace("server {} finds another disk in the place of member {}", a.number(),
          expected.number.value);
    post(a, node::PeerDiskReplaced{lost->number, lost->incarnation, b.level});
  }
  if (const auto* refusal = std::get_if<node::PeerRefusal>(&verdict)) refused(a, b, *refusal);
  const auto* is = std::get_if<node::PeerIs>(&verdict);
  return is == nullptr ? raft::kNoServer : is->number;
}

// Two members whose logs name each other never refuse each other as if an operator had to act.
void World::refused(const Host& a, const Host& b, const node::PeerRefusal& refusal) {
  tally_.count(Count::peers_refused);
  const auto names = [&](const Host& one, const Host& other) {
    const Roster* const roster = safety_.roster_of(one.drive);
    return roster != nullptr && roster->with_incarnation(other.born.value) != nullptr;
  };
  if (refusal.why == node::PeerRefusal::Why::conflict && names(a, b) && names(b, a))
    fail(fmt::format("servers {} and {} reject each other: {}", a.number(), b.number(),
                     refusal.detail));
}

// A server that is new, or behind, does not know every member that dials it, and has to answer.
void World::meet_stranger(Host& h, const Host& dialler, raft::ServerId number) {
  const auto is_known = [&](const node::Contact& contact) { return contact.number == number; };
  const auto contact = std::find_if(h.contacts.begin(), h.contacts.end(), is_known);
  if (contact != h.contacts.end()) {
    if (node::outranks_list(dialler.node->greeting(address_of(dialler)), h.node->view()))
      contact->address = address_of(dialler);
    return;
  }
  std::erase_if(h.strangers, is_known);
  if (h.strangers.size() == kMostStrangers) h.strangers.erase(h.strangers.begin());
  h.strangers.push_back({number, raft::NodeId(number.value), address_of(dialler)});
}

// True if the server that dialled is another member than it was in the handshake: the configuration
// in which it had that number was truncated.
bool World::has_another_number(const Host& h, const Link& in) const {
  const auto verdict = node::judge_dialler(in.said, h.node->view());
  const auto* is = std::get_if<node::PeerIs>(&verdict);
  return is != nullptr && is->number != in.sender;
}

// A member that has dialled this server stays known: it may not be in the configuration yet that
// this server has read. While that is the list, the member is where it says it is.
void World::keep_diallers(Host& h, const std::vector<node::Contact>& before) {
  const bool is_list = h.node->view().committed.cluster_id.is_none();
  for (const node::Contact& old : before) {
    const auto at = host_at(old.address);
    if (!at || *at == h.number()) continue;
    const Link& in = link(*at, h.number());
    if (!in.up || in.met_boot != h.boot || in.sender != old.number) continue;
    const auto same =
        std::find_if(h.contacts.begin(), h.contacts.end(),
                     [&old](const node::Contact& contact) { return contact.number == old.number; });
    if (same == h.contacts.end()) h.strangers.push_back(old);
    else if (is_list && !in.said.state.cluster_id.is_none()) same->address = old.address;
  }
}

// The node replaces its list of contacts, and peers are judged again.
void World::follow(Host& h, const std::vector<node::Contact>& contacts) {
  const std::vector<node::Contact> before = std::exchange(h.contacts, contacts);
  const raft::Raft& raft = h.node->raft();
  keep_diallers(h, before);
  std::erase_if(h.strangers, [&](const node::Contact& stranger) {
    return raft.has_left(stranger.number) ||
           std::any_of(contacts.begin(), contacts.end(), [&](const node::Contact& contact) {
             return contact.number == stranger.number;
           });
  });
  for (std::size_t to = 0; to < hosts_.size(); ++to) {
    if (to == h.number()) continue;
    Link& l = link(h.number(), to);
    const std::vector<node::Contact> expected = expected_at(h, to);
    if (l.up) {
      const auto known =
          std::find_if(expected.begin(), expected.end(),
                       [&](const node::Contact& contact) { return contact.number == l.as; });
      const bool stays =
          known != expected.end() &&
          (!host(to).up() || host(to).boot != l.met_boot || judge(h, host(to), *known) == l.as);
      if (!stays) reset(h.number(), to);
    }
    // A server that has left has to dial again, and is told so. One that has another number is
    // known by that.
    const Link& in = link(to, h.number());
    if (in.up && in.met_boot == h.boot &&
        ((raft.has_left(in.sender) && raft.progress_of(in.sender) == nullptr) ||
         has_another_number(h, in)))
      after(between(network_, microseconds(100), milliseconds(3)), Reset{to, h.number(), in.epoch});
    if (!l.up && !expected.empty()) dial(h.number(), to, between(network_, {}, milliseconds(5)));
  }
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

void World::announce(std::size_t who, std::size_t other, raft::ServerId as) {
  Link& l = link(who, other);
  Host& b = host(other);
  if (l.announced && l.announced_as != as) gone(who, other);
  l.announced = true;
  l.announced_as = as;
  tally_.count(Count::peers_up);
  resends_.may_go_back(who, other);
  sent_bytes_.lost(who, other);
  post(host(who), node::PeerConnected{as, b.incarnation(), b.node->raft().peer_state()});
}

void World::gone(std::size_t who, std::size_t other) {
  Link& l = link(who, other);
  if (!std::exchange(l.announced, false)) return;
  tally_.count(Count::peers_gone);
  host(who).excused = true;
  post(host(who), node::PeerDisconnected{l.announced_as});
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
    out.as = out.sender = raft::kNoServer;
    out.met_boot = 0;
    forget_queues(out);
    const Link& in = link(j, h.number());
    if (in.up && linked(j, h.number()))
      after(between(network_, microseconds(100), milliseconds(3)), Reset{j, h.number(), in.epoch});
  }
}

}  // namespace vesper::sim
