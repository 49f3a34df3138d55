// How the store carries out the commands about leases, and what expires by itself. Everything is
// judged by the stamp of the command that is applied: a renewal that stands before an expiry in the
// log wins.
#include <algorithm>
#include <utility>

#include "kv/store.hpp"

namespace vesper::kv {

using Kind = WriteResult::Kind;

WriteResult Store::carry_out(const GrantLease& grant, const Stamp& stamp) {
  if (leases_.size() >= grant.most) return refuse(Kind::table_limit, grant.most);
  leases_.grant(stamp.index, grant.ttl, stamp.now);
  return result_now(LeaseResult{stamp.index, grant.ttl, 0});
}

WriteResult Store::carry_out(const RenewLease& renew, const Stamp& stamp) {
  const Lease* lease = leases_.find_active(renew.lease);
  if (lease == nullptr) return refuse(Kind::lease_not_found);
  const Duration ttl = lease->ttl;
  leases_.renew(renew.lease, stamp.now);
  return result_now(LeaseResult{renew.lease, ttl, 0});
}

WriteResult Store::carry_out(const EndLease& end, const Stamp&) {
  if (leases_.find_active(end.lease) == nullptr) return refuse(Kind::lease_not_found);
  leases_.end(end.lease, Lease::State::ended);
  const std::uint64_t deleted = delete_keys_of_lease(end.lease, kMaxExpired);
  return result_now(LeaseResult{end.lease, Duration{}, deleted});
}

// Deletes up to `max` keys of a lease that is over, as one revision, and forgets the lease once it
// has none. Returns how many were deleted.
std::uint64_t Store::delete_keys_of_lease(std::uint64_t lease, std::size_t max) {
  const bool expired = leases_.find(lease)->state == Lease::State::expired;
  const auto& keys = keyspace_.temporary_keys().of_lease(lease);
  const bool all = keys.size() <= max;
  std::vector<const Version*> versions;
  for (const Version* version : keys) {
    if (versions.size() == max) break;
    versions.push_back(version);
  }
  const std::uint64_t deleted = versions.size();
  delete_together(versions, expired);
  if (all) leases_.remove(lease);
  return deleted;
}

// Deletes live keys as one revision. Requires them in key order.
void Store::delete_together(const std::vector<const Version*>& versions, bool expired) {
  if (versions.empty()) return;
  std::vector<VersionRef> tombstones;
  tombstones.reserve(versions.size());
  VersionFields fields;
  fields.revision = revision() + 1;
  fields.place = 0;
  fields.tombstone = true;
  fields.expired = expired;
  for (const Version* version : versions) {
    ++fields.place;
    tombstones.push_back(Version::make(version->key(), std::string_view(), fields));
  }
  keyspace_.commit(std::move(tombstones));
}

void Store::expire_keys(const std::vector<Expire::Key>& keys, LogTime now) {
  std::vector<const Version*> due;
  due.reserve(keys.size());
  KeyTree::Hint hint;
  for (const Expire::Key& named : keys) {
    const Version* version = keyspace_.find(named.key.view(), hint);
    if (version == nullptr || named.deadline.value == 0) continue;
    if (version->deadline() == named.deadline && named.deadline <= now) due.push_back(version);
  }
  // Keys with one deadline are named in their order.
  if (!std::is_sorted(due.begin(), due.end(), TemporaryKeys::ByKey()))
    std::sort(due.begin(), due.end(), TemporaryKeys::ByKey());
  due.erase(std::unique(due.begin(), due.end()), due.end());
  delete_together(due, true);
}

WriteResult Store::carry_out(const Expire& expire, const Stamp& stamp) {
  expire_keys(expire.keys, stamp.now);
  std::size_t places = kMaxExpired;
  for (const Expire::Lock& named : expire.locks) {
    if (places == 0) break;
    const LockHolder* holder = locks_.holder(named.lock);
    const bool is_left = named.token == 0 && locks_.to_pass_on().contains(named.lock);
    const bool is_over =
        holder != nullptr && holder->token == named.token && holder->deadline <= stamp.now;
    if (is_left || is_over) pass_on(named.lock, stamp.now, true, places);
  }
  // Leases get at least half, however many keys are named.
  std::size_t left = kMaxExpired - std::min(kMaxExpired / 2, expire.keys.size());
  for (const std::uint64_t id : expire.leases) {
    if (left == 0) break;
    const Lease* lease = leases_.find(id);
    if (lease == nullptr) continue;
    if (lease->state == Lease::State::active) {
      if (lease->deadline > stamp.now) continue;
      leases_.end(id, Lease::State::expired);
    }
    left -= std::max<std::size_t>(1, delete_keys_of_lease(id, left));
  }
  for (const SessionId& session : expire.sessions) {
    const auto lapses = locks_.lapses_at(session);
    if (!lapses || *lapses > stamp.now) continue;
    while (left > 0 && !locks_.places_of(session).empty()) {
      leave_queue(*locks_.places_of(session).begin(), std::nullopt);
      --left;
    }
  }
  return result_now(LockResult{});
}

namespace {

template <typename Deadlines>
LogTime first_of(const Deadlines& deadlines) {
  return deadlines.empty() ? kEndOfLogTime : deadlines.begin()->first;
}

}  // namespace

LogTime Store::next_expiry() const {
  if (!leases_.over().empty() || !locks_.to_pass_on().empty()) return LogTime{};
  return std::min(
      {keys_due(), first_of(locks_.by_deadline()), first_of(locks_.sessions_by_deadline())});
}

LogTime Store::keys_due() const {
  const auto& keys = keyspace_.temporary_keys().by_deadline();
  return std::min({keys.empty() ? kEndOfLogTime : (*keys.begin())->deadline(),
                   first_of(leases_.by_deadline()), first_of(leases_.over())});
}

LogTime Store::due(const Version& version) const {
  const Lease* lease = version.lease() == 0 ? nullptr : leases_.find(version.lease());
  if (lease != nullptr) return lease->deadline;
  return version.deadline().value == 0 ? kEndOfLogTime : version.deadline();
}

}  // namespace vesper::kv
