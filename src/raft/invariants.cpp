// The invariants that hold after every turn of the loop. Every turn pays for them, so none of them
// counts voters.
#include <algorithm>

#include "raft/raft.hpp"

namespace vesper::raft {

void Raft::check_invariants() const {
  VESPER_ASSERT(commit_index_ <= log_.last_index());  // L9
  VESPER_ASSERT(writes_.durable_index() <= log_.last_index());
  VESPER_ASSERT(proven_index_ >= commit_index_);  // L4
  VESPER_ASSERT(proven_index_ <= log_.last_index());
  VESPER_ASSERT(hard_state_.current_term >= log_.last_term());
  VESPER_ASSERT(hard_state_.current_term <= kMaxTerm);
  VESPER_ASSERT(!writes_.has_changes());
  // §7: entries that the log no longer has are in a snapshot on this disk.
  VESPER_ASSERT(log_.base_index() <= snapshot_.last_index);
  VESPER_ASSERT(disk_base_.index <= snapshot_.last_index);
  VESPER_ASSERT(snapshot_.last_index <= commit_index_);  // S1
  VESPER_ASSERT(snapshot_.last_index <= writes_.durable_index());
  VESPER_ASSERT(log_.term_at(snapshot_.last_index) == snapshot_.last_term);
  if (const auto* candidate = std::get_if<Candidate>(&role_)) {
    VESPER_ASSERT(hard_state_.voted_for == self());
    VESPER_ASSERT(candidate->own_vote <= writes_.last_write());
  }
  if (promise_.binds(now_)) {
    // A server that has promised no vote does not campaign.
    VESPER_ASSERT(!std::holds_alternative<PreCandidate>(role_));
    VESPER_ASSERT(!std::holds_alternative<Candidate>(role_));
  }
  const std::optional<Instant> fresh = freshness_.as_of(commit_index_);
  VESPER_ASSERT(!fresh || *fresh <= now_);
  const auto* leader = std::get_if<Leader>(&role_);
  if (leader == nullptr) return;
  // The leader's own promise outlasts the lease to which it contributes.
  VESPER_ASSERT(leader->own_leader_lease_until <= std::max(now_, promise_.until()) ||
                !electorate_.self_counts() || !leader_lease_index(now_));
  VESPER_ASSERT(hard_state_.voted_for == self());
  VESPER_ASSERT(log_.last_index() >= leader->term_start);  // L6
  VESPER_ASSERT(leader->term_start <= log_.base_index() ||
                log_.term_at(leader->term_start) == current_term());
  for (const auto& [id, progress] : leader->progress) {
    VESPER_ASSERT(id != self());
    VESPER_ASSERT(progress.heard_at <= now_);
    VESPER_ASSERT(progress.acked_at <= now_);
    VESPER_ASSERT(progress.next_index > progress.match_index);  // L12
    VESPER_ASSERT(progress.received_index >= progress.match_index);
    VESPER_ASSERT(progress.received_index <= log_.last_index());
    VESPER_ASSERT(progress.next_index <= log_.last_index().next());
    VESPER_ASSERT(progress.transfer.has_value() == (progress.state == Progress::State::snapshot));
    if (progress.transfer) VESPER_ASSERT(progress.transfer->acked <= progress.transfer->next);
  }
}

}  // namespace vesper::raft
