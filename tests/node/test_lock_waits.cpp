#include <doctest/doctest.h>

#include "kv/command.hpp"
#include "node/lock_waits.hpp"

namespace test_lock_waits {

using namespace vesper;
using namespace vesper::node;
using Decided = LockWaits::Decided;
using Manner = kv::LeaveQueue::Manner;

namespace {

constexpr std::uint64_t kBoot = 7;
const kv::LockName kLock{kv::Space::locks, "n"};

constexpr Instant at(std::int64_t s) {
  return Instant{} + seconds(s);
}

// A store whose lock "n" is held by another client, and the waits of a node.
struct House {
  House() { acquire(""); }

  kv::WriteResult apply(const std::string& command) {
    const auto result = store.apply(SharedBytes::copy_of(command), kv::LogTime{}, ++index);
    REQUIRE(result.ok());
    return *result;
  }
  kv::WriteResult acquire(const std::string& key) {
    kv::AcquireLock acquire;
    acquire.lock = kLock;
    acquire.ttl = seconds(15);
    acquire.boot = kBoot;
    acquire.if_held = kv::AcquireLock::IfHeld::queue;
    acquire.most_locks = acquire.most_waiters = 9;
    if (key.empty()) return apply(kv::encode(acquire));
    return apply(kv::encode(acquire, kv::IdempotencyKey{key, {}}));
  }
  // A client asks for the lock at second 0, and waits until second 60.
  LockWaits::Decided ask(std::uint64_t connection, const std::string& key = "") {
    const Ticket ticket{connection, 1};
    waits.add(ticket, std::make_shared<LockWait>(LockWait{kLock, at(60), key}));
    return waits.decided(ticket, acquire(key), at(0));
  }
  std::uint64_t token() const { return store.locks().holder(kLock)->token; }
  void release() { apply(kv::encode(kv::ReleaseLock{kLock, token()})); }
  std::vector<LockWaits::Answer> answers() {
    std::vector<LockWaits::Answer> all;
    for (const auto& left : store.take_left_queue())
      if (auto answer = waits.left_queue(left, store, log_time, at(1)))
        all.push_back(std::move(*answer));
    return all;
  }
  // The manners in which places are withdrawn now.
  std::vector<Manner> withdrawn(Instant now) {
    std::vector<Manner> manners;
    for (const std::string& command : waits.take_due(store, now).commands) {
      const auto decoded = kv::decode_command(SharedBytes::copy_of(command));
      if (const auto* leave = std::get_if<kv::LeaveQueue>(&decoded->body))
        manners.push_back(leave->manner);
      apply(command);
    }
    return manners;
  }

  kv::Store store;
  LockWaits waits{kBoot};
  std::uint64_t index = 0;
  kv::LogTime log_time;  // of this node
};

}  // namespace

TEST_CASE("a waiter is answered when the lock is passed on to it") {
  House house;
  CHECK(house.ask(1) == Decided::waits);
  CHECK(house.ask(2) == Decided::waits);
  house.release();
  const auto answers = house.answers();
  REQUIRE(answers.size() == 1);
  CHECK(answers[0].ticket.connection == 1);
  const auto& result = std::get<kv::WriteResult>(answers[0].reply);
  CHECK(std::get<kv::LockResult>(result.result).token == house.token());
  CHECK(house.waits.waiting() == 1);
}

TEST_CASE("places are renewed while someone waits, and not afterwards") {
  House house;
  CHECK(house.waits.deadline() == kNever);
  CHECK(house.ask(1) == Decided::waits);
  CHECK(house.waits.deadline() <= at(0));
  CHECK(house.waits.take_due(house.store, at(0)).renews);
  CHECK(house.waits.deadline() == at(0) + milliseconds(500));
  house.release();
  (void)house.answers();
  CHECK(house.waits.deadline() == kNever);
}

TEST_CASE("a waiter whose time is over leaves the queue and hears that the lock is busy") {
  House house;
  CHECK(house.ask(1, "key") == Decided::waits);
  CHECK(house.withdrawn(at(59)).empty());
  CHECK(house.withdrawn(at(60)) == std::vector<Manner>{Manner::timed_out});
  const auto answers = house.answers();
  REQUIRE(answers.size() == 1);
  CHECK(std::get<kv::WriteResult>(answers[0].reply).kind == kv::WriteResult::Kind::lock_busy);
  CHECK(house.waits.empty());
  CHECK(house.acquire("key").kind == kv::WriteResult::Kind::lock_busy);
}

TEST_CASE("a client that hangs up leaves the queue") {
  House house;
  SUBCASE("while it waits") {
    CHECK(house.ask(1) == Decided::waits);
    house.waits.leave(1, at(1));
    CHECK(house.withdrawn(at(1)) == std::vector<Manner>{Manner::hung_up});
  }
  SUBCASE("before its request is decided") {
    const Ticket ticket{1, 1};
    house.waits.add(ticket, std::make_shared<LockWait>(LockWait{kLock, at(60), ""}));
    house.waits.leave(1, at(0));
    CHECK(house.waits.decided(ticket, house.acquire(""), at(1)) == Decided::waits);
    CHECK(house.withdrawn(at(1)) == std::vector<Manner>{Manner::hung_up});
  }
  CHECK(house.answers().empty());
  CHECK(house.waits.empty());
  CHECK(house.store.locks().waiters() == 0);
}

TEST_CASE("a lock that was granted to a client which has hung up is released") {
  House house;
  SUBCASE("the grant overtook the withdrawal") {
    CHECK(house.ask(1) == Decided::waits);
    house.release();
    house.waits.leave(1, at(1));
    CHECK(house.answers().empty());
  }
  SUBCASE("the request found the lock free") {
    house.release();
    const Ticket ticket{1, 1};
    house.waits.add(ticket, std::make_shared<LockWait>(LockWait{kLock, at(60), ""}));
    house.waits.leave(1, at(0));
    CHECK(house.waits.decided(ticket, house.acquire(""), at(1)) == Decided::answer);
  }
  CHECK(house.store.locks().held() == 1);
  CHECK(house.waits.deadline() <= at(1));
  CHECK(house.withdrawn(at(1)) == std::vector<Manner>{Manner::hung_up});
  CHECK(house.store.locks().held() == 0);
}

TEST_CASE("a client with an idempotency key that hangs up keeps its place for a while") {
  House house;
  CHECK(house.ask(1, "key") == Decided::waits);
  house.waits.leave(1, at(1));
  CHECK(house.withdrawn(at(1)) == std::vector<Manner>{Manner::disconnected});
  CHECK(house.store.locks().waiters() == 1);
  CHECK(house.ask(2, "key") == Decided::waits);
  house.release();
  const auto answers = house.answers();
  REQUIRE(answers.size() == 1);
  CHECK(answers[0].ticket.connection == 2);
}

TEST_CASE("a wait that cannot be withdrawn ends as unknown") {
  House house;
  CHECK(house.ask(1) == Decided::waits);
  const std::vector<Ticket> none = house.waits.take_due(house.store, at(60)).unknown;
  CHECK(none.empty());
  const std::vector<Ticket> unknown = house.waits.take_due(house.store, at(66)).unknown;
  REQUIRE(unknown.size() == 1);
  CHECK(unknown[0].connection == 1);
  CHECK(house.waits.take_due(house.store, at(70)).unknown.empty());
}

TEST_CASE("after a snapshot, waits are compared with what the store has decided") {
  House house;
  CHECK(house.ask(1) == Decided::waits);
  CHECK(house.ask(2) == Decided::waits);
  CHECK(house.ask(3) == Decided::waits);
  house.release();
  (void)house.store.take_left_queue();
  house.apply(kv::encode(kv::LeaveQueue{kLock, 3, 3, kBoot, Manner::hung_up}));
  (void)house.store.take_left_queue();
  const auto answers = house.waits.compare(house.store, kv::LogTime{}, at(1));
  REQUIRE(answers.size() == 2);
  CHECK(std::get<kv::WriteResult>(answers[0].reply).is_done());
  CHECK(std::get<kv::WriteResult>(answers[1].reply).kind == kv::WriteResult::Kind::lock_lost);
  CHECK(house.waits.waiting() == 1);
}

TEST_CASE("the same request over two connections is answered on the later one") {
  House house;
  CHECK(house.ask(1, "key") == Decided::waits);
  CHECK(house.ask(2, "key") == Decided::waits);
  CHECK(house.waits.deadline() == Instant{});
  const auto unknown = house.waits.take_due(house.store, at(1)).unknown;
  REQUIRE(unknown.size() == 1);
  CHECK(unknown[0].connection == 1);
  // The first one hangs up: the place is no longer its own.
  house.waits.leave(1, at(1));
  CHECK(house.withdrawn(at(2)).empty());
  house.release();
  CHECK(house.answers().size() == 1);
}

TEST_CASE("a node that learns late of a grant tells what is left of it") {
  House house;
  CHECK(house.ask(1) == Decided::waits);
  house.release();
  SUBCASE("some") {
    house.log_time = kv::LogTime{seconds(14).ns};
    const auto answers = house.answers();
    REQUIRE(answers.size() == 1);
    const auto& result = std::get<kv::WriteResult>(answers[0].reply).result;
    CHECK(std::get<kv::LockResult>(result).ttl == seconds(1));
  }
  SUBCASE("nothing") {
    house.log_time = kv::LogTime{seconds(15).ns};
    const auto answers = house.answers();
    REQUIRE(answers.size() == 1);
    CHECK(std::get<kv::WriteResult>(answers[0].reply).kind == kv::WriteResult::Kind::lock_lost);
  }
}

TEST_CASE("the place of a request that ended as unknown is withdrawn") {
  House house;
  const auto wait = std::make_shared<LockWait>(LockWait{kLock, at(60), ""});
  SUBCASE("when its command is decided") {
    const auto result = house.acquire("");
    house.waits.abandon(wait, std::get<kv::LockResult>(result.result), at(1));
  }
  SUBCASE("when a snapshot shows it") {
    (void)house.acquire("");
    CHECK(house.waits.compare(house.store, kv::LogTime{}, at(1)).empty());
  }
  CHECK(house.withdrawn(at(1)) == std::vector<Manner>{Manner::hung_up});
  CHECK(house.store.locks().waiters() == 0);
}

}  // namespace test_lock_waits
