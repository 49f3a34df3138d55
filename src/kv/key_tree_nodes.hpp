// The nodes of a KeyTree, and how slots and children move within and between them. Only
// key_tree.cpp and key_tree_check.cpp include this header.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/assert.hpp"
#include "base/checksum.hpp"
#include "kv/key_tree.hpp"

namespace vesper::kv {
namespace key_tree {

inline constexpr std::size_t kSlots = 64;     // of a leaf: one bit of its live mask each
inline constexpr std::size_t kChildren = 64;  // of an inner node
// A node with fewer slots or children is merged with a neighbour, or gets some of its neighbour's.
// The last node of a level is exempt, because appends fill it.
inline constexpr std::size_t kMinimum = 16;
// A full leaf gives slots to a neighbour with at most this many slots. With a fuller neighbour it
// is split instead, because moving a few slots at every put costs more than the memory is worth.
inline constexpr std::size_t kRoomy = 56;

// Whoever goes from slot to slot has the version fetched from memory that comes after so many
// slots: its first bytes, which are fields, key and value.
inline constexpr std::size_t kAhead = 8;
inline constexpr std::size_t kForReading = 64;
inline constexpr std::size_t kForReplacing = 192;  // the digest is of all of it

// The bits of the first n slots.
constexpr std::uint64_t first_bits(std::size_t n) {
  return n >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << n) - 1;
}
constexpr std::uint64_t shifted_up(std::uint64_t bits, std::size_t n) {
  return n >= 64 ? 0 : bits << n;
}
constexpr std::uint64_t shifted_down(std::uint64_t bits, std::size_t n) {
  return n >= 64 ? 0 : bits >> n;
}
inline std::size_t count_bits(std::uint64_t bits) {
  return static_cast<std::size_t>(std::popcount(bits));
}

// One byte of a hash of a key. A leaf keeps those of its keys side by side, so that it finds a key
// by looking at about one version. The versions lie anywhere in memory, and a binary search waits
// for six of them.
inline std::uint8_t mark_of(std::string_view key) {
  return static_cast<std::uint8_t>(checksum64(key));
}

// The shortest string above `left`, but not above `right`: a view of the beginning of `right`.
// Requires left < right.
inline std::string_view separator_between(std::string_view left, std::string_view right) {
  const auto [l, r] = std::mismatch(left.begin(), left.end(), right.begin(), right.end());
  VESPER_ASSERT(r != right.end());
  return right.substr(0, static_cast<std::size_t>(r - right.begin()) + 1);
}

// The lower bounds of the children of an inner node: copies, so that no version is kept for its key
// alone, and side by side in memory, because each search looks at about six of them.
class Separators {
 public:
  std::string_view operator[](std::size_t i) const {
    return {bytes_.data() + begin(i), ends_[i] - begin(i)};
  }
  void set(std::size_t i, std::string_view separator) {
    VESPER_ASSERT(i < count_);
    const auto size = static_cast<std::uint32_t>(separator.size());
    const std::uint32_t change = size - (ends_[i] - begin(i));  // modulo 2^32
    bytes_.replace(begin(i), ends_[i] - begin(i), separator);
    for (; i < count_; ++i) ends_[i] += change;
  }
  // Makes a gap of n empty separators at `at`.
  void open(std::size_t at, std::size_t n) {
    const std::uint32_t end = begin(at);
    std::move_backward(ends_ + at, ends_ + count_, ends_ + count_ + n);
    std::fill_n(ends_ + at, n, end);
    count_ += n;
  }
  // Removes n separators at `at`.
  void close(std::size_t at, std::size_t n) {
    const std::uint32_t removed = begin(at + n) - begin(at);
    bytes_.erase(begin(at), removed);
    std::move(ends_ + at + n, ends_ + count_, ends_ + at);
    count_ -= n;
    for (; at < count_; ++at) ends_[at] -= removed;
  }

 private:
  std::uint32_t begin(std::size_t i) const { return i == 0 ? 0 : ends_[i - 1]; }

  std::string bytes_;  // of all, in order
  std::uint32_t ends_[kChildren];
  std::size_t count_ = 0;
};

// Moves slots (or children) between two neighbours, so that the left one has `count`.
template <typename Node>
void level_out(Node& left, Node& right, std::size_t count) {
  if (count < left.count) {
    const std::size_t n = left.count - count;
    right.open(0, n);
    right.take(0, left, count, n);
    left.close(count, n);
  } else {
    const std::size_t n = count - left.count;
    left.open(left.count, n);
    left.take(count - n, right, 0, n);
    right.close(0, n);
  }
}

}  // namespace key_tree

struct KeyTree::Node {
  std::uint32_t count = 0;  // of its slots or children
};

struct KeyTree::Leaf : Node {
  Leaf* previous = nullptr;
  Leaf* next = nullptr;
  std::uint64_t live = 0;                                            // bit i: slot i is live
  alignas(std::uint64_t) std::uint8_t marks[key_tree::kSlots] = {};  // mark_of() each key
  // Only the first `count` slots are constructed. They have no gaps.
  alignas(Slot) std::byte storage[key_tree::kSlots * sizeof(Slot)];

  Leaf() {}
  ~Leaf() { std::destroy_n(slots(), count); }
  Leaf(const Leaf&) = delete;
  Leaf& operator=(const Leaf&) = delete;

  Slot* slots() { return reinterpret_cast<Slot*>(storage); }
  const Slot* slots() const { return reinterpret_cast<const Slot*>(storage); }
  std::string_view key(std::size_t i) const { return slots()[i].key(); }
  std::string_view last_key() const { return key(count - 1); }

  // Moves n slots to uninitialized storage and leaves theirs uninitialized. The ranges may overlap.
  static void relocate(Slot* from, std::size_t n, Slot* to) {
    const auto move = [&](std::size_t i) {
      std::construct_at(to + i, std::move(from[i]));
      std::destroy_at(from + i);
    };
    if (to < from)
      for (std::size_t i = 0; i < n; ++i) move(i);
    else
      for (std::size_t i = n; i-- > 0;) move(i);
  }

  // Begins to fetch the newest version of a slot: of the next leaf's if this one has fewer.
  void prefetch(std::size_t at, std::size_t bytes) const {
    const Leaf* leaf = this;
    if (at >= count) {
      at -= count;
      leaf = next;
      if (leaf == nullptr || at >= leaf->count) return;
    }
    const auto* version = reinterpret_cast<const char*>(leaf->slots()[at].newest.get());
    for (std::size_t i = 0; i < bytes; i += 64) __builtin_prefetch(version + i);
  }

  // Fills the uninitialized slot at `at`.
  void set(std::size_t at, VersionRef version) {
    marks[at] = key_tree::mark_of(version->key());
    std::construct_at(slots() + at, Slot{std::move(version), {}});
  }

  // Makes a gap of n uninitialized slots at `at`, which the caller must fill.
  void open(std::size_t at, std::size_t n) {
    relocate(slots() + at, count - at, slots() + at + n);
    std::memmove(marks + at + n, marks + at, count - at);
    live = (live & key_tree::first_bits(at)) |
           key_tree::shifted_up(live & ~key_tree::first_bits(at), n);
    count += static_cast<std::uint32_t>(n);
  }
  // Closes a gap of n uninitialized slots at `at`.
  void close(std::size_t at, std::size_t n) {
    relocate(slots() + at + n, count - at - n, slots() + at);
    std::memmove(marks + at, marks + at + n, count - at - n);
    live = (live & key_tree::first_bits(at)) |
           (key_tree::shifted_down(live, n) & ~key_tree::first_bits(at));
    count -= static_cast<std::uint32_t>(n);
  }
  // Moves n slots of `other` to the gap at `at`, and leaves a gap there.
  void take(std::size_t at, Leaf& other, std::size_t from, std::size_t n) {
    relocate(other.slots() + from, n, slots() + at);
    std::memcpy(marks + at, other.marks + from, n);
    const std::uint64_t moved = key_tree::shifted_down(other.live, from) & key_tree::first_bits(n);
    live = (live & ~key_tree::shifted_up(key_tree::first_bits(n), at)) |
           key_tree::shifted_up(moved, at);
  }

  // A binary search for the first slot with a key >= `key`, in steps, so that two searches can wait
  // for memory at the same time.
  class Search {
   public:
    Search(const Leaf& leaf, std::string_view key) : leaf_(leaf), key_(key), high_(leaf.count) {
      prefetch(high_ / 2);
    }
    // Returns false if the search is complete.
    bool step() {
      if (low_ == high_) return false;
      const std::size_t middle = (low_ + high_) / 2;
      // Most time is spent waiting for versions: fetch both that may be compared next.
      prefetch((low_ + middle) / 2);
      prefetch((middle + 1 + high_) / 2);
      if (leaf_.key(middle) < key_) low_ = middle + 1;
      else high_ = middle;
      return true;
    }
    // The index, or `count`. Requires that the search is complete.
    std::size_t found() const { return low_; }

   private:
    void prefetch(std::size_t i) const {
      if (i >= leaf_.count) return;
      // The size of the key and the key begin near the end of the Version, which may lie in the
      // cache line before that of the rest of the key.
      const auto* version = reinterpret_cast<const char*>(leaf_.slots()[i].newest.get());
      __builtin_prefetch(version + sizeof(Version) - 1);
      __builtin_prefetch(version + sizeof(Version) + 31);
    }

    const Leaf& leaf_;
    const std::string_view key_;
    std::size_t low_ = 0;
    std::size_t high_;
  };

  // The index of the first slot with a key >= `key`, or `count`.
  std::size_t lower_bound(std::string_view key_sought) const {
    Search search(*this, key_sought);
    while (search.step()) {
    }
    return search.found();
  }
  bool has(std::size_t at, std::string_view key_sought) const {
    return at < count && key(at) == key_sought;
  }
  // The index of the slot of a key, or `count`.
  std::size_t find(std::string_view key_sought) const {
    constexpr std::uint64_t kLow = 0x0101'0101'0101'0101, kHigh = kLow << 7;
    const std::uint64_t sought = kLow * key_tree::mark_of(key_sought);
    for (std::size_t word = 0; word < count; word += sizeof(sought)) {
      std::uint64_t differing;
      std::memcpy(&differing, marks + word, sizeof(differing));
      differing ^= sought;
      // The high bit of each byte that is 0, and of some above such a byte: has() decides.
      std::uint64_t equal = (differing - kLow) & ~differing & kHigh;
      for (; equal != 0; equal &= equal - 1) {
        const auto bit = static_cast<std::size_t>(std::countr_zero(equal));
        const std::size_t at =
            word + (std::endian::native == std::endian::little ? bit : 63 - bit) / 8;
        if (has(at, key_sought)) return at;
      }
    }
    return count;
  }
};

struct KeyTree::Inner : Node {
  Node* children[key_tree::kChildren];
  std::uint64_t live[key_tree::kChildren];  // the live keys below each child
  // separators[i] is above the keys of child i - 1, but not above those of child i. The first is
  // empty: the parent has it.
  key_tree::Separators separators;

  Leaf& leaf(std::size_t i) const { return static_cast<Leaf&>(*children[i]); }
  Inner& inner(std::size_t i) const { return static_cast<Inner&>(*children[i]); }

  // The index of the child that a key belongs to.
  std::size_t child_for(std::string_view key) const {
    std::size_t low = 1, high = count;
    while (low < high) {
      const std::size_t middle = (low + high) / 2;
      if (separators[middle] <= key) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
  std::uint64_t sum_live(std::size_t end) const {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < end; ++i) sum += live[i];
    return sum;
  }

  // Makes a gap of n children at `at`, which the caller must fill.
  void open(std::size_t at, std::size_t n) {
    std::move_backward(children + at, children + count, children + count + n);
    std::move_backward(live + at, live + count, live + count + n);
    separators.open(at, n);
    count += static_cast<std::uint32_t>(n);
  }
  // Closes a gap of n children at `at`.
  void close(std::size_t at, std::size_t n) {
    std::move(children + at + n, children + count, children + at);
    std::move(live + at + n, live + count, live + at);
    separators.close(at, n);
    count -= static_cast<std::uint32_t>(n);
  }
  // Moves n children of `other` to the gap at `at`, and leaves a gap there.
  void take(std::size_t at, Inner& other, std::size_t from, std::size_t n) {
    std::move(other.children + from, other.children + from + n, children + at);
    std::move(other.live + from, other.live + from + n, live + at);
    for (std::size_t i = 0; i < n; ++i) separators.set(at + i, other.separators[from + i]);
  }
  // Fills a gap.
  void set(std::size_t at, Node* child, std::uint64_t child_live, std::string_view separator) {
    children[at] = child;
    live[at] = child_live;
    separators.set(at, separator);
  }
  void add(Node* child, std::uint64_t child_live, std::string_view separator) {
    open(count, 1);
    set(count - 1, child, child_live, separator);
  }
};

}  // namespace vesper::kv
