// The writes of this node's clients, from admission until their fate is known; and, on a leader,
// how far it has accepted each peer's stream of forwarded writes. ForwardStream is the origin's
// side.
//
// K9: a write that was sent for term T is decided when its origin applies the first entry of a term
// above T. By then the origin has seen and answered the write, or the write will never be applied
// and is sent again, in order. Until all writes of older terms are decided, the origin sends
// nothing for a newer term: this keeps the order.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "node/ports.hpp"

namespace vesper::node {

class PendingWrites {
 public:
  struct Expired {
    Ticket ticket;
    bool sent = false;  // in some log, perhaps
    std::uint64_t bytes = 0;
  };

  // Sequences count from 1 in the order of the calls.
  void add(const Ticket& ticket, SharedBytes command, Instant deadline);

  // This node's write `sequence` was applied. Its ticket; nothing if it was decided already.
  std::optional<Ticket> applied(std::uint64_t sequence);

  // The first entry of `term` was applied: what was sent for a term below it and not seen is
  // unsent again. How many.
  std::size_t decide(raft::Term term);

  // The next unsent writes in order, at least one and up to max_bytes together, marked as sent for
  // `term`. Empty when there are none, or while a write of an older term is undecided.
  std::vector<Forward::Write> take_unsent(raft::Term term, std::size_t max_bytes);

  // Go-back-N: the writes that were sent for `term` after `accepted` and are not known to be
  // applied, up to max_bytes (or one).
  std::vector<Forward::Write> sent_after(raft::Term term, std::uint64_t accepted,
                                         std::size_t max_bytes) const;

  // Removes the writes that are past their deadline. A sent one may still be applied; it is not
  // sent again.
  std::vector<Expired> expire(Instant now);
  // A snapshot took the place of the log up to an entry of `term`. It may hide the fate of writes
  // that were sent for this term or an older one: they end as unknown.
  std::vector<Expired> hide(raft::Term term);
  // Removes every unsent write.
  std::vector<Expired> give_up_unsent();
  // No write waits longer than this.
  void cap_deadlines(Instant latest);
  // At or before the first deadline; kNever when there is none.
  Instant next_expiry() const { return next_expiry_; }

  bool empty() const { return waiting_ == 0; }  // all are decided
  bool has_unsent() const { return next_unsent_ < writes_.size(); }
  // A write of a term below `term` is undecided.
  bool undecided_before(raft::Term term) const;
  std::size_t sent_bytes() const { return sent_bytes_; }  // sent and undecided
  std::size_t waiting() const { return waiting_; }
  std::size_t bytes() const { return bytes_; }  // of all commands held

 private:
  struct Write {
    Ticket ticket;
    SharedBytes command;
    Instant deadline = kNever;
    raft::Term sent;       // 0: unsent
    bool decided = false;  // applied or given up: no client waits for it
  };
  std::uint64_t sequence_of(std::size_t position) const { return first_sequence_ + position; }
  void decided(Write& write);
  void trim();

  std::deque<Write> writes_;  // in sequence order: decided or sent ones, then unsent ones
  std::uint64_t first_sequence_ = 1;
  std::size_t next_unsent_ = 0;  // position in writes_
  std::size_t sent_bytes_ = 0;
  std::size_t bytes_ = 0;
  std::size_t waiting_ = 0;
  Instant next_expiry_ = kNever;  // a lower bound
};

// On a leader: how far each peer's stream was accepted in the current term.
class AcceptedForwards {
 public:
  // The writes of `forward` that are new and in order; `reply` says up to which one. Nothing, and
  // `gap` is set, if a write before them is missing.
  std::vector<Forward::Write> accept(raft::ServerId from, const Forward& forward,
                                     ForwardReply& reply);

 private:
  raft::Term term_;
  // By process, not by server: a late frame of a dead process changes nothing for the living one,
  // and brings nothing that was accepted before.
  std::map<std::pair<raft::ServerId, raft::BootId>, std::uint64_t> accepted_;
};

}  // namespace vesper::node
