// What this server knows of the other servers' processes, whatever its role.
#pragma once

#include <map>
#include <optional>

#include "raft/types.hpp"

namespace vesper::raft {

class Peers {
 public:
  // A connection to the peer stands, and its handshake has passed.
  void connected(ServerId id, Incarnation incarnation, Instant now) {
    peers_[id] = Peer{true, incarnation, now};
  }
  void gone(ServerId id) { peers_[id].up = false; }
  // A message has come from it.
  void heard(ServerId id, Incarnation incarnation, Instant now) {
    const auto at = peers_.find(id);
    if (at != peers_.end() && at->second.incarnation == incarnation) at->second.heard_at = now;
  }

  bool is_connected(ServerId id) const {
    const auto at = peers_.find(id);
    return at != peers_.end() && at->second.up;
  }
  // The incarnation with which it is connected. Nothing: it is not connected.
  std::optional<Incarnation> connected_as(ServerId id) const {
    const auto at = peers_.find(id);
    if (at == peers_.end() || !at->second.up) return std::nullopt;
    return at->second.incarnation;
  }
  // As connected_as, if it has also sent something at or after `since`: a connection may outlive
  // the machine at its other end.
  std::optional<Incarnation> answering_as(ServerId id, Instant since) const {
    const auto at = peers_.find(id);
    if (at == peers_.end() || !at->second.up || at->second.heard_at < since) return std::nullopt;
    if (at->second.incarnation.value == 0) return std::nullopt;
    return at->second.incarnation;
  }

 private:
  struct Peer {
    bool up = false;
    Incarnation incarnation;
    Instant heard_at;  // when it last proved that it lives, under this incarnation
  };
  std::map<ServerId, Peer> peers_;
};

}  // namespace vesper::raft
