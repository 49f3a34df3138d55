#include "node/lock_waits.hpp"

#include <algorithm>

#include "kv/command.hpp"

namespace vesper::node {
namespace {

using Manner = kv::LeaveQueue::Manner;
using State = kv::LockResult::State;

// A quarter of what a session lasts without renewal.
constexpr Duration kRenewEvery = kv::kSessionKept / 4;
// How long to wait for a withdrawal to be decided before it is proposed again.
constexpr Duration kWithdrawAgainAfter = seconds(2);
// How long after its wait a request is answered at the latest.
constexpr Duration kPatience = seconds(5);
// As late as a lock may be passed on after its holder's time.
constexpr Duration kPrompt = milliseconds(100);

kv::WriteResult refused(kv::WriteResult::Kind kind, const kv::LockName& lock,
                        const kv::Store& store) {
  kv::WriteResult result;
  result.kind = kind;
  result.revision = store.revision();
  if (const kv::LockHolder* holder = store.locks().holder(lock)) result.limit = holder->token;
  return result;
}

// A client counts the time to live from the answer. If the node has learned of the grant late, it
// gets what is left.
kv::WriteResult granted(const kv::LockHolder& holder, const kv::LockName& lock,
                        const kv::Store& store, kv::LogTime log_time) {
  const Duration left = kv::left_until(holder.deadline, log_time);
  if (left.ns == 0) return refused(kv::WriteResult::Kind::lock_lost, lock, store);
  const bool is_late = holder.ttl - left > kPrompt;
  kv::WriteResult result;
  result.revision = holder.token;
  result.time = log_time;
  result.result =
      kv::LockResult{State::granted, holder.place, 0, holder.token, is_late ? left : holder.ttl};
  return result;
}

}  // namespace

Manner LockWaits::manner_of_hang_up(const LockWait& wait) {
  return wait.idempotency_key.empty() ? Manner::hung_up : Manner::disconnected;
}

// ---- places -------------------------------------------------------------------------------

void LockWaits::keep(std::uint64_t number, Place place) {
  if (const auto before = places_.find(number); before != places_.end())
    if (const auto ticket = remove(before).ticket) displaced_.push_back(*ticket);
  if (place.ticket) by_ticket_.insert_or_assign(key_of(*place.ticket), number);
  by_time_.emplace(place.leave_at, number);
  places_.emplace(number, std::move(place));
}

LockWaits::Place LockWaits::remove(Places::iterator place) {
  Place removed = std::move(place->second);
  by_time_.erase({removed.leave_at, place->first});
  if (removed.ticket) by_ticket_.erase(key_of(*removed.ticket));
  places_.erase(place);
  return removed;
}

void LockWaits::leave_at(std::uint64_t number, Place& place, Instant time) {
  by_time_.erase({place.leave_at, number});
  place.leave_at = time;
  by_time_.emplace(time, number);
}

// The client waits no longer.
void LockWaits::withdraw(std::uint64_t number, Place& place, Instant now) {
  by_ticket_.erase(key_of(*place.ticket));
  place.ticket.reset();
  place.manner = manner_of_hang_up(*place.wait);
  leave_at(number, place, now);
}

// Whether nothing is left to withdraw: the place is neither ours in the queue nor an abandoned
// holder's.
bool LockWaits::is_settled(std::uint64_t number, const Place& place, const kv::Store& store) const {
  if (const kv::LockWaiter* waiter = store.locks().waiter(number))
    return waiter->session != kv::SessionId{boot_, 0} || waiter->claim != place.claim;
  const kv::LockHolder* holder = store.locks().holder(place.wait->lock);
  return holder == nullptr || holder->place != number || place.manner != Manner::hung_up;
}

// ---- requests -----------------------------------------------------------------------------

void LockWaits::add(const Ticket& ticket, std::shared_ptr<const LockWait> wait) {
  asked_.insert_or_assign(key_of(ticket), Asked{std::move(wait)});
}

LockWaits::Decided LockWaits::decided(const Ticket& ticket, const kv::WriteResult& result,
                                      Instant now) {
  const auto asked = asked_.find(key_of(ticket));
  if (asked == asked_.end()) return Decided::answer;
  Asked request = std::move(asked->second);
  asked_.erase(asked);
  const auto* lock = result.is_done() ? std::get_if<kv::LockResult>(&result.result) : nullptr;
  if (lock == nullptr) return Decided::answer;
  if (request.is_gone) abandon(std::move(request.wait), *lock, now);
  else if (lock->state == State::queued)
    keep(lock->place, {ticket, request.wait, lock->claim, std::nullopt, request.wait->until});
  return lock->state == State::queued ? Decided::waits : Decided::answer;
}

void LockWaits::abandon(std::shared_ptr<const LockWait> wait, const kv::LockResult& result,
                        Instant now) {
  const Manner manner = manner_of_hang_up(*wait);
  const bool is_held = result.state == State::granted && manner == Manner::hung_up;
  if (result.state != State::queued && !is_held) return;
  keep(result.place, {std::nullopt, std::move(wait), result.claim, manner, now});
}

void LockWaits::leave(std::uint64_t connection, Instant now) {
  for (auto asked = asked_.lower_bound({connection, 0});
       asked != asked_.end() && asked->first.first == connection; ++asked)
    asked->second.is_gone = true;
  for (auto at = by_ticket_.lower_bound({connection, 0});
       at != by_ticket_.end() && at->first.first == connection;) {
    const std::uint64_t number = (at++)->second;
    withdraw(number, places_.at(number), now);
  }
}

std::vector<Ticket> LockWaits::clear(Instant now) {
  std::vector<Ticket> tickets = std::exchange(displaced_, {});
  while (!by_ticket_.empty()) {
    const std::uint64_t number = by_ticket_.begin()->second;
    Place& place = places_.at(number);
    tickets.push_back(*place.ticket);
    withdraw(number, place, now);
  }
  return tickets;
}

// ---- what the store decided ---------------------------------------------------------------

std::optional<LockWaits::Answer> LockWaits::left_queue(const kv::Store::LeftQueue& left,
                                                       const kv::Store& store, kv::LogTime log_time,
                                                       Instant now) {
  const auto found = places_.find(left.place);
  if (found == places_.end()) return std::nullopt;
  Place place = remove(found);
  if (!place.ticket) {
    // The grant overtook the withdrawal: the lock is to be released.
    if (left.granted && place.manner == Manner::hung_up) {
      place.leave_at = now;
      keep(left.place, std::move(place));
    }
    return std::nullopt;
  }
  const kv::LockName& lock = place.wait->lock;
  if (left.granted) return Answer{*place.ticket, granted(*left.granted, lock, store, log_time)};
  return Answer{*place.ticket, refused(kv::WriteResult::Kind::lock_busy, lock, store)};
}

std::vector<LockWaits::Answer> LockWaits::compare(const kv::Store& store, kv::LogTime log_time,
                                                  Instant now) {
  std::vector<Answer> answers;
  for (auto at = places_.begin(); at != places_.end();) {
    const auto found = at++;
    const std::uint64_t number = found->first;
    if (store.locks().waiter(number) != nullptr) continue;
    const kv::LockHolder* holder = store.locks().holder(found->second.wait->lock);
    const bool holds = holder != nullptr && holder->place == number;
    if (!found->second.ticket) {
      if (!holds) remove(found);
      continue;
    }
    const Place place = remove(found);
    const kv::LockName& lock = place.wait->lock;
    answers.push_back(
        {*place.ticket, holds ? granted(*holder, lock, store, log_time)
                              : refused(kv::WriteResult::Kind::lock_lost, lock, store)});
  }
  // Places of requests that ended as unknown.
  for (const std::uint64_t number : store.locks().places_of({boot_, 0})) {
    if (places_.contains(number)) continue;
    const kv::LockWaiter& waiter = *store.locks().waiter(number);
    const LockWait wait{waiter.lock, now, std::string(waiter.idempotency_key.view())};
    abandon(std::make_shared<LockWait>(wait), {State::queued, number, waiter.claim, 0, Duration{}},
            now);
  }
  renew_at_ = now;
  return answers;
}

// ---- what to do ---------------------------------------------------------------------------

LockWaits::Due LockWaits::take_due(const kv::Store& store, Instant now) {
  Due due;
  due.unknown = std::exchange(displaced_, {});
  while (!by_time_.empty() && by_time_.begin()->first <= now) {
    const std::uint64_t number = by_time_.begin()->second;
    Place& place = places_.at(number);
    const bool settled = is_settled(number, place, store);
    if (place.ticket && (settled || now >= place.wait->until + kPatience)) {
      due.unknown.push_back(*place.ticket);
      withdraw(number, place, now);
    }
    if (settled) {
      remove(places_.find(number));
      continue;
    }
    const Manner manner = place.manner.value_or(Manner::timed_out);
    due.commands.push_back(
        kv::encode(kv::LeaveQueue{place.wait->lock, number, place.claim, boot_, manner}));
    leave_at(number, place, now + kWithdrawAgainAfter);
  }
  due.renews = !places_.empty() && now >= renew_at_;
  if (due.renews) renew_at_ = now + kRenewEvery;
  return due;
}

Instant LockWaits::deadline() const {
  if (!displaced_.empty()) return Instant{};
  if (places_.empty()) return kNever;
  return std::min(renew_at_, by_time_.begin()->first);
}

}  // namespace vesper::node
