// The stream of this server's writes to the leader of one term: what was sent, what the leader has
// accepted, and when to ask or to send again (go-back-N). PendingWrites holds the writes; the
// leader's half is AcceptedForwards.
#pragma once

#include <cstdint>
#include <vector>

#include "node/forwarding.hpp"
#include "node/ports.hpp"

namespace vesper::node {

class ForwardStream {
 public:
  // `window`: bytes that may be sent and undecided (or one write). `patience`: how long the leader
  // may accept nothing before it is asked.
  ForwardStream(raft::BootId boot, std::size_t window, Duration patience)
      : boot_(boot), window_(window), patience_(patience) {}

  // Sends what is due to the leader of `term`. Returns how many writes were sent.
  std::size_t send(raft::ServerId leader, raft::Term term, PendingWrites& writes,
                   Transport& transport, Instant now);

  void on_reply(const ForwardReply& reply, Instant now);
  // A write of this server was applied from an entry of `term`. Only an entry of the stream's own
  // term says how far its leader has accepted.
  void on_applied(raft::Term term, std::uint64_t sequence, Instant now) {
    if (term == term_) accepted(sequence, now);
  }
  // The connection to the leader is a new one: what was in flight on the old one may be lost.
  void on_reconnected(Instant now) {
    if (is_waiting()) ask_at_ = now;
  }
  // The window has room.
  bool has_room(const PendingWrites& writes) const { return writes.sent_bytes() < window_; }
  // When send() has something to ask the leader of `term`.
  Instant deadline(raft::Term term) const {
    return term == term_ && is_waiting() ? ask_at_ : kNever;
  }

 private:
  bool is_waiting() const { return last_sent_ > accepted_; }
  void begin(raft::Term term);
  void accepted(std::uint64_t sequence, Instant now);
  void send_one(raft::ServerId leader, std::uint64_t previous, std::vector<Forward::Write> writes,
                Transport& transport, Instant now);
  std::size_t send_again(raft::ServerId leader, const PendingWrites& writes, Transport& transport,
                         Instant now);

  const raft::BootId boot_;
  const std::size_t window_;
  const Duration patience_;
  raft::Term term_;  // 0: none yet
  std::uint64_t last_sent_ = 0;
  std::uint64_t accepted_ = 0;    // the leader is known to have accepted everything up to here
  std::uint64_t bulk_until_ = 0;  // something large up to here is in flight
  std::uint32_t attempt_ = 0;     // rises when the stream goes back to what was accepted
  bool goes_back_ = false;        // at the next send()
  Instant ask_at_ = kNever;       // when to ask the leader about what it has not accepted
};

}  // namespace vesper::node
