// The log in memory (figure 2, log[]): contiguous entries from first_index on.
#pragma once

#include <deque>
#include <optional>

#include "raft/types.hpp"

namespace vesper::raft {

class Log {
 public:
  // Requires: contiguous, from index 1 on.
  explicit Log(std::vector<Entry> entries);

  Index first_index() const { return first_; }
  Index last_index() const { return Index(first_.value + entries_.size() - 1); }
  Term last_term() const { return entries_.empty() ? Term(0) : entries_.back().term; }
  bool empty() const { return entries_.empty(); }

  // Term(0) for index 0; nothing behind the end.
  std::optional<Term> term_at(Index index) const;
  // Requires first_index() <= index <= last_index().
  const Entry& at(Index index) const;

  void append(Entry entry);         // requires entry.index == last_index() + 1, term not falling
  void truncate_from(Index index);  // drops index and all behind it

  // The last index at or below `index` whose term is not above `term`; 0 if there is none. Where
  // two logs differ, this skips a whole term at a time (§5.3, fast backtracking).
  Index last_at_most(Index index, Term term) const;

  std::uint64_t bytes() const { return bytes_; }  // of the entries' byte form
  std::size_t size() const { return entries_.size(); }

 private:
  std::deque<Entry> entries_;
  Index first_{1};
  std::uint64_t bytes_ = 0;
};

}  // namespace vesper::raft
