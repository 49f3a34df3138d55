// The locks and elections: their holders, deadlines and queues. Part of the replicated state;
// deadlines are log time. An election is a lock with a value. What watches see of
// a lock (held with which token and value, or free) is a version in a space of its own of the
// keyspace; this file has the rest: deadlines and queues.
//
// A waiter has a place in the queue: the index of the log entry that asked. Places belong to a
// session, which the node that serves the waiters renews; the places of a node that stopped lapse.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "kv/export_map.hpp"
#include "kv/log_time.hpp"
#include "kv/version.hpp"

namespace vesper::kv {

// How long the places of a session last after its last renewal.
inline constexpr Duration kSessionKept = seconds(2);  // of log time

struct LockName {
  Space space = Space::locks;  // locks or elections
  std::string name;            // 1 to kMaxKey bytes
  auto operator<=>(const LockName&) const = default;
};

// Whose places lapse together: those of one process of a server, or a single place (`boot` 0) whose
// client hung up and may come back with the same idempotency key.
struct SessionId {
  std::uint64_t boot = 0;   // raft::BootId of the node that serves the waiters
  std::uint64_t place = 0;  // 0 if `boot` is not
  auto operator<=>(const SessionId&) const = default;
};

struct LockHolder {
  std::uint64_t place = 0;  // the index of the entry that asked
  std::uint64_t token = 0;  // the revision of the grant
  Duration ttl;
  LogTime deadline;  // a renewal sets it to its own stamp plus `ttl`
};

struct LockWaiter {
  LockName lock;
  SessionId session;
  // The index of the command that claimed the place last: the one that asked, or a retry with the
  // same idempotency key.
  std::uint64_t claim = 0;
  Duration ttl;                 // from the grant on
  SharedBytes value;            // of an election, once granted
  SharedBytes idempotency_key;  // of the request; empty: none
};

class Keyspace;

class Locks {
 public:
  using Holders = ExportMap<LockName, LockHolder>;
  using Waiters = ExportMap<std::uint64_t, LockWaiter>;
  using Sessions = ExportMap<SessionId, LogTime>;  // and when its places lapse

  std::size_t held() const { return holders_.size(); }
  std::size_t waiters() const { return waiters_.size(); }
  // Null if no one holds it. Valid until the next change.
  const LockHolder* holder(const LockName& lock) const { return holders_.find(lock); }
  // True while the lock or the election of this name is held with this token.
  bool is_held(std::string_view name, std::uint64_t token) const;
  // The token of the holder of the lock, or else of the election, of this name; 0 if neither is
  // held.
  std::uint64_t token_of(std::string_view name) const;
  // Null if there is no such place. Valid until the next change.
  const LockWaiter* waiter(std::uint64_t place) const { return waiters_.find(place); }
  // The places in the queue of a lock, first the next to be granted. A lock that is free has some
  // only while it is to be passed on.
  const std::set<std::uint64_t>& queue(const LockName& lock) const;

  // Records the new holder of a lock, and replaces the previous one.
  void hold(const LockName& lock, const LockHolder& holder);
  // Requires a holder. If a queue is left after free(), the lock is to be passed on.
  void renew(const LockName& lock, LogTime now);
  void free(const LockName& lock);
  // Adds a waiter at the end of the queue of a lock that is held or to be passed on. `place` is
  // above all others.
  void enqueue(std::uint64_t place, LockWaiter waiter, LogTime now);
  // Removes a place from its queue. Requires the place.
  void leave(std::uint64_t place);
  // Moves a place to another session, or to another claim of the same one.
  void move(std::uint64_t place, const SessionId& session, std::uint64_t claim, LogTime now);
  // The places of the session last until `now` + kSessionKept. Ignores a session without places.
  void renew_session(const SessionId& session, LogTime now);
  // When the places of the session lapse; nothing if it has none.
  std::optional<LogTime> lapses_at(const SessionId& session) const;
  // The first waiter whose place has not lapsed at `now`, among the first `most` of the queue; 0 if
  // there is none. Lowers `most` by those that it looked at.
  std::uint64_t first_waiting(const LockName& lock, LogTime now, std::size_t& most) const;
  const std::set<std::uint64_t>& places_of(const SessionId& session) const;
  // The locks that are free and have a queue, because it was too long to be searched at once.
  const std::set<LockName>& to_pass_on() const { return to_pass_on_; }

  // In the order of the deadlines.
  const std::set<std::pair<LogTime, LockName>>& by_deadline() const { return by_deadline_; }
  const std::set<std::pair<LogTime, SessionId>>& sessions_by_deadline() const {
    return sessions_by_deadline_;
  }
  const Holders::Items& holders() const { return holders_.items(); }
  const Waiters::Items& waiter_items() const { return waiters_.items(); }

  Id128 digest() const { return sum_; }
  Id128 recomputed_digest() const;

  // For snapshots; see ExportMap. The byte forms:
  //   holder   u8 space   u16 length, name   u64 place   u64 token   i64 ttl   i64 deadline
  //   waiter   u64 place   u8 space   u16 length, name   u64 boot   u64 session's place
  //            u64 claim   i64 ttl   u32 length, value   u8 length, idempotency key
  //   session  u64 boot   u64 place   i64 deadline
  // Holders come before waiters, and these before sessions.
  void begin_export();
  bool export_holder(ByteWriter& w);
  bool export_waiter(ByteWriter& w);
  bool export_session(ByteWriter& w);
  void end_export();
  // These read one. False, and r.ok(), if it is out of order or out of range, or if the keyspace
  // has no version that says so.
  [[nodiscard]] bool import_holder(ByteReader& r, const Keyspace& keyspace);
  [[nodiscard]] bool import_waiter(ByteReader& r);
  [[nodiscard]] bool import_session(ByteReader& r);
  // False if a session is missing.
  [[nodiscard]] bool finish_import() const;

  bool free_some(std::size_t& max);

 private:
  void set(const LockName& lock, const LockHolder& holder);
  void forget(const LockName& lock, const LockHolder& holder);
  void set(std::uint64_t place, LockWaiter waiter);
  void forget(std::uint64_t place, const LockWaiter& waiter);
  void set(const SessionId& session, LogTime deadline);
  void forget(const SessionId& session, LogTime deadline);

  Holders holders_;
  Waiters waiters_;
  Sessions sessions_;
  // What follows from the three.
  std::map<LockName, std::set<std::uint64_t>> queues_;
  std::map<SessionId, std::set<std::uint64_t>> places_;
  std::set<LockName> to_pass_on_;
  std::set<std::pair<LogTime, LockName>> by_deadline_;
  std::set<std::pair<LogTime, SessionId>> sessions_by_deadline_;
  Id128 sum_;
};

}  // namespace vesper::kv
