// Changes of the members as functions of a configuration (Raft §6, thesis 4.2 and 4.3). A change is
// a plan: additions become learners first, and one joint configuration does the rest once they have
// caught up. When each step is taken is decided in membership_leader.cpp.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "raft/types.hpp"

namespace vesper::raft {

// At the member's address answers a server with another disk that holds nothing and knows no
// cluster: the member's disk is lost. Proven by the handshake.
struct DiskReplaced {
  ServerId id;                          // of the member that lost its disk
  Incarnation incarnation;              // of the new disk
  std::uint32_t level = kFeatureLevel;  // of the build there
};

// A change that a user asks for. All of it happens, or none.
struct MembersRequest {
  struct Addition {
    std::string address;
    std::string name;        // empty: the address
    Goal goal = Goal::vote;  // or stay: a learner
  };
  struct Move {
    NodeId node;
    std::string address;
  };
  enum class Force : std::uint8_t { no, yes };

  std::vector<Addition> add;
  std::vector<NodeId> remove, promote, demote;
  std::vector<Move> update;
  Force force = Force::no;  // yes: even if the new voters that can be reached are no majority
};

// Why a change was refused. Nothing was appended.
struct MembersRefusal {
  enum class Why : std::uint8_t {
    not_leading,         // this server does not lead, hands over, or takes no proposals now
    change_in_progress,  // the configuration at `index` is joint, or not committed yet
    would_lose_quorum,   // `nodes` cannot be reached, and the others are no majority
    unknown_node,        // nodes[0] is no member
    repeated_node,       // nodes[0] is named twice
    address_taken,       // `address` is another member's
    bad_address,         // `address` is empty, or it or the name is above kMaxAddress, kMaxName
    too_many,            // more than kMaxServers members
    no_voter,            // no voter would be left
    too_old,             // `nodes` run, or ran last, a build without membership entries
  };
  Why why = Why::not_leading;
  Index index;
  std::vector<NodeId> nodes;
  std::string address;
};

// The configuration that begins the change, to be appended at `index`: goals are set, additions are
// learners. Requires that `now` is committed and not joint. Quorums are the caller's to check.
std::variant<Configuration, MembersRefusal> plan_change(const Configuration& now,
                                                        const MembersRequest& request, Index index);

// The plans that are not complete, the oldest first.
std::vector<Index> plans_of(const Configuration& configuration);
// The configuration in which the goals of `plan` are reached. It is joint unless the voters stay
// the same (§6: C-old,new).
Configuration begin_joint(Configuration configuration, Index plan);
// The new set alone (§6: C-new).
Configuration end_joint(Configuration configuration);

// A new disk takes the place of a member that lost its own: it joins as a learner, and the lost one
// leaves once the new one has caught up. To be appended at `index`. Nothing if the member is
// leaving anyway, or if there is no number left.
std::optional<Configuration> replace_disk(const Configuration& now, const DiskReplaced& disk,
                                          Index index);
// The lost disk is back before it was replaced: the new one is dropped. Nothing if `id` is not
// being replaced.
std::optional<Configuration> withdraw_replacement(const Configuration& now, ServerId id);

// True if another disk is to take the place of that of this voter.
bool is_being_replaced(const Configuration& configuration, const Member& member);

// Why nothing can be decided: these nodes have lost their disks, and the other voters are no
// majority. For an operator.
std::string describe_lost_majority(const std::vector<NodeId>& nodes);

}  // namespace vesper::raft
