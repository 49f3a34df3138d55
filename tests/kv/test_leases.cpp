#include <doctest/doctest.h>

#include "store_helpers.hpp"

using namespace vesper;
using namespace vesper::kv;
using namespace vesper::test;
using Kind = WriteResult::Kind;

namespace {

Operation put_with(std::string_view key, std::uint64_t lease, Duration ttl = {}) {
  Put put;
  put.key = bytes_of(key);
  put.value = bytes_of("v");
  put.lease = lease;
  put.ttl = ttl;
  return put;
}

std::string put_ttl(std::string_view key, Duration ttl) {
  return encode({}, put_with(key, 0, ttl));
}

std::string put_lease(std::string_view key, std::uint64_t lease) {
  return encode({}, put_with(key, lease));
}

Expire expire_of(const Store& store, std::string_view key) {
  Expire expire;
  expire.keys.push_back({bytes_of(key), store.find(key)->deadline()});
  return expire;
}

Expire expire_of(std::uint64_t lease) {
  Expire expire;
  expire.leases.push_back(lease);
  return expire;
}

const LeaseResult& lease_in(const WriteResult& result) {
  REQUIRE(result.is_done());
  return std::get<LeaseResult>(result.result);
}

}  // namespace

TEST_CASE(
    "a key expires no earlier than its deadline, and only if the command names its deadline") {
  Store store;
  run(store, put_ttl("k", seconds(5)), at_second(10));
  CHECK(store.find("k")->deadline() == at_second(15));
  CHECK(store.next_expiry() == at_second(15));
  const Expire expire = expire_of(store, "k");
  run(store, encode(expire), LogTime{at_second(15).value - 1});
  CHECK(store.find("k") != nullptr);
  SUBCASE("at the deadline it does") {
    run(store, encode(expire), at_second(15));
    CHECK(store.find("k") == nullptr);
    CHECK(store.next_expiry() == kEndOfLogTime);
    const auto history = store.keyspace().history("k", 10);
    REQUIRE(history.size() == 2);
    CHECK(history[0]->is_tombstone());
    CHECK(history[0]->is_expired());
    CHECK(store.revision() == 3);
  }
  SUBCASE("a newer version of the key is left alone") {
    run(store, put_ttl("k", seconds(1)), at_second(11));
    run(store, encode(expire), at_second(20));
    CHECK(store.find("k") != nullptr);
  }
  SUBCASE("a put without a time to live ends it") {
    run(store, encode_put("k", "w", ValueForm::bytes, {}), at_second(11));
    CHECK(store.next_expiry() == kEndOfLogTime);
    run(store, encode(expire_of(store, "k")), at_second(20));
    CHECK(store.find("k") != nullptr);
  }
  SUBCASE("a put that keeps the time to live does not move the deadline") {
    Put put;
    put.key = bytes_of("k");
    put.value = bytes_of("w");
    put.keep_lease = true;
    run(store, encode({}, put), at_second(12));
    CHECK(store.find("k")->deadline() == at_second(15));
    CHECK(store.find("k")->value() == "w");
  }
  SUBCASE("an operation on the value does not either, nor does it outrun the expiry") {
    run(store, encode({}, Modify{Modify::Kind::append, bytes_of("k"), 0, bytes_of("x")}),
        at_second(12));
    CHECK(store.find("k")->deadline() == at_second(15));
    run(store, encode(expire), at_second(15));
    CHECK(store.find("k") == nullptr);
  }
  CHECK(store.digest() == store.recomputed_digest());
}

TEST_CASE("keys that one command expires share a revision and stand in key order") {
  Store store;
  run(store, put_ttl("b", seconds(2)), at_second(1));
  run(store, put_ttl("a", seconds(3)), at_second(1));
  run(store, put_ttl("later", seconds(30)), at_second(1));
  Expire expire;
  for (const char* key : {"b", "a", "b", "later", "none"})
    expire.keys.push_back(
        {bytes_of(key), store.find(key) ? store.find(key)->deadline() : LogTime{}});
  run(store, encode(expire), at_second(4));
  CHECK(store.revision() == 5);
  const Keyspace& keyspace = store.keyspace();
  const std::uint64_t first = keyspace.find_event(5);
  REQUIRE(keyspace.end_of_events() - first == 2);
  CHECK(keyspace.event(first)->key() == "a");
  CHECK(keyspace.event(first + 1)->key() == "b");
  CHECK(store.find("later") != nullptr);
}

TEST_CASE("a time to live beyond the end of log time lasts for ever") {
  Store store;
  run(store, put_ttl("k", kMaxTtl), at_second(8'000'000'000));
  CHECK(store.find("k")->deadline() == kEndOfLogTime);
}

TEST_CASE("the id of a lease is the index of its grant, and granting takes no revision") {
  Store store;
  const WriteResult result = run(store, encode(GrantLease{seconds(10), 2}), at_second(1), 77);
  CHECK(lease_in(result).lease == 77);
  CHECK(lease_in(result).ttl == seconds(10));
  CHECK(store.revision() == 1);
  run(store, encode(GrantLease{seconds(10), 2}), at_second(1), 78);
  const WriteResult refused = run(store, encode(GrantLease{seconds(10), 2}), at_second(1), 79);
  CHECK(refused.kind == Kind::table_limit);
  CHECK(refused.limit == 2);
}

TEST_CASE("a lease ends with all of its keys, as one revision") {
  Store store;
  run(store, encode(GrantLease{seconds(10), 9}), at_second(0), 5);
  run(store, put_lease("b", 5), at_second(1));
  run(store, put_lease("a", 5), at_second(1));
  run(store, put_lease("moved", 5), at_second(1));
  run(store, encode_put("moved", "v", ValueForm::bytes, {}), at_second(1));
  const std::uint64_t before = store.revision();
  SUBCASE("a client ends it") {
    const WriteResult ended = run(store, encode(EndLease{5}), at_second(2));
    CHECK(lease_in(ended).deleted == 2);
    CHECK(ended.revision == before + 1);
    CHECK_FALSE(store.keyspace().event(store.keyspace().find_event(before + 1))->is_expired());
  }
  SUBCASE("it expires") {
    run(store, encode(expire_of(5)), at_second(9));
    CHECK(store.find("a") != nullptr);
    run(store, encode(expire_of(5)), at_second(10));
    CHECK(store.revision() == before + 1);
    CHECK(store.keyspace().event(store.keyspace().find_event(before + 1))->is_expired());
  }
  CHECK(store.find("a") == nullptr);
  CHECK(store.find("b") == nullptr);
  CHECK(store.find("moved") != nullptr);
  CHECK(store.leases().empty());
  CHECK(run(store, encode(RenewLease{5}), at_second(10)).kind == Kind::lease_not_found);
  CHECK(run(store, encode(EndLease{5}), at_second(10)).kind == Kind::lease_not_found);
  CHECK(run(store, put_lease("c", 5), at_second(10)).kind == Kind::lease_not_found);
  CHECK(store.digest() == store.recomputed_digest());
}

TEST_CASE("a renewal that stands before the expiry in the log wins") {
  Store store;
  run(store, encode(GrantLease{seconds(10), 9}), at_second(0), 5);
  run(store, put_lease("k", 5), at_second(1));
  CHECK(lease_in(run(store, encode(RenewLease{5}), at_second(11))).ttl == seconds(10));
  run(store, encode(expire_of(5)), at_second(12));
  CHECK(store.find("k") != nullptr);
  CHECK(store.next_expiry() == at_second(21));
  run(store, encode(expire_of(5)), at_second(21));
  CHECK(store.find("k") == nullptr);
}

TEST_CASE("a retry of a grant or a renewal renews the lease, or tells that it is over") {
  Store store;
  const IdempotencyKey grant{"grant", {1, 1}}, renew{"renew", {2, 2}};
  run(store, encode(GrantLease{seconds(10), 9}, grant), at_second(0), 5);
  const WriteResult again = run(store, encode(GrantLease{seconds(10), 9}, grant), at_second(3), 6);
  CHECK(lease_in(again).lease == 5);
  CHECK(lease_in(again).ttl == seconds(10));
  CHECK(store.next_expiry() == at_second(13));
  CHECK(again.replayed);
  const std::uint64_t granted_at = again.revision;
  run(store, put_lease("a", 5), at_second(3));
  CHECK(run(store, encode(GrantLease{seconds(10), 9}, grant), at_second(3), 7).revision ==
        granted_at);
  run(store, encode(RenewLease{5}, renew), at_second(4));
  CHECK(lease_in(run(store, encode(RenewLease{5}, renew), at_second(8))).ttl == seconds(10));
  CHECK(store.next_expiry() == at_second(18));
  run(store, encode(expire_of(5)), at_second(18));
  CHECK(run(store, encode(RenewLease{5}, renew), at_second(18)).kind == Kind::lease_not_found);
  CHECK(run(store, encode(GrantLease{seconds(10), 9}, grant), at_second(18)).kind ==
        Kind::lease_not_found);
}

TEST_CASE("a lease with many keys ends in slices, and cannot be used meanwhile") {
  Store store;
  constexpr int kKeys = static_cast<int>(kMaxExpired) * 2 + 10;
  run(store, encode(GrantLease{seconds(10), 9}), at_second(0), 5);
  for (int i = 0; i < kKeys; ++i) run(store, put_lease(std::to_string(i), 5), at_second(1));
  CHECK(lease_in(run(store, encode(EndLease{5}), at_second(2))).deleted == kMaxExpired);
  CHECK(store.size() == kKeys - kMaxExpired);
  CHECK(store.next_expiry() == LogTime{});
  CHECK(run(store, encode(RenewLease{5}), at_second(2)).kind == Kind::lease_not_found);
  CHECK(run(store, put_lease("new", 5), at_second(2)).kind == Kind::lease_not_found);
  run(store, encode(expire_of(5)), at_second(2));
  CHECK(store.size() == 10);
  run(store, encode(expire_of(5)), at_second(2));
  CHECK(store.size() == 0);
  CHECK(store.leases().empty());
  CHECK(store.digest() == store.recomputed_digest());
}
