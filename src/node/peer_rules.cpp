#include "node/peer_rules.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace vesper::node {

std::optional<PeerRefusal> refuse_peer(const PeerIdentity& peer,
                                       const raft::Configuration& committed,
                                       const std::vector<raft::Voter>& initial) {
  const Id128 ours = committed.cluster_id;
  const bool founded = !ours.is_none();
  if (founded && !peer.cluster_id.is_none() && peer.cluster_id != ours)
    return PeerRefusal{
        fmt::format("server {} belongs to cluster {}, but this server to cluster {}", peer.id.value,
                    to_hex(peer.cluster_id), to_hex(ours)),
        "check the lists and the data directories; servers of different clusters never mix"};
  const auto& voters = founded ? committed.voters : initial;
  const auto voter = std::find_if(voters.begin(), voters.end(),
                                  [&](const raft::Voter& known) { return known.id == peer.id; });
  if (voter == voters.end())
    return PeerRefusal{
        fmt::format("server {} is not a member {}", peer.id.value,
                    founded ? "of cluster " + to_hex(ours) : std::string("of this server's list")),
        "a cluster keeps the members of the list that it was founded with"};
  if (founded && voter->incarnation.value != 0 && voter->incarnation != peer.incarnation)
    return PeerRefusal{fmt::format("server {} has incarnation {}, but {} is registered: its data "
                                   "directory was wiped or replaced",
                                   peer.id.value, to_hex(peer.incarnation.value),
                                   to_hex(voter->incarnation.value)),
                       "start it with its original data directory; an empty one is not accepted"};
  return std::nullopt;
}

}  // namespace vesper::node
