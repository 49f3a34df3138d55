// Which part of this server's state the disk has. Raft numbers its Writes; the ledger knows what
// waits for the next Write, what each outstanding Write will make durable, and which messages may
// leave.
#pragma once

#include <optional>
#include <vector>

#include "raft/event.hpp"

namespace vesper::raft {

class WriteLedger {
 public:
  // `last_write` and `durable_index`: what a restart found on the disk; all of it is durable.
  WriteLedger(WriteNumber last_write, Index durable_index);

  // The term or the vote has changed. No message leaves before the next Write is durable, because
  // every message carries the term (Figure 2: persistent state is updated before responding).
  void change_term();
  // Something else that the next Write carries has changed: the commit index, the base of the log.
  void change() { dirty_ = true; }
  // The log has grown by the entry at `index`.
  void append(Index index);
  // The entries from `index` on are gone, and the log ends at `last`. What outstanding Writes
  // promised about them is void, and only a later Write makes their successors durable.
  void truncate(Index index, Index last);
  // The log on the disk is given up: the next Write carries everything from `index` on.
  void rewrite_from(Index index);
  // A stored snapshot has replaced the log, up to `last`.
  void replace(Index last);
  // A stored snapshot covers the entries up to `last`: they survive a crash, whether the log on the
  // disk has them or not.
  void cover(Index last);

  // The next Write: its number, and the first entry that it carries (nothing: it carries none).
  struct Begun {
    WriteNumber number;
    std::optional<Index> from;
  };
  // Hands the next Write out at `now`; the log ends at `last`. Nothing if nothing has changed.
  std::optional<Begun> begin(Instant now, Index last);
  // True if `persisted.number` is news. Requires numbers that were handed out.
  bool complete(const Persisted& persisted, Instant now);

  bool has_changes() const { return dirty_; }
  WriteNumber last_write() const { return last_write_; }
  WriteNumber persisted() const { return persisted_; }
  WriteNumber persisted_hard_state() const { return persisted_hard_state_; }
  Index durable_index() const { return durable_index_; }  // the log up to here is on this disk
  // The Write that makes the current term (and vote) durable.
  WriteNumber term_write() const { return term_write_; }
  // The Write that makes the log up to `index` durable; kTermOnly if it already is.
  WriteNumber covering(Index index) const;
  // True if a message that promises what the Write `needs` makes durable may leave now.
  bool may_leave(WriteNumber needs) const {
    return needs <= persisted_ && term_write_ <= persisted_hard_state_;
  }
  // True if Writes are outstanding and none has completed for longer than `patience`. A disk that
  // is merely busy completes Writes all the time.
  bool is_stalled(Instant now, Duration patience) const;

 private:
  struct Outstanding {
    WriteNumber number;
    Index last_index;  // of the log after this Write; lowered by a later truncation
    Instant handed_out_at;
  };

  WriteNumber next() const { return dirty_ ? last_write_.next() : last_write_; }
  void void_beyond(Index last);

  std::vector<Outstanding> outstanding_;  // handed out and not persisted, in order
  WriteNumber last_write_;                // handed out last
  WriteNumber persisted_;
  WriteNumber persisted_hard_state_;  // >= persisted_
  Instant persisted_at_;              // when persisted_ last rose
  Index durable_index_;
  WriteNumber term_write_;
  bool dirty_ = false;               // something waits for the next Write
  std::optional<Index> write_from_;  // the first entry that the next Write has to carry
};

}  // namespace vesper::raft
