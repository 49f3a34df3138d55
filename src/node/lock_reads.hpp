// Reads of leases, locks and elections: what a client can ask, the answers, and how they are looked
// up in the store. What expires and what waits is decided in kv/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kv/key_range.hpp"
#include "kv/locks.hpp"
#include "kv/store.hpp"
#include "kv/version.hpp"

namespace vesper::node {

// One active lease.
struct ReadLease {
  std::uint64_t lease = 0;
};
// The active leases with an id above `after`, in the order of their ids.
struct ReadLeases {
  std::uint64_t after = 0;
  std::size_t limit = 0;     // at least 1
  std::uint64_t prefix = 0;  // the first digits of their ids; 0: any
};
// One lock or election, with its queue.
struct ReadLock {
  kv::LockName lock;
};
// The locks or elections that are held and have a name in the range, in the order of the names.
struct ReadLocks {
  kv::Space space = kv::Space::locks;
  kv::KeyRange range;
  std::string from;       // of a later page: begins with this name, which lies in the range
  std::size_t limit = 0;  // at least 1
};

struct LeaseState {
  std::uint64_t lease = 0;
  Duration ttl;  // as granted
  kv::LogTime deadline;
  std::size_t keys = 0;
};
struct LeaseFound {
  std::optional<LeaseState> lease;  // nothing: there is no such lease, or it is over
};
struct LeasesFound {
  std::vector<LeaseState> leases;
  std::size_t count = 0;  // of all active leases
  bool more = false;
};

struct HeldLock {
  kv::VersionRef version;  // its key is the name; its value that of the election
  std::uint64_t token = 0;
  kv::LogTime deadline;
  std::size_t waiters = 0;
};
struct LockFound {
  // The most places that `queue` has.
  static constexpr std::size_t kMaxQueue = 1000;
  std::optional<HeldLock> held;      // nothing: no one holds it
  std::size_t waiters = 0;           // places in the queue
  std::vector<std::uint64_t> queue;  // the first of them, the next to be granted first
};
struct LocksFound {
  // A list ends before it holds more bytes of names and values, except that it has at least one
  // lock.
  static constexpr std::size_t kMaxBytes = 8u << 20;
  std::vector<HeldLock> locks;
  std::uint64_t count = 0;  // in the whole range
  bool more = false;
};

LeaseFound look_up(const kv::Store& store, const ReadLease& asked);
LeasesFound look_up(const kv::Store& store, const ReadLeases& asked);
LockFound look_up(const kv::Store& store, const ReadLock& asked);
LocksFound look_up(const kv::Store& store, const ReadLocks& asked);

}  // namespace vesper::node
