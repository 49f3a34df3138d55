// Requests to move leadership: whom to ask, when, and when they are done.
#include <doctest/doctest.h>

#include "node/transfer_requests.hpp"

namespace test_transfer_requests {

using namespace vesper;
using node::TransferRequests;

namespace {

constexpr raft::ServerId kA{0}, kB{1}, kC{2};
constexpr Duration kInterval{10};

node::ClientTransfer transfer(std::uint64_t request, std::optional<raft::ServerId> to,
                              Instant deadline = Instant{100}) {
  return {{1, request}, to, deadline};
}

}  // namespace

TEST_CASE("a transfer to a server is done when that server leads") {
  TransferRequests requests;
  CHECK(requests.is_idle());
  REQUIRE(requests.add(transfer(1, kB), kA, Instant{5}));
  CHECK(requests.deadline(kA, kA) == Instant{5});
  const auto question = requests.ask(kA, Instant{5}, kInterval);
  REQUIRE(question.has_value());
  CHECK(question->to == kB);
  CHECK(question->of_client);
  CHECK_FALSE(requests.ask(kA, Instant{14}, kInterval).has_value());
  CHECK(requests.ask(kA, Instant{15}, kInterval).has_value());
  CHECK(requests.finish(kC).empty());
  CHECK(requests.ask(kC, Instant{25}, kInterval)->to == kB);  // the wrong one is asked in turn
  CHECK(requests.finish(kB).size() == 1);
  CHECK(requests.is_idle());
}

TEST_CASE("a transfer to any server is done when the leader has changed") {
  TransferRequests requests;
  REQUIRE(requests.add(transfer(1, std::nullopt), std::nullopt, Instant{0}));
  CHECK(requests.deadline(std::nullopt, kA) == Instant{100});
  CHECK(requests.finish(kA).empty());  // no one led when it came
  REQUIRE(requests.ask(kA, Instant{0}, kInterval).has_value());
  CHECK(requests.finish(kA).empty());
  CHECK(requests.finish(kB).size() == 1);
}

TEST_CASE("a process transfers leadership only while it leads") {
  TransferRequests requests;
  requests.hand_over(Instant{7});
  CHECK_FALSE(requests.is_idle());
  CHECK(requests.deadline(kA, kA) == Instant{7});
  CHECK(requests.deadline(kB, kA) == kNever);
  const auto question = requests.ask(kA, Instant{7}, kInterval);
  REQUIRE(question.has_value());
  CHECK_FALSE(question->to.has_value());
  CHECK_FALSE(question->of_client);
}

TEST_CASE("transfers are bounded, expire, and end with their client") {
  TransferRequests requests;
  for (std::uint64_t i = 0; i < 64; ++i)
    REQUIRE(requests.add(transfer(i, kB, Instant{i < 3 ? 50 : 100}), kA, Instant{0}));
  CHECK_FALSE(requests.add(transfer(64, kB), kA, Instant{0}));
  CHECK(requests.deadline(std::nullopt, kA) == Instant{50});
  CHECK(requests.expire(Instant{50}).size() == 3);
  SUBCASE("the client leaves") {
    requests.leave(1);
  }
  SUBCASE("all are cleared") {
    CHECK(requests.clear().size() == 61);
  }
  CHECK(requests.is_idle());
}

}  // namespace test_transfer_requests
