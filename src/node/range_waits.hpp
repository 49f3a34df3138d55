// An index of the ranges in which watches and long polls wait for a change: for each committed
// event it finds the waiters of the ranges that hold its key, and no others. A treap per space,
// ordered by the start of the ranges, in which each node knows the last end below it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/prng.hpp"
#include "kv/key_range.hpp"
#include "kv/version.hpp"

namespace vesper::node {

class RangeWaiter {
 public:
  // An event in one of its ranges was committed. Must not call RangeWaits.
  virtual void on_change(const kv::Version& event) = 0;

 protected:
  ~RangeWaiter() = default;
};

class RangeWaits {
 public:
  // What add() returns and remove() takes. Never reused.
  using Id = std::uint64_t;

  RangeWaits();
  ~RangeWaits();
  RangeWaits(const RangeWaits&) = delete;
  RangeWaits& operator=(const RangeWaits&) = delete;

  // O(log n). The range and the waiter must outlive the entry.
  Id add(kv::Space space, const kv::KeyRange& range, RangeWaiter& waiter);
  // O(log n). Requires an entry with this space, range and id.
  void remove(kv::Space space, const kv::KeyRange& range, Id id);

  // Calls on_change() of each entry whose range has the event's key, in the order of the ranges.
  // O(log n + matches).
  void tell(const kv::Version& event) const;

  std::size_t size() const { return size_; }  // entries

  // For tests. Walks the trees and asserts their order and what each node knows of its subtree.
  void check_invariants() const;

 private:
  struct Node;
  using Tree = std::unique_ptr<Node>;

  static bool is_before(const Node& a, const kv::KeyRange& range, Id id);
  static void update(Node& node);
  static void split(Tree tree, const Node& by, Tree& left, Tree& right);
  static Tree merge(Tree left, Tree right);
  static void insert(Tree& at, Tree node);
  static void erase(Tree& at, const kv::KeyRange& range, Id id);

  std::array<Tree, kv::kSpaces> trees_;
  std::size_t size_ = 0;
  Id last_id_ = 0;
  // Only the balance of the trees depends on these numbers, so they need no seed from outside.
  Prng priorities_{1};
};

}  // namespace vesper::node
