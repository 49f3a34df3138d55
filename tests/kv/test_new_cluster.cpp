// A store that becomes the start of a new cluster: keys stay, and no older id or token is valid.
#include <doctest/doctest.h>

#include "import.hpp"
#include "store_helpers.hpp"

using namespace vesper;
using namespace vesper::kv;
using namespace vesper::test;
using Kind = WriteResult::Kind;

namespace {

std::string acquire(Space space, std::string name) {
  AcquireLock acquire;
  acquire.lock = {space, std::move(name)};
  acquire.ttl = seconds(15);
  acquire.boot = 11;
  acquire.if_held = AcquireLock::IfHeld::queue;
  acquire.most_locks = 10;
  acquire.most_waiters = 10;
  return encode(acquire);
}

std::string put(std::string_view key, std::string_view value) {
  return encode_put(key, value, ValueForm::bytes, {});
}

std::string fenced_put(std::string_view lock, std::uint64_t token) {
  Put put;
  put.key = bytes_of("k");
  put.value = bytes_of("v");
  return encode({}, put, std::nullopt, Fence{std::string(lock), token});
}

// The store as a server has it after it has read the snapshot of it.
std::unique_ptr<Store> read_back(Store& store) {
  auto copy = import_in(content_of(store), 7);
  REQUIRE_MESSAGE(copy.ok(), (copy ? "" : copy.error().what));
  CHECK((*copy)->digest() == store.digest());
  CHECK((*copy)->recomputed_digest() == (*copy)->digest());
  CHECK((*copy)->revision() == store.revision());
  CHECK((*copy)->keyspace().oldest_revision() == store.keyspace().oldest_revision());
  return std::move(copy.value());
}

void expect_goes_on(Store& store, std::uint64_t revision) {
  const WriteResult written = run(store, put("new", "x"), at_second(5), 200);
  CHECK(written.revision == revision + 1);
  run(store, encode_remove("new", {}), at_second(6), 201);
  CHECK(store.keyspace().events() >= 2);
  CHECK(store.digest() == store.recomputed_digest());
  read_back(store);
}

}  // namespace

TEST_CASE("the revision leaps, and becomes the oldest one") {
  Store store;
  for (int i = 0; i < 200; ++i)
    run(store, put("k" + std::to_string(i % 20), std::to_string(i)), at_second(1));
  run(store, encode_remove("k3", {}), at_second(2));
  CHECK(store.revision() == 202);
  store.begin_new_cluster(at_second(3));
  const std::uint64_t revision = 202 + kRevisionLeap;
  CHECK(store.revision() == revision);
  CHECK(store.keyspace().oldest_revision() == revision);
  CHECK(store.keyspace().events() == 0);
  CHECK(store.digest() == store.recomputed_digest());
  CHECK(store.size() == 19);
  CHECK(store.find("k3") == nullptr);
  REQUIRE(store.find("k4") != nullptr);
  CHECK(store.find("k4")->value() == "184");
  CHECK(store.find("k4")->revision() == 186);  // of its last write, as before
  const auto copy = read_back(store);
  CHECK(copy->find("k4")->value() == "184");
  CHECK(copy->keyspace().find("k4", revision) != nullptr);
  while (!store.sweep(10, 1000)) {
  }
  expect_goes_on(store, revision);
  expect_goes_on(*copy, revision);
  CHECK(copy->digest() == store.digest());
}

TEST_CASE("an empty store and one without history begin a new cluster, too") {
  Store empty;
  empty.begin_new_cluster(at_second(1));
  CHECK(empty.revision() == 1 + kRevisionLeap);
  expect_goes_on(*read_back(empty), 1 + kRevisionLeap);
  // A second time: the oldest revision has no event.
  empty.begin_new_cluster(at_second(2));
  CHECK(empty.revision() == 1 + 2 * kRevisionLeap);
  expect_goes_on(*read_back(empty), 1 + 2 * kRevisionLeap);
}

TEST_CASE("locks and elections are released and queues given up, so that older fences fail") {
  Store store;
  run(store, put("k", "v"), at_second(1));
  const std::uint64_t token = run(store, acquire(Space::locks, "a"), at_second(1), 100).revision;
  run(store, acquire(Space::elections, "b"), at_second(1), 101);
  run(store, acquire(Space::locks, "a"), at_second(1), 102);  // waits
  run(store, acquire(Space::locks, "a"), at_second(1), 103);
  CHECK(run(store, fenced_put("a", token), at_second(1), 104).is_done());
  store.begin_new_cluster(at_second(2));
  CHECK(store.locks().held() == 0);
  CHECK(store.locks().waiters() == 0);
  CHECK(store.keyspace().events() == 2);  // watches of the two see that they are free
  CHECK(store.digest() == store.recomputed_digest());
  const std::uint64_t revision = store.revision();
  const auto copy = read_back(store);
  for (Store* each : {&store, copy.get()}) {
    CHECK(run(*each, fenced_put("a", token), at_second(2), 105).kind == Kind::fenced);
    const WriteResult granted = run(*each, acquire(Space::locks, "a"), at_second(2), 106);
    CHECK(granted.revision == revision + 1);
    CHECK(run(*each, fenced_put("a", token), at_second(2), 107).kind == Kind::fenced);
    CHECK(run(*each, fenced_put("a", revision + 1), at_second(2), 108).is_done());
  }
  CHECK(copy->digest() == store.digest());
}

TEST_CASE("leases and the results of keyed writes stay") {
  Store store;
  GrantLease grant;
  grant.ttl = seconds(30);
  grant.most = 10;
  run(store, encode(grant), at_second(1), 50);
  IdempotencyKey key{"key", {1, 2}};
  const std::string command = encode_put("k", "v", ValueForm::bytes, {}, key);
  const std::uint64_t revision = run(store, command, at_second(1), 51).revision;
  store.begin_new_cluster(at_second(2));
  const auto copy = read_back(store);
  CHECK(copy->leases().size() == 1);
  const WriteResult again = run(*copy, command, at_second(3), 52);
  CHECK(again.replayed);
  CHECK(again.revision == revision);
}

TEST_CASE("a snapshot whose revisions have no event is refused, except for the oldest one") {
  Keyspace keyspace;
  CHECK_FALSE(keyspace.begin_import(10, 5, {{6, 0}}));
  Keyspace twice;
  CHECK_FALSE(twice.begin_import(10, 5, {{5, 0}, {5, 0}}));
  Keyspace far;
  CHECK_FALSE(far.begin_import(std::uint64_t{1} << 40, 5, {{5, 0}}));
  Keyspace good;
  CHECK(good.begin_import(5, 5, {{5, 0}}));
  CHECK(good.finish_import());
}
