#include "node/peer_rules.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace vesper::node {
namespace {

using raft::Configuration;
using raft::kNoServer;
using raft::Member;
using raft::ServerId;

bool is_empty(const Greeting& peer) {
  return peer.state.cluster_id.is_none() && peer.state.last_index.value == 0;
}

// How a log line calls the peer.
std::string name_of(const Greeting& peer) {
  const std::string at = peer.address.empty() ? "" : " at " + peer.address;
  return peer.node ? fmt::format("server {}{}", peer.node->value, at) : "the server" + at;
}

const Member* find_in_both(const PeerView& ours, raft::Incarnation incarnation) {
  const Member* member = ours.latest.find(incarnation);
  return member != nullptr ? member : ours.committed.find(incarnation);
}

const Member* find_in_both(const PeerView& ours, ServerId number) {
  const Member* member = ours.latest.find(number);
  return member != nullptr ? member : ours.committed.find(number);
}

bool is_address_of_member(const PeerView& ours, std::string_view address) {
  const auto names = [&](const Configuration& configuration) {
    return std::any_of(configuration.members.begin(), configuration.members.end(),
                       [&](const Member& member) { return member.address == address; });
  };
  return names(ours.latest) || names(ours.committed);
}

// True if the number was given after everything that this server has heard of.
bool is_news(const PeerView& ours, ServerId number) {
  return number != kNoServer && number >= ours.latest.unused_id() &&
         number >= ours.committed.unused_id();
}

// The member without a known disk that the peer is. An addition is found by its address. A server
// that has a membership under another number is not it.
const Member* find_vacancy(const Configuration& configuration, const Greeting& peer) {
  const bool is_bound = !is_empty(peer) && peer.number != kNoServer;
  for (const Member& member : configuration.members)
    if (member.incarnation.value == 0 && member.address == peer.address &&
        (!is_bound || member.id == peer.number))
      return &member;
  const Member* claimed = configuration.find(peer.number);
  return claimed != nullptr && claimed->incarnation.value == 0 ? claimed : nullptr;
}

std::optional<PeerRefusal> refuse_other_cluster(const Greeting& theirs, const PeerView& ours) {
  const Id128 own = ours.committed.cluster_id;
  const Id128 cluster = theirs.state.cluster_id;
  if (own.is_none() || cluster.is_none() || cluster == own) return std::nullopt;
  return PeerRefusal{
      fmt::format("{} belongs to cluster {}, but this server to cluster {}", name_of(theirs),
                  to_hex(cluster), to_hex(own)),
      "check the lists and the data directories; servers of different clusters never mix"};
}

// C14: a build that lacks a feature in use cannot read the log.
std::optional<PeerRefusal> refuse_old_build(const Greeting& theirs, const PeerView& ours) {
  if (ours.committed.cluster_id.is_none() || theirs.state.level >= ours.committed.level)
    return std::nullopt;
  return PeerRefusal{fmt::format("{} runs a build of feature level {}, but this cluster needs {}",
                                 name_of(theirs), theirs.state.level, ours.committed.level),
                     "install a newer version of vesper there"};
}

PeerRefusal refuse_no_member(const Greeting& theirs, const PeerView& ours) {
  const auto& members = ours.latest.members;
  const bool is_lost = std::any_of(members.begin(), members.end(), [&](const Member& member) {
    return member.votes() && member.address == theirs.address;
  });
  if (is_empty(theirs) && is_lost && members.size() >= raft::kMaxServers)
    return PeerRefusal{
        fmt::format(
            "{} has lost its disk and cannot be taken in again: cluster {} has {} members, "
            "the most that there can be, and the new disk needs a place beside the lost one",
            name_of(theirs), to_hex(ours.committed.cluster_id), members.size()),
        "remove a member, for example a learner, with `vesper cluster remove ID`"};
  return PeerRefusal{
      fmt::format("{} with incarnation {} is not a member of cluster {}", name_of(theirs),
                  to_hex(theirs.incarnation.value), to_hex(ours.committed.cluster_id)),
      "if it is a member that has lost its disk, the leader takes it in again by itself; otherwise "
      "add it with `vesper cluster add URL`",
      PeerRefusal::Why::no_member};
}

PeerRefusal refuse_other_disk(const Greeting& theirs, const Member& member) {
  return PeerRefusal{
      fmt::format("{} has incarnation {}, but {} is registered: its data directory was replaced by "
                  "another one that is not empty",
                  name_of(theirs), to_hex(theirs.incarnation.value),
                  to_hex(member.incarnation.value)),
      "start it with its original data directory, or with an empty one"};
}

DiallerVerdict judge_unfounded(const Greeting& theirs, const PeerView& ours) {
  const Id128 cluster = theirs.state.cluster_id;
  // A cluster that has replaced disks has given numbers beyond its first list.
  if (theirs.number != kNoServer && theirs.number == ours.self)
    return PeerRefusal{fmt::format("{} calls itself server {}, but that is this server",
                                   name_of(theirs), theirs.number.value),
                       cluster.is_none()
                           ? "check the id and the list that each server was started with"
                           : "if this server is to be added to that cluster, start it with --join "
                             "instead of the list"};
  // This server is new, or has lost its disk. The cluster decides what it becomes.
  if (!cluster.is_none() && (!ours.has_log || ours.latest.cluster_id == cluster)) {
    if (theirs.number != kNoServer) return PeerIs{theirs.number};
    return PeerRefusal{
        fmt::format("{} is not a member of cluster {}", name_of(theirs), to_hex(cluster)),
        "add it with `vesper cluster add URL`", PeerRefusal::Why::no_member};
  }
  for (const Member& listed : ours.initial)
    if (listed.id == theirs.number) return PeerIs{listed.id};
  if (ours.initial.empty())
    return PeerRefusal{"this server waits to be added to a cluster",
                       "add it with `vesper cluster add URL`", PeerRefusal::Why::no_member};
  return PeerRefusal{
      fmt::format("{} is not a member of this server's list", name_of(theirs)),
      "give all servers the same list, or start the server with --join and add it with `vesper "
      "cluster add URL`"};
}

}  // namespace

bool outranks_list(const Greeting& theirs, const PeerView& ours) {
  return ours.committed.cluster_id.is_none() && !theirs.state.cluster_id.is_none();
}

DiallerVerdict judge_dialler(const Greeting& theirs, const PeerView& ours) {
  if (auto refusal = refuse_other_cluster(theirs, ours)) return *refusal;
  if (auto refusal = refuse_old_build(theirs, ours)) return *refusal;
  if (theirs.incarnation == ours.incarnation)
    return PeerRefusal{fmt::format("{} has the incarnation of this server", name_of(theirs)),
                       "if it is another server, its data directory is a copy; empty it"};
  if (ours.committed.cluster_id.is_none()) return judge_unfounded(theirs, ours);
  const bool is_ours = theirs.state.cluster_id == ours.committed.cluster_id;
  if (is_ours && is_news(ours, theirs.number)) return PeerIs{theirs.number};
  if (const Member* member = find_in_both(ours, theirs.incarnation)) return PeerIs{member->id};
  for (const Configuration* configuration : {&ours.latest, &ours.committed})
    if (const Member* member = find_vacancy(*configuration, theirs)) return PeerIs{member->id};
  if (is_empty(theirs) || theirs.number == kNoServer) return refuse_no_member(theirs, ours);
  if (const Member* member = find_in_both(ours, theirs.number))
    return refuse_other_disk(theirs, *member);
  if (is_ours && theirs.number < ours.committed.unused_id()) return PeerHasLeft{};
  return refuse_no_member(theirs, ours);
}

AcceptorVerdict judge_acceptor(ServerId expected, const Greeting& theirs, const PeerView& ours,
                               std::string_view dialled) {
  if (auto refusal = refuse_other_cluster(theirs, ours)) return *refusal;
  if (auto refusal = refuse_old_build(theirs, ours)) return *refusal;
  if (theirs.incarnation == ours.incarnation) return PeerIsAnother{};  // this server itself
  const Id128 cluster = theirs.state.cluster_id;
  if (ours.committed.cluster_id.is_none()) {
    if (theirs.number == expected) return PeerIs{expected};
    if (!cluster.is_none()) return PeerIsAnother{};
    return PeerRefusal{
        fmt::format("{} answered at the address of server {}", name_of(theirs), expected.value),
        "check the id and the list that each server was started with"};
  }
  if (const Member* member = find_in_both(ours, theirs.incarnation)) {
    if (member->id == expected) return PeerIs{expected};
    return PeerIsAnother{};
  }
  const bool is_ours = cluster == ours.committed.cluster_id;
  const Member* member = find_in_both(ours, expected);
  // A server that has left and is told so, or a dialler that this server has not heard of yet.
  if (member == nullptr) {
    if (is_ours && theirs.number == expected) return PeerIs{expected};
    return PeerIsAnother{};
  }
  const bool is_vacant = member->incarnation.value == 0;
  if (is_empty(theirs)) {
    const bool is_here = theirs.address == member->address || theirs.address == dialled;
    // An addition may call its address otherwise than the request that has added it, such as
    // 127.0.0.1 and localhost.
    const bool is_alias = theirs.number == kNoServer && !is_address_of_member(ours, theirs.address);
    if (is_vacant && (is_here || is_alias)) return PeerIs{expected};
    if (!is_here) return PeerIsAnother{};
    return PeerLostDisk{expected, theirs.incarnation};
  }
  if (is_ours && is_news(ours, theirs.number) && theirs.number != expected) return PeerIsAnother{};
  if (is_vacant && (theirs.number == expected || (is_ours && theirs.number == kNoServer)))
    return PeerIs{expected};
  if (is_vacant)
    return PeerRefusal{fmt::format("{} has data already, so it cannot be added", name_of(theirs)),
                       "if its data is not needed, start it with an empty data directory"};
  if (theirs.number == expected) return refuse_other_disk(theirs, *member);
  return PeerIsAnother{};
}

ServerId place_in_list(const Greeting& theirs, const std::vector<Member>& initial) {
  for (const Member& listed : initial)
    if (listed.address == theirs.address) return listed.id;
  for (const Member& listed : initial)
    if (listed.id == theirs.number) return listed.id;
  return kNoServer;
}

std::vector<Contact> contacts_of(const PeerView& ours, const std::vector<Contact>& before,
                                 const std::vector<ServerId>& told) {
  std::vector<Contact> contacts;
  const auto has = [&](ServerId number) {
    return std::any_of(contacts.begin(), contacts.end(),
                       [number](const Contact& contact) { return contact.number == number; });
  };
  for (const Configuration* configuration : {&ours.latest, &ours.committed})
    for (const Member& member : configuration->members)
      if (member.id != ours.self && member.incarnation != ours.incarnation && !has(member.id))
        contacts.push_back({member.id, member.node, member.address});
  for (const Contact& contact : before)
    if (!has(contact.number) && std::find(told.begin(), told.end(), contact.number) != told.end())
      contacts.push_back(contact);
  std::sort(contacts.begin(), contacts.end(),
            [](const Contact& a, const Contact& b) { return a.number < b.number; });
  return contacts;
}

}  // namespace vesper::node
