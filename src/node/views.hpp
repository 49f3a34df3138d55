// What one server shows of its role and of the other members, in words that users know: for
// /status, /cluster and /trace.
#pragma once

#include <cstdint>
#include <string_view>

#include "raft/raft.hpp"

namespace vesper::node {

enum class ServerRole : std::uint8_t { follower, candidate, leader, learner };

// How the leader feeds a member.
enum class MemberState : std::uint8_t {
  unknown,      // this server does not lead
  replicating,  // receives the log as it grows
  snapshot,     // receives a snapshot
  probing,      // the leader looks for the last entry that the logs have in common
  unreachable,
  promoting,  // a learner that becomes a voter once it has caught up
};

ServerRole role_of(const raft::Raft& raft);
std::string_view to_string(ServerRole role);
// A leader has heard from the member lately; any other server has a connection to it. Always true
// for itself.
bool is_reachable(const raft::Raft& raft, raft::ServerId id);
MemberState state_of(const raft::Raft& raft, const raft::Member& member);
// What people call the server: its number, if no configuration names it.
raft::NodeId node_of(const raft::Raft& raft, raft::ServerId id);

}  // namespace vesper::node
