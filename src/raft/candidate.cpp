// Elections (§5.2) with pre-votes (thesis 9.6).
#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "raft/raft.hpp"

namespace vesper::raft {
namespace {

void insert_sorted(std::vector<ServerId>& ids, ServerId id) {
  const auto at = std::lower_bound(ids.begin(), ids.end(), id);
  if (at == ids.end() || *at != id) ids.insert(at, id);
}

}  // namespace

// Fast start: who has heard no leader since its start and reaches a majority need not wait for a
// timeout that protects nobody.
void Raft::maybe_fast_start() {
  auto* follower = std::get_if<Follower>(&role_);
  if (follower == nullptr || ever_heard_leader_ || round_base_ != config_.election_timeout) return;
  std::size_t reached = 0;
  for (const Voter& voter : configuration_.voters) {
    if (voter.id == config_.self) {
      ++reached;
    } else if (const auto it = peers_.find(voter.id); it != peers_.end() && it->second.up) {
      ++reached;
    }
  }
  if (reached < majority()) return;
  round_base_ = std::min(kFastRound, config_.election_timeout);
  const Instant soon =
      now_ + (majority() == 1 ? Duration{}
                              : nanoseconds(prng_.between(kFastStartMin.ns, kFastStartMax.ns)));
  follower->election_deadline = std::min(follower->election_deadline, soon);
}

void Raft::campaign() {
  bool cluster_in_sight = false;
  for (const auto& [id, peer] : peers_) cluster_in_sight |= peer.up && peer.has_cluster;
  if (!self_counts() || (log_.empty() && cluster_in_sight) ||
      disk_health() == DiskHealth::stalled) {
    // Not a voter, or not under this incarnation, or to be taken into a cluster that exists; or
    // with a disk that could not keep its vote.
    become_follower(std::nullopt);
    return;
  }
  if (put_off_by_promise()) return;
  const bool again = !std::holds_alternative<Follower>(role_);
  if (again) round_base_ = std::min(round_base_ * 2, config_.election_timeout);
  PreCandidate pre;
  pre.granted.push_back(config_.self);
  pre.round_deadline = now_ + random_election_timeout();
  if (!again)
    output_->notes.push_back(fmt::format("no leader in {} -> ask for pre-votes for {}",
                                         name(current_term()), name(current_term().next())));
  role_ = std::move(pre);
  ask_votes(true);
  count_votes();
}

void Raft::become_candidate(bool transfer) {
  if (current_term() >= kMaxTerm) {  // F20: never wraps, never leaves the range
    output_->notes.push_back(fmt::format("{} is the last one -> no election", name(kMaxTerm)));
    return become_follower(std::nullopt);
  }
  if (put_off_by_promise()) return;  // one's own vote is a vote
  advance_term(current_term().next(), "own candidacy");
  hard_state_.voted_for = config_.self;
  Candidate candidate;
  candidate.own_vote = term_write_;
  candidate.transfer = transfer;
  candidate.round_deadline = now_ + random_election_timeout();
  if (!transfer)
    output_->notes.push_back(
        fmt::format("a majority would vote for me -> candidate in {}", name(current_term())));
  role_ = std::move(candidate);
  ask_votes(false);
  count_votes();
}

void Raft::ask_votes(bool pre_vote) {
  VoteRequest request;
  request.term = pre_vote ? current_term().next() : current_term();
  request.pre_vote = pre_vote;
  request.last_log_index = log_.last_index();
  request.last_log_term = log_.last_term();
  const bool founded = commit_index_.value > 0;  // index 1 is the Bootstrap entry
  if (founded) request.cluster_id = configuration_.cluster_id;
  if (const auto* candidate = std::get_if<Candidate>(&role_))
    request.transfer = candidate->transfer;
  AskAgain& again =
      pre_vote ? std::get<PreCandidate>(role_).again : std::get<Candidate>(role_).again;
  const std::vector<ServerId> only = std::exchange(again, {}).voters;
  for (const Voter& voter : configuration_.voters) {
    if (voter.id == config_.self) continue;
    if (!only.empty() && !std::binary_search(only.begin(), only.end(), voter.id)) continue;
    send(voter.id, request, WriteNumber(0));
  }
}

void Raft::ask_again(AskAgain& again, ServerId voter) {
  insert_sorted(again.voters, voter);
  again.at = std::min(again.at, now_ + kAskAgain);
}

void Raft::on_vote_reply(ServerId from, Incarnation incarnation, const VoteReply& m) {
  // A higher term has been adopted by now; E10: of a pre-vote only refusals carry one.
  if (m.term > current_term() || !counts(from, incarnation)) return;
  if (auto* pre = std::get_if<PreCandidate>(&role_)) {
    if (!m.pre_vote || m.for_term != current_term().next()) return;
    if (m.granted()) {
      insert_sorted(pre->granted, from);
    } else if (m.refusal == VoteRefusal::leader_fresh || m.refusal == VoteRefusal::promised) {
      ask_again(pre->again, from);
    }
  } else if (auto* candidate = std::get_if<Candidate>(&role_)) {
    if (m.pre_vote || m.for_term != current_term()) return;
    if (m.refusal == VoteRefusal::promised) ask_again(candidate->again, from);
    if (!m.granted()) return;
    candidate->granted.emplace(from, incarnation);
  } else {
    return;
  }
  count_votes();
}

void Raft::count_votes() {
  if (const auto* pre = std::get_if<PreCandidate>(&role_)) {
    if (pre->granted.size() >= majority()) become_candidate(false);
    return;
  }
  const auto& candidate = std::get<Candidate>(role_);
  // A candidate's own vote counts when it is durable (E2, E14).
  const std::size_t own = persisted_hard_state_ >= candidate.own_vote ? 1 : 0;
  if (candidate.granted.size() + own >= majority()) become_leader();
}

}  // namespace vesper::raft
