// Which peers may speak to Raft.
#pragma once

#include <optional>
#include <vector>

#include "node/ports.hpp"
#include "raft/types.hpp"

namespace vesper::node {

// A peer as its handshake names it.
struct PeerIdentity {
  raft::ServerId id;
  raft::Incarnation incarnation;
  Id128 cluster_id;  // none before it knows of a committed Bootstrap entry
};

// Nothing, or why `peer` is refused. `committed`: the configuration; an entry that may still be
// dropped, here or there, must not keep two servers apart that need each other to decide it.
// `initial`: the voters of the list file, which count until the cluster is founded.
std::optional<PeerRefusal> refuse_peer(const PeerIdentity& peer,
                                       const raft::Configuration& committed,
                                       const std::vector<raft::Voter>& initial);

}  // namespace vesper::node
