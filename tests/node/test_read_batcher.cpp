// One question to the leader for many reads.
#include <doctest/doctest.h>

#include "node/read_batcher.hpp"

namespace test_read_batcher {

using namespace vesper;
using node::ReadBatcher;
using node::ReadLevel;

namespace {

constexpr raft::Term kTerm{3};
constexpr raft::ServerId kLeader{1};
constexpr Duration kPatience{100};
using Connections = std::vector<std::uint64_t>;

}  // namespace

TEST_CASE("reads gather while a question is open") {
  ReadBatcher batcher(40);
  CHECK_FALSE(batcher.ask(kTerm, kLeader, Instant{0}, kPatience).has_value());
  CHECK(batcher.join(1, ReadLevel::linearizable) == 1);
  CHECK(batcher.has_question());
  const auto first = batcher.ask(kTerm, kLeader, Instant{0}, kPatience);
  REQUIRE(first.has_value());
  CHECK(first->id == 41);
  CHECK_FALSE(first->leader_lease);
  CHECK(batcher.deadline() == Instant{100});

  CHECK(batcher.join(2, ReadLevel::lease) == 2);
  CHECK_FALSE(batcher.has_question());
  CHECK_FALSE(batcher.ask(kTerm, kLeader, Instant{99}, kPatience).has_value());
  CHECK(batcher.answered(40).empty());  // another question's
  CHECK(batcher.answered(41) == Connections{1});
  CHECK(batcher.answered(41).empty());
  CHECK(batcher.deadline() == kNever);

  const auto second = batcher.ask(kTerm, kLeader, Instant{99}, kPatience);
  REQUIRE(second.has_value());
  CHECK(second->id == 42);
  CHECK(second->leader_lease);  // every read of it accepts one
  CHECK(batcher.answered(42) == Connections{2});
}

TEST_CASE("a question is asked again under a new id") {
  ReadBatcher batcher(0);
  batcher.join(1, ReadLevel::lease);
  REQUIRE(batcher.ask(kTerm, kLeader, Instant{0}, kPatience)->id == 1);
  batcher.join(2, ReadLevel::lease);
  std::optional<raft::ReadIndex> again;
  SUBCASE("it is late") {
    again = batcher.ask(kTerm, kLeader, Instant{100}, kPatience);
  }
  SUBCASE("another server leads") {
    CHECK_FALSE(batcher.ask(kTerm, std::nullopt, Instant{1}, kPatience).has_value());
    again = batcher.ask(kTerm.next(), raft::ServerId(2), Instant{1}, kPatience);
  }
  REQUIRE(again.has_value());
  CHECK(again->id == 2);
  CHECK_FALSE(again->leader_lease);  // a round, whatever lease there is
  CHECK(batcher.answered(1).empty());
  CHECK(batcher.answered(2) == Connections{1, 2});
}

TEST_CASE("the batcher forgets connections that are gone") {
  ReadBatcher batcher(0);
  for (const std::uint64_t connection : Connections{3, 1, 3, 2})
    batcher.join(connection, ReadLevel::lease);
  batcher.tidy([](std::uint64_t connection) { return connection == 2; });
  REQUIRE(batcher.ask(kTerm, kLeader, Instant{0}, kPatience).has_value());
  CHECK(batcher.answered(1) == Connections{1, 3});

  batcher.join(1, ReadLevel::linearizable);
  batcher.forget_reads();
  CHECK_FALSE(batcher.has_question());
  batcher.join(2, ReadLevel::lease);
  CHECK(batcher.ask(kTerm, kLeader, Instant{0}, kPatience)->leader_lease);
}

}  // namespace test_read_batcher
