#include <doctest/doctest.h>

#include "kv/command.hpp"
#include "node/expiry.hpp"

namespace test_expiry {

using namespace vesper;
using namespace vesper::node;

namespace {

constexpr kv::LogTime at(std::int64_t s) {
  return kv::LogTime(s * 1'000'000'000);
}

// A store, and the log that leads to it.
struct Replica {
  kv::Store store;
  raft::Index index;

  void apply(const std::string& command, kv::LogTime now) {
    index = index.next();
    REQUIRE(store.apply(SharedBytes::copy_of(command), now, index.value).ok());
  }
  void put(const std::string& key, Duration ttl) {
    kv::Put put;
    put.key = SharedBytes::copy_of(key);
    put.ttl = ttl;
    apply(kv::encode(kv::Conditions(), put), at(0));
  }
};

}  // namespace

TEST_CASE("nothing is named before it is due") {
  Replica replica;
  Expiry expiry;
  CHECK(expiry.deadline(replica.store, at(0), Instant{}) == kNever);
  replica.put("k", seconds(3));
  CHECK_FALSE(expiry.next_command(replica.store, kv::LogTime{at(3).value - 1}));
  CHECK(expiry.deadline(replica.store, at(1), Instant{} + seconds(100)) ==
        Instant{} + seconds(102));
  const auto expire = expiry.next_command(replica.store, at(3));
  REQUIRE(expire);
  REQUIRE(expire->keys.size() == 1);
  CHECK(expire->keys[0].key.view() == "k");
  CHECK(expire->keys[0].deadline == at(3));
}

TEST_CASE("many keys are named in several commands, each once, a few in a turn and in flight") {
  Replica replica;
  Expiry expiry;
  const std::size_t count = kv::kMaxExpired * 6 + 5;
  for (std::size_t i = 0; i < count; ++i) replica.put(std::to_string(i), seconds(3));
  std::vector<kv::Expire> commands;
  std::uint64_t proposed = replica.index.value;
  const auto propose_all = [&] {
    std::size_t n = 0;
    while (auto expire = expiry.next_command(replica.store, at(3))) {
      commands.push_back(std::move(*expire));
      expiry.proposed(raft::Index{++proposed});
      ++n;
    }
    return n;
  };
  CHECK(propose_all() == 4);
  CHECK(propose_all() == 0);
  CHECK(expiry.deadline(replica.store, at(3), Instant{5}) == Instant{5});  // at once, the others
  expiry.begin_turn(replica.index);
  CHECK(propose_all() == 4);
  CHECK(expiry.deadline(replica.store, at(3), Instant{5}) > Instant{5});
  expiry.begin_turn(replica.index);
  CHECK(propose_all() == 0);
  std::size_t applied = 0;
  while (applied < commands.size()) {
    replica.apply(kv::encode(commands[applied++]), at(3));
    expiry.begin_turn(replica.index);
    propose_all();
  }
  CHECK(replica.store.size() == 0);
  CHECK(commands.size() == 13);
  CHECK(commands[0].keys.size() == kv::kMaxExpired / 2);
}

TEST_CASE("a key that is due earlier than what is in flight is not passed over") {
  Replica replica;
  Expiry expiry;
  replica.put("first", seconds(2));
  REQUIRE(expiry.next_command(replica.store, at(3)));
  expiry.proposed(raft::Index{100});
  replica.put("second", seconds(3));
  REQUIRE(expiry.next_command(replica.store, at(3)));
  expiry.proposed(raft::Index{101});
  replica.put("early", seconds(1));
  CHECK_FALSE(expiry.next_command(replica.store, at(3)));  // all of the first is in flight
  expiry.begin_turn(raft::Index{100});
  const auto expire = expiry.next_command(replica.store, at(3));
  REQUIRE(expire);
  CHECK(expire->keys[0].key.view() == "early");
}

TEST_CASE("after a loss of leadership everything is named again") {
  Replica replica;
  Expiry expiry;
  replica.put("k", seconds(1));
  REQUIRE(expiry.next_command(replica.store, at(5)));
  expiry.proposed(raft::Index{9});
  CHECK_FALSE(expiry.next_command(replica.store, at(5)));
  expiry.forget();
  CHECK(expiry.next_command(replica.store, at(5)));
}

TEST_CASE("a lock that is to be passed on is named until it is") {
  Replica replica;
  Expiry expiry;
  kv::AcquireLock acquire;
  acquire.lock.name = "n";
  acquire.ttl = seconds(60);
  acquire.boot = 7;
  acquire.if_held = kv::AcquireLock::IfHeld::queue;
  acquire.most_locks = acquire.most_waiters = 9'999;
  for (std::size_t i = 0; i < kv::kMaxExpired + 2; ++i) replica.apply(kv::encode(acquire), at(0));
  acquire.boot = 8;
  replica.apply(kv::encode(acquire), at(5));
  replica.apply(kv::encode(kv::ReleaseLock{acquire.lock, 2}), at(5));
  REQUIRE(replica.store.locks().to_pass_on().size() == 1);
  CHECK(expiry.deadline(replica.store, at(5), Instant{}) <= Instant{} + milliseconds(5));
  const auto expire = expiry.next_command(replica.store, at(5));
  REQUIRE(expire);
  REQUIRE(expire->locks.size() == 1);
  CHECK(expire->locks[0].token == 0);
  replica.apply(kv::encode(*expire), at(5));
  CHECK(replica.store.locks().token_of("n") == 4);
}

TEST_CASE("leases, locks and sessions that are due are named together, and once at a time") {
  Replica replica;
  Expiry expiry;
  replica.apply(kv::encode(kv::GrantLease{seconds(1), 9}), at(0));
  kv::AcquireLock acquire;
  acquire.lock.name = "n";
  acquire.ttl = seconds(1);
  acquire.boot = 7;
  acquire.if_held = kv::AcquireLock::IfHeld::queue;
  acquire.most_locks = acquire.most_waiters = 9;
  replica.apply(kv::encode(acquire), at(0));
  replica.apply(kv::encode(acquire), at(0));
  const auto expire = expiry.next_command(replica.store, at(5));
  REQUIRE(expire);
  CHECK(expire->leases == std::vector<std::uint64_t>{1});
  REQUIRE(expire->locks.size() == 1);
  CHECK(expire->locks[0].token == 2);
  REQUIRE(expire->sessions.size() == 1);
  CHECK(expire->sessions[0] == kv::SessionId{7, 0});
  expiry.proposed(replica.index.next());
  CHECK_FALSE(expiry.next_command(replica.store, at(5)));
  replica.apply(kv::encode(*expire), at(5));
  expiry.begin_turn(replica.index);
  CHECK_FALSE(expiry.next_command(replica.store, at(5)));
  CHECK(replica.store.next_expiry() == kv::kEndOfLogTime);
}

}  // namespace test_expiry
