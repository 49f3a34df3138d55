// The log in memory (figure 2, log[]): contiguous entries behind a base, which is the last one that
// a snapshot took over (§7); (0, 0) while there is none.
#pragma once

#include <deque>
#include <optional>

#include "raft/types.hpp"

namespace vesper::raft {

class Log {
 public:
  struct Base {
    Index index;
    Term term;
    LogTime time;
  };

  // Requires: contiguous, from base.index + 1 on.
  explicit Log(std::vector<Entry> entries);
  Log(Base base, std::vector<Entry> entries);

  Index base_index() const { return base_.index; }
  Index first_index() const { return base_.index.next(); }
  Index last_index() const { return Index(base_.index.value + entries_.size()); }
  Term last_term() const { return entries_.empty() ? base_.term : entries_.back().term; }
  LogTime last_time() const { return entries_.empty() ? base_.time : entries_.back().time; }
  // No entry ever, neither here nor in a snapshot.
  bool empty() const { return last_index().value == 0; }

  // Of the base, too (Term(0) for index 0); nothing below it and behind the end.
  std::optional<Term> term_at(Index index) const;
  // Requires first_index() <= index <= last_index().
  const Entry& at(Index index) const;

  void append(Entry entry);         // requires entry.index == last_index() + 1, term not falling
  void truncate_from(Index index);  // drops index and all behind it; requires index > base_index()

  // §7: the entries up to `index` are in a snapshot: drops at most `max` of them, and no more once
  // they have come to `max_bytes`. What they cost to free must not stop the loop. Requires
  // index <= last_index().
  void compact(Index index, std::size_t max, std::size_t max_bytes);
  // §7: the log is replaced by a snapshot.
  void reset(Base base);
  // Takes apart up to so much of what a reset left: all at once would be felt.
  void sweep(std::size_t max, std::size_t max_bytes);

  // The last index at or below `index` whose term is not above `term`; nothing where that lies
  // below the base. Where two logs differ, this skips a whole term at a time (§5.3, fast
  // backtracking).
  std::optional<Index> last_at_most(Index index, Term term) const;

  // §5.4.1: a log that ends like this is at least as up to date as this one.
  bool allows_vote(Index last_index, Term last_term) const {
    if (last_term != this->last_term()) return last_term > this->last_term();
    return last_index >= this->last_index();
  }

  std::uint64_t bytes() const { return bytes_; }  // of the entries' byte form
  std::size_t size() const { return entries_.size(); }

 private:
  std::deque<Entry> entries_;
  std::deque<Entry> dead_;  // of before a reset
  Base base_;
  std::uint64_t bytes_ = 0;
};

}  // namespace vesper::raft
