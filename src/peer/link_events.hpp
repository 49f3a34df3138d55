// The interface between links and the Peers object that owns them: what every link shares, and what
// it asks and reports. Peers decides; a link knows only its own connection.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.hpp"
#include "crypto/tls.hpp"
#include "io/loop.hpp"
#include "io/stream.hpp"
#include "node/ports.hpp"
#include "peer/handshake.hpp"

namespace vesper::peer {

class InLink;
class OutLink;

class LinkEvents {
 public:
  // This server's hello when it dials `to`.
  virtual Hello hello_to(raft::ServerId to, Channel channel) const = 0;
  // What the server that has answered is: the member that this server has dialled (`ours.to`),
  // another one, or one that must not speak to this server.
  virtual node::AcceptorVerdict judge(const Hello& ours, const Hello& theirs,
                                      const HostPort& dialled) const = 0;

  // ---- links that this server dialled
  // The link has output and needs a flush() at the end of the turn. Reported at most once until
  // then.
  virtual void has_output(OutLink& link) = 0;
  virtual void link_up(OutLink& link) = 0;
  virtual void link_ended(OutLink& link) = 0;  // only if it had been up
  // The connection attempt was refused: no process listens at any address of the peer.
  virtual void dial_refused(raft::ServerId peer) = 0;
  // Reports the boot id of the process that answers at the peer's address.
  virtual void met_boot(raft::ServerId peer, raft::BootId boot) = 0;
  // The server that has answered at the address `dialled` has proven the key, but is not the member
  // `expected`. `verdict` holds neither PeerIs nor PeerRefusal.
  virtual void met_other(raft::ServerId expected, const HostPort& dialled, const Hello& theirs,
                         const node::AcceptorVerdict& verdict) = 0;
  // The peer has proven the key, and says that this server has left the cluster.
  virtual void told_to_have_left(const Hello& theirs) = 0;
  // The peer, which this server knows under this number, has proven its hello, so what it says
  // about starts can be believed.
  virtual void learn_boots(raft::ServerId peer, const Hello& theirs) = 0;
  // The peer sent a state that no proof covers. Nothing: the peer is still recovering its log.
  virtual void said_unproven(raft::ServerId peer, std::optional<raft::PeerState> state) = 0;
  // The peer refused this server with `body`. Returns the reason, for the log.
  virtual std::string refused_by(raft::ServerId peer, const std::string& body) = 0;

  // ---- links that a peer dialled
  virtual void in_proven(InLink& link) = 0;
  // The link is about to end for this reason, which the operator may have to know.
  virtual void in_broken(const InLink& link, const std::string& why) = 0;
  virtual void in_ended(InLink& link) = 0;
  virtual void received(const InLink& link, node::PeerMessage message) = 0;

  // Takes a closed stream. Destroys it once none of its callbacks is on the stack.
  virtual void bury(std::unique_ptr<io::Stream> stream) = 0;

 protected:
  ~LinkEvents() = default;
};

// Shared by all links of a server. Must outlive them.
struct LinkContext {
  io::Loop& loop;
  LinkEvents& events;
  const std::string& key;  // empty: no key
  Duration election_timeout;
  bool loopback_only = false;                   // without TLS, dial no other machine
  const crypto::TlsContext* dialler = nullptr;  // of Settings
};

// A machine that loses power cannot close its connections. Its kernel stops acknowledging data, or,
// on an idle connection, TCP keep-alive probes. This makes the connection fail after eight election
// timeouts.
void detect_dead_machine(io::Stream& stream, Duration election_timeout);

}  // namespace vesper::peer
