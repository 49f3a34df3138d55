// What this server knows of the other servers' processes, in any role. What a leader knows of its
// followers' logs is in progress.hpp.
#pragma once

#include <map>
#include <optional>

#include "raft/event.hpp"

namespace vesper::raft {

class Peers {
 public:
  // A peer that has sent nothing for `patience` no longer counts as answering.
  explicit Peers(Duration patience) : patience_(patience) {}

  // A connection to the peer is established, and its handshake has passed.
  void connected(ServerId id, Incarnation incarnation, std::uint32_t level, Instant now) {
    peers_[id] = Peer{true, incarnation, level, now};
    replaced_.erase(id);
  }
  void gone(ServerId id) {
    peers_[id].up = false;
    replaced_.erase(id);
  }
  // At the peer's address answers an empty server with another disk.
  void replaced(const DiskReplaced& disk) {
    peers_[disk.id].up = false;
    replaced_[disk.id] = disk;
  }
  // A disk that the configuration names is no longer a new one, and a member that has left has lost
  // none.
  void forget_replaced(const Configuration& configuration) {
    std::erase_if(replaced_, [&](const auto& each) {
      return configuration.find(each.second.incarnation) != nullptr ||
             configuration.find(each.first) == nullptr;
    });
  }
  // The new disks, by the numbers of the members that lost theirs.
  const std::map<ServerId, DiskReplaced>& replaced() const { return replaced_; }
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
  // What the peer's build understands. 0: it was never connected.
  std::uint32_t level_of(ServerId id) const {
    const auto at = peers_.find(id);
    return at == peers_.end() ? 0 : at->second.level;
  }

 private:
  struct Peer {
    bool up = false;
    Incarnation incarnation;
    std::uint32_t level = 0;
    Instant heard_at;  // when it last sent something under this incarnation
  };

  const Duration patience_;
  std::map<ServerId, Peer> peers_;
  std::map<ServerId, DiskReplaced> replaced_;
};

}  // namespace vesper::raft
