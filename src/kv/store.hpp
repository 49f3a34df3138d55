// The state machine: the keyspace with its history, the idempotency table, and a digest over all of
// them. Equal commands in equal order with equal stamps give equal stores on every node. The store
// knows no log, clock or network.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "kv/command.hpp"
#include "kv/idempotency_table.hpp"
#include "kv/keyspace.hpp"
#include "kv/time_index.hpp"
#include "kv/transaction.hpp"

namespace vesper::kv {

class Export;
class Import;

class Store {
 public:
  // The limits must be equal on all servers in every version, because they decide the outcome of
  // writes. Only simulated clusters use other values, to fill the table soon.
  explicit Store(std::size_t max_idempotency_keys = kMaxIdempotencyKeys);
  ~Store() = default;
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // Decides and applies one committed command (K10: conditions, compares and idempotency keys are
  // judged here and never earlier). `now` is the stamp of its entry. An error means that the
  // command cannot be decoded. Then nothing was changed, and the node must stop.
  Result<WriteResult> apply(const SharedBytes& payload, LogTime now);

  // Null if there is no such key. Valid until the next apply.
  const Version* find(std::string_view key) const { return keyspace_.find(key); }
  const Keyspace& keyspace() const { return keyspace_; }
  Keyspace& keyspace() { return keyspace_; }  // for pins

  std::uint64_t revision() const { return keyspace_.revision(); }
  // Equal on nodes that have applied the same commands. It is the sum modulo 2^128 of the versions'
  // digests, the idempotency table's digest, and a digest of the revisions, the quota state and the
  // times, so it does not depend on the order of the versions. O(1).
  Id128 digest() const;
  // The same, computed from scratch without cached digests. O(bytes): for tests and the simulator.
  Id128 recomputed_digest() const;

  std::uint64_t size() const { return keyspace_.size(); }    // keys
  std::uint64_t bytes() const { return keyspace_.bytes(); }  // of all keys and values
  // What counts for the quota: Version::cost() of everything, history included.
  std::uint64_t cost() const { return keyspace_.live_cost() + keyspace_.history_cost(); }
  // The leader has found the store at its quota. Writes that make it grow are refused.
  bool quota_exceeded() const { return quota_exceeded_; }
  const IdempotencyTable& idempotency_table() const { return idempotency_; }
  const TimeIndex& times() const { return times_; }

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

  WriteResult decide(const Command& command, std::size_t max_reply, LogTime now);
  WriteResult compact(std::uint64_t revision);
  Id128 digest_of_rest(Id128 older_times) const;

  Keyspace keyspace_;
  IdempotencyTable idempotency_;
  TimeIndex times_;
  bool quota_exceeded_ = false;
  bool exporting_ = false;  // at most one export may exist at a time
  bool retired_ = false;
};

}  // namespace vesper::kv
