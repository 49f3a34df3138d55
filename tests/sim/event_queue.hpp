// Actions ordered by time, then by order of creation. A heap of small keys refers to a slab of
// actions, so that sorting does not move the actions.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/time.hpp"

namespace vesper::sim {

template <typename Action>
class EventQueue {
 public:
  bool empty() const { return heap_.empty(); }
  Instant next_at() const { return heap_.front().at; }

  void push(Instant at, Action action) {
    std::uint32_t slot = static_cast<std::uint32_t>(slots_.size());
    if (free_.empty()) {
      slots_.push_back(std::move(action));
    } else {
      slot = free_.back();
      free_.pop_back();
      slots_[slot] = std::move(action);
    }
    heap_.push_back({at, order_++, slot});
    std::push_heap(heap_.begin(), heap_.end(), Later{});
  }

  Action pop() {
    std::pop_heap(heap_.begin(), heap_.end(), Later{});
    const std::uint32_t slot = heap_.back().slot;
    heap_.pop_back();
    free_.push_back(slot);
    return std::move(slots_[slot]);
  }

 private:
  struct Key {
    Instant at;
    std::uint64_t order;
    std::uint32_t slot;
  };
  struct Later {
    bool operator()(const Key& a, const Key& b) const {
      return a.at != b.at ? a.at > b.at : a.order > b.order;
    }
  };
  std::vector<Key> heap_;
  std::vector<Action> slots_;
  std::vector<std::uint32_t> free_;
  std::uint64_t order_ = 0;
};

}  // namespace vesper::sim
