// Between the links and the set of peers that owns them: what every link is made with, and what it
// asks and reports. The set decides; a link only knows its own connection.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.hpp"
#include "io/loop.hpp"
#include "io/stream.hpp"
#include "node/ports.hpp"
#include "peer/handshake.hpp"

namespace vesper::peer {

class InLink;
class OutLink;

class LinkEvents {
 public:
  // What this server says when it dials.
  virtual Hello hello_to(raft::ServerId to, Channel channel) const = 0;
  // Why the peer must not speak to this server. Nothing: it may.
  virtual std::optional<node::PeerRefusal> refuse(const Hello& ours, const Hello& theirs) const = 0;

  // ---- links that this server dialled
  // Something was gathered: flush() is due at the end of the turn. Reported once until then.
  virtual void has_output(OutLink& link) = 0;
  virtual void link_up(OutLink& link) = 0;
  virtual void link_ended(OutLink& link) = 0;  // it had been up
  // No process listens at the peer's address.
  virtual void dial_refused(raft::ServerId peer) = 0;
  // The process that answers there.
  virtual void met_boot(raft::ServerId peer, raft::BootId boot) = 0;
  // A state that no proof covers. Nothing: the peer is still reading its log.
  virtual void said_unproven(raft::ServerId peer, std::optional<raft::PeerState> state) = 0;
  // `body` is the refusal's. Returns the reason in it, for people.
  virtual std::string refused_by(raft::ServerId peer, const std::string& body) = 0;

  // ---- links that a peer dialled
  virtual void in_proven(InLink& link) = 0;
  virtual void in_ended(InLink& link) = 0;
  virtual void received(const InLink& link, node::PeerMessage message) = 0;

  // Takes a closed stream and destroys it when none of its callbacks is on the stack.
  virtual void bury(std::unique_ptr<io::Stream> stream) = 0;

 protected:
  ~LinkEvents() = default;
};

// The same for all links of a server. It outlives them.
struct LinkContext {
  io::Loop& loop;
  LinkEvents& events;
  const std::string& key;  // empty: no key
  Duration election_timeout;
};

// A machine that loses power says nothing. Its kernel stops acknowledging: what was sent, or, on an
// idle connection, TCP's own probes. The connection fails after eight election timeouts.
void detect_dead_machine(io::Stream& stream, Duration election_timeout);

}  // namespace vesper::peer
