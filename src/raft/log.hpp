// The log in memory (figure 2, log[]). Its entries are contiguous and follow a base: the last entry
// that a snapshot covers (§7). The base is (0, 0) while no snapshot covers anything.
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

  // Requires contiguous entries, from base.index + 1 on.
  explicit Log(std::vector<Entry> entries);
  Log(Base base, std::vector<Entry> entries);

  Index base_index() const { return base_.index; }
  Index first_index() const { return base_.index.next(); }
  Index last_index() const { return Index(base_.index.value + entries_.size()); }
  Term last_term() const { return entries_.empty() ? base_.term : entries_.back().term; }
  LogTime last_time() const { return entries_.empty() ? base_.time : entries_.back().time; }
  // True if the log never had an entry, neither here nor in a snapshot.
  bool empty() const { return last_index().value == 0; }

  // The term at `index`, which may be the base (Term(0) for index 0). Nothing below the base or
  // after the end.
  std::optional<Term> term_at(Index index) const;
  // Requires first_index() <= index <= last_index().
  const Entry& at(Index index) const;

  // Requires entry.index == last_index() + 1 and a term not below last_term().
  void append(Entry entry);
  // Drops `index` and everything after it. Requires index > base_index().
  void truncate_from(Index index);

  // §7: drops entries up to `index`, which a snapshot covers. Drops at most `max` entries per call,
  // and stops once it has dropped `max_bytes`, because freeing more would stall the loop. Requires
  // index <= last_index().
  void compact(Index index, std::size_t max, std::size_t max_bytes);
  // §7: replaces the log by a snapshot that ends at `base`.
  void reset(Base base);
  // Frees part of what `reset()` discarded: up to `max` entries, until `max_bytes` are freed.
  // Freeing it all in one turn would stall the loop.
  void sweep(std::size_t max, std::size_t max_bytes);

  // The last index at or below `index` with a term of at most `term`. Nothing if that index is
  // below the base. If two logs differ, this skips a whole term at a time (§5.3, fast
  // backtracking).
  std::optional<Index> last_at_most(Index index, Term term) const;

  // §5.4.1: true if a log with this last entry is at least as up to date as this log.
  bool allows_vote(Index last_index, Term last_term) const {
    if (last_term != this->last_term()) return last_term > this->last_term();
    return last_index >= this->last_index();
  }

  std::uint64_t bytes() const { return bytes_; }  // the entries in their byte form
  std::size_t size() const { return entries_.size(); }

 private:
  std::deque<Entry> entries_;
  std::deque<Entry> dead_;  // discarded by reset(), not yet freed
  Base base_;
  std::uint64_t bytes_ = 0;
};

}  // namespace vesper::raft
