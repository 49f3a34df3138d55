// Versions with a deadline, in the order of deadline and key. A sorted sequence in chunks, because
// a node of a std::set takes more memory than the deadline and the pointer together.
#pragma once

#include <cstddef>
#include <deque>
#include <string_view>
#include <vector>

#include "kv/version.hpp"

namespace vesper::kv {

class DeadlineOrder {
 public:
  // Versions per chunk. Two neighbours have more than half of this together.
  static constexpr std::size_t kChunk = 128;

  // A place in the order.
  struct Due {
    LogTime deadline;
    std::string_view key;
  };
  // Valid until the next change.
  class Iterator {
   public:
    const Version* operator*() const { return (*chunks_)[chunk_][at_]; }
    Iterator& operator++() {
      if (++at_ < (*chunks_)[chunk_].size()) return *this;
      ++chunk_;
      at_ = 0;
      return *this;
    }
    bool operator==(const Iterator&) const = default;

   private:
    friend class DeadlineOrder;
    Iterator(const std::deque<std::vector<const Version*>>& chunks, std::size_t chunk,
             std::size_t at)
        : chunks_(&chunks), chunk_(chunk), at_(at) {}
    const std::deque<std::vector<const Version*>>* chunks_;
    std::size_t chunk_, at_;
  };

  bool empty() const { return chunks_.empty(); }
  Iterator begin() const { return {chunks_, 0, 0}; }
  Iterator end() const { return {chunks_, chunks_.size(), 0}; }
  // The first one after this place.
  Iterator upper_bound(const Due& due) const;

  // Requires that no version has this deadline and key. The version must outlive its entry.
  void insert(const Version& version);
  // Requires the version. O(1) for the first one.
  void erase(const Version& version);
  // Discards the last chunk. Returns how many versions it had. Requires !empty().
  std::size_t discard_chunk();

  // For tests.
  void check_invariants() const;

 private:
  using Chunk = std::vector<const Version*>;

  std::size_t chunk_of(const Due& due) const;
  void merge_with_next(std::size_t chunk);

  std::deque<Chunk> chunks_;  // none of them is empty
};

}  // namespace vesper::kv
