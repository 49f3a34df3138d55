// Which part of this server's state is durable. Raft numbers its Writes. The ledger knows what
// waits for the next Write, what each outstanding Write will make durable, and which messages may
// leave.
#pragma once

#include <optional>
#include <vector>

#include "raft/event.hpp"

namespace vesper::raft {

class WriteLedger {
 public:
  // `last_write` and `durable_index`: as recovered by a restart, so all of it is durable.
  WriteLedger(WriteNumber last_write, Index durable_index);

  // The term or the vote has changed. No message leaves before the next Write is durable, because
  // every message carries the term (figure 2: persistent state is updated before responding).
  void change_term();
  // Another part of the next Write has changed: the commit index, or the base of the log.
  void change() { dirty_ = true; }
  // The entry at `index` was appended to the log.
  void append(Index index);
  // The entries from `index` on were removed, and the log ends at `last`. Outstanding Writes no
  // longer make anything after `last` durable. Only a later Write makes the replacements durable.
  void truncate(Index index, Index last);
  // The log on the disk was discarded. The next Write carries everything from `index` on.
  void rewrite_from(Index index);
  // A stored snapshot has replaced the log up to `last`.
  void replace(Index last);
  // A stored snapshot covers the entries up to `last`. They survive a crash even if the log on the
  // disk lacks them.
  void cover(Index last);

  // The next Write: its number, and the first entry that it carries (nothing: it carries no entry).
  struct Begun {
    WriteNumber number;
    std::optional<Index> from;
  };
  // Hands out the next Write at `now`; the log ends at `last`. Returns nothing if nothing has
  // changed.
  std::optional<Begun> begin(Instant now, Index last);
  // Returns true if `persisted.number` is higher than before. Requires numbers that were handed
  // out.
  bool complete(const Persisted& persisted, Instant now);

  bool has_changes() const { return dirty_; }
  WriteNumber last_write() const { return last_write_; }
  WriteNumber persisted() const { return persisted_; }
  WriteNumber persisted_hard_state() const { return persisted_hard_state_; }
  Index durable_index() const { return durable_index_; }  // the log up to here is durable here
  // The Write that makes the current term and vote durable.
  WriteNumber term_write() const { return term_write_; }
  // The Write that makes the log up to `index` durable; kTermOnly if it already is.
  WriteNumber covering(Index index) const;
  // True if a message that depends on the Write `needs` may leave now.
  bool may_leave(WriteNumber needs) const {
    return needs <= persisted_ && term_write_ <= persisted_hard_state_;
  }
  // True if Writes are outstanding and none has completed for longer than `patience`. A busy disk
  // still completes Writes, so it does not count as stalled.
  bool is_stalled(Instant now, Duration patience) const;

 private:
  struct Outstanding {
    WriteNumber number;
    Index last_index;  // of the log after this Write; a later truncation lowers it
    Instant handed_out_at;
  };

  WriteNumber next() const { return dirty_ ? last_write_.next() : last_write_; }
  void void_beyond(Index last);

  std::vector<Outstanding> outstanding_;  // handed out and not yet persisted, in order
  WriteNumber last_write_;                // the last one handed out
  WriteNumber persisted_;
  WriteNumber persisted_hard_state_;  // >= persisted_
  Instant persisted_at_;              // when persisted_ last rose
  Index durable_index_;
  WriteNumber term_write_;
  bool dirty_ = false;               // there are changes for the next Write
  std::optional<Index> write_from_;  // the first entry that the next Write has to carry
};

}  // namespace vesper::raft
