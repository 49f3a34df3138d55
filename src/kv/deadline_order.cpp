#include "kv/deadline_order.hpp"

#include <algorithm>
#include <iterator>

#include "base/assert.hpp"

namespace vesper::kv {
namespace {

DeadlineOrder::Due due_of(const Version& version) {
  return {version.deadline(), version.key()};
}

bool is_due_before(const DeadlineOrder::Due& a, const DeadlineOrder::Due& b) {
  return a.deadline != b.deadline ? a.deadline < b.deadline : a.key < b.key;
}

// For binary searches.
bool is_before(const Version* version, const DeadlineOrder::Due& due) {
  return is_due_before(due_of(*version), due);
}
bool is_after(const DeadlineOrder::Due& due, const Version* version) {
  return is_due_before(due, due_of(*version));
}

}  // namespace

// The last chunk that begins at or before this place; the first one if there is none. Requires
// !empty().
std::size_t DeadlineOrder::chunk_of(const Due& due) const {
  const auto after = std::upper_bound(
      chunks_.begin(), chunks_.end(), due,
      [](const Due& at, const Chunk& chunk) { return is_after(at, chunk.front()); });
  return after == chunks_.begin() ? 0 : static_cast<std::size_t>(after - chunks_.begin()) - 1;
}

DeadlineOrder::Iterator DeadlineOrder::upper_bound(const Due& due) const {
  if (empty()) return end();
  const std::size_t number = chunk_of(due);
  const Chunk& chunk = chunks_[number];
  const auto after = std::upper_bound(chunk.begin(), chunk.end(), due, is_after);
  if (after == chunk.end()) return {chunks_, number + 1, 0};
  return {chunks_, number, static_cast<std::size_t>(after - chunk.begin())};
}

void DeadlineOrder::insert(const Version& version) {
  const Due due = due_of(version);
  // Usually deadlines are set in their order. Then the chunks before the last one stay full.
  const bool is_last = empty() || is_before(chunks_.back().back(), due);
  if (is_last && (empty() || chunks_.back().size() == kChunk)) chunks_.emplace_back();
  std::size_t number = is_last ? chunks_.size() - 1 : chunk_of(due);
  if (chunks_[number].size() == kChunk) {
    Chunk& full = chunks_[number];
    const auto middle = full.begin() + kChunk / 2;
    Chunk upper(middle, full.end());
    full.erase(middle, full.end());
    const bool is_upper = !is_after(due, upper.front());
    chunks_.insert(chunks_.begin() + static_cast<std::ptrdiff_t>(number) + 1, std::move(upper));
    if (is_upper) ++number;
  }
  Chunk& chunk = chunks_[number];
  chunk.insert(std::lower_bound(chunk.begin(), chunk.end(), due, is_before), &version);
}

void DeadlineOrder::erase(const Version& version) {
  VESPER_ASSERT(!empty());
  const Due due = due_of(version);
  // What expires is at the front.
  const bool is_first = chunks_.front().front() == &version;
  const std::size_t number = is_first ? 0 : chunk_of(due);
  Chunk& chunk = chunks_[number];
  const auto at =
      is_first ? chunk.begin() : std::lower_bound(chunk.begin(), chunk.end(), due, is_before);
  VESPER_ASSERT(at != chunk.end() && *at == &version);
  chunk.erase(at);
  if (chunk.empty()) {
    chunks_.erase(chunks_.begin() + static_cast<std::ptrdiff_t>(number));
    if (number > 0) merge_with_next(number - 1);
    return;
  }
  if (chunk.size() > kChunk / 2) return;  // too many for a merge
  merge_with_next(number);
  if (number > 0) merge_with_next(number - 1);
}

// If the two have at most half a chunk together, so that a sequence that shrinks takes less memory.
void DeadlineOrder::merge_with_next(std::size_t number) {
  if (number + 1 >= chunks_.size()) return;
  Chunk& chunk = chunks_[number];
  const Chunk& next = chunks_[number + 1];
  if (chunk.size() + next.size() > kChunk / 2) return;
  chunk.insert(chunk.end(), next.begin(), next.end());
  chunk.shrink_to_fit();
  chunks_.erase(chunks_.begin() + static_cast<std::ptrdiff_t>(number) + 1);
}

std::size_t DeadlineOrder::discard_chunk() {
  const std::size_t size = chunks_.back().size();
  chunks_.pop_back();
  return size;
}

void DeadlineOrder::check_invariants() const {
  const Version* before = nullptr;
  for (std::size_t i = 0; i < chunks_.size(); ++i) {
    VESPER_ASSERT(!chunks_[i].empty() && chunks_[i].size() <= kChunk);
    VESPER_ASSERT(i == 0 || chunks_[i - 1].size() + chunks_[i].size() > kChunk / 2);
    for (const Version* version : chunks_[i]) {
      VESPER_ASSERT(before == nullptr || is_before(before, due_of(*version)));
      before = version;
    }
  }
}

}  // namespace vesper::kv
