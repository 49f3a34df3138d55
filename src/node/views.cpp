#include "node/views.hpp"

#include "base/assert.hpp"

namespace vesper::node {

ServerRole role_of(const raft::Raft& raft) {
  if (raft.is_leader()) return ServerRole::leader;
  const raft::Member* own = raft.configuration().find(raft.self());
  if (own != nullptr && !own->votes()) return ServerRole::learner;
  return std::holds_alternative<raft::Follower>(raft.role()) ? ServerRole::follower
                                                             : ServerRole::candidate;
}

std::string_view to_string(ServerRole role) {
  switch (role) {
    case ServerRole::follower: return "follower";
    case ServerRole::candidate: return "candidate";
    case ServerRole::leader: return "leader";
    case ServerRole::learner: return "learner";
  }
  VESPER_UNREACHABLE();
}

bool is_reachable(const raft::Raft& raft, raft::ServerId id) {
  if (id == raft.self()) return true;
  return raft.progress_of(id) != nullptr ? raft.is_answering(id) : raft.is_connected(id);
}

MemberState state_of(const raft::Raft& raft, const raft::Member& member) {
  using Replication = raft::Progress::State;
  if (!is_reachable(raft, member.id)) return MemberState::unreachable;
  if (!raft.is_leader()) return MemberState::unknown;
  const raft::Progress* const progress = raft.progress_of(member.id);
  if (progress == nullptr)
    return member.id == raft.self() ? MemberState::replicating : MemberState::unknown;
  switch (progress->state) {
    case Replication::snapshot: return MemberState::snapshot;
    case Replication::probe: return MemberState::probing;
    case Replication::replicate: break;
  }
  const bool is_promoted = !member.votes() && member.goal == raft::Goal::vote;
  return is_promoted ? MemberState::promoting : MemberState::replicating;
}

raft::NodeId node_of(const raft::Raft& raft, raft::ServerId id) {
  for (const auto* configuration : {&raft.configuration(), &raft.committed_configuration()})
    if (const raft::Member* member = configuration->find(id)) return member->node;
  return raft::NodeId(id.value);
}

}  // namespace vesper::node
