// All versions of all keys, locks and elections: the present state, the history back to the last
// compaction, and the event log. It knows neither commands nor idempotency keys; transaction.hpp
// decides what to write, and store.hpp applies commands.
//
// Compaction to revision N makes N the oldest readable revision. What stays: every event with a
// revision of at least N, and for each key the newest version below N, unless it is a tombstone. So
// the state at N is readable, and every event that stays can show the version that it replaced.
// Compaction is logical first: compact() changes what is readable, and the digest, at once and on
// all nodes alike. trim() frees the memory later, in small pieces, on each node by itself.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ids.hpp"
#include "kv/event_log.hpp"
#include "kv/key_range.hpp"
#include "kv/key_tree.hpp"
#include "kv/temporary_keys.hpp"
#include "kv/version.hpp"

namespace vesper::kv {

class Keyspace {
 public:
  // Keeps the state at a revision in memory while it exists, even if that revision is compacted
  // meanwhile. For snapshots and streams. The keyspace must outlive it.
  class Pin {
   public:
    Pin() = default;
    Pin(Keyspace& keyspace, std::uint64_t revision);
    Pin(Pin&& other) noexcept
        : keyspace_(std::exchange(other.keyspace_, nullptr)), revision_(other.revision_) {}
    Pin& operator=(Pin&& other) noexcept {
      std::swap(keyspace_, other.keyspace_);
      std::swap(revision_, other.revision_);
      return *this;
    }
    ~Pin() { release(); }
    void release();
    bool holds() const { return keyspace_ != nullptr; }  // not released
    std::uint64_t revision() const { return revision_; }

   private:
    Keyspace* keyspace_ = nullptr;
    std::uint64_t revision_ = 0;
  };

  Keyspace() = default;
  Keyspace(const Keyspace&) = delete;
  Keyspace& operator=(const Keyspace&) = delete;

  // Counts the transactions that wrote something: 1 for an empty store, 2 after the first. Never
  // falls.
  std::uint64_t revision() const { return revision_; }
  // The oldest readable revision; at least 1, at most revision().
  std::uint64_t oldest_revision() const { return oldest_; }

  std::uint64_t size() const { return tree().live(); }  // keys that exist
  std::uint64_t bytes() const { return bytes_; }        // of their keys and values
  // Version::cost() of what exists, and of what only the history holds: replaced versions and
  // tombstones. Locks and elections count, too.
  std::uint64_t live_cost() const { return live_cost_; }
  std::uint64_t history_cost() const { return total_.cost - floor_.cost; }
  std::uint64_t events() const { return log_.end() - floor_event_; }  // with revision >= oldest

  // The sum of the digests of all versions that stay, modulo 2^128. O(1).
  Id128 digest() const;
  // The same, computed from scratch. O(bytes), for tests and the simulator.
  Id128 recomputed_digest() const;

  // The key's version at present; null if it does not exist. Valid until the next commit.
  const Version* find(std::string_view key) const { return find(Space::keys, key); }
  const Version* find(Space space, std::string_view key) const;
  const Version* find(std::string_view key, KeyTree::Hint& hint) const;
  // The key's version at a revision, which must be readable or pinned; null if it did not exist.
  const Version* find(std::string_view key, std::uint64_t revision) const;
  // The number of keys in the range at present. O(log n).
  std::uint64_t count(const KeyRange& range, Space space = Space::keys) const {
    return tree(space).live_in(range);
  }
  // The readable versions of a key, tombstones included, newest first, up to `limit` of them.
  std::vector<VersionRef> history(std::string_view key, std::size_t limit) const;

  const KeyTree& tree(Space space = Space::keys) const {
    return trees_[static_cast<std::size_t>(space)];
  }
  const TemporaryKeys& temporary_keys() const { return temporary_keys_; }

  // Adds the versions of one transaction, in the order of its events. Each has the revision
  // revision() + 1, its own key, and a `place` that counts from 1.
  void commit(std::vector<VersionRef> versions);
  void commit(VersionRef version) {
    KeyTree::Hint hint;
    commit(std::move(version), hint);
  }
  void commit(VersionRef version, KeyTree::Hint& hint);

  // Moves revision() on to `revision`, which must be higher, without an event. The caller compacts
  // to it, or commits one transaction and compacts to that.
  void leap(std::uint64_t revision);
  // Requires oldest_revision() < `revision` <= revision(). O(log n) plus a bounded number of steps.
  void compact(std::uint64_t revision);
  // The oldest revision to compact to, so that history_cost() falls to `max_cost` or below; the
  // present one if even that is not enough. O(log n) plus a bounded number of steps.
  std::uint64_t revision_for_history(std::uint64_t max_cost) const;
  // Frees versions that compaction has dropped and no pin needs, until about `max` versions or
  // `max_bytes` of cost() are freed, and lowers both. Each event that leaves the log counts as a
  // version. Returns true if nothing is left to free for now.
  bool trim(std::size_t& max, std::size_t& max_bytes);
  // True if there is nothing to trim now.
  bool is_trimmed() const {
    return log_.begin() == floor_event_ || log_.front()->revision() >= trim_floor();
  }
  bool is_pinned() const { return !pins_.empty(); }

  // ---- the event log: every version from oldest_revision() on, in order

  // Events are numbered. The numbers are local to this object; their order is not.
  std::uint64_t first_event() const { return floor_event_; }
  std::uint64_t end_of_events() const { return log_.end(); }
  // Requires a number that is at least first_event(), or was when a pin was taken that still
  // exists, and below end_of_events(). Events of all spaces are in one order.
  const VersionRef& event(std::uint64_t number) const { return log_.at(number); }
  // The number of the first event with a revision of at least `revision`, which must be readable or
  // pinned; end_of_events() if there is none.
  std::uint64_t find_event(std::uint64_t revision) const { return log_.lower_bound(revision); }
  // The version that an event replaced; null if the key did not exist.
  const Version* replaced_by(const Version& event) const;

  // ---- rebuilding from a snapshot

  // A revision with more than one event. The first one may be the oldest revision with no event:
  // see leap().
  struct Burst {
    std::uint64_t revision = 0;
    std::uint64_t events = 0;
  };
  // Begins a rebuild of an empty keyspace. `bursts` are those from `oldest` on, in order. False if
  // they are malformed. add() then takes every version that stays, in the order of spaces and keys,
  // and for each key the oldest first. It places the events by revision and place, so that no
  // search and no sorting is needed.
  [[nodiscard]] bool begin_import(std::uint64_t revision, std::uint64_t oldest,
                                  std::vector<Burst> bursts);
  // False if the version is out of order or out of range.
  [[nodiscard]] bool add(VersionRef version);
  // False if events are missing.
  [[nodiscard]] bool finish_import();

  // This keyspace has been replaced: from now on only retire_some() may be called. It frees up to
  // `max` versions and `max_bytes` of cost(), lowers both, and returns true when nothing is left.
  bool retire_some(std::size_t& max, std::size_t& max_bytes);

 private:
  // What compaction past an event drops: the version that it replaced, and itself if it is a
  // tombstone. As a running total over the events, so that compaction to any revision subtracts the
  // difference of two totals.
  struct Dropped {
    Id128 digest;
    std::uint64_t cost = 0;
    Dropped& operator+=(const Dropped& other);
  };
  // The total is remembered for one event of this many.
  static constexpr std::uint64_t kCheckpointEvery = 64;

  void put(VersionRef version, KeyTree::Hint& hint);
  Dropped count_live(const Version& version, const Version* replaced);
  void add_dropped_by(std::uint64_t event, Dropped& total) const;
  void append_event(VersionRef version, const Dropped& dropped);
  const Dropped& checkpoint(std::uint64_t event) const {
    return checkpoints_[static_cast<std::size_t>(event / kCheckpointEvery - first_checkpoint_)];
  }
  Dropped dropped_before(std::uint64_t event) const;
  std::uint64_t trim_floor() const;

  KeyTree& tree_of(const Version& version) {
    return trees_[static_cast<std::size_t>(version.space())];
  }

  std::array<KeyTree, kSpaces> trees_;
  TemporaryKeys temporary_keys_;
  std::uint64_t revision_ = 1;
  std::uint64_t oldest_ = 1;
  std::uint64_t bytes_ = 0;
  std::uint64_t live_cost_ = 0;
  Id128 live_digest_;  // of the versions that exist at present

  EventLog log_;
  std::uint64_t floor_event_ = 0;  // the first event with a revision of at least oldest_
  // The totals before the events 64 k, for every k from first_checkpoint_ on.
  std::deque<Dropped> checkpoints_;
  std::uint64_t first_checkpoint_ = 0;
  Dropped floor_;  // the total before floor_event_
  Dropped total_;  // the total before end_of_events()

  // While a snapshot is imported: see begin_import(). `before` counts the further events of the
  // bursts before this one.
  struct Import {
    std::vector<Burst> bursts;
    std::vector<std::int64_t> before;
    std::uint64_t first = 0;  // the revision of the first event
    std::uint64_t filled = 0;
  };
  std::uint64_t number_of(const Version& event) const;
  std::unique_ptr<Import> import_;

  std::map<std::uint64_t, std::size_t> pins_;  // revision -> number of pins
};

}  // namespace vesper::kv
