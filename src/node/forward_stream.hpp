// The stream of this server's writes to the leader of one term: what was sent, what the leader has
// accepted, and when to ask again or resend (go-back-N). PendingWrites (forwarding.hpp) holds the
// writes. AcceptedForwards is the leader's side of the protocol.
#pragma once

#include <cstdint>
#include <vector>

#include "node/forwarding.hpp"
#include "node/ports.hpp"

namespace vesper::node {

class ForwardStream {
 public:
  // `window`: how many bytes may be sent and undecided; one write is always allowed. `patience`:
  // how long the leader may accept nothing before this server asks it for its progress.
  ForwardStream(raft::BootId boot, std::size_t window, Duration patience)
      : boot_(boot), window_(window), patience_(patience) {}

  // Sends everything that is due to the leader of `term`. Returns the number of writes sent.
  std::size_t send(raft::ServerId leader, raft::Term term, PendingWrites& writes,
                   Transport& transport, Instant now);

  void on_reply(const ForwardReply& reply, Instant now);
  // A write of this server was applied from an entry of `term`. Only an entry of the stream's own
  // term shows how far its leader has accepted the stream.
  void on_applied(raft::Term term, std::uint64_t sequence, Instant now) {
    if (term == term_) accepted(sequence, now);
  }
  // There is a new connection to the leader. Messages in flight on the old one may be lost.
  void on_reconnected(Instant now) {
    if (is_waiting()) ask_at_ = now;
  }
  // True if the window has room for more writes.
  bool has_room(const PendingWrites& writes) const { return writes.sent_bytes() < window_; }
  // When send() has to ask the leader of `term` for its progress; kNever if nothing is unaccepted.
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
  std::uint64_t bulk_until_ = 0;  // a Forward sent on the bulk connection is in flight up to here
  std::uint32_t attempt_ = 0;     // incremented each time the stream goes back to `accepted_`
  bool goes_back_ = false;        // at the next send()
  Instant ask_at_ = kNever;       // when to ask the leader for its progress
};

}  // namespace vesper::node
