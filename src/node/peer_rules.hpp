// Decides which peers may speak to Raft, and as which member. Pure: the transport (peer/peers.cpp)
// and the simulator's network apply the same rules to each connection. The proof of the shared key
// is checked separately, in peer/.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "raft/event.hpp"

namespace vesper::node {

// What a server says about itself in a handshake. Every field is a claim; what it counts for is
// decided here.
struct Greeting {
  // Its number inside consensus, or its place in the list before it knows one. kNoServer: it has
  // neither.
  raft::ServerId number = raft::kNoServer;
  // What people call it: its node id, or its place in the list. Only for log lines.
  std::optional<raft::NodeId> node;
  raft::Incarnation incarnation;  // of its data directory; never 0
  raft::PeerState state;
  std::string address;  // "http://host:port" or https, at which its peers can reach it
};

// What the judging server knows. `initial`: the servers of its list, which count until it knows a
// cluster.
struct PeerView {
  const raft::Configuration& committed;
  const raft::Configuration& latest;
  const std::vector<raft::Member>& initial;
  raft::ServerId self;            // kNoServer: it is no member
  raft::Incarnation incarnation;  // of its own data directory
  bool has_log = false;           // its log holds an entry, or a snapshot
};

// Why a peer may not speak to Raft, and what the operator can do about it.
struct PeerRefusal {
  enum class Why : std::uint8_t {
    conflict,   // an operator has to act
    no_member,  // it is not a member now, and waits until it is added or taken in again
  };
  std::string detail;
  std::string hint;
  Why why = Why::conflict;
  bool operator==(const PeerRefusal&) const = default;
};

// The peer is this member.
struct PeerIs {
  raft::ServerId number;
  bool operator==(const PeerIs&) const = default;
};
// The peer was a member and is none any more. It must learn that.
struct PeerHasLeft {
  bool operator==(const PeerHasLeft&) const = default;
};
// The disk of the member is lost: an empty server with this incarnation is in its place.
struct PeerLostDisk {
  raft::ServerId number;
  raft::Incarnation incarnation;
  bool operator==(const PeerLostDisk&) const = default;
};
// At the address is a server that belongs to this cluster, but it is not the member that was
// expected there.
struct PeerIsAnother {
  bool operator==(const PeerIsAnother&) const = default;
};

// True if a member has dialled a server that knows no cluster, because that server is new or has
// lost its disk. Such a server numbers the others by their places in its list, but the cluster may
// have changed since: place 4 may name a server that was never added, and member 4 may be another
// server. So the address that the member states counts more than the one in the list.
bool outranks_list(const Greeting& theirs, const PeerView& ours);

using DiallerVerdict = std::variant<PeerIs, PeerHasLeft, PeerRefusal>;
using AcceptorVerdict = std::variant<PeerIs, PeerLostDisk, PeerIsAnother, PeerRefusal>;

// Judges a server that dials this one. The latest configuration counts as well as the committed
// one: an uncommitted entry may still be dropped on either side, and must not separate two servers
// that need each other to decide it.
DiallerVerdict judge_dialler(const Greeting& theirs, const PeerView& ours);
// Judges the server that answered at the address of member `expected`. `dialled`: the address that
// was dialled, if it may differ from that in the configuration. An empty server that calls another
// address its own is no proof that the member's disk is lost: names and addresses move. It may be
// an addition whose disk is not known yet, unless the address is another member's.
AcceptorVerdict judge_acceptor(raft::ServerId expected, const Greeting& theirs,
                               const PeerView& ours, std::string_view dialled = {});

// The place of the peer in the list of a server that knows no cluster yet: founding counts its
// servers by place. kNoServer: the list does not name it.
raft::ServerId place_in_list(const Greeting& theirs, const std::vector<raft::Member>& initial);

// A member as the transport has to know it.
struct Contact {
  raft::ServerId number;
  raft::NodeId node;
  std::string address;
  bool operator==(const Contact&) const = default;
};

// The servers to which this one keeps links, in the order of their numbers: the members of both
// configurations, and those of `before` that have left and are `told` so for a while. Before the
// cluster is founded: the servers of the list. Without this server itself.
std::vector<Contact> contacts_of(const PeerView& ours, const std::vector<Contact>& before,
                                 const std::vector<raft::ServerId>& told);

}  // namespace vesper::node
