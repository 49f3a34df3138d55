// Whom the transport accepts: what a dialler says, and how it proves it, is judged here. Links are
// kept in peers.cpp.
#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "base/bytes.hpp"
#include "base/log.hpp"
#include "http/serializer.hpp"
#include "http/values.hpp"
#include "peer/peers.hpp"

namespace vesper::peer {
namespace {

constexpr std::size_t kMaxInLinks = 4 * raft::kMaxServers;
constexpr std::size_t kMaxGuests = raft::kMaxServers;
constexpr std::size_t kMaxStrangers = 64;  // remembered, so that each is logged only once
constexpr std::size_t kMaxReasons = 16;    // to refuse one peer, for the same purpose

}  // namespace

// True if some server that this one knows as a member, or has been told of, is at this host. A
// server that knows none yet has to believe the authority alone.
bool Peers::is_host_of_member(const std::string& host) const {
  std::vector<HostPort> known = settings_.list;
  const node::PeerView view = node_->view();
  const bool knows_cluster = !view.committed.cluster_id.is_none();
  for (const raft::Configuration* each : {&view.committed, &view.latest})
    for (const raft::Member& member : each->members)
      if (const auto address = parse_url(member.address)) known.push_back(*address);
  if (settings_.list.empty() && !knows_cluster) return true;
  return std::any_of(known.begin(), known.end(),
                     [&host](const HostPort& each) { return each.host == host; });
}

// Without a key, the certificate of a dialler is its proof: an authority has signed it, it is that
// of a server, and it names the host of a member at which the dialler says it is.
std::optional<node::PeerRefusal> Peers::refuse_certificate(const crypto::TlsSession& tls,
                                                           const Hello& theirs) const {
  const std::string subject = tls.subject();
  const std::string shown = fmt::format("the certificate \"{}\" of {}", subject, name_of(theirs));
  const std::string host = parse_url(theirs.self.address)->host;
  std::string why;
  if (subject.empty()) why = fmt::format("{} presents no certificate", name_of(theirs));
  else if (!tls.has_certificate() || !tls.is_signed_by(crypto::TlsSession::Authority::servers))
    why = shown + " is not signed by an authority of --tls-ca";
  else if (!tls.is_for_servers()) why = shown + " is that of a client, and of no member";
  else if (!tls.names(host)) why = fmt::format("{} does not name {}", shown, host);
  else if (!is_host_of_member(host))
    why = fmt::format("{} names {}, which is no member", shown, host);
  else return std::nullopt;
  return node::PeerRefusal{
      std::move(why),
      "give it a --tls-cert that --tls-ca has signed for its address, or all servers the same "
      "--peer-key-file"};
}

// Closes the oldest link without a proof to make room, so that strangers cannot keep a peer out.
bool Peers::drop_unproven() {
  for (const auto& link : in_links_) {
    if (link->proven()) continue;
    link->close();
    return true;
  }
  return false;
}

// While the control link of a process is up, that process runs, and no other one may speak as the
// same member. A process that ends closes its links.
std::optional<Refusal> Peers::refuse_second_process(const Hello& theirs, raft::ServerId as) const {
  const bool outranks = outranks_list(theirs);
  for (const auto& link : in_links_) {
    if (!link->proven() || link->from() != as || link->is_bulk()) continue;
    if (link->theirs().boot == theirs.boot) continue;
    if (outranks && link->theirs().self.state.cluster_id.is_none()) continue;
    node::PeerRefusal why = peer::refuse_second_process(link->theirs(), theirs);
    return Refusal{403, "peer_refused", std::move(why.detail), std::move(why.hint)};
  }
  return std::nullopt;
}

std::optional<Refusal> Peers::refuse_dialler(const io::Stream& stream,
                                             const http::RequestHead& head, Hello& ours,
                                             Hello& theirs) {
  if (stopped_) return Refusal{503, "shutting_down", "this server is shutting down"};
  if (node_ == nullptr) return Refusal{503, "starting", "this server is still reading its log"};
  if (in_links_.size() >= kMaxInLinks && !drop_unproven())
    return Refusal{429, "overloaded", "too many peer connections"};
  const bool needs_proof = settings_.key.empty() && !settings_.insecure;
  if (needs_proof && stream.tls() == nullptr && !stream.peer().is_loopback())
    return Refusal{403, "peer_refused",
                   "without a peer key, this server accepts peers only from a loopback address"};
  const auto hello = read_hello(head.fields);
  if (!hello)
    return Refusal{400, "malformed",
                   fmt::format("the handshake is malformed: {}", hello.error().what)};
  theirs = *hello;
  if (needs_proof && stream.tls() != nullptr)
    if (auto why = refuse_certificate(*stream.tls(), theirs))
      return Refusal{403, "peer_refused", std::move(why->detail), std::move(why->hint)};
  ours = hello_to(raft::kNoServer, theirs.channel);
  ours.boot_seen = memory_->latest_of(theirs.self.incarnation);
  // With a key, this waits for the proof, so that a stranger cannot keep the cluster from being
  // founded.
  if (settings_.key.empty()) said_unproven(heard_as(theirs, theirs.self.number), theirs.self.state);
  if (auto why = refuse_hello(ours, theirs))
    return Refusal{403, "peer_refused", std::move(why->detail), std::move(why->hint)};
  auto verdict = judge_dialler(theirs);
  if (auto* why = std::get_if<node::PeerRefusal>(&verdict))
    return Refusal{403,
                   why->why == node::PeerRefusal::Why::no_member ? kNotAMember : "peer_refused",
                   std::move(why->detail), std::move(why->hint)};
  if (std::holds_alternative<node::PeerHasLeft>(verdict)) {
    ours.to = theirs.self.number;
    ours.standing = Standing::left;
    return std::nullopt;
  }
  ours.to = std::get<node::PeerIs>(verdict).number;
  if (find(ours.to) == nullptr && guests() >= kMaxGuests)
    return Refusal{429, "overloaded", "too many servers that this server does not know"};
  return refuse_second_process(theirs, ours.to);
}

void Peers::accept(std::unique_ptr<io::Stream> stream, const http::RequestHead& head,
                   std::string_view rest) {
  Hello ours, theirs;
  if (const auto refusal = refuse_dialler(*stream, head, ours, theirs)) {
    if (refusal->status == 403 || refusal->status == 400)
      log_refusal(theirs.self.number, *refusal, *stream);
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
  if (paused_ && ours.channel == Channel::bulk) link.pause();
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

// Anyone can be refused as often as it likes, and claim to be any peer.
void Peers::log_refusal(raft::ServerId from, const Refusal& refusal, const io::Stream& stream) {
  Peer* const peer = find(from);
  std::set<std::string>& logged = peer != nullptr ? peer->logged : logged_strangers_;
  const std::size_t most = peer != nullptr ? kMaxReasons : kMaxStrangers;
  const bool is_new = logged.size() < most && logged.insert(refusal.detail).second;
  const std::string line =
      fmt::format("peer refused: {} ({})", refusal.detail, stream.peer().to_string());
  if (!is_new) log::debug("{}", line);
  else if (refusal.code == kNotAMember) log::info("{}", line);
  else log::warn("{}", line);
  if (refusal.code != kNotAMember) format_.report(refusal, stream.peer().to_string());
}

}  // namespace vesper::peer
