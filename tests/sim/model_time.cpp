// The part of the model that ends by itself: what claims of leases, locks and elections do, and
// what expires. Everything is judged by the stamp of the entry that is carried out.
#include <fmt/core.h>

#include <algorithm>

#include "sim/model.hpp"

namespace vesper::sim {

using Kind = Outcome::Kind;

Outcome Model::done(std::string text, std::uint64_t place) const {
  Outcome outcome{Kind::done, revision_};
  outcome.place = place;
  outcome.text = std::move(text);
  outcome.time = stamp_.time;
  return outcome;
}

Outcome Model::refuse(Kind kind, std::uint64_t limit) const {
  Outcome outcome = done(kind == Kind::no_lease || kind == Kind::quota ? std::string()
                                                                       : fmt::format("{}", limit));
  outcome.kind = kind;
  return outcome;
}

bool Model::was_held(std::string_view name, std::uint64_t token, std::uint64_t revision) const {
  const auto is_holder = [&](Space space) {
    const Seen seen = at(space, name, revision);
    return seen.present && seen.create_revision == token;
  };
  return is_holder(Space::locks) || is_holder(Space::elections);
}

std::int64_t Model::end_of(const Seen& seen) const {
  if (!seen.present) return kNeverEnds;
  const auto lease = holdings_.leases.find(seen.lease);
  if (lease != holdings_.leases.end()) return lease->second.deadline;
  return seen.deadline == 0 ? kNeverEnds : seen.deadline;
}

std::int64_t Model::next_key_end() const {
  std::int64_t next = kNeverEnds;
  for (const auto& [key, versions] : this->versions())
    next = std::min(next, end_of(versions.back().seen));
  return next;
}

std::int64_t Model::next_end() const {
  std::int64_t next = next_key_end();
  for (const auto& [id, lease] : holdings_.leases)
    next = std::min(next, lease.state == Lease::State::active ? lease.deadline : 0);
  for (const auto& [lock, holder] : holdings_.holders) next = std::min(next, holder.deadline);
  for (const auto& [session, lapses] : holdings_.sessions) next = std::min(next, lapses);
  return next;
}

// ---- leases

// Deletes the keys of a lease as one revision, in key order, and forgets the lease.
std::uint64_t Model::end_lease(std::uint64_t lease, Cause cause) {
  Writes writes;
  for (const auto& [key, versions] : versions())
    if (versions.back().seen.present && versions.back().seen.lease == lease)
      writes.emplace_back(key, Seen{});
  commit(writes, Space::keys, cause);
  holdings_.leases.erase(lease);
  return writes.size();
}

Outcome Model::carry_out(const Claim& claim, const std::string& idempotency_key) {
  switch (claim.kind) {
    case Claim::Kind::grant:
      if (holdings_.leases.size() >= claim.most) return refuse(Kind::table_limit, claim.most);
      holdings_.leases[stamp_.index] = {Lease::State::active, claim.ttl,
                                        end_after(stamp_.time, claim.ttl)};
      return done(text_of_lease(stamp_.index, claim.ttl, 0), stamp_.index);
    case Claim::Kind::renew_lease: {
      if (!holdings_.is_active(claim.number)) return refuse(Kind::no_lease, 0);
      Lease& lease = holdings_.leases[claim.number];
      lease.deadline = end_after(stamp_.time, lease.ttl);
      return done(text_of_lease(claim.number, lease.ttl, 0));
    }
    case Claim::Kind::end_lease: {
      if (!holdings_.is_active(claim.number)) return refuse(Kind::no_lease, 0);
      const std::uint64_t deleted = end_lease(claim.number, Cause::client);
      return done(text_of_lease(claim.number, 0, deleted));
    }
    case Claim::Kind::acquire: return acquire(claim, idempotency_key);
    case Claim::Kind::renew: return renew(claim);
    case Claim::Kind::release:
      if (holdings_.holder(claim.lock) == nullptr || holdings_.token_of(claim.lock) != claim.number)
        return done(text_of_lock("not held", 0, 0, 0));
      pass_on(claim.lock, Cause::client);
      return done(text_of_lock("released", 0, 0, 0));
  }
  return {};
}

// ---- locks

Outcome Model::grant(const LockId& lock, std::uint64_t place, std::int64_t ttl,
                     const std::string& value) {
  const std::uint64_t token = revision_ + 1;
  commit({{lock.name, Seen{true, value, false, token, token, 1}}}, lock.space);
  holdings_.holders[lock] = {place, token, ttl, end_after(stamp_.time, ttl)};
  return done(text_of_lock("granted", place, token, ttl), place);
}

Outcome Model::queued(std::uint64_t place) const {
  return done(text_of_lock("queued", place, 0, 0), place);
}

void Model::remove_waiter(std::uint64_t place, std::uint64_t token) {
  const Session session = holdings_.waiters.at(place).session;
  holdings_.waiters.erase(place);
  left_.push_back({place, token});
  const bool empty =
      std::none_of(holdings_.waiters.begin(), holdings_.waiters.end(),
                   [&](const auto& other) { return other.second.session == session; });
  if (empty) holdings_.sessions.erase(session);
}

void Model::move_waiter(std::uint64_t place, const Session& session, std::uint64_t claim) {
  Waiter waiter = holdings_.waiters.at(place);
  remove_waiter(place, 0);
  left_.pop_back();
  waiter.session = session;
  waiter.claim = claim;
  holdings_.waiters[place] = std::move(waiter);
  holdings_.sessions[session] = end_after(stamp_.time, kPlacesKept);
}

// The first waiter that has not lapsed gets the lock, else it is free and its queue is empty.
void Model::pass_on(const LockId& lock, Cause cause) {
  std::vector<std::uint64_t> queue;
  for (const auto& [place, waiter] : holdings_.waiters)
    if (waiter.lock == lock) queue.push_back(place);
  for (const std::uint64_t place : queue) {
    const Waiter waiter = holdings_.waiters.at(place);
    if (holdings_.sessions.at(waiter.session) <= stamp_.time) {
      lapsed_.insert(waiter.session.boot);
      continue;
    }
    answer(waiter.idempotency_key, grant(lock, place, waiter.ttl, waiter.value));
    return remove_waiter(place, holdings_.token_of(lock));
  }
  for (const std::uint64_t place : queue) remove_waiter(place, 0);
  holdings_.holders.erase(lock);
  commit({{lock.name, Seen{}}}, lock.space, cause);
}

Outcome Model::acquire(const Claim& claim, const std::string& idempotency_key) {
  if (holdings_.holder(claim.lock) == nullptr) {
    if (holdings_.holders.size() >= claim.most) return refuse(Kind::table_limit, claim.most);
    if (over_quota_) return refuse(Kind::quota, 0);
    return grant(claim.lock, stamp_.index, claim.ttl, claim.value.value_or(""));
  }
  if (claim.wait == 0) return refuse(Kind::busy, holdings_.token_of(claim.lock));
  if (holdings_.waiters.size() >= claim.most_waiters)
    return refuse(Kind::table_limit, claim.most_waiters);
  const Session session{claim.boot, 0};
  holdings_.waiters[stamp_.index] = {
      claim.lock, session, stamp_.index, claim.ttl, claim.value.value_or(""), idempotency_key};
  holdings_.sessions[session] = end_after(stamp_.time, kPlacesKept);
  return queued(stamp_.index);
}

// A lock that was granted and is lost is lost; a place that lapsed before it was granted is asked
// for again.
Outcome Model::resume(const Claim& claim, const std::string& idempotency_key, const Outcome& kept) {
  const Holder* holder = holdings_.holder(claim.lock);
  const std::uint64_t token = holdings_.token_of(claim.lock);
  if (kept.text.starts_with("granted")) {
    if (holder == nullptr || holder->place != kept.place || holder->deadline <= stamp_.time)
      return refuse(Kind::lost, token);
    holdings_.holders.at(claim.lock).deadline = end_after(stamp_.time, holder->ttl);
    return kept;
  }
  if (claim.wait == 0 && holder != nullptr) return refuse(Kind::busy, token);
  if (holdings_.waiters.contains(kept.place)) {
    move_waiter(kept.place, {claim.boot, 0}, stamp_.index);
    return queued(kept.place);
  }
  Outcome outcome = acquire(claim, idempotency_key);
  if (outcome.kind == Kind::done || outcome.kind == Kind::busy) answer(idempotency_key, outcome);
  return outcome;
}

// A retry gets the first answer, revision included, as long as what it promised can be true again:
// then its time starts again, and nothing else changes.
Outcome Model::repeat(const Claim& claim, const std::string& idempotency_key, const Outcome& kept) {
  if (kept.kind != Kind::done) return kept;
  switch (claim.kind) {
    case Claim::Kind::acquire: return resume(claim, idempotency_key, kept);
    case Claim::Kind::renew: {
      const auto at = holdings_.holders.find(claim.lock);
      if (at == holdings_.holders.end() || at->second.token != claim.number)
        return refuse(Kind::lost, holdings_.token_of(claim.lock));
      at->second.deadline = end_after(stamp_.time, at->second.ttl);
      return kept;
    }
    case Claim::Kind::renew_lease:
    case Claim::Kind::grant: {
      const std::uint64_t id = claim.kind == Claim::Kind::grant ? kept.place : claim.number;
      if (!holdings_.is_active(id)) return refuse(Kind::no_lease, 0);
      Lease& lease = holdings_.leases[id];
      lease.deadline = end_after(stamp_.time, lease.ttl);
      return kept;
    }
    case Claim::Kind::end_lease:
    case Claim::Kind::release: break;
  }
  return kept;
}

Outcome Model::renew(const Claim& claim) {
  const auto at = holdings_.holders.find(claim.lock);
  if (at == holdings_.holders.end() || at->second.token != claim.number)
    return refuse(Kind::lost, holdings_.token_of(claim.lock));
  Seen seen = this->at(claim.lock.space, claim.lock.name, revision_);
  if (claim.value && *claim.value != seen.value) {
    if (over_quota_) return refuse(Kind::quota, 0);
    seen.value = *claim.value;
    seen.revision = revision_ + 1;
    ++seen.version;
    commit({{claim.lock.name, seen}}, claim.lock.space);
  }
  at->second.deadline = end_after(stamp_.time, at->second.ttl);
  return done(text_of_lock("renewed", 0, claim.number, at->second.ttl));
}

// ---- what servers propose

void Model::leave(const Departure& departure) {
  using Manner = Departure::Manner;
  const Holder* holder = holdings_.holder(departure.lock);
  const auto here = holdings_.waiters.find(departure.place);
  const bool waits = here != holdings_.waiters.end() && here->second.lock == departure.lock &&
                     here->second.session == Session{departure.boot, 0} &&
                     here->second.claim == departure.claim;
  if (!waits) {
    if (departure.manner == Manner::hung_up && holder != nullptr &&
        holder->place == departure.place)
      pass_on(departure.lock, Cause::client);
    return;
  }
  if (departure.manner == Manner::disconnected)
    return move_waiter(departure.place, {0, departure.place}, departure.claim);
  if (departure.manner == Manner::timed_out)
    answer(here->second.idempotency_key, refuse(Kind::busy, holder->token));
  remove_waiter(departure.place, 0);
}

void Model::keep_places(std::uint64_t boot) {
  const auto session = holdings_.sessions.find({boot, 0});
  if (session != holdings_.sessions.end()) session->second = end_after(stamp_.time, kPlacesKept);
}

void Model::expire_keys(const std::vector<Due::Key>& keys) {
  std::map<std::string, Seen> ended;
  for (const Due::Key& due : keys) {
    const Seen seen = now(due.key);
    if (seen.present && seen.deadline != 0 && seen.deadline == due.deadline &&
        seen.deadline <= stamp_.time)
      ended[due.key] = {};
  }
  commit({ended.begin(), ended.end()}, Space::keys, Cause::deadline);
}

void Model::expire(const Due& due) {
  expire_keys(due.keys);
  for (const Due::Lock& named : due.locks) {
    const Holder* holder = holdings_.holder(named.lock);
    if (holder != nullptr && holder->token == named.token && holder->deadline <= stamp_.time)
      pass_on(named.lock, Cause::deadline);
  }
  for (const std::uint64_t id : due.leases) {
    const auto lease = holdings_.leases.find(id);
    if (lease != holdings_.leases.end() && lease->second.deadline <= stamp_.time)
      end_lease(id, Cause::deadline);
  }
  for (const Session& session : due.sessions) {
    const auto here = holdings_.sessions.find(session);
    if (here == holdings_.sessions.end() || here->second > stamp_.time) continue;
    std::vector<std::uint64_t> places;
    for (const auto& [place, waiter] : holdings_.waiters)
      if (waiter.session == session) places.push_back(place);
    for (const std::uint64_t place : places) remove_waiter(place, 0);
    lapsed_.insert(session.boot);
  }
}

}  // namespace vesper::sim
