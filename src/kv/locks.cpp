#include "kv/locks.hpp"

#include <string>

#include "base/checksum.hpp"
#include "kv/command.hpp"
#include "kv/digest.hpp"
#include "kv/item.hpp"
#include "kv/keyspace.hpp"
#include "kv/leases.hpp"

namespace vesper::kv {
namespace {

// Must never change: nodes of different versions compare their digests.
constexpr std::uint64_t kHolderSeed = 0xa1f36c0d97be4825;
constexpr std::uint64_t kWaiterSeed = 0x3b8e52d7c1940fa6;
constexpr std::uint64_t kSessionSeed = 0xd640a97f2c8b13e5;

void write_name(ByteWriter& w, const LockName& lock) {
  w.u8(static_cast<std::uint8_t>(lock.space));
  w.u16(static_cast<std::uint16_t>(lock.name.size()));
  w.bytes(lock.name);
}

void write_holder(ByteWriter& w, const LockName& lock, const LockHolder& holder) {
  write_name(w, lock);
  w.u64(holder.place);
  w.u64(holder.token);
  w.i64(holder.ttl.ns);
  w.i64(holder.deadline.value);
}

void write_waiter(ByteWriter& w, std::uint64_t place, const LockWaiter& waiter) {
  w.u64(place);
  write_name(w, waiter.lock);
  w.u64(waiter.session.boot);
  w.u64(waiter.session.place);
  w.u64(waiter.claim);
  w.i64(waiter.ttl.ns);
  w.string(waiter.value.view());
  w.u8(static_cast<std::uint8_t>(waiter.idempotency_key.size()));
  w.bytes(waiter.idempotency_key.view());
}

void write_session(ByteWriter& w, const SessionId& session, LogTime deadline) {
  w.u64(session.boot);
  w.u64(session.place);
  w.i64(deadline.value);
}

Id128 digest_of(const LockName& lock, const LockHolder& holder) {
  return digest_of_form(kHolderSeed, [&](ByteWriter& w) { write_holder(w, lock, holder); });
}
Id128 digest_of(std::uint64_t place, const LockWaiter& waiter) {
  return digest_of_form(kWaiterSeed, [&](ByteWriter& w) { write_waiter(w, place, waiter); });
}
Id128 digest_of(const SessionId& session, LogTime deadline) {
  return digest_of_form(kSessionSeed, [&](ByteWriter& w) { write_session(w, session, deadline); });
}

bool read_name(ByteReader& r, LockName& lock) {
  const std::uint8_t space = r.u8();
  const std::size_t size = r.u16();
  lock.name = r.bytes(size);
  lock.space = static_cast<Space>(space);
  return !r.ok() || ((lock.space == Space::locks || lock.space == Space::elections) && size > 0 &&
                     size <= kMaxKey);
}

bool is_ttl(Duration ttl) {
  return ttl.ns > 0 && ttl <= kMaxTtl;
}

template <typename Map, typename Key>
const std::set<std::uint64_t>& places_in(const Map& map, const Key& key) {
  static const std::set<std::uint64_t> kNone;
  const auto found = map.find(key);
  return found == map.end() ? kNone : found->second;
}

template <typename Map, typename Key>
void remove_place(Map& map, const Key& key, std::uint64_t place) {
  const auto found = map.find(key);
  VESPER_ASSERT(found != map.end());
  found->second.erase(place);
  if (found->second.empty()) map.erase(found);
}

}  // namespace

// ---- reading ------------------------------------------------------------------------------

bool Locks::is_held(std::string_view name, std::uint64_t token) const {
  for (const Space space : {Space::locks, Space::elections})
    if (const LockHolder* holder = holders_.find({space, std::string(name)});
        holder != nullptr && holder->token == token)
      return true;
  return false;
}

std::uint64_t Locks::token_of(std::string_view name) const {
  for (const Space space : {Space::locks, Space::elections})
    if (const LockHolder* holder = holders_.find({space, std::string(name)})) return holder->token;
  return 0;
}

const std::set<std::uint64_t>& Locks::queue(const LockName& lock) const {
  return places_in(queues_, lock);
}

const std::set<std::uint64_t>& Locks::places_of(const SessionId& session) const {
  return places_in(places_, session);
}

std::optional<LogTime> Locks::lapses_at(const SessionId& session) const {
  const LogTime* deadline = sessions_.find(session);
  return deadline == nullptr ? std::nullopt : std::optional(*deadline);
}

std::uint64_t Locks::first_waiting(const LockName& lock, LogTime now, std::size_t& most) const {
  for (const std::uint64_t place : queue(lock)) {
    if (most == 0) return 0;
    --most;
    if (*sessions_.find(waiters_.find(place)->session) > now) return place;
  }
  return 0;
}

// ---- writing ------------------------------------------------------------------------------

void Locks::set(const LockName& lock, const LockHolder& holder) {
  by_deadline_.emplace(holder.deadline, lock);
  sum_ = plus(sum_, digest_of(lock, holder));
  holders_.set(lock, holder);
}

void Locks::forget(const LockName& lock, const LockHolder& holder) {
  by_deadline_.erase({holder.deadline, lock});
  sum_ = minus(sum_, digest_of(lock, holder));
}

void Locks::set(std::uint64_t place, LockWaiter waiter) {
  queues_[waiter.lock].insert(place);
  if (holders_.find(waiter.lock) == nullptr) to_pass_on_.insert(waiter.lock);
  places_[waiter.session].insert(place);
  sum_ = plus(sum_, digest_of(place, waiter));
  waiters_.set(place, std::move(waiter));
}

void Locks::forget(std::uint64_t place, const LockWaiter& waiter) {
  remove_place(queues_, waiter.lock, place);
  if (queue(waiter.lock).empty()) to_pass_on_.erase(waiter.lock);
  remove_place(places_, waiter.session, place);
  sum_ = minus(sum_, digest_of(place, waiter));
}

void Locks::set(const SessionId& session, LogTime deadline) {
  sessions_by_deadline_.emplace(deadline, session);
  sum_ = plus(sum_, digest_of(session, deadline));
  sessions_.set(session, deadline);
}

void Locks::forget(const SessionId& session, LogTime deadline) {
  sessions_by_deadline_.erase({deadline, session});
  sum_ = minus(sum_, digest_of(session, deadline));
}

void Locks::hold(const LockName& lock, const LockHolder& holder) {
  if (const LockHolder* before = holders_.find(lock)) forget(lock, *before);
  to_pass_on_.erase(lock);
  set(lock, holder);
}

void Locks::renew(const LockName& lock, LogTime now) {
  LockHolder holder = *holders_.find(lock);
  forget(lock, holder);
  holder.deadline = later(now, holder.ttl);
  set(lock, holder);
}

void Locks::free(const LockName& lock) {
  forget(lock, *holders_.find(lock));
  holders_.remove(lock);
  if (!queue(lock).empty()) to_pass_on_.insert(lock);
}

void Locks::enqueue(std::uint64_t place, LockWaiter waiter, LogTime now) {
  VESPER_ASSERT(holders_.find(waiter.lock) != nullptr || to_pass_on_.contains(waiter.lock));
  VESPER_ASSERT(waiters_.find(place) == nullptr);
  const SessionId session = waiter.session;
  set(place, std::move(waiter));
  renew_session(session, now);
}

void Locks::leave(std::uint64_t place) {
  const LockWaiter waiter = *waiters_.find(place);
  forget(place, waiter);
  waiters_.remove(place);
  if (!places_of(waiter.session).empty()) return;
  forget(waiter.session, *sessions_.find(waiter.session));
  sessions_.remove(waiter.session);
}

void Locks::move(std::uint64_t place, const SessionId& session, std::uint64_t claim, LogTime now) {
  LockWaiter waiter = *waiters_.find(place);
  leave(place);
  waiter.session = session;
  waiter.claim = claim;
  set(place, std::move(waiter));
  renew_session(session, now);
}

void Locks::renew_session(const SessionId& session, LogTime now) {
  if (places_of(session).empty()) return;
  if (const LogTime* before = sessions_.find(session)) forget(session, *before);
  set(session, later(now, kSessionKept));
}

// ---- digest, snapshots ----------------------------------------------------------------------

Id128 Locks::recomputed_digest() const {
  Id128 sum;
  for (const auto& [lock, holder] : holders_.items()) sum = plus(sum, digest_of(lock, holder));
  for (const auto& [place, waiter] : waiters_.items()) sum = plus(sum, digest_of(place, waiter));
  for (const auto& [session, deadline] : sessions_.items())
    sum = plus(sum, digest_of(session, deadline));
  return sum;
}

void Locks::begin_export() {
  holders_.begin_export();
  waiters_.begin_export();
  sessions_.begin_export();
}

bool Locks::export_holder(ByteWriter& w) {
  return holders_.export_next(
      [&w](const LockName& lock, const LockHolder& holder) { write_holder(w, lock, holder); });
}

bool Locks::export_waiter(ByteWriter& w) {
  return waiters_.export_next(
      [&w](std::uint64_t place, const LockWaiter& waiter) { write_waiter(w, place, waiter); });
}

bool Locks::export_session(ByteWriter& w) {
  return sessions_.export_next(
      [&w](const SessionId& session, LogTime deadline) { write_session(w, session, deadline); });
}

void Locks::end_export() {
  holders_.end_export();
  waiters_.end_export();
  sessions_.end_export();
}

bool Locks::import_holder(ByteReader& r, const Keyspace& keyspace) {
  LockName lock;
  if (!read_name(r, lock)) return false;
  LockHolder holder;
  holder.place = r.u64();
  holder.token = r.u64();
  holder.ttl = Duration{r.i64()};
  holder.deadline = LogTime{r.i64()};
  if (!r.ok()) return true;
  if (holder.place == 0 || holder.token < 2 || !is_ttl(holder.ttl) || holder.deadline.value <= 0)
    return false;
  if (!holders_.empty() && holders_.items().rbegin()->first >= lock) return false;
  const Version* version = keyspace.find(lock.space, lock.name);
  if (version == nullptr || version->create_revision() != holder.token) return false;
  set(lock, holder);
  return true;
}

bool Locks::import_waiter(ByteReader& r) {
  const std::uint64_t place = r.u64();
  LockWaiter waiter;
  if (!read_name(r, waiter.lock)) return false;
  waiter.session.boot = r.u64();
  waiter.session.place = r.u64();
  waiter.claim = r.u64();
  waiter.ttl = Duration{r.i64()};
  const std::size_t size = r.u32();
  if (r.ok() && size > kMaxElectionValue) return false;
  waiter.value = SharedBytes::copy_of(r.bytes(size));
  waiter.idempotency_key = SharedBytes::copy_of(r.bytes(r.u8()));
  if (!r.ok()) return true;
  const std::string_view key = waiter.idempotency_key.view();
  if (!key.empty() && !is_idempotency_key(key)) return false;
  const bool is_one_place = waiter.session.boot == 0 && waiter.session.place == place;
  const bool is_of_process = waiter.session.boot != 0 && waiter.session.place == 0;
  if (place == 0 || !is_ttl(waiter.ttl) || (!is_one_place && !is_of_process)) return false;
  if (!waiters_.empty() && waiters_.items().rbegin()->first >= place) return false;
  set(place, std::move(waiter));
  return true;
}

bool Locks::import_session(ByteReader& r) {
  SessionId session;
  session.boot = r.u64();
  session.place = r.u64();
  const LogTime deadline{r.i64()};
  if (!r.ok()) return true;
  if (places_of(session).empty() || deadline.value <= 0) return false;
  if (!sessions_.empty() && sessions_.items().rbegin()->first >= session) return false;
  set(session, deadline);
  return true;
}

bool Locks::finish_import() const {
  return sessions_.size() == places_.size();
}

bool Locks::free_some(std::size_t& max) {
  return erase_some(by_deadline_, max) && erase_some(sessions_by_deadline_, max) &&
         erase_some(queues_, max) && erase_some(places_, max) && erase_some(to_pass_on_, max) &&
         holders_.free_some(max) && waiters_.free_some(max) && sessions_.free_some(max);
}

}  // namespace vesper::kv
