#include "peer/peers.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "base/bytes.hpp"
#include "base/log.hpp"
#include "crypto/random.hpp"

namespace vesper::peer {
namespace {

// True if `seen` is a later start of the directory than `present`, or another one with its number:
// then two machines run copies of the directory.
bool outdates(const SeenBoot& seen, const SeenBoot& present) {
  return seen.number > present.number ||
         (seen.number == present.number && seen.boot != present.boot);
}

}  // namespace

Peers::Peers(io::Loop& loop, Settings settings, RefusalFormat& format)
    : settings_(std::move(settings)),
      format_(format),
      list_hash_(hash_of(settings_.list)),
      link_context_{loop,
                    *this,
                    settings_.key,
                    settings_.election_timeout,
                    settings_.key.empty() && !settings_.insecure,
                    settings_.dialler} {}

Peers::~Peers() = default;

void Peers::start(node::Node& node, std::uint64_t boot_number, BootMemory& memory) {
  node_ = &node;
  boot_number_ = boot_number;
  memory_ = &memory;
}

void Peers::stop() {
  stopped_ = true;
  for (auto& [id, peer] : peers_) {
    peer.control->close();
    peer.bulk->close();
  }
  for (const auto& link : std::exchange(in_links_, {})) link->abandon();
}

Peers::Peer* Peers::find(raft::ServerId id) {
  const auto at = peers_.find(id);
  return at == peers_.end() ? nullptr : &at->second;
}

std::string Peers::address_of(raft::ServerId id) const {
  const auto at = peers_.find(id);
  return at == peers_.end() ? std::string() : url_of(at->second.reached);
}

Hello Peers::hello_to(raft::ServerId to, Channel channel) const {
  Hello hello;
  hello.self = node_->greeting(url_of(settings_.address));
  hello.to = to;
  hello.boot = settings_.boot;
  hello.boot_number = boot_number_;
  hello.boot_seen = memory_->latest_of(to);
  hello.list_hash = list_hash_;
  hello.channel = channel;
  hello.keyed = !settings_.key.empty();
  hello.nonce = crypto::random128();
  return hello;
}

node::AcceptorVerdict Peers::judge(const Hello& ours, const Hello& theirs,
                                   const HostPort& dialled) const {
  if (auto refusal = refuse_hello(ours, theirs)) return *std::move(refusal);
  return node::judge_acceptor(ours.to, theirs.self, node_->view(), url_of(dialled));
}

void Peers::send(raft::ServerId to, const node::PeerMessage& message, raft::Channel channel) {
  Peer* peer = find(to);
  if (peer == nullptr || stopped_ || is_cut(to)) return;
  if (!(channel == Channel::bulk ? peer->bulk : peer->control)->send(message)) ++messages_dropped_;
}

bool Peers::is_cut(raft::ServerId id) const {
  return !cut_.empty() && cut_.contains(node::node_of(node_->raft(), id));
}

bool Peers::has_room(raft::ServerId to, raft::Channel channel) const {
  const auto at = peers_.find(to);
  if (at == peers_.end() || stopped_ || is_cut(to)) return false;
  return (channel == Channel::bulk ? at->second.bulk : at->second.control)->has_room();
}

// ---- which peers there are

OutLink::Target Peers::target_of(raft::ServerId number, std::string name,
                                 std::optional<raft::NodeId> node, const HostPort& given) const {
  OutLink::Target target{number, std::move(name), given, std::nullopt};
  if (node && node->value < settings_.list.size())
    target.prefer(settings_.list[node->value], settings_.address);
  return target;
}

bool Peers::outranks_list(const Hello& theirs) const {
  return node::outranks_list(theirs.self, node_->view());
}

// Where to look for a member that has dialled this server.
OutLink::Target Peers::target_of(const Hello& theirs, raft::ServerId number) const {
  OutLink::Target target =
      target_of(number, name_of(theirs), theirs.self.node, *parse_url(theirs.self.address));
  if (outranks_list(theirs) && target.other) std::swap(target.address, *target.other);
  return target;
}

Peers::Peer& Peers::add(OutLink::Target target, Kind kind) {
  Peer& peer = peers_[target.number];
  peer.kind = kind;
  peer.target = target;
  peer.reached = target.address;
  peer.control = std::make_unique<OutLink>(link_context_, target, Channel::control);
  peer.bulk = std::make_unique<OutLink>(link_context_, target, Channel::bulk);
  peer.control->dial();
  peer.bulk->dial();
  return peer;
}

void Peers::drop_links(raft::ServerId id, Peer& peer) {
  if (std::exchange(peer.announced, false)) node_->post(node::PeerDisconnected{id});
  for (const OutLink* link : {peer.control.get(), peer.bulk.get()}) {
    bytes_out_before_ += link->bytes_out();
    std::erase(marked_, link);
  }
  peer.control->close();
  peer.bulk->close();
}

// Two members share an address while one disk takes the place of another. Both are dialled, and
// the incarnation that answers decides which one is there.
void Peers::follow(const std::vector<node::Contact>& contacts) {
  if (stopped_) return;
  std::set<raft::ServerId> wanted;
  const std::string own = url_of(settings_.address);
  for (const node::Contact& contact : contacts) {
    const auto given = parse_url(contact.address);
    if (!given) {
      log::warn("the address of server {}, \"{}\", is no URL of a server -> not dialled",
                contact.node.value, escaped(contact.address));
      continue;
    }
    OutLink::Target target = target_of(contact.number, fmt::format("server {}", contact.node.value),
                                       contact.node, *given);
    if (url_of(target.address) == own) continue;  // the lost disk that this server replaces
    wanted.insert(contact.number);
    if (Peer* known = find(contact.number)) {
      known->kind = Kind::contact;
      if (known->target.has_addresses_of(target) || has_link_that_outranks_list(contact.number))
        continue;
      drop_links(contact.number, *known);
    }
    add(std::move(target), Kind::contact);
  }
  // A member that replicates to this server may not be in the configuration yet that this server
  // has read: it stays, like any dialler that is not known yet.
  for (auto& [id, peer] : peers_)
    if (!wanted.contains(id) && is_linked_from(id)) peer.kind = Kind::guest;
  drop_peers([&](raft::ServerId id, const Peer& peer) {
    return peer.kind == Kind::contact && !wanted.contains(id);
  });
  review_links();
}

void Peers::drop_peers(const std::function<bool(raft::ServerId, const Peer&)>& is_unwanted) {
  for (auto at = peers_.begin(); at != peers_.end();) {
    auto& [id, peer] = *at;
    if (!is_unwanted(id, peer)) {
      ++at;
      continue;
    }
    drop_links(id, peer);
    at = peers_.erase(at);
  }
}

// This leader keeps its links with a server that has left for as long as it tells it so. An
// addition that has answered at its address is known by its incarnation, however it calls that
// address.
node::DiallerVerdict Peers::judge_dialler(const Hello& theirs) {
  auto verdict = node::judge_dialler(theirs.self, node_->view());
  if (const auto* why = std::get_if<node::PeerRefusal>(&verdict);
      why != nullptr && why->why == node::PeerRefusal::Why::no_member)
    for (const auto& [id, peer] : peers_)
      if (peer.announced && peer.announced_incarnation == theirs.self.incarnation)
        return node::PeerIs{id};
  if (!std::holds_alternative<node::PeerHasLeft>(verdict)) return verdict;
  const Peer* known = find(theirs.self.number);
  if (known == nullptr || known->kind != Kind::contact) return verdict;
  return node::PeerIs{theirs.self.number};
}

// A new configuration may have given a server another number, or removed it.
void Peers::review_links() {
  std::vector<InLink*> old;
  for (const auto& link : in_links_) {
    if (link->refused()) continue;
    if (judge_dialler(link->theirs()) != node::DiallerVerdict(node::PeerIs{link->from()}))
      old.push_back(link.get());
  }
  for (InLink* link : old) link->close();
  for (auto& [id, peer] : peers_)
    for (OutLink* link : {peer.control.get(), peer.bulk.get()})
      if (link->up() && !std::holds_alternative<node::PeerIs>(
                            judge(link->ours(), link->theirs(), link->address())))
        link->redial("the members have changed");
}

bool Peers::is_linked_from(raft::ServerId id) const {
  return std::any_of(in_links_.begin(), in_links_.end(),
                     [id](const auto& link) { return link->proven() && link->from() == id; });
}

bool Peers::has_link_that_outranks_list(raft::ServerId id) const {
  return std::any_of(in_links_.begin(), in_links_.end(), [&](const auto& link) {
    return link->proven() && link->from() == id && outranks_list(link->theirs());
  });
}

std::size_t Peers::guests() const {
  return static_cast<std::size_t>(std::count_if(peers_.begin(), peers_.end(), [](const auto& each) {
    return each.second.kind == Kind::guest;
  }));
}

void Peers::forget_guests() {
  drop_peers([this](raft::ServerId id, const Peer& peer) {
    return peer.kind == Kind::guest && !is_linked_from(id);
  });
}

void Peers::flush() {
  for (OutLink* link : std::exchange(marked_, {})) link->flush();
  forget_guests();
  const bool pause = node_ != nullptr && node_->congested();
  if (pause != paused_) {
    paused_ = pause;
    // Only bulk links are paused. Votes and heartbeats continue; the other messages on control
    // links are bounded by the senders' windows.
    for (const auto& link : in_links_) {
      if (!link->is_bulk()) continue;
      if (pause) link->pause();
      else link->resume();
    }
  }
  ended_.clear();
  buried_.clear();
}

void Peers::bury(std::unique_ptr<io::Stream> stream) {
  buried_.push_back(std::move(stream));
}

// ---- what links report

void Peers::link_up(OutLink& link) {
  if (link.channel() != Channel::control) return;
  Peer& peer = *find(link.to());
  peer.reached = link.address();
  announce(link.to(), peer, link.theirs());
}

void Peers::announce(raft::ServerId id, Peer& peer, const Hello& theirs) {
  peer.announced = true;
  peer.announced_incarnation = theirs.self.incarnation;
  peer.last_refusal.clear();
  peer.refuses = false;
  node_->post(node::PeerConnected{id, theirs.self.incarnation, theirs.self.state});
}

void Peers::link_ended(OutLink& link) {
  // The bulk link has probably failed too, and then reports that itself. The control link is
  // redialled after this call.
  if (link.channel() == Channel::control) find(link.to())->bulk->dial();
}

void Peers::dial_refused(raft::ServerId id) {
  gone(id, *find(id));
}

void Peers::met_boot(raft::ServerId id, raft::BootId boot) {
  Peer* peer = find(id);
  if (peer == nullptr || boot == peer->boot) return;
  if (peer->boot.value != 0) gone(id, *peer);
  peer->boot = boot;
}

// The state still counts: if a cluster exists, an empty server must not found another one.
void Peers::met_other(raft::ServerId expected, const HostPort& dialled, const Hello& theirs,
                      const node::AcceptorVerdict& verdict) {
  if (const auto* lost = std::get_if<node::PeerLostDisk>(&verdict);
      lost != nullptr && is_found_at(*find(expected), dialled))
    node_->post(node::PeerDiskReplaced{lost->number, lost->incarnation, theirs.self.state.level});
  node_->post(node::PeerStateHeard{heard_as(theirs, expected), theirs.self.state});
}

// True if this is where the machine of the peer was last reached, under this or another number.
bool Peers::is_found_at(const Peer& peer, const HostPort& address) const {
  return std::any_of(peers_.begin(), peers_.end(), [&](const auto& each) {
    const Peer& other = each.second;
    return other.target.has_addresses_of(peer.target) && other.reached == address;
  });
}

void Peers::told_to_have_left(const Hello& theirs) {
  log::info("{} says that this server has left the cluster", name_of(theirs));
  node_->post(node::ToldToHaveLeft{});
}

// A server that knows no cluster counts the others by their places in its list.
raft::ServerId Peers::heard_as(const Hello& theirs, raft::ServerId otherwise) const {
  const node::PeerView view = node_->view();
  if (!view.committed.cluster_id.is_none()) return otherwise;
  const raft::ServerId place = node::place_in_list(theirs.self, view.initial);
  return place == raft::kNoServer ? otherwise : place;
}

// Two starts of one incarnation with equal numbers are two copies of one directory: the one that
// was seen first counts.
void Peers::learn_boots(raft::ServerId id, const Hello& theirs) {
  const SeenBoot& ours = theirs.boot_seen;
  const raft::Incarnation own = node_->raft().config().incarnation;
  if (ours.incarnation == own && outdates(ours, {own, boot_number_, settings_.boot}))
    memory_->went_back(id, ours);
  const SeenBoot known = memory_->latest_of(theirs.self.incarnation);
  const SeenBoot present{theirs.self.incarnation, theirs.boot_number, theirs.boot};
  const bool older = outdates(known, present);
  Peer* peer = find(id);
  if (older && peer != nullptr && std::exchange(peer->older_copy, theirs.boot) != theirs.boot)
    log::error(
        "{} has started with an older copy of its data directory: this is start {} of "
        "incarnation {}, but start {} was seen -> expect it to set the copy aside",
        name_of(theirs), present.number, to_hex(present.incarnation.value), known.number);
  memory_->saw(id, present);
}

// Neither a refusal nor a dialler's hello is authenticated. Such a state may only keep this server
// from founding a cluster: its term is ignored, and it does not prove that a log is empty.
void Peers::said_unproven(raft::ServerId id, std::optional<raft::PeerState> state) {
  if (find(id) == nullptr) return;
  if (state && state->cluster_id.is_none() && state->last_index.value == 0) return;
  if (state) state->term = raft::Term(0);
  node_->post(node::PeerStateHeard{id, state});
}

// Logged once for each peer and reason, because the operator must act.
std::string Peers::refused_by(raft::ServerId id, const std::string& body) {
  Peer& peer = *find(id);
  Refusal refusal = format_.read_body(body);
  peer.refuses = refusal.code != kNotAMember;
  if (peer.last_refusal != refusal.detail) {
    peer.last_refusal = refusal.detail;
    const std::string line =
        fmt::format("refused by the server at {}: {}{}{}", address_of(id), refusal.detail,
                    refusal.hint.empty() ? "" : "; ", refusal.hint);
    if (peer.refuses) log::error("{}", line);
    else log::info("{}", line);
  }
  return std::move(refusal.detail);
}

bool Peers::is_refused() const {
  return std::any_of(peers_.begin(), peers_.end(),
                     [](const auto& each) { return each.second.refuses; });
}

void Peers::gone(raft::ServerId id, Peer& peer) {
  if (!std::exchange(peer.announced, false)) return;
  log::info("the server at {} is gone: no process, or another one, answers there",
            url_of(peer.reached));
  node_->post(node::PeerDisconnected{id});
}

void Peers::in_proven(InLink& link) {
  const Hello& theirs = link.theirs();
  if (link.ours().standing == Standing::left) return link.close();  // it has been told
  const raft::ServerId from = link.from();
  const OutLink::Target target = target_of(theirs, from);
  Peer* known = find(from);
  if (known == nullptr) {
    known = &add(target, Kind::guest);
  } else if (outranks_list(theirs)) {
    // Another server may have answered at the address in the list.
    const bool is_another = known->control->up() &&
                            known->control->theirs().self.incarnation != theirs.self.incarnation;
    if (is_another || !known->target.has_addresses_of(target)) {
      drop_links(from, *known);
      add(target, known->kind);
    }
  }
  Peer& peer = *known;
  peer.logged.clear();
  // The peer has redialled, so its earlier links are half open.
  std::vector<InLink*> old;
  for (const auto& other : in_links_)
    if (other.get() != &link && other->proven() && other->from() == from &&
        other->theirs().channel == theirs.channel)
      old.push_back(other.get());
  for (InLink* other : old) other->close();
  learn_boots(from, theirs);
  met_boot(from, theirs.boot);
  node_->post(node::PeerStateHeard{heard_as(theirs, from), theirs.self.state});
  log::debug("{} link from {} is up", to_string(theirs.channel), name_of(theirs));
  if (peer.control->up()) {
    const bool another = peer.announced_incarnation != theirs.self.incarnation;
    if (theirs.channel == Channel::control && another && !theirs.self.state.cluster_id.is_none())
      announce(from, peer, theirs);
  } else {
    peer.control->dial();  // the peer is alive, so do not wait for the backoff
  }
  peer.bulk->dial();
}

// Anyone can fail to prove itself as often as it likes.
void Peers::in_broken(const InLink& link, const std::string& why) {
  const std::string from = name_of(link.theirs());
  if (link.disproven()) format_.report({403, "peer_refused", why, {}}, link.address().to_string());
  const auto held_back = link.proven() ? std::optional<std::uint64_t>(0)
                                       : unproven_.admit(from, link_context_.loop.now());
  if (!held_back) return;
  log::warn("{} link from {}: {} -> closed{}", to_string(link.theirs().channel), from, why,
            *held_back == 0 ? "" : fmt::format(" ({} more since the last line)", *held_back));
}

void Peers::in_ended(InLink& link) {
  bytes_in_before_ += link.bytes_in();
  if (link.proven() && !stopped_)
    if (Peer* peer = find(link.from())) peer->control->dial();
  const auto at = std::find_if(in_links_.begin(), in_links_.end(),
                               [&](const auto& other) { return other.get() == &link; });
  if (at == in_links_.end()) return;
  ended_.push_back(std::move(*at));
  in_links_.erase(at);
}

void Peers::received(const InLink& link, node::PeerMessage message) {
  node_->post(node::FromPeer{link.from(), link.theirs().self.incarnation, std::move(message)});
}

Traffic Peers::traffic() const {
  Traffic traffic;
  traffic.messages_dropped = messages_dropped_;
  traffic.bytes_in = bytes_in_before_;
  traffic.bytes_out = bytes_out_before_;
  for (const auto& [id, peer] : peers_)
    for (const OutLink* link : {peer.control.get(), peer.bulk.get()}) {
      if (link->up()) ++traffic.links_up;
      traffic.bytes_out += link->bytes_out();
    }
  for (const auto& link : in_links_) traffic.bytes_in += link->bytes_in();
  return traffic;
}

}  // namespace vesper::peer
