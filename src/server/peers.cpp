#include "server/peers.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "base/log.hpp"
#include "crypto/random.hpp"
#include "http/serializer.hpp"
#include "http/values.hpp"
#include "server/problem.hpp"

namespace vesper::server {
namespace {

constexpr std::size_t kMaxInLinks = 4 * raft::kMaxServers;
constexpr std::size_t kMaxStrangers = 64;  // that are remembered, to log each once

}  // namespace

Peers::Peers(io::Loop& loop, Context& context, raft::BootId boot)
    : loop_(loop), context_(context), boot_(boot), list_hash_(hash_of(context.options().list)) {
  const Options& options = context.options();
  for (std::uint32_t id = 0; id < options.list.size(); ++id) {
    if (id == options.id) continue;
    Peer& peer = peers_.emplace_back();
    peer.id = raft::ServerId(id);
    peer.address = options.list[id];
  }
  for (Peer& peer : peers_) {
    peer.control = std::make_unique<OutLink>(*this, peer.id, Channel::control);
    peer.bulk = std::make_unique<OutLink>(*this, peer.id, Channel::bulk);
  }
}

Peers::~Peers() = default;

void Peers::start(raft::Incarnation incarnation) {
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
  for (const auto& link : std::exchange(in_links_, {})) link->stream_->close();
}

Peers::Peer* Peers::find(raft::ServerId id) {
  for (Peer& peer : peers_)
    if (peer.id == id) return &peer;
  return nullptr;
}

Hello Peers::hello_to(raft::ServerId to, Channel channel) const {
  Hello hello;
  const Options& options = context_.options();
  if (node::Node* node = context_.node()) hello.state = node->raft().peer_state();
  hello.from = raft::ServerId(options.id);
  hello.to = to;
  hello.incarnation = incarnation_;
  hello.boot = boot_;
  hello.list_hash = list_hash_;
  hello.channel = channel;
  hello.keyed = !options.peer_key.empty();
  hello.nonce = crypto::random128();
  return hello;
}

void Peers::send(raft::ServerId to, const node::PeerMessage& message, bool bulk) {
  Peer* peer = find(to);
  if (peer == nullptr || stopped_) return;
  if (!(bulk ? peer->bulk : peer->control)->send(message)) ++context_.gauges.peer_messages_dropped;
}

void Peers::mark(OutLink& link) {
  if (link.marked_) return;
  link.marked_ = true;
  marked_.push_back(&link);
}

void Peers::flush() {
  for (OutLink* link : std::exchange(marked_, {})) {
    link->marked_ = false;
    link->flush();
  }
  node::Node* node = context_.node();
  const bool pause = node != nullptr && node->congested();
  if (pause != paused_) {
    paused_ = pause;
    // Votes and heartbeats go on; what comes with them is bounded by the senders' windows.
    for (const auto& link : in_links_)
      if (link->is_bulk()) link->pause(pause);
  }
  ended_.clear();
  buried_.clear();
}

void Peers::bury(std::unique_ptr<io::Stream> stream) {
  buried_.push_back(std::move(stream));
}

// ---- what links tell

void Peers::link_up(OutLink& link) {
  if (link.channel() == Channel::control) announce(*find(link.to()), link.theirs());
}

void Peers::announce(Peer& peer, const Hello& theirs) {
  peer.announced = true;
  peer.announced_incarnation = theirs.incarnation;
  peer.last_refusal.clear();
  context_.post(node::PeerUp{peer.id, theirs.incarnation, theirs.state});
}

void Peers::link_ended(OutLink& link) {
  Peer& peer = *find(link.to());
  // The other one has most likely ended, too, and its turn comes; where it is only this one, it is
  // dialled again behind this call.
  if (link.channel() == Channel::control) peer.bulk->dial();
}

void Peers::dial_refused(OutLink& link) {
  gone(*find(link.to()));
}

void Peers::met_boot(raft::ServerId id, raft::BootId boot) {
  Peer* peer = find(id);
  if (peer == nullptr || boot == peer->boot) return;
  if (peer->boot.value != 0) gone(*peer);
  peer->boot = boot;
}

// A refusal is not signed, nor is a dialler's first word. Such a word may keep this server from
// founding a cluster, and no more: it brings no term, and it proves no log empty.
void Peers::said_unproven(raft::ServerId id, std::optional<raft::PeerState> state) {
  if (find(id) == nullptr) return;
  if (state && state->cluster_id.is_none() && state->last_index.value == 0) return;
  if (state) state->term = raft::Term(0);
  context_.post(node::PeerSaid{id, state});
}

// An operator has to act: once for each peer and reason.
void Peers::refused_by(raft::ServerId id, std::string_view detail, std::string_view hint) {
  Peer& peer = *find(id);
  if (peer.last_refusal == detail) return;
  peer.last_refusal = detail;
  log::error("refused by server {} ({}): {}{}{}", id.value, url_of(peer.address), detail,
             hint.empty() ? "" : "; ", hint);
}

bool Peers::is_refused() const {
  return std::any_of(peers_.begin(), peers_.end(),
                     [](const Peer& peer) { return !peer.last_refusal.empty(); });
}

void Peers::gone(Peer& peer) {
  if (!std::exchange(peer.announced, false)) return;
  log::info("server {} is gone: nobody, or another process, answers there", peer.id.value);
  context_.post(node::PeerGone{peer.id});
}

void Peers::in_proven(InLink& link) {
  const Hello& theirs = link.theirs();
  Peer& peer = *find(theirs.from);
  peer.last_logged.clear();
  // The peer has dialled again: what stood before is a half-open rest.
  std::vector<InLink*> old;
  for (const auto& other : in_links_)
    if (other.get() != &link && other->proven() && other->theirs().from == theirs.from &&
        other->theirs().channel == theirs.channel)
      old.push_back(other.get());
  for (InLink* other : old) other->close();
  met_boot(theirs.from, theirs.boot);
  context_.post(node::PeerSaid{theirs.from, theirs.state});
  log::debug("{} link from server {} stands", to_string(theirs.channel), theirs.from.value);
  if (peer.control->up()) {
    const bool another = peer.announced_incarnation != theirs.incarnation;
    if (theirs.channel == Channel::control && another && !theirs.state.cluster_id.is_none())
      announce(peer, theirs);
  } else {
    peer.control->dial();  // it lives: no need to wait out our backoff
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
  context_.post(node::FromPeer{link.theirs().from, link.theirs().incarnation, std::move(message)});
}

// ---- who dials us

// Strangers never keep a peer out: the oldest link that has proven nothing makes room.
bool Peers::drop_unproven() {
  for (const auto& link : in_links_) {
    if (link->proven()) continue;
    link->close();
    return true;
  }
  return false;
}

std::optional<Peers::Refusal> Peers::judge_dialler(const io::Stream& stream,
                                                   const http::RequestHead& head, Hello& ours,
                                                   Hello& theirs) {
  const Options& options = context_.options();
  if (stopped_) return Refusal{503, "shutting_down", "this server is shutting down"};
  if (context_.node() == nullptr)
    return Refusal{503, "starting", "this server is still reading its log"};
  if (in_links_.size() >= kMaxInLinks && !drop_unproven())
    return Refusal{429, "overloaded", "too many peers"};
  if (options.peer_key.empty() && !options.insecure_peers && !stream.peer().is_loopback())
    return Refusal{403, "peer_refused",
                   "without a peer key only peers on the loopback address are taken"};
  const auto hello = read_hello(head.fields);
  if (!hello)
    return Refusal{400, "malformed",
                   fmt::format("the handshake is malformed: {}", hello.error().what)};
  theirs = *hello;
  ours = hello_to(theirs.from, theirs.channel);
  // With a key this waits for the proof: a stranger must not keep the cluster from being founded.
  if (options.peer_key.empty()) said_unproven(theirs.from, theirs.state);
  if (auto why = refuse_hello(ours, theirs, *context_.node()))
    return Refusal{403, "peer_refused", std::move(why->detail), std::move(why->hint)};
  if (find(theirs.from) == nullptr)
    return Refusal{403, "peer_refused",
                   fmt::format("server {} is not in the list of this one", theirs.from.value),
                   "give all servers the same list"};
  for (const auto& link : in_links_)
    if (link->proven() && link->theirs().from == theirs.from &&
        link->theirs().incarnation != theirs.incarnation)
      return Refusal{403, "peer_refused",
                     fmt::format("another process calls itself server {}: incarnation {} is "
                                 "connected, {} dials",
                                 theirs.from.value, to_hex(link->theirs().incarnation.value),
                                 to_hex(theirs.incarnation.value)),
                     "stop one of the two; a machine that is gone is forgotten within seconds"};
  return std::nullopt;
}

void Peers::accept(std::unique_ptr<io::Stream> stream, const http::RequestHead& head,
                   std::string_view rest) {
  Hello ours, theirs;
  if (const auto refusal = judge_dialler(*stream, head, ours, theirs)) {
    if (refusal->status == 403 || refusal->status == 400)
      log_refusal(theirs.from.value, theirs.boot.value != 0,
                  fmt::format("{} ({})", refusal->detail, stream->peer().to_string()));
    return refuse(std::move(stream), *refusal);
  }
  const std::string& key = context_.options().peer_key;
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
      std::make_unique<InLink>(*this, std::move(stream), ours, theirs, agreement.secret));
  InLink& link = *in_links_.back();
  if (paused_ && theirs.channel == Channel::bulk) link.pause(true);
  link.flush();
  if (!rest.empty()) link.take(rest);
}

void Peers::refuse(std::unique_ptr<io::Stream> stream, const Refusal& refusal) {
  Problem problem{.status = refusal.status, .code = refusal.code, .detail = refusal.detail};
  problem.hint = refusal.hint;
  std::string body;
  append_problem(body, problem);
  std::string& out = stream->text();
  http::begin_response(out, refusal.status);
  out += context_.standard_fields();
  // Another boot at the same address means that the one before is gone.
  http::append_field(out, "Vesper-Boot", to_hex(boot_.value));
  // Who is refused learns what is here: a server without data must not found a second cluster.
  if (const node::Node* node = context_.node()) append_state(out, node->raft().peer_state());
  out += "Connection: close\r\nContent-Type: application/problem+json\r\n";
  http::append_field(out, "Content-Length", body.size());
  http::end_head(out);
  out += body;
  stream->flush();
  if (!stream->is_open() || in_links_.size() >= kMaxInLinks) return bury(std::move(stream));
  in_links_.push_back(std::make_unique<InLink>(*this, std::move(stream)));
}

void Peers::log_refusal(std::uint32_t from, bool known, const std::string& detail) {
  // The port changes with every dial and would make every line new.
  const std::string reason = detail.substr(0, detail.rfind(':'));
  if (Peer* peer = known ? find(raft::ServerId(from)) : nullptr) {
    if (peer->last_logged == reason) return;
    peer->last_logged = reason;
  } else {
    if (logged_strangers_.size() >= kMaxStrangers ||
        !logged_strangers_.emplace(reason, true).second)
      return;
  }
  log::warn("peer refused: {}", detail);
}

void Peers::update_gauges() {
  Gauges& gauges = context_.gauges;
  gauges.peer_links_up = 0;
  gauges.peer_bytes_out = 0;
  gauges.peer_bytes_in = bytes_in_before_;
  for (const Peer& peer : peers_)
    for (const OutLink* link : {peer.control.get(), peer.bulk.get()}) {
      if (link->up()) ++gauges.peer_links_up;
      gauges.peer_bytes_out += link->bytes_out();
    }
  for (const auto& link : in_links_) gauges.peer_bytes_in += link->bytes_in();
}

bool needs_loopback(const Options& options) {
  return options.peer_key.empty() && !options.insecure_peers && options.list.size() > 1;
}

std::optional<std::string> refuse_open_peers(const Options& options,
                                             const std::vector<io::Address>& listen,
                                             std::span<const std::vector<io::Address>> listed) {
  const std::string_view advice =
      "without a peer key anybody who reaches it could take part in the cluster; give all servers "
      "the same --peer-key-file, or allow it with --insecure-peers";
  for (const io::Address& address : listen)
    if (!address.is_loopback())
      return fmt::format("this server would listen on {}, which is no loopback address: {}",
                         address.to_string(), advice);
  for (std::size_t id = 0; id < listed.size(); ++id)
    for (const io::Address& address : listed[id])
      if (!address.is_loopback())
        return fmt::format("{} of the list is no loopback address: {}", url_of(options.list[id]),
                           advice);
  return std::nullopt;
}

}  // namespace vesper::server
