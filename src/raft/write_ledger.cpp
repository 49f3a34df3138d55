#include "raft/write_ledger.hpp"

#include <algorithm>

namespace vesper::raft {

WriteLedger::WriteLedger(WriteNumber last_write, Index durable_index)
    : last_write_(last_write),
      persisted_(last_write),
      persisted_hard_state_(last_write),
      durable_index_(durable_index),
      term_write_(last_write) {}

void WriteLedger::change_term() {
  dirty_ = true;
  term_write_ = next();
}

void WriteLedger::append(Index index) {
  if (!write_from_) write_from_ = index;
  dirty_ = true;
}

void WriteLedger::void_beyond(Index last) {
  for (Outstanding& write : outstanding_) write.last_index = std::min(write.last_index, last);
}

void WriteLedger::truncate(Index index, Index last) {
  durable_index_ = std::min(durable_index_, last);
  void_beyond(last);  // L14
  write_from_ = std::min(write_from_.value_or(index), index);
  dirty_ = true;
}

void WriteLedger::rewrite_from(Index index) {
  write_from_ = index;
  dirty_ = true;
}

void WriteLedger::replace(Index last) {
  durable_index_ = last;
  void_beyond(last);  // L14
  rewrite_from(last.next());
}

void WriteLedger::cover(Index last) {
  durable_index_ = std::max(durable_index_, last);
}

std::optional<WriteLedger::Begun> WriteLedger::begin(Instant now, Index last) {
  if (!dirty_) return std::nullopt;
  last_write_ = last_write_.next();
  const Begun begun{last_write_, write_from_};
  outstanding_.push_back({last_write_, last, now});
  dirty_ = false;
  write_from_.reset();
  return begun;
}

bool WriteLedger::complete(const Persisted& persisted, Instant now) {
  persisted_hard_state_ = std::max({persisted_hard_state_, persisted.hard_state, persisted.number});
  VESPER_ASSERT(persisted_hard_state_ <= last_write_);
  if (persisted.number <= persisted_) return false;
  persisted_ = persisted.number;
  persisted_at_ = now;
  auto done = outstanding_.begin();
  for (; done != outstanding_.end() && done->number <= persisted.number; ++done)
    durable_index_ = std::max(durable_index_, done->last_index);
  outstanding_.erase(outstanding_.begin(), done);
  return true;
}

WriteNumber WriteLedger::covering(Index index) const {
  if (index <= durable_index_) return kTermOnly;
  for (const Outstanding& write : outstanding_)
    if (write.last_index >= index) return write.number;
  VESPER_ASSERT(dirty_);
  return next();
}

bool WriteLedger::is_stalled(Instant now, Duration patience) const {
  if (outstanding_.empty()) return false;
  const Instant idle_since = std::max(outstanding_.front().handed_out_at, persisted_at_);
  return now - idle_since > patience;
}

}  // namespace vesper::raft
