#include "node/trace_event.hpp"

#include "base/overloaded.hpp"

namespace vesper::node {
namespace {

std::size_t members_cost(const TraceConfiguration& configuration) {
  std::size_t cost = 0;
  for (const auto& member : configuration.members) cost += sizeof member + member.address.size();
  return cost;
}

std::size_t tally_cost(const TraceVotes& votes) {
  return (votes.granted.size() + votes.refused.size()) * sizeof(raft::NodeId);
}

}  // namespace

std::size_t cost_of(const TraceEvent& event) {
  const Overloaded more{
      [](const TraceState& state) {
        return members_cost(state.configuration) + state.log.size() * sizeof(TraceRun) +
               state.followers.size() * sizeof(TraceFollower) +
               (state.votes ? tally_cost(*state.votes) : 0);
      },
      [](const TraceVotes& votes) { return tally_cost(votes); },
      [](const TraceConfiguration& configuration) { return members_cost(configuration); },
      [](const TraceSend& send) { return send.fields.size() * sizeof(TraceSend::Field); },
      [](const auto&) { return std::size_t{0}; },
  };
  return sizeof event + std::visit(more, event);
}

}  // namespace vesper::node
