// What this server knows of the other servers' processes, in any role. What a leader knows of its
// followers' logs is in progress.hpp.
#pragma once

#include <map>
#include <optional>

#include "raft/types.hpp"

namespace vesper::raft {

class Peers {
 public:
  // A peer that has sent nothing for `patience` no longer counts as answering.
  explicit Peers(Duration patience) : patience_(patience) {}

  // A connection to the peer is established, and its handshake has passed.
  void connected(ServerId id, Incarnation incarnation, Instant now) {
    peers_[id] = Peer{true, incarnation, now};
  }
  void gone(ServerId id) { peers_[id].up = false; }
  // A message from the peer has arrived.
  void heard(ServerId id, Incarnation incarnation, Instant now) {
    const auto at = peers_.find(id);
    if (at != peers_.end() && at->second.incarnation == incarnation) at->second.heard_at = now;
  }

  bool is_connected(ServerId id) const {
    const auto at = peers_.find(id);
    return at != peers_.end() && at->second.up;
  }
  // The incarnation under which the peer is connected. Nothing: it is not connected.
  std::optional<Incarnation> connected_as(ServerId id) const {
    const auto at = peers_.find(id);
    if (at == peers_.end() || !at->second.up) return std::nullopt;
    return at->second.incarnation;
  }
  // Like connected_as, but only if the peer has sent something lately, because a connection can
  // outlive the machine at its other end.
  std::optional<Incarnation> answering_as(ServerId id, Instant now) const {
    const auto at = peers_.find(id);
    if (at == peers_.end() || !at->second.up || now - at->second.heard_at > patience_)
      return std::nullopt;
    if (at->second.incarnation.value == 0) return std::nullopt;
    return at->second.incarnation;
  }

 private:
  struct Peer {
    bool up = false;
    Incarnation incarnation;
    Instant heard_at;  // when it last sent something under this incarnation
  };

  const Duration patience_;
  std::map<ServerId, Peer> peers_;
};

}  // namespace vesper::raft
