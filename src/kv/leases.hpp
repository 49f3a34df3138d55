// The leases: what clients keep alive, so that groups of keys end with them. Part of the replicated
// state. Deadlines are log time, and are judged by the stamp of the command that is applied. Which
// keys a lease has is known by the keyspace (kv/temporary_keys.hpp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <utility>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "kv/export_map.hpp"
#include "kv/log_time.hpp"

namespace vesper::kv {

// The longest time to live. A deadline past the end of log time never expires.
inline constexpr Duration kMaxTtl = seconds(9'000'000'000);

struct Lease {
  // `active`: it can be renewed, and keys can be attached. The others: it is over, and only exists
  // until its keys are deleted, in slices.
  enum class State : std::uint8_t { active = 0, ended = 1, expired = 2 };  // ended: by a client
  Duration ttl;
  LogTime deadline;  // a renewal sets it to its own stamp plus `ttl`
  State state = State::active;
};

class Leases {
 public:
  std::size_t size() const { return leases_.size(); }
  bool empty() const { return leases_.empty(); }
  const ExportMap<std::uint64_t, Lease>::Items& items() const { return leases_.items(); }
  // Null if there is no such lease, or if it is over. Valid until the next change.
  const Lease* find_active(std::uint64_t id) const;
  // Those that are over, too.
  const Lease* find(std::uint64_t id) const { return leases_.find(id); }

  // `id`: the index of the log entry, never used before.
  void grant(std::uint64_t id, Duration ttl, LogTime now);
  // These require an active lease.
  void renew(std::uint64_t id, LogTime now);
  void end(std::uint64_t id, Lease::State state);
  // Requires that it exists. Its keys are gone.
  void remove(std::uint64_t id);

  // When the first active lease ends; kEndOfLogTime if there is none. `due` is in the order of the
  // deadlines.
  using Deadlines = std::set<std::pair<LogTime, std::uint64_t>>;
  const Deadlines& by_deadline() const { return by_deadline_; }
  // Those that are over, in the same order.
  const Deadlines& over() const { return over_; }

  Id128 digest() const { return sum_; }
  Id128 recomputed_digest() const;

  // For snapshots; see ExportMap. export_next() writes the byte form of a lease:
  //   u64 id   i64 ttl   i64 deadline   u8 state
  void begin_export() { leases_.begin_export(); }
  bool export_next(ByteWriter& w);
  void end_export() { leases_.end_export(); }
  // Reads one. False, and r.ok(), if it is out of order or out of range.
  [[nodiscard]] bool import_next(ByteReader& r);

  bool free_some(std::size_t& max);

 private:
  void set(std::uint64_t id, Lease lease);
  void forget(std::uint64_t id, const Lease& lease);

  ExportMap<std::uint64_t, Lease> leases_;
  Deadlines by_deadline_;  // of active ones
  Deadlines over_;         // of all others
  Id128 sum_;
};

}  // namespace vesper::kv
