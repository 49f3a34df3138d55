// The latest events of a trace. Readers keep their own places in it; one that is too slow misses
// the events that had to make room.
#pragma once

#include <cstdint>
#include <deque>
#include <utility>

#include "base/assert.hpp"
#include "node/trace_event.hpp"

namespace vesper::node {

template <typename Item>
class TraceRing {
 public:
  static constexpr std::size_t kMaxItems = 8192;
  static constexpr std::size_t kMaxCost = 1u << 20;  // bytes, estimated by cost_of()

  void push(Item item) {
    cost_ += cost_of(item.event);
    items_.push_back(std::move(item));
    while (items_.size() > kMaxItems || (cost_ > kMaxCost && items_.size() > 1)) pop();
  }
  // The places of the items that are there: [begin, end). They never fall.
  std::uint64_t begin() const { return begin_; }
  std::uint64_t end() const { return begin_ + items_.size(); }
  const Item& at(std::uint64_t place) const {
    VESPER_ASSERT(place >= begin());
    VESPER_ASSERT(place < end());
    return items_[place - begin_];
  }
  void clear() {
    begin_ = end();
    std::deque<Item>().swap(items_);
    cost_ = 0;
  }

 private:
  void pop() {
    cost_ -= cost_of(items_.front().event);
    items_.pop_front();
    ++begin_;
  }

  std::deque<Item> items_;
  std::uint64_t begin_ = 0;
  std::size_t cost_ = 0;
};

}  // namespace vesper::node
