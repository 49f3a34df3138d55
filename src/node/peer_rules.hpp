// Decides which peers may speak to Raft, by their identity. peer/handshake.cpp calls it for each
// connection; the proof of the shared key is checked separately, in peer/.
#pragma once

#include <optional>
#include <vector>

#include "node/ports.hpp"
#include "raft/types.hpp"

namespace vesper::node {

// A peer as its handshake identifies it.
struct PeerIdentity {
  raft::ServerId id;
  raft::Incarnation incarnation;
  Id128 cluster_id;  // none before the peer knows of a committed Bootstrap entry
};

// Returns nothing if `peer` is accepted, otherwise why it is refused. `committed` is the committed
// configuration. An uncommitted entry may still be dropped on either side, and must not separate
// two servers that need each other to decide it. `initial`: the voters of the list file, which
// apply until the cluster is founded.
std::optional<PeerRefusal> refuse_peer(const PeerIdentity& peer,
                                       const raft::Configuration& committed,
                                       const std::vector<raft::Voter>& initial);

}  // namespace vesper::node
