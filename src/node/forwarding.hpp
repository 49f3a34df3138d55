// The writes of this node's clients from admission until their outcome is known (PendingWrites). On
// a leader, also how far it has accepted each peer's stream of forwarded writes (AcceptedForwards).
// ForwardStream sends the origin's side of such a stream.
//
// K9: a write that was sent for term T is decided when its origin applies the first entry of a term
// above T. By then the origin has either seen the write applied and answered it, or the write will
// never be applied. In the second case the origin sends it again, in order. The origin sends
// nothing for a newer term until all writes of older terms are decided. This preserves the order.
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
    bool sent = false;  // it may be in some log
    std::uint64_t bytes = 0;
  };

  // Assigns sequence numbers from 1, in the order of the calls.
  void add(const Ticket& ticket, SharedBytes command, Instant deadline);

  // This node's write `sequence` was applied. Returns its ticket, or nothing if it was already
  // decided.
  std::optional<Ticket> applied(std::uint64_t sequence);

  // The first entry of `term` was applied. Writes that were sent for an older term and are still
  // undecided become unsent again. Returns how many.
  std::size_t decide(raft::Term term);

  // Returns the next unsent writes in order and marks them as sent for `term`. Takes at least one,
  // and stops before they exceed max_bytes. Empty if there are none, or while a write of an older
  // term is undecided.
  std::vector<Forward::Write> take_unsent(raft::Term term, std::size_t max_bytes);

  // Go-back-N: the writes that were sent for `term` after `accepted` and are undecided. Returns up
  // to max_bytes of them, or one if it is larger.
  std::vector<Forward::Write> sent_after(raft::Term term, std::uint64_t accepted,
                                         std::size_t max_bytes) const;

  // Removes the writes that are past their deadline. One that was sent may still be applied; it is
  // not sent again.
  std::vector<Expired> expire(Instant now);
  // A snapshot replaced the log up to an entry of `term`. It may hide the outcome of writes that
  // were sent for this term or an older one, so these end as unknown.
  std::vector<Expired> hide(raft::Term term);
  // Removes every unsent write.
  std::vector<Expired> give_up_unsent();
  // Lowers every deadline to at most `latest`.
  void cap_deadlines(Instant latest);
  // A lower bound of the earliest deadline; kNever if no write waits.
  Instant next_expiry() const { return next_expiry_; }

  bool empty() const { return waiting_ == 0; }  // all are decided
  bool has_unsent() const { return next_unsent_ < writes_.size(); }
  // True if a write that was sent for an older term is undecided.
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

  std::deque<Write> writes_;  // in sequence order: sent or decided writes, then unsent ones
  std::uint64_t first_sequence_ = 1;
  std::size_t next_unsent_ = 0;  // a position in writes_
  std::size_t sent_bytes_ = 0;
  std::size_t bytes_ = 0;
  std::size_t waiting_ = 0;
  Instant next_expiry_ = kNever;  // a lower bound
};

// On a leader: how far it has accepted each peer's stream in the current term.
class AcceptedForwards {
 public:
  // Returns the writes of `forward` that are new and in order. `reply.accepted` names the last one.
  // If a write before them is missing, returns nothing and sets `reply.gap`.
  std::vector<Forward::Write> accept(const Forward& forward, ForwardReply& reply);

 private:
  raft::Term term_;
  // Keyed by process, not by server. A late frame of a dead process therefore cannot affect the
  // stream of its successor, and cannot add again what was already accepted. A process may get
  // another number while its stream goes on, if its disk takes the place of a lost one.
  std::map<raft::BootId, std::uint64_t> accepted_;
};

}  // namespace vesper::node
