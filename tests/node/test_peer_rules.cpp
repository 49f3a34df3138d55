// Which peers may speak to Raft: before and after a cluster is founded.
#include <doctest/doctest.h>

#include "node/peer_rules.hpp"

using namespace vesper;

namespace {

constexpr raft::ServerId kA{0}, kB{1}, kC{2};
constexpr raft::Incarnation kFirst{7}, kSecond{8};
constexpr Id128 kOurs{5, 5}, kTheirs{6, 6};

const std::vector<raft::Voter> kList{{kA, "http://a:1", {}}, {kB, "http://b:1", {}}};
const raft::Configuration kFounded{kOurs, {{kA, "http://a:1", kFirst}, {kB, "http://b:1", {}}}};

std::string why(const node::PeerIdentity& peer, const raft::Configuration& committed) {
  const auto refusal = node::refuse_peer(peer, committed, kList);
  if (refusal) CHECK_FALSE(refusal->hint.empty());
  return refusal ? refusal->detail : "";
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("before the cluster is founded, a server of the list is admitted from any cluster") {
  CHECK(why({kA, kFirst, {}}, {}).empty());
  CHECK(why({kA, kSecond, kTheirs}, {}).empty());
  CHECK(contains(why({kC, kFirst, {}}, {}), "not a member of this server's list"));
}

TEST_CASE("a founded cluster refuses other clusters, other servers and other disks") {
  CHECK(why({kA, kFirst, kOurs}, kFounded).empty());
  CHECK(why({kA, kFirst, {}}, kFounded).empty());      // it has not heard of the Bootstrap entry
  CHECK(why({kB, kSecond, kOurs}, kFounded).empty());  // it is not registered yet
  CHECK(contains(why({kA, kFirst, kTheirs}, kFounded), "but this server to cluster"));
  CHECK(contains(why({kC, kFirst, kOurs}, kFounded), "not a member of cluster"));
  CHECK(contains(why({kA, kSecond, kOurs}, kFounded), "wiped or replaced"));
}
