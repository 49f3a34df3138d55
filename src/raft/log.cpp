#include "raft/log.hpp"

#include <algorithm>

namespace vesper::raft {

Log::Log(std::vector<Entry> entries) : Log(Base{}, std::move(entries)) {}

Log::Log(Base base, std::vector<Entry> entries) : base_(base) {
  for (Entry& entry : entries) append(std::move(entry));
}

std::optional<Term> Log::term_at(Index index) const {
  if (index == base_.index) return base_.term;
  if (index < base_.index || index > last_index()) return std::nullopt;
  return at(index).term;
}

const Entry& Log::at(Index index) const {
  VESPER_ASSERT(index > base_.index);
  VESPER_ASSERT(index <= last_index());
  return entries_[index.value - base_.index.value - 1];
}

void Log::append(Entry entry) {
  VESPER_ASSERT(entry.index == last_index().next());
  VESPER_ASSERT(entry.term >= last_term());
  bytes_ += entry.bytes.size();
  entries_.push_back(std::move(entry));
}

void Log::truncate_from(Index index) {
  VESPER_ASSERT(index > base_.index);
  while (!entries_.empty() && last_index() >= index) {
    bytes_ -= entries_.back().bytes.size();
    entries_.pop_back();
  }
}

void Log::compact(Index index, std::size_t max, std::size_t max_bytes) {
  VESPER_ASSERT(index <= last_index());
  const std::uint64_t enough = bytes_ - std::min<std::uint64_t>(bytes_, max_bytes);
  for (; max > 0 && base_.index < index && bytes_ > enough; --max) {
    const Entry& first = entries_.front();
    base_ = {first.index, first.term, first.time};
    bytes_ -= first.bytes.size();
    entries_.pop_front();
  }
}

void Log::reset(Base base) {
  VESPER_ASSERT(base.index > base_.index);
  if (dead_.empty()) dead_.swap(entries_);  // a second reset before the last one is swept is rare
  entries_.clear();
  bytes_ = 0;
  base_ = base;
}

void Log::sweep(std::size_t max, std::size_t max_bytes) {
  for (std::size_t bytes = 0; max > 0 && bytes < max_bytes && !dead_.empty(); --max) {
    bytes += dead_.front().bytes.size();
    dead_.pop_front();
  }
}

std::optional<Index> Log::last_at_most(Index index, Term term) const {
  if (index < base_.index) return std::nullopt;
  // Terms never fall along the log, so this is a binary search.
  const auto end = entries_.begin() + static_cast<std::ptrdiff_t>(std::min<std::uint64_t>(
                                          index.value - base_.index.value, entries_.size()));
  const auto above = std::upper_bound(entries_.begin(), end, term,
                                      [](Term t, const Entry& entry) { return t < entry.term; });
  if (above == entries_.begin() && term < base_.term) return std::nullopt;
  return Index(base_.index.value + static_cast<std::uint64_t>(above - entries_.begin()));
}

}  // namespace vesper::raft
