// What follows a request that waits for other clients: it is held, in order and within bounds, and
// its own time begins when it does.
#include <doctest/doctest.h>

#include "node/held_requests.hpp"

namespace test_held_requests {

using namespace vesper;
using namespace vesper::node;

namespace {

using Numbers = std::vector<std::uint64_t>;

ClientWrite small_write(std::uint64_t connection, std::uint64_t request) {
  return {{connection, request}, SharedBytes::copy_of("0123456789"), Instant{100}};
}

struct Line {
  HeldRequests held{4, 25};

  bool add(HeldRequests::Request request, Instant now = Instant{0}) {
    return held.add(std::move(request), now);
  }
  // The numbers of the requests that begin.
  Numbers begin(Instant now = Instant{0}) {
    Numbers numbers;
    while (auto request = held.next(now))
      numbers.push_back(std::visit([](auto& one) { return one.ticket.request; }, *request));
    return numbers;
  }
};

}  // namespace

TEST_CASE("T7: what follows a request that may wait begins in order once that is answered") {
  Line line;
  CHECK_FALSE(line.held.holds(1));
  line.held.hold_after({1, 5});
  CHECK(line.held.holds(1));
  CHECK_FALSE(line.held.holds(2));
  REQUIRE(line.add(small_write(1, 6)));
  REQUIRE(line.add(ClientRead{{1, 7}, ReadKey{"k"}, Instant{100}}));
  CHECK(line.held.size() == 2);
  CHECK(line.held.bytes() == 10);
  CHECK(line.begin().empty());
  line.held.answered({1, 4});  // an earlier one
  line.held.answered({2, 5});
  CHECK_FALSE(line.held.has_next());
  line.held.answered({1, 5});
  CHECK(line.held.has_next());
  CHECK(line.held.holds(1));  // what comes now comes after those two
  REQUIRE(line.add(small_write(1, 8)));
  CHECK(line.begin() == Numbers{6, 7, 8});
  CHECK_FALSE(line.held.holds(1));
  CHECK(line.held.size() + line.held.bytes() == 0);
}

TEST_CASE("T7: a request that begins may hold what comes after it") {
  Line line;
  line.held.hold_after({1, 1});
  for (std::uint64_t i = 2; i < 5; ++i)
    REQUIRE(line.add(ClientRead{{1, i}, ReadKey{"k"}, Instant{100}}));
  line.held.hold_after({2, 1});
  line.held.answered({2, 1});
  CHECK_FALSE(line.held.holds(2));  // nothing followed
  line.held.answered({1, 1});
  REQUIRE(line.held.next(Instant{0}));
  line.held.hold_after({1, 2});
  CHECK_FALSE(line.held.has_next());
  line.held.answered({1, 2});
  CHECK(line.begin() == Numbers{3, 4});
}

TEST_CASE("the time of a request begins when it is no longer held") {
  Line line;
  line.held.hold_after({1, 1});
  ClientWrite lock = small_write(1, 2);
  lock.lock_wait = std::make_shared<LockWait>(LockWait{{}, Instant{60}, "key"});
  REQUIRE(line.add(lock, Instant{10}));
  ClientRead poll{{1, 3}, ReadKey{"k"}, Instant{200}};
  poll.wait = std::make_shared<ChangeWait>(ChangeWait{{}, 7, Instant{80}});
  REQUIRE(line.add(poll, Instant{40}));
  line.held.answered({1, 1});
  auto first = line.held.next(Instant{50}), second = line.held.next(Instant{50});
  REQUIRE(first);
  REQUIRE(second);
  const auto& write = std::get<ClientWrite>(*first);
  CHECK(write.deadline == Instant{140});
  CHECK(write.lock_wait->until == Instant{100});
  CHECK(write.lock_wait->idempotency_key == "key");
  CHECK(lock.lock_wait->until == Instant{60});
  const auto& read = std::get<ClientRead>(*second);
  CHECK(read.deadline == Instant{210});
  CHECK(read.wait->until == Instant{90});
  CHECK(read.wait->since == 7);
}

TEST_CASE("held requests are bounded in number and in bytes") {
  Line line;
  line.held.hold_after({1, 1});
  line.held.hold_after({2, 1});
  REQUIRE(line.add(small_write(1, 2)));
  REQUIRE(line.add(small_write(2, 2)));
  CHECK_FALSE(line.add(small_write(1, 3)));  // 30 bytes
  for (std::uint64_t i = 4; i < 6; ++i)
    REQUIRE(line.add(ClientRead{{1, i}, ReadKey{"k"}, Instant{100}}));
  CHECK_FALSE(line.add(ClientRead{{1, 6}, ReadKey{"k"}, Instant{100}}));  // five requests
  line.held.answered({1, 1});
  CHECK(line.begin() == Numbers{2, 4, 5});
  CHECK(line.add(small_write(2, 3)));
}

TEST_CASE("the requests of a client that hangs up are dropped, and clear() returns all") {
  Line line;
  for (std::uint64_t connection = 1; connection < 4; ++connection) {
    line.held.hold_after({connection, 1});
    REQUIRE(line.add(ClientRead{{connection, 2}, ReadKey{"k"}, Instant{100}}));
  }
  line.held.answered({1, 1});
  line.held.leave(1);
  line.held.leave(9);
  CHECK_FALSE(line.held.has_next());
  CHECK_FALSE(line.held.holds(1));
  const auto cleared = line.held.clear();
  REQUIRE(cleared.size() == 2);
  CHECK(cleared[0].connection == 2);
  CHECK(cleared[1].connection == 3);
  line.held.answered({2, 1});
  CHECK(line.begin().empty());
  CHECK(line.held.size() == 0);
}

}  // namespace test_held_requests
