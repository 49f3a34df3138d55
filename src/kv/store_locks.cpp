// How the store carries out the commands about locks and elections. A lock is free, or held by one
// holder; waiters are granted it in the order of their places, each with a revision of its own,
// which is the fencing token.
#include <utility>

#include "kv/store.hpp"

namespace vesper::kv {

using Kind = WriteResult::Kind;
using State = LockResult::State;

namespace {

// 0: the lock is free.
std::uint64_t token_of(const LockHolder* holder) {
  return holder == nullptr ? 0 : holder->token;
}

}  // namespace

// Makes the place the holder. The lock's version shows watches who holds it.
LockResult Store::grant(const LockName& lock, std::uint64_t place, Duration ttl,
                        const SharedBytes& value, LogTime now) {
  VersionFields fields;
  fields.revision = revision() + 1;
  fields.create_revision = fields.revision;
  fields.version = 1;
  fields.space = lock.space;
  keyspace_.commit(Version::make(lock.name, value, fields));
  locks_.hold(lock, {place, fields.revision, ttl, later(now, ttl)});
  return {State::granted, place, 0, fields.revision, ttl};
}

void Store::leave_queue(std::uint64_t place, std::optional<LockHolder> granted) {
  locks_.leave(place);
  left_queue_.push_back({place, granted});
}

// Ends the holder's time, if there is one: the first waiter whose place has not lapsed is granted
// the lock, else the lock is free. Either way it takes one revision. Waiters in front that have
// lapsed stay until an Expire names their session, unless the lock becomes free.
//
// Looks at up to `places` places, and lowers that. If all of them have lapsed and more follow, the
// lock is free, and Locks::to_pass_on() has it: the leader proposes an Expire that goes on.
void Store::pass_on(const LockName& lock, LogTime now, bool expired, std::size_t& places) {
  std::size_t lapsed = places;
  if (const std::uint64_t place = locks_.first_waiting(lock, now, places); place != 0) {
    const LockWaiter waiter = *locks_.waiter(place);
    const LockResult granted = grant(lock, place, waiter.ttl, waiter.value, now);
    keep_instead(waiter.idempotency_key, result_now(granted), now);
    leave_queue(place, *locks_.holder(lock));
    return;
  }
  for (lapsed -= places; lapsed > 0; --lapsed)
    leave_queue(*locks_.queue(lock).begin(), std::nullopt);
  if (locks_.holder(lock) == nullptr) return;
  locks_.free(lock);
  VersionFields fields;
  fields.revision = revision() + 1;
  fields.tombstone = true;
  fields.expired = expired;
  fields.space = lock.space;
  keyspace_.commit(Version::make(lock.name, std::string_view(), fields));
}

// A lock that is to be passed on is not free for those who come now.
bool Store::is_free(const LockName& lock) const {
  return locks_.holder(lock) == nullptr && locks_.queue(lock).empty();
}

// A request for a lock that was `queued` so far has got its answer. `idempotency_key` may be empty.
void Store::keep_instead(const SharedBytes& idempotency_key, WriteResult result, LogTime now) {
  if (idempotency_key.view().empty()) return;
  result.time = now;
  idempotency_.replace(idempotency_key.view(), encode_result(result), now);
}

WriteResult Store::carry_out(const AcquireLock& acquire, const Stamp& stamp) {
  const LockHolder* holder = locks_.holder(acquire.lock);
  if (is_free(acquire.lock)) {
    if (locks_.held() >= acquire.most_locks) return refuse(Kind::table_limit, acquire.most_locks);
    if (quota_exceeded_) return refuse(Kind::quota_exceeded);
    return result_now(grant(acquire.lock, stamp.index, acquire.ttl, acquire.value, stamp.now));
  }
  if (acquire.if_held == AcquireLock::IfHeld::refuse)
    return refuse(Kind::lock_busy, token_of(holder));
  if (locks_.waiters() >= acquire.most_waiters)
    return refuse(Kind::table_limit, acquire.most_waiters);
  LockWaiter waiter;
  waiter.lock = acquire.lock;
  waiter.session.boot = acquire.boot;
  waiter.claim = stamp.index;
  waiter.ttl = acquire.ttl;
  // Copies: a waiter must not keep the whole batch of entries alive.
  waiter.value = SharedBytes::copy_of(acquire.value.view());
  waiter.idempotency_key = SharedBytes::copy_of(stamp.idempotency_key.view());
  locks_.enqueue(stamp.index, std::move(waiter), stamp.now);
  return result_now(LockResult{State::queued, stamp.index, stamp.index, 0, Duration{}});
}

// The same request again, with the same idempotency key: it keeps its place, or its lock, which it
// renews, so that the same answer is true again. `kept`: the result so far. If the place lapsed
// before it was granted, the request gets a new one.
WriteResult Store::resume(const AcquireLock& acquire, const LockResult& kept, const Stamp& stamp) {
  const LockHolder* holder = locks_.holder(acquire.lock);
  const std::uint64_t token = token_of(holder);
  if (kept.state == State::granted) {
    if (holder == nullptr || holder->place != kept.place || holder->deadline <= stamp.now)
      return refuse(Kind::lock_lost, token);
    const Duration ttl = holder->ttl;
    locks_.renew(acquire.lock, stamp.now);
    return result_now(LockResult{State::granted, kept.place, 0, token, ttl});
  }
  if (acquire.if_held == AcquireLock::IfHeld::refuse && !is_free(acquire.lock))
    return refuse(Kind::lock_busy, token);
  if (locks_.waiter(kept.place) != nullptr) {
    locks_.move(kept.place, {acquire.boot, 0}, stamp.index, stamp.now);
    return result_now(LockResult{State::queued, kept.place, stamp.index, 0, Duration{}});
  }
  WriteResult result = carry_out(acquire, stamp);
  if (is_decided(result)) keep_instead(stamp.idempotency_key, result, stamp.now);
  return result;
}

WriteResult Store::carry_out(const RenewLock& renew, const Stamp& stamp) {
  const LockHolder* holder = locks_.holder(renew.lock);
  if (holder == nullptr || holder->token != renew.token)
    return refuse(Kind::lock_lost, token_of(holder));
  const Duration ttl = holder->ttl;
  const Version* present = keyspace_.find(renew.lock.space, renew.lock.name);
  if (renew.value && renew.value->view() != present->value()) {
    if (quota_exceeded_) return refuse(Kind::quota_exceeded);
    VersionFields fields = present->fields();
    fields.revision = revision() + 1;
    fields.place = 1;
    ++fields.version;
    keyspace_.commit(Version::make(renew.lock.name, *renew.value, fields));
  }
  locks_.renew(renew.lock, stamp.now);
  return result_now(LockResult{State::renewed, 0, 0, renew.token, ttl});
}

WriteResult Store::carry_out(const ReleaseLock& release, const Stamp& stamp) {
  const LockHolder* holder = locks_.holder(release.lock);
  if (holder == nullptr || holder->token != release.token)
    return result_now(LockResult{State::not_held});
  std::size_t places = kMaxExpired;
  pass_on(release.lock, stamp.now, false, places);
  return result_now(LockResult{State::released});
}

WriteResult Store::carry_out(const LeaveQueue& leave, const Stamp& stamp) {
  const SessionId session{leave.boot, 0};
  const LockWaiter* waiter = locks_.waiter(leave.place);
  const bool waits = waiter != nullptr && waiter->lock == leave.lock &&
                     waiter->session == session && waiter->claim == leave.claim;
  const LockHolder* holder = locks_.holder(leave.lock);
  switch (leave.manner) {
    case LeaveQueue::Manner::timed_out: {
      if (!waits) break;
      const SharedBytes key = waiter->idempotency_key;
      leave_queue(leave.place, std::nullopt);
      const std::uint64_t token = token_of(holder);
      keep_instead(key, refuse(Kind::lock_busy, token), stamp.now);
      break;
    }
    case LeaveQueue::Manner::hung_up: {
      std::size_t places = kMaxExpired;
      if (waits) leave_queue(leave.place, std::nullopt);
      else if (holder != nullptr && holder->place == leave.place)
        pass_on(leave.lock, stamp.now, false, places);
      break;
    }
    case LeaveQueue::Manner::disconnected:
      if (waits) locks_.move(leave.place, {0, leave.place}, leave.claim, stamp.now);
      break;
  }
  return result_now(LockResult{});
}

WriteResult Store::carry_out(const KeepPlaces& keep, const Stamp& stamp) {
  locks_.renew_session({keep.boot, 0}, stamp.now);
  return result_now(LockResult{});
}

}  // namespace vesper::kv
