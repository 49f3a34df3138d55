// The state machine: an ordered map of keys, the revision, the idempotency table, and a digest over
// all of them. Equal commands in equal order with equal stamps give equal stores on every node. The
// store knows no log, clock or network.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string_view>

#include "kv/command.hpp"
#include "kv/idempotency_table.hpp"

namespace vesper::kv {

class Export;
class Import;

struct BytesLess {
  bool operator()(const SharedBytes& a, const SharedBytes& b) const { return a.view() < b.view(); }
};

// The digest of one item: a keyed checksum over key, value and numbers. It must never change,
// because nodes of different versions compare their digests.
Id128 digest_of(std::string_view key, const Item& item);
// The same, given the checksum of the item's value under kItemSeed.
Id128 digest_of(std::string_view key, const Item& item, Id128 value_sum);
inline constexpr std::uint64_t kItemSeed = 0x6b1f0c7de2a94835;

class Store {
 public:
  // `max_idempotency_keys` must be equal on all servers in every version, because it decides the
  // outcome of writes. Only simulated clusters use another value, to fill the table soon.
  explicit Store(std::size_t max_idempotency_keys = kMaxIdempotencyKeys);
  ~Store() = default;
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // Decides and applies one committed command (K10: conditions and idempotency keys are judged here
  // and never earlier). `now` is the stamp of its entry. An error means that the command cannot be
  // decoded. Then nothing was changed, and the node must stop.
  Result<WriteResult> apply(const SharedBytes& payload, LogTime now);

  // Null if there is no such key. Valid until the next apply.
  const Item* find(std::string_view key) const;

  // Counts the writes that took effect: 1 for an empty store, 2 after the first write. Never falls.
  std::uint64_t revision() const { return revision_; }
  // Equal on nodes that have applied the same commands. It is the sum modulo 2^128 of the items'
  // digests, the idempotency table's digest and the revision's digest, so it does not depend on the
  // order of the items. O(1).
  Id128 digest() const;
  // The same, computed from scratch without cached digests. O(bytes): for tests and the simulator.
  Id128 recomputed_digest() const;

  std::size_t size() const { return records_.size(); }  // keys
  std::uint64_t bytes() const { return bytes_; }        // of all keys and values
  const IdempotencyTable& idempotency_table() const { return idempotency_; }

  // Calls visit(std::string_view key, const Item&) in the order of the keys.
  template <typename Visit>
  void for_each(Visit&& visit) const {
    for (const Record& record : records_) visit(record.key.view(), record.item);
  }

  // Frees part of what was discarded: images of an abandoned export, and after retire() the whole
  // store. Frees at most `max` keys, and stops once their values have reached `max_bytes`. Returns
  // true when nothing is left. Freeing a store of a million keys at once would stall the loop for a
  // tenth of a second.
  bool sweep(std::size_t max, std::size_t max_bytes);
  // This store has been replaced. Only sweep() may be called from now on.
  void retire();

 private:
  friend class Export;
  friend class Import;
  // A set and not a map, so that an overwrite can also replace the key's bytes by the equal bytes
  // of the new entry. Otherwise a key would keep the entry that created it in memory. The order
  // never changes.
  struct Record {
    mutable SharedBytes key;
    mutable Item item;
  };
  struct ByKey {
    using is_transparent = void;
    bool operator()(const Record& a, const Record& b) const { return a.key.view() < b.key.view(); }
    bool operator()(const Record& a, std::string_view b) const { return a.key.view() < b; }
    bool operator()(std::string_view a, const Record& b) const { return a < b.key.view(); }
  };
  using Records = std::set<Record, ByKey>;
  // The store's part of an export in progress. A record with a revision above `revision` was
  // written since the export began. If it existed before and is not exported yet, `images` has its
  // old state.
  struct Mark {
    std::uint64_t revision = 0;
    bool begun = false;  // `cursor` is valid
    SharedBytes cursor;  // everything up to here was exported
    std::map<SharedBytes, Item, BytesLess> images;
  };

  WriteResult decide(Command&& command);
  void keep_for_export(const Record& record);
  void give_up_export();
  WriteResult put(Command&& command, Records::iterator at, bool exists);
  WriteResult remove(Records::iterator at);

  Records records_;
  std::uint64_t revision_ = 1;
  std::uint64_t bytes_ = 0;
  Id128 sum_;  // of the items' digests
  IdempotencyTable idempotency_;
  std::unique_ptr<Mark> mark_;                   // null while no export is in progress
  std::map<SharedBytes, Item, BytesLess> dead_;  // images of abandoned exports
  Records dead_records_;
};

}  // namespace vesper::kv
