#include "node/forwarding.hpp"

#include <algorithm>

namespace vesper::node {

void PendingWrites::add(const Ticket& ticket, SharedBytes command, Instant deadline) {
  bytes_ += command.size();
  ++waiting_;
  next_expiry_ = std::min(next_expiry_, deadline);
  writes_.push_back(Write{ticket, std::move(command), deadline, {}, false});
}

void PendingWrites::decided(Write& write) {
  VESPER_ASSERT(!write.decided);
  write.decided = true;
  bytes_ -= write.command.size();
  if (write.sent.value != 0) sent_bytes_ -= write.command.size();
  write.command = SharedBytes();
  --waiting_;
}

void PendingWrites::trim() {
  while (!writes_.empty() && writes_.front().decided) {
    writes_.pop_front();
    ++first_sequence_;
    if (next_unsent_ > 0) --next_unsent_;
  }
  while (next_unsent_ < writes_.size() && writes_[next_unsent_].decided) ++next_unsent_;
}

std::optional<Ticket> PendingWrites::applied(std::uint64_t sequence) {
  if (sequence < first_sequence_ || sequence - first_sequence_ >= writes_.size())
    return std::nullopt;
  Write& write = writes_[sequence - first_sequence_];
  if (write.decided || write.sent.value == 0) return std::nullopt;
  const Ticket ticket = write.ticket;
  decided(write);
  trim();
  return ticket;
}

std::size_t PendingWrites::decide(raft::Term term) {
  std::size_t again = 0;
  const std::size_t sent_end = next_unsent_;
  for (std::size_t i = 0; i < sent_end; ++i) {
    Write& write = writes_[i];
    if (write.decided || write.sent >= term) continue;
    sent_bytes_ -= write.command.size();
    write.sent = raft::Term(0);
    next_unsent_ = std::min(next_unsent_, i);
    ++again;
  }
  trim();
  return again;
}

bool PendingWrites::undecided_before(raft::Term term) const {
  // Along the queue, the terms of sent writes never decrease, and the front write is undecided.
  return !writes_.empty() && next_unsent_ > 0 && writes_.front().sent < term;
}

std::vector<Forward::Write> PendingWrites::take_unsent(raft::Term term, std::size_t max_bytes) {
  std::vector<Forward::Write> batch;
  if (undecided_before(term)) return batch;
  std::size_t taken = 0;
  while (next_unsent_ < writes_.size()) {
    Write& write = writes_[next_unsent_];
    if (!write.decided) {
      if (!batch.empty() && taken + write.command.size() > max_bytes) break;
      taken += write.command.size();
      sent_bytes_ += write.command.size();
      write.sent = term;
      batch.push_back({sequence_of(next_unsent_), write.command});
    }
    ++next_unsent_;
  }
  return batch;
}

std::vector<Forward::Write> PendingWrites::sent_after(raft::Term term, std::uint64_t accepted,
                                                      std::size_t max_bytes) const {
  std::vector<Forward::Write> batch;
  std::size_t taken = 0;
  std::size_t i = accepted < first_sequence_ ? 0 : accepted - first_sequence_ + 1;
  for (; i < next_unsent_; ++i) {
    const Write& write = writes_[i];
    if (write.decided || write.sent != term) continue;
    if (!batch.empty() && taken + write.command.size() > max_bytes) break;
    taken += write.command.size();
    batch.push_back({sequence_of(i), write.command});
  }
  return batch;
}

std::vector<PendingWrites::Expired> PendingWrites::expire(Instant now) {
  std::vector<Expired> expired;
  if (now < next_expiry_) return expired;
  next_expiry_ = kNever;
  for (Write& write : writes_) {
    if (write.decided) continue;
    if (write.deadline > now) {
      next_expiry_ = std::min(next_expiry_, write.deadline);
      continue;
    }
    expired.push_back({write.ticket, write.sent.value != 0, write.command.size()});
    // K1: a write that was sent may be in a log. It is not sent again, not even within its own
    // term. The client was told that the outcome is unknown and may have retried since, and the
    // idempotency key may have expired by then.
    decided(write);
  }
  trim();
  return expired;
}

std::vector<PendingWrites::Expired> PendingWrites::hide(raft::Term term) {
  std::vector<Expired> hidden;
  for (std::size_t i = 0; i < next_unsent_; ++i) {
    Write& write = writes_[i];
    if (write.decided || write.sent > term) continue;
    hidden.push_back({write.ticket, true, write.command.size()});
    decided(write);
  }
  trim();
  return hidden;
}

std::vector<PendingWrites::Expired> PendingWrites::give_up_unsent() {
  std::vector<Expired> given_up;
  for (std::size_t i = next_unsent_; i < writes_.size(); ++i) {
    Write& write = writes_[i];
    if (write.decided) continue;
    given_up.push_back({write.ticket, false, write.command.size()});
    decided(write);
  }
  trim();
  return given_up;
}

void PendingWrites::cap_deadlines(Instant latest) {
  for (Write& write : writes_) write.deadline = std::min(write.deadline, latest);
  if (waiting_ > 0) next_expiry_ = std::min(next_expiry_, latest);
}

std::vector<Forward::Write> AcceptedForwards::accept(const Forward& forward, ForwardReply& reply) {
  if (forward.term != term_) {
    term_ = forward.term;
    accepted_.clear();
  }
  std::uint64_t& accepted = accepted_[forward.boot];
  std::vector<Forward::Write> fresh;
  // A Forward that follows a missing write is rejected whole, so that the stream has no gaps and
  // keeps its order.
  if (forward.previous <= accepted) {
    for (const Forward::Write& write : forward.writes) {
      if (write.sequence <= accepted) continue;
      accepted = write.sequence;
      fresh.push_back(write);
    }
  }
  reply.accepted = accepted;
  reply.gap = forward.previous > accepted;
  return fresh;
}

}  // namespace vesper::node
