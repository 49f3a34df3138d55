// The order of a connection's requests, admission, and who waits for what.
#include <doctest/doctest.h>

#include "kv/command.hpp"
#include "node/client_queues.hpp"

namespace test_client_queues {

using namespace vesper;
using node::ClientQueues;

namespace {

node::ClientWrite write(std::uint64_t connection, std::uint64_t request,
                        Instant deadline = Instant{100}) {
  return {{connection, request}, SharedBytes::copy_of("0123456789"), deadline};
}

node::ClientRead read(std::uint64_t connection, std::uint64_t request,
                      node::ReadOptions options = {}, Instant deadline = Instant{100}) {
  return {{connection, request}, node::ReadKey{"k"}, deadline, options};
}

struct Queues {
  ClientQueues queues{3, 25};
  std::vector<std::uint64_t> taken;     // the request numbers of what was released, in order
  std::vector<node::ReadLevel> levels;  // of the reads
  std::optional<kv::LogTime> overdue;   // what a read would find

  void take(const node::ClientWrite& write) { taken.push_back(write.ticket.request); }
  void take(const node::ClientRead& read) {
    taken.push_back(read.ticket.request);
    levels.push_back(read.options.level);
  }
  struct Taker {
    Queues& queues;
    void operator()(const auto& one) const { queues.take(one); }
    std::optional<kv::LogTime> overdue(const node::ClientRead&) const { return queues.overdue; }
  };
  Taker taker() { return {*this}; }
  bool passes(node::ClientWrite request) {
    return queues.add_write(request) == ClientQueues::Placed::through;
  }
  std::vector<std::uint64_t> release(std::uint64_t connection,
                                     const ClientQueues::Progress& progress) {
    queues.release(connection, progress, taker());
    return std::exchange(taken, {});
  }
  std::vector<std::uint64_t> release_applied(const ClientQueues::Progress& progress) {
    queues.release_applied(progress, taker());
    return std::exchange(taken, {});
  }
  std::vector<std::uint64_t> release_reached(const ClientQueues::Progress& progress) {
    queues.release_reached(progress, taker());
    return std::exchange(taken, {});
  }
  std::vector<std::uint64_t> release_ended(const ClientQueues::Progress& progress) {
    queues.release_ended(progress, taker());
    return std::exchange(taken, {});
  }
};

using Numbers = std::vector<std::uint64_t>;
constexpr raft::Index k5{5}, k6{6};

}  // namespace

TEST_CASE(
    "T2: a read that would find an overdue key waits for its end, with what comes behind it") {
  Queues q;
  q.overdue = kv::LogTime(70);
  q.queues.add_read(read(1, 1), k5);
  CHECK_FALSE(q.passes(write(1, 2)));
  const auto at = [](std::int64_t due) {
    return ClientQueues::Progress{k5, k5, 1, kv::LogTime(due)};
  };
  CHECK(q.release_applied(at(60)).empty());
  CHECK(q.release_ended(at(60)).empty());
  CHECK(q.release(1, at(60)).empty());  // whatever else releases its connection
  CHECK(q.release_ended(at(70)).empty());
  // Keys that are overdue by now do not keep it any longer.
  q.overdue = kv::LogTime(80);
  CHECK(q.release_ended(at(71)) == Numbers{1, 2});
  CHECK(q.queues.reads() == 0);
}

TEST_CASE("T2: a connection that is released twice in a turn waits for the end of a key still") {
  Queues q;
  q.overdue = kv::LogTime(70);
  q.queues.add_read(read(1, 1), k5);
  q.queues.add_read(read(1, 2), k5);
  CHECK(q.release_applied({k5, k5, 1}).empty());
  CHECK(q.release_ended({k5, k5, 1, kv::LogTime(71)}) == Numbers{1, 2});
}

TEST_CASE("T2: a read that waits for the end of a key expires, and may be left") {
  Queues q;
  q.overdue = kv::LogTime(70);
  const ClientQueues::Progress progress{k5, k5, 1, kv::LogTime(60)};
  q.queues.add_read(read(1, 1), k5);
  q.queues.add_read(read(2, 1), k5);
  q.queues.add_read(read(2, 2), k5);
  CHECK(q.release_applied(progress).empty());
  CHECK(q.queues.leave(1).empty());
  CHECK(q.queues.awaits_end());
  const auto expired = q.queues.expire(Instant{100}, 1, node::Refusal::timeout);
  REQUIRE(expired.refused.size() == 2);
  CHECK(expired.refused[0].why == node::Refusal::timeout);
  CHECK(expired.refused[0].ticket.connection == 2);
  REQUIRE(expired.connections == Numbers{2});
  CHECK(q.release(2, progress).empty());
  CHECK_FALSE(q.queues.awaits_end());
  CHECK(q.queues.reads() == 0);
}

TEST_CASE("T2: of many reads whose keys have ended, some are released in a later turn") {
  Queues q;
  q.overdue = kv::LogTime(70);
  for (std::uint64_t connection = 1; connection <= 300; ++connection)
    q.queues.add_read(read(connection, connection), k5);
  CHECK(q.release_applied({k5, k5, 1, kv::LogTime(60)}).empty());
  CHECK_FALSE(q.queues.has_ended(kv::LogTime(70)));
  CHECK(q.queues.has_ended(kv::LogTime(71)));
  const ClientQueues::Progress progress{k5, k5, 1, kv::LogTime(71)};
  CHECK(q.release_ended(progress).size() == 256);
  CHECK(q.queues.has_ended(kv::LogTime(71)));
  CHECK(q.release_ended(progress).size() == 44);
  CHECK_FALSE(q.queues.awaits_end());
}

TEST_CASE("a read waits for the writes before it, and a write waits for the read before it") {
  Queues q;
  CHECK(q.passes(write(1, 1)));
  q.queues.add_read(read(1, 2), k5);
  CHECK_FALSE(q.passes(write(1, 3)));
  CHECK(q.passes(write(2, 1)));  // another connection does not wait
  CHECK(q.queues.writes() == 1);
  CHECK(q.queues.write_bytes() == 10);

  CHECK(q.release_applied({k5, k5, 1}).empty());
  REQUIRE(q.queues.end_write(1));
  CHECK(q.release(1, {k5, k5, 1}) == Numbers{2, 3});
  CHECK(q.queues.reads() == 0);
  CHECK(q.queues.write_bytes() == 0);
  REQUIRE(q.queues.end_write(1));
  CHECK(q.release(1, {k5, k5, 1}).empty());
  CHECK_FALSE(q.queues.has(1));
  CHECK_FALSE(q.queues.end_write(1));
}

TEST_CASE("a read waits until its index is applied") {
  Queues q;
  q.queues.add_read(read(1, 1), k6);
  CHECK(q.release_applied({k5, k6, 1}).empty());
  CHECK(q.release_applied({k6, k6, 1}) == Numbers{1});
}

TEST_CASE("a read of a batch waits for the reply to that batch") {
  Queues q;
  q.queues.add_read_of_batch(read(1, 1, {node::ReadLevel::lease, {}, 0}), 1);
  q.queues.add_read_of_batch(read(1, 2), 2);
  CHECK(q.release(1, {k6, k6, 1}).empty());
  REQUIRE(q.queues.confirm(1, 2, {7, k6, false}, k6));
  CHECK(q.release(1, {k6, k6, 1}) == Numbers{1});
  CHECK(q.levels == std::vector{node::ReadLevel::linearizable});  // by a round, without a lease
  CHECK_FALSE(q.queues.confirm(1, 3, {8, k6, false}, k5));        // not applied yet
  CHECK(q.release_applied({k6, k6, 1}) == Numbers{2});
  CHECK_FALSE(q.queues.confirm(9, 3, {8, k6, false}, k6));  // it has hung up
}

TEST_CASE("a stale read is not evaluated in the middle of applying") {
  Queues q;
  q.queues.add_read(read(1, 1, {node::ReadLevel::stale, {}, 0}), k5);
  CHECK(q.release_applied({k5, k6, 1}).empty());
  CHECK(q.release_applied({k6, k6, 1}) == Numbers{1});
}

TEST_CASE("a read waits for its revision, and ends as unreached") {
  Queues q;
  q.queues.add_read(read(1, 1, {node::ReadLevel::stale, {}, 9}), k5);
  q.queues.add_read(read(2, 1, {node::ReadLevel::stale, {}, 20}, Instant{50}), k5);
  CHECK(q.release_applied({k5, k5, 8}).empty());
  CHECK(q.release_reached({k5, k5, 8}).empty());
  CHECK(q.release_reached({k5, k5, 9}) == Numbers{1});

  CHECK(q.queues.next_expiry() <= Instant{50});
  const auto expiry = q.queues.expire(Instant{50}, 9, node::Refusal::timeout);
  REQUIRE(expiry.refused.size() == 1);
  CHECK(expiry.refused[0].why == node::Refusal::unreached);
  CHECK(expiry.connections == Numbers{2});
  CHECK(q.queues.next_expiry() == kNever);
}

TEST_CASE("admission counts both queued and pending writes") {
  Queues q;
  node::PendingWrites taken;
  node::HeldRequests held(9, 100);
  CHECK(q.queues.has_room(1000, taken, held));  // one write, whatever its size
  taken.add({1, 1}, SharedBytes::copy_of("0123456789"), Instant{100});
  q.queues.add_read(read(1, 2), k6);
  CHECK(q.queues.has_room(15, taken, held));
  CHECK_FALSE(q.queues.has_room(16, taken, held));
  CHECK_FALSE(q.passes(write(1, 3)));
  CHECK_FALSE(q.queues.has_room(0, taken, held));  // three requests
}

TEST_CASE("a client that hangs up loses its reads and keeps its admitted writes") {
  Queues q;
  q.queues.add_read(read(1, 1), k6);
  CHECK_FALSE(q.passes(write(1, 2)));
  const auto writes = q.queues.leave(1);
  REQUIRE(writes.size() == 1);
  CHECK(writes[0].ticket.request == 2);
  CHECK(q.queues.reads() == 0);
  CHECK(q.queues.writes() == 0);
  CHECK(q.queues.leave(1).empty());
  CHECK(q.release_applied({k6, k6, 1}).empty());
}

TEST_CASE("clear and expire remove requests in order") {
  Queues q;
  q.queues.add_read(read(1, 1), k6);
  CHECK_FALSE(q.passes(write(1, 2)));
  q.queues.add_read(read(2, 1), k6);
  SUBCASE("clear") {
    const auto cleared = q.queues.clear();
    REQUIRE(cleared.size() == 3);
    CHECK(cleared[1].request == 2);
    CHECK(cleared[2].connection == 2);
  }
  SUBCASE("expire") {
    const auto expiry = q.queues.expire(Instant{100}, 1, node::Refusal::timeout);
    REQUIRE(expiry.refused.size() == 3);
    CHECK(expiry.refused[0].why == node::Refusal::timeout);
    CHECK(expiry.refused[1].why == node::Refusal::no_leader);  // a write
    CHECK(expiry.connections == Numbers{1, 2});
    for (const std::uint64_t connection : expiry.connections)
      CHECK(q.release(connection, {k5, k5, 1}).empty());
  }
  CHECK(q.queues.reads() == 0);
  CHECK(q.queues.writes() == 0);
  CHECK_FALSE(q.queues.has(1));
}

}  // namespace test_client_queues
