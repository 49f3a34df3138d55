// The state machine: an ordered map of keys, the revision, the replies to requests that may come
// again, and the digest of it all. Equal commands in equal order, with equal stamps, give equal
// stores on every node; it knows no log, no clock and no network.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string_view>

#include "kv/command.hpp"
#include "kv/replies.hpp"

namespace vesper::kv {

class Export;
class Import;

struct BytesLess {
  bool operator()(const SharedBytes& a, const SharedBytes& b) const { return a.view() < b.view(); }
};

// The digest of one item: a keyed checksum over key, value and numbers. Fixed for good, since nodes
// of different versions compare their digests.
Id128 digest_of(std::string_view key, const Item& item);
// The same of an item whose value has this checksum, under kItemSeed.
Id128 digest_of(std::string_view key, const Item& item, Id128 value_sum);
inline constexpr std::uint64_t kItemSeed = 0x6b1f0c7de2a94835;

class Store {
 public:
  // Equal on all servers for good, as all that decides. Another one is for simulated clusters, in
  // which a table is to be full soon.
  explicit Store(std::size_t max_replies = kMaxReplies);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // Decides and carries out one committed command (K10: conditions and tokens are judged here and
  // nowhere earlier). `now` is the stamp of its entry. An error means that it cannot be decoded:
  // nothing was changed, and the node stops.
  Result<WriteResult> apply(const SharedBytes& payload, LogTime now);

  // Null where there is no such key. The pointer is good until the next apply.
  const Item* find(std::string_view key) const;

  // Counts the writes that took effect: 1 for an empty store, 2 after the first. Never falls.
  std::uint64_t revision() const { return revision_; }
  // Equal on nodes that have applied the same commands. Order-independent over the items: the sum
  // modulo 2^128 of their digests, those of the replies, and that of the revision. O(1).
  Id128 digest() const;
  // The same, from scratch, cached digests not believed. O(bytes): for tests and the simulator.
  Id128 recomputed_digest() const;

  std::size_t size() const { return records_.size(); }  // keys
  std::uint64_t bytes() const { return bytes_; }        // of all keys and values
  const Replies& replies() const { return replies_; }

  // visit(std::string_view key, const Item&), in the order of the keys.
  template <typename Visit>
  void for_each(Visit&& visit) const {
    for (const Record& record : records_) visit(record.key.view(), record.item);
  }

  // Takes apart what nobody can see any more: pre-images of an export that was given up, and after
  // retire() everything. At most `max` keys, and no more once their values have come to
  // `max_bytes`. True when nothing is left. A store of a million keys that went at once would stop
  // the loop for a tenth of a second.
  bool sweep(std::size_t max, std::size_t max_bytes);
  // This store has been replaced: it is good for nothing but sweep() from now on.
  void retire();

 private:
  friend class Export;
  friend class Import;
  // A set and not a map: an overwrite replaces the key's bytes, too, by equal ones of the new
  // entry, so that a key does not keep the entry alive that made it. The order never changes.
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
  struct Mark;  // of the export under way (kv/snapshot.cpp)

  WriteResult decide(Command&& command);
  void keep_for_export(const Record& record);
  void give_up_export();
  WriteResult put(Command&& command, Records::iterator at, bool exists);
  WriteResult remove(Records::iterator at);

  Records records_;
  std::uint64_t revision_ = 1;
  std::uint64_t bytes_ = 0;
  Id128 sum_;  // of the items' digests
  Replies replies_;
  std::unique_ptr<Mark> mark_;                   // null while no export is under way
  std::map<SharedBytes, Item, BytesLess> dead_;  // pre-images that nobody wants any more
  Records dead_records_;
};

}  // namespace vesper::kv
