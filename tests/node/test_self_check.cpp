// SelfCheck: three servers exchange the questions and replies of a leader's rounds by hand.
#include <doctest/doctest.h>

#include <array>

#include "node/self_check.hpp"

namespace test_self_check {

using namespace vesper;
using node::DigestAsked;
using node::DigestReply;
using node::SelfCheck;

namespace {

constexpr Id128 kRight{1, 2}, kWrong{3, 4}, kOther{5, 6};
constexpr Instant kBegin{seconds(100).ns};

raft::Configuration three_voters() {
  raft::Configuration configuration;
  for (std::uint32_t id = 0; id < 3; ++id)
    configuration.members.push_back({raft::ServerId(id), "http://a:1", {}});
  return configuration;
}

// Server 0 leads.
struct Cluster {
  std::array<SelfCheck, 3> servers{SelfCheck(raft::ServerId(0)), SelfCheck(raft::ServerId(1)),
                                   SelfCheck(raft::ServerId(2))};
  Instant now = kBegin;

  // One round at `index`, in which the servers have these digests. Returns whether it took place.
  bool round(std::uint64_t index, std::array<Id128, 3> digests) {
    now = now + seconds(1);
    const auto asked = servers[0].ask(raft::Term(1), three_voters(), raft::Index(index), now);
    if (!asked) return false;
    for (std::size_t i = 0; i < 3; ++i) {
      if (i > 0) servers[i].on_asked(raft::ServerId(0), *asked);
      REQUIRE(servers[i].awaited() == raft::Index(index));
      const auto reply = servers[i].on_awaited(digests[i]);
      CHECK(reply.has_value() == (i > 0));
      if (reply) servers[0].on_reply(raft::ServerId(static_cast<std::uint32_t>(i)), *reply);
    }
    return true;
  }
  bool diverged(std::size_t server) const { return servers[server].divergence().has_value(); }
};

}  // namespace

TEST_CASE("equal digests leave every server in service, and an idle log is not asked again") {
  Cluster cluster;
  CHECK(cluster.round(7, {kRight, kRight, kRight}));
  CHECK_FALSE(cluster.round(7, {kRight, kRight, kRight}));
  CHECK(cluster.round(8, {kOther, kOther, kOther}));
  for (std::size_t i = 0; i < 3; ++i) CHECK_FALSE(cluster.diverged(i));
}

TEST_CASE("a follower that differs from a majority learns it with the next question") {
  Cluster cluster;
  CHECK(cluster.round(7, {kRight, kWrong, kRight}));
  CHECK_FALSE(cluster.diverged(1));
  CHECK(cluster.round(7, {kRight, kWrong, kRight}));
  REQUIRE(cluster.diverged(1));
  CHECK(cluster.servers[1].divergence()->index == raft::Index(7));
  CHECK(cluster.servers[1].divergence()->own == kWrong);
  CHECK(cluster.servers[1].divergence()->majority == kRight);
  CHECK_FALSE(cluster.diverged(0));
  CHECK_FALSE(cluster.diverged(2));
}

TEST_CASE("a leader that differs from a majority finds it out itself") {
  Cluster cluster;
  CHECK(cluster.round(7, {kWrong, kRight, kRight}));
  CHECK(cluster.round(7, {kWrong, kRight, kRight}));
  CHECK(cluster.diverged(0));
  CHECK_FALSE(cluster.diverged(1));
}

TEST_CASE("three different digests are an alarm, and every server stays in service") {
  Cluster cluster;
  CHECK(cluster.round(7, {kRight, kWrong, kOther}));
  CHECK_FALSE(cluster.servers[0].take_split());
  CHECK(cluster.round(7, {kRight, kWrong, kOther}));
  CHECK(cluster.servers[0].take_split());
  CHECK_FALSE(cluster.servers[0].take_split());
  for (std::size_t i = 0; i < 3; ++i) CHECK_FALSE(cluster.diverged(i));
}

TEST_CASE("a reply to another round or term does not count") {
  Cluster cluster;
  SelfCheck& leader = cluster.servers[0];
  cluster.now = cluster.now + seconds(1);
  REQUIRE(leader.ask(raft::Term(1), three_voters(), raft::Index(7), cluster.now).has_value());
  CHECK_FALSE(leader.on_awaited(kWrong).has_value());
  for (std::uint32_t id = 1; id < 3; ++id) {
    leader.on_reply(raft::ServerId(id), DigestReply{raft::Term(1), raft::Index(6), kRight});
    leader.on_reply(raft::ServerId(id), DigestReply{raft::Term(2), raft::Index(7), kRight});
  }
  cluster.now = cluster.now + seconds(1);
  REQUIRE(leader.ask(raft::Term(1), three_voters(), raft::Index(8), cluster.now).has_value());
  CHECK_FALSE(cluster.diverged(0));
}

}  // namespace test_self_check
