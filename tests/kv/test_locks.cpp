#include <doctest/doctest.h>

#include "store_helpers.hpp"

using namespace vesper;
using namespace vesper::kv;
using namespace vesper::test;
using Kind = WriteResult::Kind;
using State = LockResult::State;
using Manner = LeaveQueue::Manner;

namespace {

const LockName kLock{Space::locks, "n"};
constexpr std::uint64_t kBoot = 11, kOtherBoot = 12;

AcquireLock acquire(AcquireLock::IfHeld if_held = AcquireLock::IfHeld::queue,
                    std::uint64_t boot = kBoot) {
  AcquireLock acquire;
  acquire.lock = kLock;
  acquire.ttl = seconds(15);
  acquire.boot = boot;
  acquire.if_held = if_held;
  acquire.most_locks = 10;
  acquire.most_waiters = 3;
  return acquire;
}

LockResult lock_in(const WriteResult& result) {
  REQUIRE(result.is_done());
  return std::get<LockResult>(result.result);
}

Expire expire_holder(const Store& store) {
  Expire expire;
  expire.locks.push_back({kLock, store.locks().holder(kLock)->token});
  return expire;
}

std::string fenced_put(std::uint64_t token) {
  Put put;
  put.key = bytes_of("k");
  put.value = bytes_of("v");
  return encode({}, put, std::nullopt, Fence{"n", token});
}

// A store in which the lock is held by place 100, and places 101 to 103 wait.
struct Crowd {
  Crowd() {
    for (std::uint64_t index = 100; index <= 103; ++index)
      run(store, encode(acquire()), at_second(1), index);
  }
  Store store;
  std::uint64_t token() const { return store.locks().holder(kLock)->token; }
};

}  // namespace

TEST_CASE("a free lock is granted, and its token is the revision of the grant") {
  Store store;
  const WriteResult result = run(store, encode(acquire()), at_second(1), 100);
  const LockResult lock = lock_in(result);
  CHECK(lock.state == State::granted);
  CHECK(lock.token == 2);
  CHECK(result.revision == 2);
  CHECK(lock.ttl == seconds(15));
  CHECK(store.find("n") == nullptr);  // a lock is no key
  CHECK(store.size() == 0);
  REQUIRE(store.keyspace().find(Space::locks, "n") != nullptr);
  CHECK(store.keyspace().find(Space::locks, "n")->create_revision() == 2);
  CHECK(store.next_expiry() == at_second(16));
}

TEST_CASE("a held lock is refused, or queued for") {
  Store store;
  run(store, encode(acquire()), at_second(1), 100);
  const WriteResult busy =
      run(store, encode(acquire(AcquireLock::IfHeld::refuse)), at_second(1), 101);
  CHECK(busy.kind == Kind::lock_busy);
  CHECK(busy.limit == 2);
  const LockResult queued = lock_in(run(store, encode(acquire()), at_second(1), 102));
  CHECK(queued.state == State::queued);
  CHECK(queued.place == 102);
  CHECK(store.revision() == 2);
  run(store, encode(acquire()), at_second(1), 103);
  run(store, encode(acquire()), at_second(1), 104);
  CHECK(run(store, encode(acquire()), at_second(1), 105).kind == Kind::table_limit);
  CHECK(store.digest() == store.recomputed_digest());
}

TEST_CASE("a release passes the lock to the first waiter in one revision") {
  Crowd crowd;
  const std::uint64_t token = crowd.token();
  CHECK(lock_in(run(crowd.store, encode(ReleaseLock{kLock, token + 1}), at_second(2))).state ==
        State::not_held);
  CHECK(lock_in(run(crowd.store, encode(ReleaseLock{kLock, token}), at_second(2))).state ==
        State::released);
  CHECK(crowd.store.revision() == 3);
  CHECK(crowd.store.locks().holder(kLock)->place == 101);
  CHECK(crowd.token() == 3);
  const auto left = crowd.store.take_left_queue();
  REQUIRE(left.size() == 1);
  CHECK(left[0].place == 101);
  CHECK(left[0].granted->token == 3);
  CHECK(crowd.store.locks().holder(kLock)->deadline == at_second(17));
}

TEST_CASE("a lock that no one waits for becomes free, which takes a revision") {
  Store store;
  run(store, encode(acquire()), at_second(1), 100);
  run(store, encode(ReleaseLock{kLock, 2}), at_second(2));
  CHECK(store.revision() == 3);
  CHECK(store.locks().held() == 0);
  CHECK(store.keyspace().find(Space::locks, "n") == nullptr);
  const VersionRef& event = store.keyspace().event(store.keyspace().end_of_events() - 1);
  CHECK(event->space() == Space::locks);
  CHECK(event->is_tombstone());
  CHECK_FALSE(event->is_expired());
  CHECK(store.next_expiry() == kEndOfLogTime);
  CHECK(store.digest() == store.recomputed_digest());
}

TEST_CASE("a lock is lost no earlier than its deadline, and a renewal before that wins") {
  Crowd crowd;
  const Expire expire = expire_holder(crowd.store);
  run(crowd.store, encode(expire), LogTime{at_second(16).value - 1});
  CHECK(crowd.store.locks().holder(kLock)->place == 100);
  SUBCASE("it expires") {
    // The waiters' node still serves them.
    run(crowd.store, encode(KeepPlaces{kBoot}), at_second(15));
    run(crowd.store, encode(expire), at_second(16));
    CHECK(crowd.store.locks().holder(kLock)->place == 101);
    CHECK(run(crowd.store, encode(RenewLock{kLock, 2, {}}), at_second(16)).kind == Kind::lock_lost);
  }
  SUBCASE("it is renewed") {
    CHECK(lock_in(run(crowd.store, encode(RenewLock{kLock, 2, {}}), at_second(16))).ttl ==
          seconds(15));
    run(crowd.store, encode(expire), at_second(17));
    CHECK(crowd.store.locks().holder(kLock)->place == 100);
    CHECK(crowd.store.locks().holder(kLock)->deadline == at_second(31));
  }
}

TEST_CASE("a place that has lapsed is passed over, and forgotten") {
  Crowd crowd;
  run(crowd.store, encode(acquire(AcquireLock::IfHeld::queue, kOtherBoot)), at_second(1), 104);
  CHECK(crowd.store.locks().waiters() == 3);  // the limit
  run(crowd.store, encode(LeaveQueue{kLock, 103, 103, kBoot, Manner::hung_up}), at_second(1));
  run(crowd.store, encode(acquire(AcquireLock::IfHeld::queue, kOtherBoot)), at_second(2), 105);
  run(crowd.store, encode(KeepPlaces{kOtherBoot}), at_second(3));
  (void)crowd.store.take_left_queue();
  SUBCASE("when the lock is passed on") {
    run(crowd.store, encode(ReleaseLock{kLock, 2}), at_second(4));
    CHECK(crowd.store.locks().holder(kLock)->place == 105);
  }
  SUBCASE("when the session expires") {
    Expire expire;
    expire.sessions = {{kBoot, 0}, {kOtherBoot, 0}};
    run(crowd.store, encode(expire), at_second(3));
    CHECK(crowd.store.locks().waiters() == 1);
    CHECK(crowd.store.take_left_queue().size() == 2);
    CHECK(crowd.store.next_expiry() == at_second(5));
  }
  SUBCASE("when the lock becomes free") {
    run(crowd.store, encode(ReleaseLock{kLock, 2}), at_second(9));
    CHECK(crowd.store.locks().waiters() == 0);
    CHECK(crowd.store.locks().held() == 0);
    CHECK(crowd.store.take_left_queue().size() == 3);
  }
  CHECK(crowd.store.digest() == crowd.store.recomputed_digest());
}

TEST_CASE("a long queue of places that have lapsed is passed over in slices") {
  Store store;
  AcquireLock many = acquire();
  many.most_waiters = 10'000;
  constexpr std::uint64_t kWaiters = kMaxExpired * 5 / 2;
  for (std::uint64_t index = 100; index <= 100 + kWaiters; ++index)
    run(store, encode(many), at_second(1), index);
  const auto waiters = [&store] { return store.locks().waiters(); };
  CHECK(lock_in(run(store, encode(ReleaseLock{kLock, 2}), at_second(9))).state == State::released);
  CHECK(waiters() == kWaiters - kMaxExpired);
  CHECK(store.take_left_queue().size() == kMaxExpired);
  CHECK(store.locks().held() == 0);
  CHECK(store.locks().to_pass_on() == std::set<LockName>{kLock});
  CHECK(store.next_expiry() == LogTime{});
  CHECK(store.revision() == 3);
  CHECK(store.keyspace().find(Space::locks, "n") == nullptr);
  // For those who come now it is not free.
  const WriteResult busy =
      run(store, encode(acquire(AcquireLock::IfHeld::refuse)), at_second(9), 5000);
  CHECK(busy.kind == Kind::lock_busy);
  CHECK(busy.limit == 0);
  run(store, encode(LeaveQueue{kLock, 1200, 1200, kBoot, Manner::timed_out}), at_second(9));
  CHECK(waiters() == kWaiters - kMaxExpired - 1);
  Expire expire;
  expire.locks = {{kLock, 0}};
  SUBCASE("until one is found that waits") {
    many.boot = kOtherBoot;
    CHECK(lock_in(run(store, encode(many), at_second(9), 5001)).state == State::queued);
    Import import;
    REQUIRE(import.add(content_of(store)).ok());
    auto copy = import.finish();
    REQUIRE(copy.ok());
    CHECK((*copy)->locks().to_pass_on() == store.locks().to_pass_on());
    for (Store* one : {&store, copy->get()}) {
      (void)one->take_left_queue();
      run(*one, encode(expire), at_second(9));
      CHECK(one->take_left_queue().size() == kMaxExpired);
      CHECK(one->locks().held() == 0);
      run(*one, encode(expire), at_second(9));
      CHECK(one->locks().holder(kLock)->place == 5001);
      CHECK(one->locks().token_of("n") == 4);
      CHECK(one->locks().to_pass_on().empty());
      CHECK(one->digest() == one->recomputed_digest());
    }
    CHECK((*copy)->digest() == store.digest());
  }
  SUBCASE("until none is left") {
    for (int i = 0; i < 2; ++i) run(store, encode(expire), at_second(9));
    CHECK(waiters() == 0);
    CHECK(store.locks().to_pass_on().empty());
    CHECK(store.next_expiry() == kEndOfLogTime);
    CHECK(store.revision() == 3);  // it was free before
    CHECK(lock_in(run(store, encode(many), at_second(9), 5002)).state == State::granted);
    const std::uint64_t token = store.locks().token_of("n");
    run(store, encode(expire), at_second(9));  // outdated
    CHECK(store.locks().token_of("n") == token);
  }
  SUBCASE("while their session lapses") {
    expire.locks.clear();
    expire.sessions = {{kBoot, 0}};
    for (int i = 0; i < 2; ++i) run(store, encode(expire), at_second(9));
    CHECK(waiters() == 0);
    CHECK(store.locks().to_pass_on().empty());
  }
  CHECK(store.digest() == store.recomputed_digest());
}

TEST_CASE("one command that ends many holders looks at a bounded number of places") {
  Store store;
  Expire expire;
  std::uint64_t index = 99;
  for (int lock = 0; lock < 4; ++lock) {
    AcquireLock many = acquire();
    many.lock.name = std::to_string(lock);
    many.most_waiters = 10'000;
    for (int i = 0; i < 601; ++i) run(store, encode(many), at_second(1), ++index);
    expire.locks.push_back({many.lock, store.locks().holder(many.lock)->token});
  }
  std::size_t before = store.locks().waiters();
  int commands = 0;
  for (; store.locks().held() > 0 || store.locks().waiters() > 0; ++commands) {
    REQUIRE(commands < 20);
    run(store, encode(expire), at_second(30));
    CHECK(before - store.locks().waiters() <= kMaxExpired);
    before = store.locks().waiters();
    for (Expire::Lock& named : expire.locks)
      if (store.locks().to_pass_on().contains(named.lock)) named.token = 0;
  }
  CHECK(commands == 3);
  CHECK(store.digest() == store.recomputed_digest());
}

TEST_CASE("a waiter leaves the queue") {
  Crowd crowd;
  SUBCASE("because its wait is over") {
    run(crowd.store, encode(LeaveQueue{kLock, 101, 101, kBoot, Manner::timed_out}), at_second(2));
    const auto left = crowd.store.take_left_queue();
    REQUIRE(left.size() == 1);
    CHECK_FALSE(left[0].granted);
  }
  SUBCASE("a command of another node, or for an earlier claim, does not remove it") {
    for (const LeaveQueue& leave : {LeaveQueue{kLock, 101, 101, kOtherBoot, Manner::hung_up},
                                    LeaveQueue{kLock, 101, 99, kBoot, Manner::hung_up}})
      run(crowd.store, encode(leave), at_second(2));
    CHECK(crowd.store.locks().waiters() == 3);
  }
  SUBCASE("when it hangs up after the grant, it releases the lock") {
    run(crowd.store, encode(ReleaseLock{kLock, 2}), at_second(2));
    run(crowd.store, encode(LeaveQueue{kLock, 101, 101, kBoot, Manner::hung_up}), at_second(2));
    CHECK(crowd.store.locks().holder(kLock)->place == 102);
  }
  SUBCASE("when its wait ends after the grant, it keeps the lock") {
    run(crowd.store, encode(ReleaseLock{kLock, 2}), at_second(2));
    run(crowd.store, encode(LeaveQueue{kLock, 101, 101, kBoot, Manner::timed_out}), at_second(2));
    CHECK(crowd.store.locks().holder(kLock)->place == 101);
  }
}

TEST_CASE("the same idempotency key keeps the place, the lock, or tells that it was lost") {
  Store store;
  const IdempotencyKey key{"mine", {1, 2}};
  run(store, encode(acquire()), at_second(1), 100);
  run(store, encode(acquire(), key), at_second(1), 101);
  const auto again = [&](std::uint64_t index, std::uint64_t boot = kOtherBoot) {
    return run(store, encode(acquire(AcquireLock::IfHeld::queue, boot), key), at_second(2), index);
  };
  const LockResult kept = lock_in(again(102));
  CHECK(kept.state == State::queued);
  CHECK(kept.place == 101);
  CHECK(store.locks().waiter(101)->session == SessionId{kOtherBoot, 0});
  SUBCASE("its client hangs up and comes back") {
    run(store, encode(LeaveQueue{kLock, 101, 102, kOtherBoot, Manner::disconnected}), at_second(2));
    CHECK(store.locks().waiter(101)->session == SessionId{0, 101});
    CHECK(lock_in(again(103)).place == 101);
    CHECK(store.locks().waiter(101)->session == SessionId{kOtherBoot, 0});
  }
  SUBCASE("it was granted meanwhile") {
    run(store, encode(ReleaseLock{kLock, 2}), at_second(2));
    const WriteResult result = again(103);
    CHECK(lock_in(result).state == State::granted);
    CHECK(lock_in(result).token == 3);
    CHECK(result.replayed);
    run(store, encode(ReleaseLock{kLock, 3}), at_second(2));
    CHECK(again(104).kind == Kind::lock_lost);
  }
  SUBCASE("its place lapsed, so that it gets a new one") {
    Expire expire;
    expire.sessions = {{kOtherBoot, 0}};
    run(store, encode(expire), at_second(9));
    CHECK(store.locks().waiters() == 0);
    const LockResult anew = lock_in(
        run(store, encode(acquire(AcquireLock::IfHeld::queue, kBoot), key), at_second(9), 103));
    CHECK(anew.state == State::queued);
    CHECK(anew.place == 103);
    run(store, encode(ReleaseLock{kLock, 2}), at_second(9));
    CHECK(lock_in(again(104)).token == 3);
  }
  SUBCASE("its wait ended") {
    run(store, encode(LeaveQueue{kLock, 101, 102, kOtherBoot, Manner::timed_out}), at_second(2));
    const WriteResult result = again(103);
    CHECK(result.kind == Kind::lock_busy);
    CHECK(result.replayed);
  }
  CHECK(store.digest() == store.recomputed_digest());
}

TEST_CASE("a fence holds exactly while the lock is held with its token") {
  Store store;
  CHECK(run(store, fenced_put(2), at_second(1)).kind == Kind::fenced);
  run(store, encode(acquire()), at_second(1), 100);
  CHECK(run(store, fenced_put(2), at_second(1)).is_done());
  const WriteResult other = run(store, fenced_put(3), at_second(1));
  CHECK(other.kind == Kind::fenced);
  CHECK(other.limit == 2);  // the token of the present holder
  Transaction transaction;
  Compare compare;
  compare.range = KeyRange::of_key("n");
  compare.target = Compare::Target::lock;
  compare.number = 2;
  transaction.compares.push_back(std::move(compare));
  const auto succeeds = [&] {
    return std::get<TransactionResult>(run(store, encode(transaction), at_second(1)).result)
        .succeeded;
  };
  CHECK(succeeds());
  run(store, encode(ReleaseLock{kLock, 2}), at_second(2));
  CHECK(run(store, fenced_put(2), at_second(2)).kind == Kind::fenced);
  CHECK_FALSE(succeeds());
}

TEST_CASE("the end of a lease may have a fence, and its renewal may not") {
  Store store;
  run(store, encode(acquire()), at_second(1), 100);
  run(store, encode(GrantLease{seconds(60), 9}), at_second(1), 5);
  const auto end = [](std::uint64_t token) {
    return encode(EndLease{5}, std::nullopt, Fence{"n", token});
  };
  const WriteResult refused = run(store, end(3), at_second(2));
  CHECK(refused.kind == Kind::fenced);
  CHECK(refused.limit == 2);
  CHECK(store.leases().size() == 1);
  CHECK(run(store, end(2), at_second(2)).is_done());
  CHECK(store.leases().size() == 0);
  std::string renewal = end(2);
  renewal[1] = encode(RenewLease{5})[1];
  const auto decoded = decode_command(bytes_of(renewal));
  REQUIRE_FALSE(decoded.ok());
  CHECK(decoded.error().what.find("takes no fence") != std::string::npos);
}

TEST_CASE("an election is a lock with a value, which the leader may change") {
  Store store;
  AcquireLock candidate = acquire();
  candidate.lock.space = Space::elections;
  candidate.value = bytes_of("one");
  const LockName election = candidate.lock;
  run(store, encode(candidate), at_second(1), 100);
  candidate.value = bytes_of("two");
  run(store, encode(candidate), at_second(1), 101);
  const auto value = [&] { return store.keyspace().find(Space::elections, "n")->value(); };
  CHECK(value() == "one");
  CHECK(store.locks().holder(kLock) == nullptr);  // the lock of this name is another one
  run(store, encode(RenewLock{election, 2, bytes_of("one")}), at_second(1));
  CHECK(store.revision() == 2);  // the same value
  run(store, encode(RenewLock{election, 2, bytes_of("new")}), at_second(1));
  CHECK(value() == "new");
  CHECK(store.revision() == 3);
  CHECK(run(store, fenced_put(2), at_second(1)).is_done());  // the token is still that of the grant
  run(store, encode(ReleaseLock{election, 2}), at_second(1));
  CHECK(value() == "two");
  CHECK(store.digest() == store.recomputed_digest());
}

TEST_CASE("a repeated renewal renews the time, and leaves a later value alone") {
  Store store;
  AcquireLock candidate = acquire();
  candidate.lock.space = Space::elections;
  run(store, encode(candidate), at_second(1), 100);
  const auto renew = [&](const char* value, const char* key, std::int64_t second) {
    const RenewLock command{candidate.lock, 2, bytes_of(value)};
    return run(store, encode(command, IdempotencyKey{key, {1, 2}}), at_second(second));
  };
  const auto value = [&] { return store.keyspace().find(Space::elections, "n")->value(); };
  CHECK(renew("A", "k1", 2).revision == 3);
  CHECK(renew("B", "k2", 3).revision == 4);
  const WriteResult again = renew("A", "k1", 5);
  CHECK(again.replayed);
  CHECK(again.revision == 3);
  CHECK(lock_in(again).token == 2);
  CHECK(value() == "B");
  CHECK(store.revision() == 4);
  CHECK(store.locks().holder(candidate.lock)->deadline == at_second(20));
  run(store, encode(ReleaseLock{candidate.lock, 2}), at_second(6));
  CHECK(renew("A", "k1", 7).kind == Kind::lock_lost);
  CHECK(store.digest() == store.recomputed_digest());
}

TEST_CASE("a snapshot carries leases, holders, waiters and sessions") {
  Crowd crowd;
  run(crowd.store, encode(GrantLease{seconds(10), 9}), at_second(1), 110);
  Import import;
  REQUIRE(import.add(content_of(crowd.store)).ok());
  auto copy = import.finish();
  REQUIRE(copy.ok());
  CHECK((*copy)->digest() == crowd.store.digest());
  CHECK((*copy)->recomputed_digest() == crowd.store.digest());
  CHECK((*copy)->next_expiry() == crowd.store.next_expiry());
  for (Store* store : {&crowd.store, copy->get()})
    run(*store, encode(ReleaseLock{kLock, 2}), at_second(2));
  CHECK((*copy)->digest() == crowd.store.digest());
  CHECK((*copy)->locks().holder(kLock)->place == 101);
}
