#include "raft/log.hpp"

#include <algorithm>

namespace vesper::raft {

Log::Log(std::vector<Entry> entries) {
  for (Entry& entry : entries) append(std::move(entry));
}

std::optional<Term> Log::term_at(Index index) const {
  if (index.value == 0) return Term(0);
  if (index < first_ || index > last_index()) return std::nullopt;
  return at(index).term;
}

const Entry& Log::at(Index index) const {
  VESPER_ASSERT(index >= first_);
  VESPER_ASSERT(index <= last_index());
  return entries_[index.value - first_.value];
}

void Log::append(Entry entry) {
  VESPER_ASSERT(entry.index == last_index().next());
  VESPER_ASSERT(entry.term >= last_term());
  bytes_ += entry.bytes.size();
  entries_.push_back(std::move(entry));
}

void Log::truncate_from(Index index) {
  VESPER_ASSERT(index >= first_);
  while (!entries_.empty() && last_index() >= index) {
    bytes_ -= entries_.back().bytes.size();
    entries_.pop_back();
  }
}

Index Log::last_at_most(Index index, Term term) const {
  // Terms never fall along the log, so this is a binary search.
  const auto end = entries_.begin() + static_cast<std::ptrdiff_t>(std::min<std::uint64_t>(
                                          index.value + 1 - first_.value, entries_.size()));
  const auto above = std::upper_bound(entries_.begin(), end, term,
                                      [](Term t, const Entry& entry) { return t < entry.term; });
  return Index(first_.value + static_cast<std::uint64_t>(above - entries_.begin()) - 1);
}

}  // namespace vesper::raft
