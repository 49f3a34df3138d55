// Hand-over of leadership (thesis 3.10): on request, before a shutdown, and by a leader with an
// unhealthy disk. Also the effect of disk health on writes. Elections are in candidate.cpp.
#include <fmt/core.h>

#include <algorithm>

#include "raft/names.hpp"
#include "raft/raft.hpp"

namespace vesper::raft {
namespace {

// How much longer than the leader's own promise the promises of others may last by the leader's
// clock, if their clocks are as slow as leases allow (docs/raft.md).
constexpr Duration kPromiseSkew = kMaxLeaderLease * 11 / 10 * 2 / 9;
// The largest number of unsent entries at a fit target. More would not arrive before the hand-over
// is abandoned.
constexpr std::uint64_t kMostBehind = 1024;

// True if this voter would win an election and could lead: it has answered a heartbeat that was
// sent at `heard_since` or later, it receives entries in a pipeline, its disk is healthy, and the
// few entries that it lacks are in flight.
bool is_fit(const Progress& progress, Index last_index, Instant heard_since) {
  return progress.disk == DiskHealth::ok && progress.state == Progress::State::replicate &&
         !progress.arrival_asked && progress.next_index.value + kMostBehind > last_index.value &&
         progress.heard_at >= heard_since;
}

}  // namespace

// ---- disks --------------------------------------------------------------------------------

DiskHealth Raft::disk_health() const {
  if (regressed_) return DiskHealth::regressed;
  if (room_.is_full()) return DiskHealth::full;
  return writes_.is_stalled(now_, config_.election_timeout * 2) ? DiskHealth::stalled
                                                                : DiskHealth::ok;
}

void Raft::on_disk_space(const DiskSpace& space) {
  if (space.full != room_.is_full())
    output_->notes.push_back(
        space.full ? "no space for more log -> accept only entries that fit, keep voting"
                   : "space for the log again -> accept entries");
  room_.update(space);
}

std::size_t Raft::proposal_room() const {
  const std::size_t taken = std::get<Leader>(role_).unsettled_bytes;
  return config_.max_uncommitted_bytes - std::min(taken, config_.max_uncommitted_bytes);
}

// Writes are blocked if the servers that answer are a majority, but those of them with a healthy
// disk are not. A leader could not commit such writes, and they would only grow its log.
WriteBlock Raft::write_block() const {
  const auto* leader = std::get_if<Leader>(&role_);
  if (leader == nullptr) return contact_.write_block;
  const WriteBlock disks = block_by_disks(*leader);
  return disks == WriteBlock::none && proposal_room() == 0 ? WriteBlock::waiting : disks;
}

WriteBlock Raft::block_by_disks(const Leader& leader) const {
  const auto answers = [&](const Member& voter, auto&& is_well) {
    if (electorate_.is_self(voter.id)) return electorate_.self_counts() && is_well(disk_health());
    const Progress* const other = leader.counted(electorate_, voter);
    return other != nullptr && now_ - other->heard_at <= config_.election_timeout * 2 &&
           is_well(other->disk);
  };
  const auto quorum_with = [&](auto&& is_well) {
    return electorate_.quorum().holds([&](const Member& voter) { return answers(voter, is_well); });
  };
  const bool healthy = quorum_with([](DiskHealth disk) { return disk == DiskHealth::ok; });
  if (healthy || !quorum_with([](DiskHealth) { return true; })) return WriteBlock::none;
  return quorum_with([](DiskHealth disk) { return disk != DiskHealth::full; }) ? WriteBlock::waiting
                                                                               : WriteBlock::full;
}

bool Raft::takes_proposals() const {
  const auto* leader = std::get_if<Leader>(&role_);
  if (leader == nullptr || leader->hand_over || write_block() != WriteBlock::none) return false;
  return room_.has_room_to_lead();
}

// ---- the leader's side --------------------------------------------------------------------

void Raft::on_transfer_leadership(const TransferLeadership& transfer) {
  auto* leader = std::get_if<Leader>(&role_);
  if (leader == nullptr || leader->hand_over || transfer.to == self()) return;
  if (now_ < leader->no_hand_over_before) return;
  const Member* best = nullptr;
  for (const Member& voter : electorate_.configuration().members) {
    if (voter.id == self() || (transfer.to && voter.id != *transfer.to)) continue;
    if (!voter.votes_in_new() || voter.goal == Goal::leave || voter.goal == Goal::learn) continue;
    const Progress* const progress = leader->counted(electorate_, voter);
    if (progress == nullptr ||
        !is_fit(*progress, log_.last_index(), now_ - config_.election_timeout))
      continue;
    const auto match = [&](const Member& v) { return leader->progress.at(v.id).match_index; };
    if (best == nullptr || match(voter) > match(*best)) best = &voter;
  }
  if (best == nullptr) return;
  output_->notes.push_back(fmt::format("hand {} over to {}", name(current_term()), name(best->id)));
  const Instant all_free = std::max(now_, promise_.until() + kPromiseSkew);
  leader->hand_over = HandOver{best->id, false, all_free + config_.election_timeout};
}

// K11: sends TimeoutNow once, when the target's log has all entries and no server is bound by a
// lease any more. No new lease is requested meanwhile. The target's election ends this term.
void Raft::maybe_send_timeout_now() {
  auto& leader = std::get<Leader>(role_);
  if (!leader.hand_over || leader.hand_over->sent || now_ < promise_.over_elsewhere_at()) return;
  const auto it = leader.progress.find(leader.hand_over->to);
  if (it == leader.progress.end() || it->second.match_index != log_.last_index()) return;
  leader.hand_over->sent = true;
  send(leader.hand_over->to, TimeoutNow{current_term()}, kTermOnly);
}

// Called with each heartbeat. Abandons a hand-over that has timed out, and begins one if this
// server's disk is unhealthy.
void Raft::review_hand_over() {
  auto& leader = std::get<Leader>(role_);
  if (leader.hand_over && now_ >= leader.hand_over->deadline) {
    output_->notes.push_back(fmt::format("{} did not take over in {} ms -> keep leading",
                                         name(leader.hand_over->to),
                                         config_.election_timeout.ms()));
    leader.hand_over.reset();
    leader.no_hand_over_before = now_ + config_.election_timeout * 2;
  }
  if (disk_health() != DiskHealth::ok) on_transfer_leadership({});
}

// ---- the other side -----------------------------------------------------------------------

void Raft::on_timeout_now(ServerId from) {
  auto* follower = std::get_if<Follower>(&role_);
  if (follower == nullptr || follower->leader != from || !electorate_.self_counts()) return;
  output_->notes.push_back(
      fmt::format("{} hands {} over -> campaign {}", name(from), name(current_term()),
                  promise_.binds(now_) ? "when the promise to it ends" : "at once"));
  // The leader knows the end of this promise only by its own clock, and sends TimeoutNow only once.
  // So this server waits for the end by its own clock.
  if (promise_.binds(now_)) follower->take_over_at = promise_.until();
  else take_over();
}

void Raft::take_over() {
  if (regressed_ || !electorate_.self_counts()) return;
  pace_.hurry();
  become_candidate(Campaign::hand_over);
}

}  // namespace vesper::raft
