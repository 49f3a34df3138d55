#include "node/forward_stream.hpp"

#include <algorithm>
#include <utility>

namespace vesper::node {
namespace {

// Bytes of writes in one Forward; one write is always allowed.
constexpr std::size_t kForwardBytes = 256u << 10;
// A Forward above this many bytes uses the bulk connection.
constexpr std::size_t kForwardBulk = 64u << 10;

}  // namespace

std::size_t ForwardStream::send(raft::ServerId leader, raft::Term term, PendingWrites& writes,
                                Transport& transport, Instant now) {
  if (term_ != term) begin(term);
  std::size_t sent = 0;
  if (std::exchange(goes_back_, false)) {
    sent += send_again(leader, writes, transport, now);
  } else if (is_waiting() && now >= ask_at_) {
    // The writes may be lost, or just slow to arrive. Ask first: resending would only add load to a
    // slow link.
    ask_at_ = now + patience_;
    send_one(leader, last_sent_, {}, transport, now);
  }
  while (writes.has_unsent() && has_room(writes)) {
    auto batch = writes.take_unsent(term, kForwardBytes);
    if (batch.empty()) break;  // a write of an older term is still undecided
    sent += batch.size();
    send_one(leader, last_sent_, std::move(batch), transport, now);
  }
  return sent;
}

void ForwardStream::on_reply(const ForwardReply& reply, Instant now) {
  if (reply.boot != boot_ || reply.term != term_) return;
  // The stream goes back once per loss. A gap reported for an earlier attempt is ignored, because
  // those writes have already been sent again.
  if (reply.gap && reply.attempt == attempt_ && reply.accepted >= accepted_) {
    ++attempt_;
    goes_back_ = true;
  }
  accepted(reply.accepted, now);
}

void ForwardStream::begin(raft::Term term) {
  term_ = term;
  last_sent_ = accepted_ = bulk_until_ = 0;
  attempt_ = 0;
  goes_back_ = false;
  ask_at_ = kNever;
}

// Progress shows that nothing is lost: on a slow link, the rest is still in flight. This defers the
// question.
void ForwardStream::accepted(std::uint64_t sequence, Instant now) {
  if (sequence <= accepted_) return;
  accepted_ = sequence;
  ask_at_ = now + patience_;
}

void ForwardStream::send_one(raft::ServerId leader, std::uint64_t previous,
                             std::vector<Forward::Write> writes, Transport& transport,
                             Instant now) {
  std::size_t bytes = 0;
  for (const Forward::Write& write : writes) bytes += write.command.size();
  const std::uint64_t last = writes.empty() ? previous : writes.back().sequence;
  if (bytes > kForwardBulk) bulk_until_ = std::max(bulk_until_, last);
  const auto channel = bulk_until_ > accepted_ ? raft::Channel::bulk : raft::Channel::control;
  if (!is_waiting()) ask_at_ = now + patience_;
  last_sent_ = std::max(last_sent_, last);
  transport.send(leader, Forward{term_, boot_, attempt_, previous, std::move(writes)}, channel);
}

// Go-back-N: sends everything after `accepted_` again, up to the window.
std::size_t ForwardStream::send_again(raft::ServerId leader, const PendingWrites& writes,
                                      Transport& transport, Instant now) {
  ask_at_ = now + patience_;
  std::uint64_t previous = accepted_;
  std::size_t count = 0;
  for (std::size_t bytes = 0; bytes < window_;) {
    auto batch = writes.sent_after(term_, previous, kForwardBytes);
    if (batch.empty()) break;
    const std::uint64_t last = batch.back().sequence;
    for (const Forward::Write& write : batch) bytes += write.command.size();
    count += batch.size();
    send_one(leader, previous, std::move(batch), transport, now);
    previous = last;
  }
  if (previous == accepted_) last_sent_ = previous;  // no write of this stream is left to send
  return count;
}

}  // namespace vesper::node
