// What reads of leases, locks and elections find in a store, and where their lists end.
#include <doctest/doctest.h>

#include <string>

#include "kv/command.hpp"
#include "node/lock_reads.hpp"

namespace test_lock_reads {

using namespace vesper;
using namespace vesper::node;

namespace {

class Filled {
 public:
  kv::Store store;

  // Returns the index of the entry.
  std::uint64_t run(const std::string& command, std::int64_t at_second = 1) {
    const kv::LogTime now{at_second * 1'000'000'000};
    const auto result = store.apply(SharedBytes::copy_of(command), now, ++index_);
    REQUIRE(result.ok());
    REQUIRE(result->is_done());
    return index_;
  }
  std::uint64_t grant(Duration ttl) { return run(kv::encode(kv::GrantLease{ttl, 1000})); }
  std::uint64_t acquire(kv::Space space, const std::string& name, const std::string& value = {}) {
    kv::AcquireLock acquire;
    acquire.lock = {space, name};
    acquire.ttl = seconds(15);
    acquire.boot = 1;
    acquire.if_held = kv::AcquireLock::IfHeld::queue;
    acquire.most_locks = acquire.most_waiters = 100'000;
    acquire.value = SharedBytes::copy_of(value);
    return run(kv::encode(acquire));
  }
  void put(const std::string& key, std::uint64_t lease) {
    kv::Put put;
    put.key = SharedBytes::copy_of(key);
    put.lease = lease;
    run(kv::encode({}, put));
  }

 private:
  std::uint64_t index_ = 0;
};

std::string names_in(const LocksFound& found) {
  std::string names;
  for (const HeldLock& held : found.locks) names += std::string(held.version->key()) + ' ';
  return names;
}

}  // namespace

TEST_CASE("a lease is found while it is active, with the number of its keys") {
  Filled filled;
  const std::uint64_t first = filled.grant(seconds(5)), second = filled.grant(seconds(7));
  filled.put("a", second);
  filled.put("b", second);
  const LeaseFound found = look_up(filled.store, ReadLease{second});
  REQUIRE(found.lease);
  CHECK(found.lease->lease == second);
  CHECK(found.lease->ttl == seconds(7));
  CHECK(found.lease->deadline == kv::LogTime{8'000'000'000});
  CHECK(found.lease->keys == 2);
  CHECK(look_up(filled.store, ReadLease{first}).lease->keys == 0);
  filled.run(kv::encode(kv::EndLease{first}));
  CHECK_FALSE(look_up(filled.store, ReadLease{first}).lease);
  CHECK_FALSE(look_up(filled.store, ReadLease{second + 100}).lease);
}

TEST_CASE("a list of leases has a limit, goes on after an id, and leaves out what is over") {
  Filled filled;
  CHECK(look_up(filled.store, ReadLeases{0, 10}).leases.empty());
  std::vector<std::uint64_t> ids;
  for (int i = 0; i < 5; ++i) ids.push_back(filled.grant(seconds(5)));
  LeasesFound found = look_up(filled.store, ReadLeases{0, 2});
  REQUIRE(found.leases.size() == 2);
  CHECK(found.leases[1].lease == ids[1]);
  CHECK(found.count == 5);
  CHECK(found.more);
  found = look_up(filled.store, ReadLeases{ids[1], 3});
  CHECK(found.leases.size() == 3);
  CHECK_FALSE(found.more);
  // A lease with more keys than are deleted at once is over, but exists until they are gone.
  for (std::size_t i = 0; i <= kv::kMaxExpired; ++i) filled.put("k" + std::to_string(i), ids[4]);
  filled.run(kv::encode(kv::EndLease{ids[4]}));
  REQUIRE(filled.store.leases().size() == 5);
  found = look_up(filled.store, ReadLeases{0, 4});
  CHECK(found.leases.size() == 4);
  CHECK(found.count == 4);
  CHECK_FALSE(found.more);
  CHECK_FALSE(look_up(filled.store, ReadLease{ids[4]}).lease);
}

TEST_CASE("a list of leases may have a prefix of their ids, and is in the order of the numbers") {
  Filled filled;
  std::vector<std::uint64_t> ids;
  for (int i = 0; i < 130; ++i) ids.push_back(filled.grant(seconds(5)));
  for (const std::uint64_t prefix : {1u, 2u, 12u, 13u, 129u, 7u, 999u, 1844u}) {
    std::vector<std::uint64_t> expected, seen;
    for (const std::uint64_t id : ids)
      if (std::to_string(id).starts_with(std::to_string(prefix))) expected.push_back(id);
    LeasesFound found{.more = true};
    while (found.more) {
      found = look_up(filled.store, ReadLeases{seen.empty() ? 0 : seen.back(), 3, prefix});
      REQUIRE((found.more ? found.leases.size() == 3 : found.leases.size() <= 3));
      for (const LeaseState& lease : found.leases) seen.push_back(lease.lease);
    }
    CHECK(seen == expected);
  }
  const std::uint64_t most = UINT64_MAX;
  CHECK(look_up(filled.store, ReadLeases{0, 3, most}).leases.empty());
  CHECK(look_up(filled.store, ReadLeases{0, 3, most / 10}).leases.empty());
}

TEST_CASE("a lock is found with its holder and the first places of its queue") {
  Filled filled;
  const kv::LockName lock{kv::Space::locks, "n"};
  CHECK_FALSE(look_up(filled.store, ReadLock{lock}).held);
  filled.acquire(kv::Space::locks, "n");
  const std::uint64_t token = filled.store.revision();
  const std::uint64_t place = filled.acquire(kv::Space::locks, "n");
  for (std::size_t i = 0; i < LockFound::kMaxQueue; ++i) filled.acquire(kv::Space::locks, "n");
  const LockFound found = look_up(filled.store, ReadLock{lock});
  REQUIRE(found.held);
  CHECK(found.held->token == token);
  CHECK(found.held->deadline == kv::LogTime{16'000'000'000});
  CHECK(found.held->waiters == LockFound::kMaxQueue + 1);
  CHECK(found.waiters == LockFound::kMaxQueue + 1);
  REQUIRE(found.queue.size() == LockFound::kMaxQueue);
  CHECK(found.queue.front() == place);
  CHECK(found.queue.back() == place + LockFound::kMaxQueue - 1);
  // An election of the same name is another one.
  CHECK_FALSE(look_up(filled.store, ReadLock{{kv::Space::elections, "n"}}).held);
}

TEST_CASE("a list of locks has those of its space and range, up to a limit") {
  Filled filled;
  for (const std::string name : {"b/2", "a", "b/1", "c", "b/3"})
    filled.acquire(kv::Space::locks, name);
  filled.acquire(kv::Space::elections, "b/0", "value");
  const auto list = [&](kv::Space space, const kv::KeyRange& range, std::size_t limit) {
    return look_up(filled.store, ReadLocks{space, range, {}, limit});
  };
  CHECK(names_in(list(kv::Space::locks, {}, 10)) == "a b/1 b/2 b/3 c ");
  const LocksFound page = list(kv::Space::locks, kv::KeyRange::of_prefix("b/"), 2);
  CHECK(names_in(page) == "b/1 b/2 ");
  CHECK(page.count == 3);
  CHECK(page.more);
  CHECK_FALSE(list(kv::Space::locks, kv::KeyRange::of_prefix("b/"), 3).more);
  const LocksFound last =
      look_up(filled.store, ReadLocks{kv::Space::locks, kv::KeyRange::of_prefix("b/"), "b/3", 2});
  CHECK(names_in(last) == "b/3 ");
  CHECK(last.count == 3);  // in the whole range
  CHECK_FALSE(last.more);
  CHECK(names_in(list(kv::Space::locks, {"b/2", "c"}, 10)) == "b/2 b/3 ");
  const LocksFound elections = list(kv::Space::elections, {}, 10);
  REQUIRE(names_in(elections) == "b/0 ");
  CHECK(elections.locks[0].version->value() == "value");
  CHECK(elections.count == 1);
}

TEST_CASE("a list of elections ends when it has enough bytes") {
  Filled filled;
  const std::string value(kv::kMaxElectionValue, 'v');
  const std::size_t some = LocksFound::kMaxBytes / value.size() + 10;
  for (std::size_t i = 0; i < some; ++i)
    filled.acquire(kv::Space::elections, std::to_string(i), value);
  const LocksFound found = look_up(filled.store, ReadLocks{kv::Space::elections, {}, {}, 10'000});
  CHECK(found.locks.size() < some);
  CHECK(found.locks.size() > some - 20);
  CHECK(found.more);
  CHECK(found.count == some);
}

}  // namespace test_lock_reads
