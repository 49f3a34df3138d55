// Which peers may speak to Raft, and as which member: before and after a cluster is founded, while
// members come and go, and after a disk was lost.
#include <doctest/doctest.h>

#include "node/peer_rules.hpp"

namespace test_peer_rules {

using namespace vesper;
using node::Greeting;
using raft::kNoServer;
using raft::ServerId;

namespace {

constexpr ServerId kA{0}, kB{1}, kC{2}, kAdded{3}, kReplaced{4};
constexpr raft::Incarnation kOwn{7}, kOfB{8}, kOfC{9}, kNew{10}, kOther{11};
constexpr Id128 kOurs{5, 5}, kTheirs{6, 6};
constexpr const char* kAtA = "http://a:1";
constexpr const char* kAtB = "http://b:1";
constexpr const char* kAtC = "http://c:1";
constexpr const char* kAtD = "http://d:1";

const std::vector<raft::Member> kList{{kA, kAtA, {}}, {kB, kAtB, {}}, {kC, kAtC, {}}};
const raft::Configuration kListed{{}, kList};
// C was not registered yet. Number 3 was added at d, and its disk is not known.
const raft::Configuration kFounded{
    kOurs, {{kA, kAtA, kOwn}, {kB, kAtB, kOfB}, {kC, kAtC, {}}, {kAdded, kAtD, {}}}, ServerId(4)};

// A server that knows `committed`, and perhaps a newer configuration.
struct Server {
  raft::Configuration committed;
  std::optional<raft::Configuration> latest = std::nullopt;
  std::vector<raft::Member> initial = kList;
  ServerId self = kA;
  bool has_log = true;

  node::PeerView view() const {
    return {committed, latest ? *latest : committed, initial, self, kOwn, has_log};
  }
};

Greeting peer(ServerId number, raft::Incarnation incarnation, Id128 cluster, const char* address) {
  return {number, {}, incarnation, {cluster, raft::Term(1), raft::Index(4)}, address};
}

// A server whose log is empty.
Greeting empty(ServerId number, raft::Incarnation incarnation, const char* address) {
  return {number, {}, incarnation, {}, address};
}

std::string text(const node::PeerRefusal& refusal) {
  CHECK_FALSE(refusal.detail.empty());
  CHECK_FALSE(refusal.hint.empty());
  return refusal.why == node::PeerRefusal::Why::no_member ? "no member" : "conflict";
}

std::string dialler(const Greeting& theirs, const Server& ours) {
  const auto verdict = node::judge_dialler(theirs, ours.view());
  if (const auto* is = std::get_if<node::PeerIs>(&verdict)) return std::to_string(is->number.value);
  if (const auto* refusal = std::get_if<node::PeerRefusal>(&verdict)) return text(*refusal);
  return "left";
}

std::string acceptor(ServerId expected, const Greeting& theirs, const Server& ours) {
  const auto verdict = node::judge_acceptor(expected, theirs, ours.view());
  if (const auto* is = std::get_if<node::PeerIs>(&verdict)) {
    CHECK(is->number == expected);
    return "it";
  }
  if (const auto* refusal = std::get_if<node::PeerRefusal>(&verdict)) return text(*refusal);
  if (const auto* lost = std::get_if<node::PeerLostDisk>(&verdict)) {
    CHECK(lost->number == expected);
    CHECK(lost->incarnation == theirs.incarnation);
    return "lost disk";
  }
  return "another";
}

}  // namespace

TEST_CASE("before the cluster is founded, the servers of the list are known by their places") {
  const Server listed{kListed, {}, kList, kA, false};
  CHECK(dialler(empty(kB, kOfB, kAtB), listed) == "1");
  CHECK(dialler(peer(kB, kOther, {}, kAtB), listed) == "1");
  CHECK(dialler(empty(kAdded, kNew, kAtD), listed) == "conflict");
  CHECK(dialler(empty(kNoServer, kNew, kAtD), listed) == "conflict");
  CHECK(dialler(empty(kA, kOther, kAtA), listed) == "conflict");  // it calls itself this server
  CHECK(dialler(empty(kB, kOwn, kAtB), listed) == "conflict");    // its directory is a copy
  CHECK(acceptor(kB, empty(kB, kOfB, kAtB), listed) == "it");
  CHECK(acceptor(kB, empty(kC, kOfC, kAtC), listed) == "conflict");
}

TEST_CASE("a server without a log believes any server of a cluster") {
  const Server wiped{kListed, {}, kList, kA, false};
  CHECK(dialler(peer(kB, kOfB, kTheirs, kAtB), wiped) == "1");
  CHECK(dialler(peer(ServerId(9), kOther, kTheirs, kAtD), wiped) == "9");
  CHECK(dialler(peer(kNoServer, kOther, kTheirs, kAtD), wiped) == "no member");
  CHECK(acceptor(kB, peer(kB, kOfB, kTheirs, kAtB), wiped) == "it");
  CHECK(acceptor(kB, peer(ServerId(9), kOfB, kTheirs, kAtB), wiped) == "another");
  const Server waiting{{}, {}, {}, kNoServer, false};  // --join
  CHECK(dialler(peer(kB, kOfB, kTheirs, kAtB), waiting) == "1");
  CHECK(dialler(empty(kB, kOfB, kAtB), waiting) == "no member");
}

TEST_CASE("only to a server without a cluster does a member say more than the list") {
  const Server wiped{kListed, {}, kList, kA, false};
  const Server member{kFounded};
  CHECK(node::outranks_list(peer(kB, kOther, kTheirs, kAtD), wiped.view()));
  CHECK_FALSE(node::outranks_list(empty(kB, kOfB, kAtB), wiped.view()));
  CHECK_FALSE(node::outranks_list(peer(kB, kOfB, kTheirs, kAtD), member.view()));
}

TEST_CASE("a server with a log that is not committed follows the cluster of that log only") {
  raft::Configuration uncommitted = kFounded;
  const Server ours{kListed, uncommitted};
  CHECK(dialler(peer(ServerId(9), kOther, kOurs, kAtD), ours) == "9");
  CHECK(dialler(peer(ServerId(9), kOther, kTheirs, kAtD), ours) == "conflict");
  CHECK(dialler(peer(kB, kOther, kTheirs, kAtB), ours) == "1");
}

TEST_CASE("a founded cluster knows its members by their disks") {
  const Server ours{kFounded};
  CHECK(dialler(peer(kB, kOfB, kOurs, kAtB), ours) == "1");
  CHECK(dialler(peer(kB, kOfB, {}, kAtB), ours) == "1");  // it has not heard of the Bootstrap entry
  CHECK(dialler(peer(kC, kOfB, kOurs, kAtC), ours) == "1");  // it has forgotten its number
  CHECK(dialler(peer(kB, kOfB, kTheirs, kAtB), ours) == "conflict");
  CHECK(dialler(peer(kB, kOther, kOurs, kAtB), ours) == "conflict");
  CHECK(acceptor(kB, peer(kB, kOfB, kOurs, kAtB), ours) == "it");
  CHECK(acceptor(kC, peer(kB, kOfB, kOurs, kAtB), ours) == "another");
  CHECK(acceptor(kB, peer(kB, kOther, kOurs, kAtB), ours) == "conflict");
  CHECK(acceptor(kB, peer(kB, kOfB, kTheirs, kAtB), ours) == "conflict");
  CHECK(acceptor(kB, peer(kB, kOwn, kOurs, kAtB), ours) == "another");  // this server itself
}

TEST_CASE("a member that is not registered yet is known by its number or its address") {
  const Server ours{kFounded};
  CHECK(dialler(peer(kC, kOfC, kOurs, kAtC), ours) == "2");
  CHECK(dialler(empty(kC, kOfC, kAtC), ours) == "2");
  CHECK(dialler(empty(kNoServer, kNew, kAtD), ours) == "3");
  CHECK(dialler(peer(kNoServer, kNew, kOurs, kAtD), ours) == "3");
  CHECK(dialler(peer(kAdded, kNew, kOurs, kAtD), ours) == "3");
  CHECK(acceptor(kC, empty(kC, kOfC, kAtC), ours) == "it");
  CHECK(acceptor(kAdded, empty(kNoServer, kNew, kAtD), ours) == "it");
  CHECK(acceptor(kAdded, peer(kNoServer, kNew, kOurs, kAtD), ours) == "it");
  // The server there belongs to the cluster already, or did once.
  CHECK(acceptor(kAdded, peer(kB, kOfB, kOurs, kAtD), ours) == "another");
  CHECK(acceptor(kAdded, peer(ServerId(2), kOther, kOurs, kAtD), ours) == "conflict");
}

TEST_CASE("an addition may call its address otherwise, unless it is another member's") {
  const Server ours{kFounded};
  CHECK(acceptor(kAdded, empty(kNoServer, kNew, "http://alias-of-d:1"), ours) == "it");
  CHECK(acceptor(kAdded, empty(kNoServer, kNew, kAtC), ours) == "another");
  CHECK(acceptor(kAdded, empty(kNoServer, kNew, kAtB), ours) == "another");
  // A lost disk is believed under its own address only.
  CHECK(acceptor(kB, empty(kB, kNew, "http://alias-of-b:1"), ours) == "another");
}

TEST_CASE("a voter that has lost its disk is told that the cluster has no place for the new one") {
  raft::Configuration full = kFounded;
  while (full.members.size() < raft::kMaxServers) {
    const auto number = static_cast<std::uint32_t>(full.members.size());
    full.members.push_back({ServerId(number), "http://x:1", raft::Incarnation(number + 100)});
    full.members.back().seat = raft::Seat::learner;
  }
  const auto refusal = [&](const raft::Configuration& members, const char* address) {
    const Server ours{members};
    const auto verdict = node::judge_dialler(empty(kB, kNew, address), ours.view());
    return std::get<node::PeerRefusal>(verdict);
  };
  CHECK(refusal(full, kAtB).why == node::PeerRefusal::Why::conflict);
  CHECK(refusal(full, kAtB).detail.find("has 64 members, the most") != std::string::npos);
  CHECK(refusal(full, kAtB).hint.find("vesper cluster remove") != std::string::npos);
  CHECK(refusal(full, "http://elsewhere:1").why == node::PeerRefusal::Why::no_member);
  full.members.pop_back();
  CHECK(refusal(full, kAtB).why == node::PeerRefusal::Why::no_member);
}

TEST_CASE("an empty server in the place of a member is a lost disk, and no member by itself") {
  const Server ours{kFounded};
  CHECK(dialler(empty(kB, kNew, kAtB), ours) == "no member");
  CHECK(dialler(empty(kNoServer, kNew, "http://e:1"), ours) == "no member");
  CHECK(acceptor(kB, empty(kB, kNew, kAtB), ours) == "lost disk");
  // Once the log names the new disk, it is the only one that is found at the address.
  Server later = ours;
  later.latest = kFounded;
  later.latest->members.push_back({kReplaced, kAtB, kNew, raft::NodeId(1)});
  CHECK(dialler(empty(kB, kNew, kAtB), later) == "4");
  CHECK(acceptor(kB, empty(kB, kNew, kAtB), later) == "another");
  CHECK(acceptor(kReplaced, empty(kB, kNew, kAtB), later) == "it");
  CHECK(acceptor(kReplaced, peer(kB, kOfB, kOurs, kAtB), later) == "another");
  CHECK(acceptor(kReplaced, empty(kB, kOther, kAtB), later) == "lost disk");
}

TEST_CASE("a member that this server has not heard of is believed, one that has left is told so") {
  const Server ours{kFounded};
  CHECK(dialler(peer(ServerId(4), kNew, kOurs, kAtD), ours) == "4");
  CHECK(dialler(peer(ServerId(4), kNew, {}, kAtD), ours) == "no member");
  CHECK(acceptor(ServerId(4), peer(ServerId(4), kNew, kOurs, kAtD), ours) == "it");
  CHECK(acceptor(kB, peer(ServerId(4), kNew, kOurs, kAtB), ours) == "another");
  Server later{kFounded};
  later.committed.members.erase(later.committed.members.begin() + 1);
  CHECK(dialler(peer(kB, kOfB, kOurs, kAtB), later) == "left");
  CHECK(dialler(empty(kB, kOfB, kAtB), later) == "no member");      // it has nothing to lose
  CHECK(acceptor(kB, peer(kB, kOfB, kOurs, kAtB), later) == "it");  // the leader tells it so
  later.latest = kFounded;  // not as long as a configuration has it
  CHECK(dialler(peer(kB, kOfB, kOurs, kAtB), later) == "1");
}

TEST_CASE("founding counts a server by its place in the list") {
  CHECK(node::place_in_list(empty(kB, kOfB, kAtB), kList) == kB);
  CHECK(node::place_in_list(peer(kReplaced, kNew, kOurs, kAtB), kList) == kB);
  CHECK(node::place_in_list(empty(kC, kOfC, "http://moved:1"), kList) == kC);
  CHECK(node::place_in_list(peer(kReplaced, kNew, kOurs, kAtD), kList) == kNoServer);
}

TEST_CASE("the transport follows both configurations and those that are told to have left") {
  using node::Contact;
  Server ours{kFounded};
  std::vector<Contact> contacts = node::contacts_of(ours.view(), {}, {});
  const std::vector<Contact> all{
      {kB, raft::NodeId(1), kAtB}, {kC, raft::NodeId(2), kAtC}, {kAdded, raft::NodeId(3), kAtD}};
  CHECK(contacts == all);
  ours.latest = kFounded;
  ours.latest->members.erase(ours.latest->members.begin() + 1);
  CHECK(node::contacts_of(ours.view(), contacts, {}) == all);  // the removal may be dropped
  ours.committed = *ours.latest;
  CHECK(node::contacts_of(ours.view(), contacts, {kB}) == all);
  contacts = node::contacts_of(ours.view(), contacts, {});
  CHECK(contacts == std::vector<Contact>(all.begin() + 1, all.end()));
  // The lost disk of this server is one: only its address tells the two apart.
  ours.latest->members[0].incarnation = kOther;
  ours.self = kNoServer;
  CHECK(node::contacts_of(ours.view(), contacts, {}).front().number == kA);
}

}  // namespace test_peer_rules
