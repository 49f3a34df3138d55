#include <doctest/doctest.h>

#include "node/forwarding.hpp"

namespace test_forwarding {

using namespace vesper;
using namespace vesper::node;

namespace {

SharedBytes command(std::size_t size = 10) {
  return SharedBytes::copy_of(std::string(size, 'x'));
}

std::vector<std::uint64_t> sequences(const std::vector<Forward::Write>& writes) {
  std::vector<std::uint64_t> out;
  for (const auto& write : writes) out.push_back(write.sequence);
  return out;
}

using Sequences = std::vector<std::uint64_t>;

Forward forward(std::uint64_t term, std::uint64_t boot, std::uint64_t previous, Sequences writes) {
  Forward f{raft::Term(term), raft::BootId(boot), 0, previous, {}};
  for (const std::uint64_t sequence : writes) f.writes.push_back({sequence, command()});
  return f;
}

}  // namespace

TEST_CASE("a write is answered once, when it is applied") {
  PendingWrites writes;
  writes.add(Ticket{1, 1}, command(), Instant{100});
  CHECK(sequences(writes.take_unsent(raft::Term(3), 1000)) == Sequences{1});
  CHECK(writes.applied(1)->request == 1);
  CHECK_FALSE(writes.applied(1));
  CHECK(writes.empty());
  CHECK(writes.bytes() == 0);
  CHECK(writes.sent_bytes() == 0);
}

TEST_CASE("writes sent for an older term are sent again, in order, once that term is decided") {
  PendingWrites writes;
  for (std::uint64_t i = 1; i <= 4; ++i) writes.add(Ticket{1, i}, command(), Instant{100});
  writes.take_unsent(raft::Term(3), 1000);
  CHECK(writes.applied(2));
  CHECK(writes.decide(raft::Term(4)) == 3);
  CHECK(sequences(writes.take_unsent(raft::Term(4), 1000)) == Sequences{1, 3, 4});
  CHECK(writes.decide(raft::Term(4)) == 0);  // sent for 4: not decided by an entry of 4
}

TEST_CASE("nothing is sent for a new term while a write of an older one is undecided") {
  PendingWrites writes;
  writes.add(Ticket{1, 1}, command(), Instant{100});
  writes.take_unsent(raft::Term(3), 1000);
  writes.add(Ticket{1, 2}, command(), Instant{100});
  CHECK(writes.take_unsent(raft::Term(4), 1000).empty());
  CHECK(writes.undecided_before(raft::Term(4)));
  writes.decide(raft::Term(4));
  CHECK(sequences(writes.take_unsent(raft::Term(4), 1000)) == Sequences{1, 2});
}

TEST_CASE("an expired write was not applied if it was not sent, and is unknown if it was") {
  PendingWrites writes;
  writes.add(Ticket{1, 1}, command(), Instant{100});
  writes.take_unsent(raft::Term(3), 1000);
  writes.add(Ticket{1, 2}, command(), Instant{100});
  writes.add(Ticket{1, 3}, command(), Instant{200});
  CHECK(writes.expire(Instant{99}).empty());
  const auto expired = writes.expire(Instant{100});
  REQUIRE(expired.size() == 2);
  CHECK(expired[0].sent);
  CHECK_FALSE(expired[1].sent);
  CHECK(writes.next_expiry() == Instant{200});
  // The sent one is still in somebody's log: seen, but answered to nobody; and never sent again.
  CHECK_FALSE(writes.applied(1));
  CHECK(writes.waiting() == 1);
  CHECK(writes.sent_after(raft::Term(3), 0, 1000).empty());
  CHECK(sequences(writes.take_unsent(raft::Term(3), 1000)) == Sequences{3});
}

TEST_CASE("an expired write that no client waits for is forgotten when it is decided") {
  PendingWrites writes;
  writes.add(Ticket{1, 1}, command(), Instant{100});
  writes.take_unsent(raft::Term(3), 1000);
  writes.expire(Instant{100});
  CHECK(writes.decide(raft::Term(4)) == 0);
  CHECK_FALSE(writes.has_unsent());
  CHECK(writes.bytes() == 0);
}

TEST_CASE("batches are bounded in bytes, but one write always goes") {
  PendingWrites writes;
  for (std::uint64_t i = 1; i <= 3; ++i) writes.add(Ticket{1, i}, command(100), Instant{100});
  CHECK(sequences(writes.take_unsent(raft::Term(1), 50)) == Sequences{1});
  CHECK(sequences(writes.take_unsent(raft::Term(1), 200)) == Sequences{2, 3});
  CHECK(writes.sent_bytes() == 300);
  CHECK(sequences(writes.sent_after(raft::Term(1), 1, 100)) == Sequences{2});
  CHECK(sequences(writes.sent_after(raft::Term(1), 0, 1000)) == Sequences{1, 2, 3});
}

TEST_CASE("a leader accepts a stream of forwards without gaps, in order, each write once") {
  AcceptedForwards accepted;
  ForwardReply reply;
  CHECK(sequences(accepted.accept(forward(5, 9, 0, {4, 6}), reply)) == Sequences{4, 6});
  CHECK(reply.accepted == 6);
  SUBCASE("a repeated frame adds nothing") {
    CHECK(accepted.accept(forward(5, 9, 0, {4, 6}), reply).empty());
    CHECK(reply.accepted == 6);
    CHECK_FALSE(reply.gap);
  }
  SUBCASE("a frame after a lost one is refused as a whole") {
    CHECK(accepted.accept(forward(5, 9, 7, {8}), reply).empty());
    CHECK(reply.gap);
    CHECK(reply.accepted == 6);
    CHECK(sequences(accepted.accept(forward(5, 9, 6, {7, 8}), reply)) == Sequences{7, 8});
  }
  SUBCASE("another boot of the origin begins another stream") {
    CHECK(sequences(accepted.accept(forward(5, 10, 0, {1}), reply)) == Sequences{1});
  }
  SUBCASE("a late frame of a dead process repeats nothing and does not stop the live one") {
    accepted.accept(forward(5, 10, 0, {1}), reply);
    CHECK(accepted.accept(forward(5, 9, 0, {4, 6}), reply).empty());
    CHECK(sequences(accepted.accept(forward(5, 10, 1, {2}), reply)) == Sequences{2});
  }
  SUBCASE("another term begins other streams") {
    CHECK(sequences(accepted.accept(forward(6, 9, 0, {4}), reply)) == Sequences{4});
  }
}

}  // namespace test_forwarding
