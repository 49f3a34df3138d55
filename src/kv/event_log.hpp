// The events of the keyspace in the order in which they were written: a queue of versions with
// random access by number. Numbers are consecutive and never reused. The memory of an event is
// allocated in chunks, so that a queue can be filled in any order after begin_fill().
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <utility>

#include "base/assert.hpp"
#include "kv/version.hpp"

namespace vesper::kv {

class EventLog {
 public:
  // More events than this cannot be filled in; more do not fit into memory.
  static constexpr std::uint64_t kMaxFill = std::uint64_t{1} << 30;

  // The events are numbered from begin() to end() - 1.
  std::uint64_t begin() const { return begin_; }
  std::uint64_t end() const { return end_; }
  bool empty() const { return begin_ == end_; }
  // Requires begin() <= number < end(), and that the event was filled in.
  const VersionRef& at(std::uint64_t number) const { return slot(number); }
  const VersionRef& front() const { return slot(begin_); }
  const VersionRef& back() const { return slot(end_ - 1); }

  void push_back(VersionRef event) {
    if (end_ == first_ + chunks_.size() * kChunk) chunks_.push_back(std::make_unique<Chunk>());
    ++end_;
    slot(end_ - 1) = std::move(event);
  }
  // Requires !empty().
  VersionRef pop_front() {
    VersionRef event = std::move(slot(begin_));
    if (++begin_ == first_ + kChunk) {
      chunks_.pop_front();
      first_ += kChunk;
    }
    return event;
  }

  // Discards the first event, or all events of the first chunk if none of them was filled in.
  // Requires !empty().
  void discard_front() {
    if (chunks_.front() != nullptr) {
      pop_front();
      return;
    }
    first_ += kChunk;
    begin_ = std::min(end_, first_);
    chunks_.pop_front();
  }

  // The number of the first event with a revision of at least `revision`; end() if there is none.
  std::uint64_t lower_bound(std::uint64_t revision) const {
    std::uint64_t low = begin_;
    std::uint64_t high = end_;
    while (low < high) {
      const std::uint64_t middle = low + (high - low) / 2;
      if (slot(middle)->revision() < revision) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  // Makes room for `count` events, numbered from 0, which fill() takes in any order. Requires an
  // unused log and count <= kMaxFill.
  void begin_fill(std::uint64_t count) {
    VESPER_ASSERT(chunks_.empty() && begin_ == 0 && count <= kMaxFill);
    chunks_.resize(static_cast<std::size_t>((count + kChunk - 1) / kChunk));
    end_ = count;
  }
  // False if there is no such number, or if it was filled already.
  bool fill(std::uint64_t number, VersionRef event) {
    if (number >= end_) return false;
    std::unique_ptr<Chunk>& chunk = chunks_[static_cast<std::size_t>(number / kChunk)];
    if (chunk == nullptr) chunk = std::make_unique<Chunk>();
    VersionRef& slot = (*chunk)[static_cast<std::size_t>(number % kChunk)];
    if (slot) return false;
    slot = std::move(event);
    return true;
  }

 private:
  static constexpr std::uint64_t kChunk = 512;
  using Chunk = std::array<VersionRef, kChunk>;

  const VersionRef& slot(std::uint64_t number) const {
    const std::uint64_t at = number - first_;
    return (*chunks_[static_cast<std::size_t>(at / kChunk)])[static_cast<std::size_t>(at % kChunk)];
  }
  VersionRef& slot(std::uint64_t number) {
    return const_cast<VersionRef&>(std::as_const(*this).slot(number));
  }

  std::deque<std::unique_ptr<Chunk>> chunks_;  // the first one holds the events from first_ on
  std::uint64_t first_ = 0;
  std::uint64_t begin_ = 0;
  std::uint64_t end_ = 0;
};

}  // namespace vesper::kv
