// The index of the keyspace: a B+ tree from keys to their versions. Each inner node counts the live
// keys below each child, so that counting the live keys of a range takes O(log n). A key is live if
// its newest version is not a tombstone; deleted keys stay in the tree until compaction removes
// them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include "kv/key_range.hpp"
#include "kv/older_versions.hpp"
#include "kv/version.hpp"

namespace vesper::kv {

class KeyTree {
  struct Node;
  struct Leaf;
  struct Inner;
  // A node of the way from the root to a leaf, and the index of the child on that way.
  struct Step {
    Inner* node;
    std::size_t at;
  };
  // An inner node other than the last of its level has at least 16 children, so no tree that fits
  // in memory is higher.
  static constexpr std::size_t kMaxHeight = 12;
  static constexpr std::size_t kNear = 8;  // leaves: see to_next_live()
  struct Path {
    Step steps[kMaxHeight];  // from the parent of the leaf up to the root; height_ are in use
    Leaf* leaf = nullptr;
  };

 public:
  // One key. Its bytes are those of `newest`, which is never null in the tree. Only put() may
  // change `newest`, because the tree counts the live keys. A caller may trim or replace `older`.
  struct Slot {
    VersionRef newest;
    OlderVersions older;
    std::string_view key() const { return newest->key(); }
    bool is_live() const { return !newest->is_tombstone(); }
    // The version, or tombstone, at a revision; null if there is none.
    const Version* at(std::uint64_t revision) const {
      if (newest->revision() <= revision) return newest.get();
      return older.find(revision);
    }
    // The oldest version with a revision above `revision`; null if there is none.
    const Version* after(std::uint64_t revision) const {
      const std::size_t skipped = older.count_up_to(revision);
      if (skipped < older.size()) return &older.at(skipped);
      return newest->revision() > revision ? newest.get() : nullptr;
    }
  };

  // A place between or at the slots, in key order. Valid until the next put() of a new key, erase()
  // or free_some().
  class Position {
   public:
    Position() = default;
    bool at_end() const { return leaf_ == nullptr; }
    // Requires !at_end().
    Slot& slot() const;
    void next();
    void previous();  // before the first slot: at_end()
    // Moves to the next (previous) live slot after this one, or to the end. Passes a leaf without
    // live keys in O(1), and gives up after `max_leaves` of them, at least 1: it then returns
    // false, and is at a deleted key before (after) the live slot sought.
    bool next_live(std::size_t max_leaves);
    bool previous_live(std::size_t max_leaves);
    void next_live() { next_live(SIZE_MAX); }
    void previous_live() { previous_live(SIZE_MAX); }

   private:
    friend class KeyTree;
    Position(Leaf* leaf, std::size_t at) : leaf_(leaf), at_(at) {}
    Leaf* leaf_ = nullptr;
    std::size_t at_ = 0;
  };

  // Where the last key was found, for many lookups or puts in a row: if they come in key order,
  // most of them need no search. Valid until the next put() of a new key without it, erase() or
  // free_some().
  class Hint {
    friend class KeyTree;
    const KeyTree* tree_ = nullptr;  // another tree ignores the hint
    Path path_;                      // no leaf: nowhere
    std::size_t at_ = 0;
  };

  KeyTree();
  ~KeyTree();
  KeyTree(KeyTree&&) noexcept;
  KeyTree& operator=(KeyTree&&) noexcept;

  std::size_t slots() const;   // keys, live or deleted
  std::uint64_t live() const;  // live keys
  // The number of live keys in the range.
  std::uint64_t live_in(const KeyRange& range) const;

  // Null if there is no slot for the key. Valid as long as a Position.
  Slot* find(std::string_view key) const;
  Slot* find(std::string_view key, Hint& hint) const;
  Position first() const;
  Position last() const;                             // at_end() if the tree is empty
  Position lower_bound(std::string_view key) const;  // the first slot with a key >= `key`
  Position below(std::string_view key) const;        // the last slot with a key < `key`
  // The first (last) live slot in the range; at_end() if there is none. O(log n), however many
  // deleted keys lie in the range.
  Position first_live(const KeyRange& range) const;
  Position last_live(const KeyRange& range) const;
  // Moves to the next (previous) live slot, or to the end. O(log n), however many deleted keys lie
  // in between: it passes a few leaves of them one by one, and more in one step.
  void to_next_live(Position& at) const {
    if (!at.next_live(kNear)) at = first_live({std::string(at.slot().key()), {}});
  }
  void to_previous_live(Position& at) const {
    if (!at.previous_live(kNear)) at = last_live({{}, std::string(at.slot().key())});
  }

  // Makes `version` the newest of its key, and moves the one that it replaces to `older`. Adds a
  // slot if the key is new. A put after the last key is fast and fills the leaves completely.
  // Returns the replaced version (which the slot keeps alive), or null.
  const Version* put(VersionRef version, Hint& hint);
  const Version* put(VersionRef version) {
    Hint hint;
    return put(std::move(version), hint);
  }
  // Removes the slot of a key. Requires that it exists. A sparse leaf is merged with its neighbour,
  // so that the memory of a tree is proportional to its slots.
  void erase(std::string_view key);

  // Frees slots until `max` versions or `max_bytes` of cost() are freed, and lowers both by what it
  // freed. Returns true if the tree is empty. For a tree that has been discarded.
  bool free_some(std::size_t& max, std::size_t& max_bytes);

  // For tests. Walks the whole tree and asserts the order of the keys, the counters, the links
  // between the leaves and the fill of the nodes.
  void check_invariants() const;

 private:
  Leaf* leaf_for(std::string_view key) const;
  void lead_to(std::string_view key, Path& path) const;
  Path path_to(std::string_view key) const;
  bool seek(std::string_view key, Hint& hint) const;
  Path path_to_last() const;
  static Position first_live_of(Node* node, std::size_t level);
  static Position last_live_of(Node* node, std::size_t level);
  std::pair<const Leaf*, std::uint64_t> live_before_leaf_for(std::string_view key) const;

  void append(VersionRef version);
  void append_leaf(std::string_view key);
  void insert(Path& path, std::size_t at, VersionRef version);
  const Version* replace(const Path& path, std::size_t at, VersionRef version);
  void add_live(const Path& path, std::uint64_t change);

  void make_room(Path& path, std::size_t& at, std::string_view key);
  void add_sibling(Path& path, std::size_t level, Node* sibling);
  void split_inner(Path& path, std::size_t level);
  void grow(Path& path);
  static void share_leaves(Inner& parent, std::size_t left, std::size_t slots);
  static void share_inners(Inner& parent, std::size_t left, std::size_t children);

  void fill_up(Path& path, std::size_t level);
  void remove_child(Path& path, std::size_t level, std::size_t at);
  void drop_root();
  bool is_last(const Path& path, std::size_t level) const;
  void delete_node(Node* node, std::size_t level);
  static void delete_subtree(Node* node, std::size_t level);

  void check_leaf(const Leaf& leaf) const;
  std::uint64_t check_subtree(const Node* node, std::size_t level, bool last, std::string_view from,
                              std::string_view to, const Leaf*& next) const;
  void swap(KeyTree& other) noexcept;

  Node* root_ = nullptr;    // null: there are no slots
  std::size_t height_ = 0;  // levels of inner nodes; 0: the root is a leaf
  Leaf* first_ = nullptr;
  Leaf* last_ = nullptr;
  std::size_t slots_ = 0;
  std::uint64_t live_ = 0;
};

}  // namespace vesper::kv
