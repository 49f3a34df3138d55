// The state machine: the keyspace with its history, leases, locks, tokens, the idempotency table,
// and a digest over all of them. Equal commands in equal order with equal stamps give equal stores
// on every node. The store knows no log, clock or network.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "kv/access.hpp"
#include "kv/command.hpp"
#include "kv/idempotency_table.hpp"
#include "kv/keyspace.hpp"
#include "kv/leases.hpp"
#include "kv/locks.hpp"
#include "kv/time_index.hpp"
#include "kv/transaction.hpp"

namespace vesper::kv {

class Export;
class Import;

// How far the revision leaps when a store becomes the start of a new cluster.
inline constexpr std::uint64_t kRevisionLeap = std::uint64_t{1} << 32;

class Store {
 public:
  // The limits must be equal on all servers in every version, because they decide the outcome of
  // writes. Only simulated clusters use other values, to fill the table soon.
  explicit Store(std::size_t max_idempotency_keys = kMaxIdempotencyKeys);
  ~Store() = default;
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // Decides and applies one committed command (K10: conditions, compares and idempotency keys are
  // judged here and never earlier). `now` and `index` are those of its entry. An error means that
  // the command cannot be decoded. Then nothing was changed, and the node must stop.
  Result<WriteResult> apply(const SharedBytes& payload, LogTime now, std::uint64_t index);

  // A place that left the queue of a lock.
  struct LeftQueue {
    std::uint64_t place = 0;
    std::optional<LockHolder> granted;  // nothing: it was given up or has lapsed
  };
  // Returns and clears what has left since the last call. Not part of the state: a node that serves
  // waiters calls it after each apply().
  std::vector<LeftQueue> take_left_queue() { return std::exchange(left_queue_, {}); }
  void forget_left_queue() { left_queue_.clear(); }

  // The first instant at which something expires by itself: a key, a lease, a lock, or the places
  // of a session. kEndOfLogTime if there is nothing.
  LogTime next_expiry() const;
  // The same of keys and leases alone: no key that is still there was due before.
  LogTime keys_due() const;
  // When this live version ends by itself, with its lease if it has one; kEndOfLogTime: never.
  LogTime due(const Version& version) const;

  // Null if there is no such key. Valid until the next apply.
  const Version* find(std::string_view key) const { return keyspace_.find(key); }
  const Keyspace& keyspace() const { return keyspace_; }
  Keyspace& keyspace() { return keyspace_; }  // for pins

  std::uint64_t revision() const { return keyspace_.revision(); }
  // Equal on nodes that have applied the same commands. It is the sum modulo 2^128 of the versions'
  // digests, the idempotency table's digest, and a digest of the revisions, the quota state,
  // whether clients need tokens, and the times, so it does not depend on the order of the versions.
  // O(1).
  Id128 digest() const;
  // The same, computed from scratch without cached digests. O(bytes): for tests and the simulator.
  Id128 recomputed_digest() const;

  std::uint64_t size() const { return keyspace_.size(); }    // keys
  std::uint64_t bytes() const { return keyspace_.bytes(); }  // of all keys and values
  // What counts for the quota: Version::cost() of everything, history included.
  std::uint64_t cost() const { return keyspace_.live_cost() + keyspace_.history_cost(); }
  // The leader has found the store at its quota. Writes that make it grow are refused.
  bool quota_exceeded() const { return quota_exceeded_; }
  // The store is at its quota, and compaction frees nothing more: all that is left of the history
  // is what the events of the newest revision replaced, which would stay until the next write. If
  // the leader then reports the quota again, the store moves on to a revision without events and
  // compacts to it, so that deletes always make room.
  bool is_stuck_at_quota() const {
    return quota_exceeded_ && keyspace_.oldest_revision() == keyspace_.revision() &&
           keyspace_.history_cost() > 0;
  }
  const IdempotencyTable& idempotency_table() const { return idempotency_; }
  const Leases& leases() const { return leases_; }
  const Locks& locks() const { return locks_; }
  const Access& access() const { return access_; }
  const TimeIndex& times() const { return times_; }

  // Makes this store the start of a new cluster, after the cluster that it belonged to was lost. It
  // may lack writes that were acknowledged, so no id or token of that cluster may be valid in the
  // new one: the revision rises by kRevisionLeap and becomes the oldest one, every lock and
  // election is released, and every queue is given up. Keys, leases and the results of keyed writes
  // stay. `now`: the log time of the last entry applied.
  void begin_new_cluster(LogTime now);

  // Frees part of what was discarded: compacted versions, images of an abandoned export, and after
  // retire() the whole store. Frees at most `max` versions, and stops once their cost has reached
  // `max_bytes`. Returns true when nothing is left. Freeing a store of a million keys at once would
  // stall the loop for a tenth of a second.
  bool sweep(std::size_t max, std::size_t max_bytes);
  // This store has been replaced. Only sweep() may be called from now on, and streams that hold a
  // pin may go on reading; sweep() waits for them.
  void retire();

 private:
  friend class Export;
  friend class Import;

  // Of the entry whose command is applied.
  struct Stamp {
    LogTime now;
    std::uint64_t index = 0;
    SharedBytes idempotency_key;  // of the command; empty: none
  };
  std::optional<WriteResult> refuse_client(const Command& command, LogTime now) const;
  bool covers_keys_of_lease(const Token& token, std::uint64_t lease) const;
  WriteResult decide(const Command& command, std::size_t max_reply, const Stamp& stamp);
  WriteResult carry_out(const Command& command, std::size_t max_reply, const Stamp& stamp);
  WriteResult replay(const Command& command, const KeptResult& kept, const Stamp& stamp);
  WriteResult result_now(OperationResult result) const;
  WriteResult refuse(WriteResult::Kind kind, std::uint64_t limit = 0) const;
  WriteResult compact(std::uint64_t revision);
  WriteResult set_quota(bool exceeded);

  // Each carries out one kind of command. These are in store_leases.cpp, store_locks.cpp and
  // store_access.cpp.
  WriteResult carry_out(const GrantLease& grant, const Stamp& stamp);
  WriteResult carry_out(const RenewLease& renew, const Stamp& stamp);
  WriteResult carry_out(const EndLease& end, const Stamp& stamp);
  WriteResult carry_out(const AcquireLock& acquire, const Stamp& stamp);
  WriteResult carry_out(const RenewLock& renew, const Stamp& stamp);
  WriteResult carry_out(const ReleaseLock& release, const Stamp& stamp);
  WriteResult carry_out(const LeaveQueue& leave, const Stamp& stamp);
  WriteResult carry_out(const KeepPlaces& keep, const Stamp& stamp);
  WriteResult carry_out(const Expire& expire, const Stamp& stamp);
  WriteResult carry_out(const EnableAuth& enable, const Stamp& stamp);
  WriteResult carry_out(const DisableAuth& disable, const Stamp& stamp);
  WriteResult carry_out(const AddToken& add, const Stamp& stamp);
  WriteResult carry_out(const RevokeToken& revoke, const Stamp& stamp);
  WriteResult resume(const AcquireLock& acquire, const LockResult& kept, const Stamp& stamp);
  void keep_instead(const SharedBytes& idempotency_key, WriteResult result, LogTime now);

  std::uint64_t delete_keys_of_lease(std::uint64_t lease, std::size_t max);
  void expire_keys(const std::vector<Expire::Key>& keys, LogTime now);
  void delete_together(const std::vector<const Version*>& versions, bool expired);
  LockResult grant(const LockName& lock, std::uint64_t place, Duration ttl,
                   const SharedBytes& value, LogTime now);
  void pass_on(const LockName& lock, LogTime now, bool expired, std::size_t& places);
  bool is_free(const LockName& lock) const;
  void leave_queue(std::uint64_t place, std::optional<LockHolder> granted);

  Id128 digest_of_rest(Id128 older_times) const;

  Keyspace keyspace_;
  Leases leases_;
  Locks locks_;
  Access access_;
  IdempotencyTable idempotency_;
  TimeIndex times_;
  bool quota_exceeded_ = false;
  std::vector<LeftQueue> left_queue_;
  bool exporting_ = false;  // at most one export may exist at a time
  bool retired_ = false;
};

}  // namespace vesper::kv
