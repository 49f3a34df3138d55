#include "peer/peers.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "base/log.hpp"
#include "crypto/random.hpp"
#include "http/serializer.hpp"
#include "http/values.hpp"

namespace vesper::peer {
namespace {

constexpr std::size_t kMaxInLinks = 4 * raft::kMaxServers;
constexpr std::size_t kMaxStrangers = 64;  // remembered, so that each is logged only once

}  // namespace

Peers::Peers(io::Loop& loop, Settings settings, RefusalFormat& format)
    : settings_(std::move(settings)),
      format_(format),
      list_hash_(hash_of(settings_.list)),
      link_context_{loop, *this, settings_.key, settings_.election_timeout} {
  for (std::uint32_t id = 0; id < settings_.list.size(); ++id) {
    if (id == settings_.self.value) continue;
    const HostPort& address = settings_.list[id];
    Peer& peer = peers_.emplace_back();
    peer.id = raft::ServerId(id);
    peer.control = std::make_unique<OutLink>(link_context_, peer.id, address, Channel::control);
    peer.bulk = std::make_unique<OutLink>(link_context_, peer.id, address, Channel::bulk);
  }
}

Peers::~Peers() = default;

void Peers::start(node::Node& node, raft::Incarnation incarnation) {
  node_ = &node;
  incarnation_ = incarnation;
  for (Peer& peer : peers_) {
    peer.control->dial();
    peer.bulk->dial();
  }
}

void Peers::stop() {
  stopped_ = true;
  for (Peer& peer : peers_) {
    peer.control->close();
    peer.bulk->close();
  }
  for (const auto& link : std::exchange(in_links_, {})) link->abandon();
}

Peers::Peer* Peers::find(raft::ServerId id) {
  for (Peer& peer : peers_)
    if (peer.id == id) return &peer;
  return nullptr;
}

Hello Peers::hello_to(raft::ServerId to, Channel channel) const {
  Hello hello;
  if (node_ != nullptr) hello.state = node_->raft().peer_state();
  hello.from = settings_.self;
  hello.to = to;
  hello.incarnation = incarnation_;
  hello.boot = settings_.boot;
  hello.list_hash = list_hash_;
  hello.channel = channel;
  hello.keyed = !settings_.key.empty();
  hello.nonce = crypto::random128();
  return hello;
}

std::optional<node::PeerRefusal> Peers::refuse(const Hello& ours, const Hello& theirs) const {
  return refuse_hello(ours, theirs, *node_);
}

void Peers::send(raft::ServerId to, const node::PeerMessage& message, raft::Channel channel) {
  Peer* peer = find(to);
  if (peer == nullptr || stopped_) return;
  if (!(channel == Channel::bulk ? peer->bulk : peer->control)->send(message)) ++messages_dropped_;
}

void Peers::flush() {
  for (OutLink* link : std::exchange(marked_, {})) link->flush();
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
  if (link.channel() == Channel::control) announce(*find(link.to()), link.theirs());
}

void Peers::announce(Peer& peer, const Hello& theirs) {
  peer.announced = true;
  peer.announced_incarnation = theirs.incarnation;
  peer.last_refusal.clear();
  node_->post(node::PeerConnected{peer.id, theirs.incarnation, theirs.state});
}

void Peers::link_ended(OutLink& link) {
  Peer& peer = *find(link.to());
  // The bulk link has probably failed too, and then reports that itself. The control link is
  // redialled after this call.
  if (link.channel() == Channel::control) peer.bulk->dial();
}

void Peers::dial_refused(raft::ServerId id) {
  gone(*find(id));
}

void Peers::met_boot(raft::ServerId id, raft::BootId boot) {
  Peer* peer = find(id);
  if (peer == nullptr || boot == peer->boot) return;
  if (peer->boot.value != 0) gone(*peer);
  peer->boot = boot;
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
  if (peer.last_refusal != refusal.detail) {
    peer.last_refusal = refusal.detail;
    log::error("refused by server {} ({}): {}{}{}", id.value, url_of(settings_.list[id.value]),
               refusal.detail, refusal.hint.empty() ? "" : "; ", refusal.hint);
  }
  return std::move(refusal.detail);
}

bool Peers::is_refused() const {
  return std::any_of(peers_.begin(), peers_.end(),
                     [](const Peer& peer) { return !peer.last_refusal.empty(); });
}

void Peers::gone(Peer& peer) {
  if (!std::exchange(peer.announced, false)) return;
  log::info("server {} is gone: no process, or another one, answers at its address", peer.id.value);
  node_->post(node::PeerDisconnected{peer.id});
}

void Peers::in_proven(InLink& link) {
  const Hello& theirs = link.theirs();
  Peer& peer = *find(theirs.from);
  peer.last_logged.clear();
  // The peer has redialled, so its earlier links are half open.
  std::vector<InLink*> old;
  for (const auto& other : in_links_)
    if (other.get() != &link && other->proven() && other->theirs().from == theirs.from &&
        other->theirs().channel == theirs.channel)
      old.push_back(other.get());
  for (InLink* other : old) other->close();
  met_boot(theirs.from, theirs.boot);
  node_->post(node::PeerStateHeard{theirs.from, theirs.state});
  log::debug("{} link from server {} is up", to_string(theirs.channel), theirs.from.value);
  if (peer.control->up()) {
    const bool another = peer.announced_incarnation != theirs.incarnation;
    if (theirs.channel == Channel::control && another && !theirs.state.cluster_id.is_none())
      announce(peer, theirs);
  } else {
    peer.control->dial();  // the peer is alive, so do not wait for the backoff
  }
  peer.bulk->dial();
}

void Peers::in_ended(InLink& link) {
  bytes_in_before_ += link.bytes_in();
  if (link.proven() && !stopped_) {
    Peer& peer = *find(link.theirs().from);
    peer.control->dial();
  }
  const auto at = std::find_if(in_links_.begin(), in_links_.end(),
                               [&](const auto& other) { return other.get() == &link; });
  if (at == in_links_.end()) return;
  ended_.push_back(std::move(*at));
  in_links_.erase(at);
}

void Peers::received(const InLink& link, node::PeerMessage message) {
  node_->post(node::FromPeer{link.theirs().from, link.theirs().incarnation, std::move(message)});
}

// ---- diallers

// Closes the oldest link without a proof to make room, so that strangers cannot keep a peer out.
bool Peers::drop_unproven() {
  for (const auto& link : in_links_) {
    if (link->proven()) continue;
    link->close();
    return true;
  }
  return false;
}

std::optional<Refusal> Peers::refuse_dialler(const io::Stream& stream,
                                             const http::RequestHead& head, Hello& ours,
                                             Hello& theirs) {
  if (stopped_) return Refusal{503, "shutting_down", "this server is shutting down"};
  if (node_ == nullptr) return Refusal{503, "starting", "this server is still reading its log"};
  if (in_links_.size() >= kMaxInLinks && !drop_unproven())
    return Refusal{429, "overloaded", "too many peer connections"};
  if (settings_.key.empty() && !settings_.insecure && !stream.peer().is_loopback())
    return Refusal{403, "peer_refused",
                   "without a peer key, this server accepts peers only from a loopback address"};
  const auto hello = read_hello(head.fields);
  if (!hello)
    return Refusal{400, "malformed",
                   fmt::format("the handshake is malformed: {}", hello.error().what)};
  theirs = *hello;
  ours = hello_to(theirs.from, theirs.channel);
  // With a key, this waits for the proof, so that a stranger cannot keep the cluster from being
  // founded.
  if (settings_.key.empty()) said_unproven(theirs.from, theirs.state);
  if (auto why = refuse(ours, theirs))
    return Refusal{403, "peer_refused", std::move(why->detail), std::move(why->hint)};
  if (find(theirs.from) == nullptr)
    return Refusal{403, "peer_refused",
                   fmt::format("server {} is not in the list of this server", theirs.from.value),
                   "give all servers the same list"};
  for (const auto& link : in_links_)
    if (link->proven() && link->theirs().from == theirs.from &&
        link->theirs().incarnation != theirs.incarnation)
      return Refusal{403, "peer_refused",
                     fmt::format("another process calls itself server {}: incarnation {} is "
                                 "connected, and incarnation {} tries to connect",
                                 theirs.from.value, to_hex(link->theirs().incarnation.value),
                                 to_hex(theirs.incarnation.value)),
                     "stop one of the two; the connection of a machine that is down is dropped "
                     "within seconds"};
  return std::nullopt;
}

void Peers::accept(std::unique_ptr<io::Stream> stream, const http::RequestHead& head,
                   std::string_view rest) {
  Hello ours, theirs;
  if (const auto refusal = refuse_dialler(*stream, head, ours, theirs)) {
    if (refusal->status == 403 || refusal->status == 400)
      log_refusal(theirs.boot.value != 0 ? std::optional(theirs.from) : std::nullopt,
                  fmt::format("{} ({})", refusal->detail, stream->peer().to_string()));
    return refuse(std::move(stream), *refusal);
  }
  const std::string& key = settings_.key;
  const Agreement agreement = agree(key, theirs, ours);
  std::string& out = stream->text();
  http::begin_response(out, 101);
  out += "Connection: Upgrade\r\n";
  http::append_field(out, "Upgrade", kPeerProtocol);
  append_hello(out, ours);
  if (!key.empty())
    http::append_field(out, "Vesper-Proof", crypto::hex_of(agreement.acceptor_proof));
  http::end_head(out);
  in_links_.push_back(
      std::make_unique<InLink>(link_context_, std::move(stream), ours, theirs, agreement.secret));
  InLink& link = *in_links_.back();
  if (paused_ && theirs.channel == Channel::bulk) link.pause();
  link.flush();
  if (!rest.empty()) link.take(rest);
}

void Peers::refuse(std::unique_ptr<io::Stream> stream, const Refusal& refusal) {
  std::string body;
  format_.append_body(body, refusal);
  std::string& out = stream->text();
  http::begin_response(out, refusal.status);
  out += format_.standard_fields();
  // A new boot id at the same address shows the peer that the previous process is gone.
  http::append_field(out, "Vesper-Boot", to_hex(settings_.boot.value));
  // The refused server learns this server's state, so that a server without data does not found a
  // second cluster.
  if (node_ != nullptr) append_state(out, node_->raft().peer_state());
  out += "Connection: close\r\nContent-Type: application/problem+json\r\n";
  http::append_field(out, "Content-Length", body.size());
  http::end_head(out);
  out += body;
  stream->flush();
  if (!stream->is_open() || in_links_.size() >= kMaxInLinks) return bury(std::move(stream));
  in_links_.push_back(std::make_unique<InLink>(link_context_, std::move(stream)));
}

void Peers::log_refusal(std::optional<raft::ServerId> from, const std::string& detail) {
  // The source port differs for every dial, so it is left out of the comparison.
  const std::string reason = detail.substr(0, detail.rfind(':'));
  if (Peer* peer = from ? find(*from) : nullptr) {
    if (peer->last_logged == reason) return;
    peer->last_logged = reason;
  } else {
    if (logged_strangers_.size() >= kMaxStrangers ||
        !logged_strangers_.emplace(reason, true).second)
      return;
  }
  log::warn("peer refused: {}", detail);
}

Traffic Peers::traffic() const {
  Traffic traffic;
  traffic.messages_dropped = messages_dropped_;
  traffic.bytes_in = bytes_in_before_;
  for (const Peer& peer : peers_)
    for (const OutLink* link : {peer.control.get(), peer.bulk.get()}) {
      if (link->up()) ++traffic.links_up;
      traffic.bytes_out += link->bytes_out();
    }
  for (const auto& link : in_links_) traffic.bytes_in += link->bytes_in();
  return traffic;
}

}  // namespace vesper::peer
