#include "node/lock_reads.hpp"

#include <algorithm>
#include <utility>

namespace vesper::node {
namespace {

LeaseState state_of(const kv::Store& store, std::uint64_t id, const kv::Lease& lease) {
  return {id, lease.ttl, lease.deadline, store.keyspace().temporary_keys().of_lease(id).size()};
}

HeldLock state_of(const kv::Store& store, const kv::LockName& lock, const kv::LockHolder& holder) {
  return {kv::VersionRef(store.keyspace().find(lock.space, lock.name)), holder.token,
          holder.deadline, store.locks().queue(lock).size()};
}

// The first id from `id` on that begins with the digits of `prefix`; 0 if there is none.
std::uint64_t next_with_prefix(std::uint64_t id, std::uint64_t prefix) {
  constexpr std::uint64_t kMost = UINT64_MAX;
  if (prefix == 0) return id;
  for (std::uint64_t first = prefix, last = prefix;; first *= 10) {
    if (id <= last) return std::max(id, first);
    if (first > kMost / 10) return 0;
    last = last > (kMost - 9) / 10 ? kMost : last * 10 + 9;
  }
}

}  // namespace

LeaseFound look_up(const kv::Store& store, const ReadLease& asked) {
  const kv::Lease* lease = store.leases().find_active(asked.lease);
  if (lease == nullptr) return {};
  return {state_of(store, asked.lease, *lease)};
}

LeasesFound look_up(const kv::Store& store, const ReadLeases& asked) {
  const auto& leases = store.leases().items();
  LeasesFound found;
  if (asked.prefix == 0) found.count = leases.size() - store.leases().over().size();
  for (auto at = leases.upper_bound(asked.after); at != leases.end();) {
    const auto& [id, lease] = *at;
    const std::uint64_t next = next_with_prefix(id, asked.prefix);
    if (next == 0) break;
    if (next != id) {
      at = leases.lower_bound(next);
      continue;
    }
    ++at;
    if (lease.state != kv::Lease::State::active) continue;
    found.more = found.leases.size() == asked.limit;
    if (found.more) break;
    found.leases.push_back(state_of(store, id, lease));
  }
  return found;
}

LockFound look_up(const kv::Store& store, const ReadLock& asked) {
  LockFound found;
  if (const kv::LockHolder* holder = store.locks().holder(asked.lock))
    found.held = state_of(store, asked.lock, *holder);
  const auto& queue = store.locks().queue(asked.lock);
  found.waiters = queue.size();
  for (const std::uint64_t place : queue) {
    if (found.queue.size() == LockFound::kMaxQueue) break;
    found.queue.push_back(place);
  }
  return found;
}

LocksFound look_up(const kv::Store& store, const ReadLocks& asked) {
  const auto& holders = store.locks().holders();
  LocksFound found;
  found.count = store.keyspace().count(asked.range, asked.space);
  std::size_t bytes = 0;
  const std::string& first = std::max(asked.range.start, asked.from);
  for (auto at = holders.lower_bound({asked.space, first}); at != holders.end(); ++at) {
    const auto& [lock, holder] = *at;
    if (lock.space != asked.space || !asked.range.contains(lock.name)) break;
    HeldLock held = state_of(store, lock, holder);
    bytes += lock.name.size() + held.version->value().size();
    found.more = found.locks.size() == asked.limit ||
                 (!found.locks.empty() && bytes > LocksFound::kMaxBytes);
    if (found.more) break;
    found.locks.push_back(std::move(held));
  }
  return found;
}

}  // namespace vesper::node
