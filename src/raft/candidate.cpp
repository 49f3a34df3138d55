// The candidate's half of elections (§5.2), with pre-votes (thesis 9.6). The voter's half is in
// follower.cpp.
#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "raft/names.hpp"
#include "raft/raft.hpp"

namespace vesper::raft {

// Fast start: a server that has heard no leader since it started, but reaches a majority, campaigns
// early, because the election timeout would protect no leader. A server with an empty log must also
// know that every other log is empty.
void Raft::maybe_fast_start() {
  auto* follower = std::get_if<Follower>(&role_);
  if (follower == nullptr || contact_.ever() || !pace_.is_relaxed()) return;
  if (!electorate_.self_counts()) return;
  const Quorum quorum = electorate_.quorum();
  if (!quorum.holds([&](const Member& voter) {
        return electorate_.is_self(voter.id) || peers_.is_connected(voter.id);
      }))
    return;
  if (log_.empty() && !founding_.is_unanimous()) return;
  pace_.hurry();
  const Instant soon =
      now_ + (quorum.is_single() ? Duration{}
                                 : nanoseconds(prng_.between(kFastStartMin.ns, kFastStartMax.ns)));
  follower->election_deadline = std::min(follower->election_deadline, soon);
}

void Raft::campaign() {
  const bool waits = log_.empty() && !founding_.is_allowed(now_);
  if (waits)
    for (std::string& note : founding_.news(now_)) output_->notes.push_back(std::move(note));
  // Thesis 4.2.2: a server that its latest configuration leaves out is still needed until that
  // configuration is committed, because only its log may have it.
  const Member* const before = electorate_.committed().find(config_.incarnation);
  const bool may_lead = electorate_.self_counts() || (before != nullptr && before->votes());
  if (!may_lead || waits || disk_health() == DiskHealth::stalled || regressed_) {
    // This server is no voter, or not under this incarnation. Or a cluster may exist already. Or
    // its disk cannot persist the vote, or has lost what this server promised.
    become_follower(std::nullopt);
    return;
  }
  if (put_off_by_promise()) return;
  const bool again = !std::holds_alternative<Follower>(role_);
  if (again) pace_.slow_down();
  PreCandidate pre;
  pre.granted.push_back(self());
  pre.round_deadline = now_ + pace_.draw(prng_);
  if (!again)
    output_->notes.push_back(fmt::format("no leader in {} -> ask for pre-votes for {}",
                                         name(current_term()), name(current_term().next())));
  role_ = std::move(pre);
  ask_votes(VoteRound::pre_vote);
  count_votes();
}

void Raft::become_candidate(Campaign why) {
  if (current_term() >= kMaxTerm) {  // E16: a term never leaves its range
    output_->notes.push_back(fmt::format("{} is the largest term -> no election", name(kMaxTerm)));
    return become_follower(std::nullopt);
  }
  if (put_off_by_promise()) return;  // its own vote is a vote, too
  advance_term(current_term().next(), "own candidacy");
  hard_state_.voted_for = self();
  Candidate candidate;
  candidate.own_vote = writes_.term_write();
  candidate.transfer = why == Campaign::hand_over;
  candidate.round_deadline = now_ + pace_.draw(prng_);
  if (why == Campaign::own)
    output_->notes.push_back(
        fmt::format("a majority would vote for me -> candidate in {}", name(current_term())));
  role_ = std::move(candidate);
  ask_votes(VoteRound::vote);
  count_votes();
}

void Raft::ask_votes(VoteRound round) {
  const bool pre_vote = round == VoteRound::pre_vote;
  VoteRequest request;
  request.term = pre_vote ? current_term().next() : current_term();
  request.pre_vote = pre_vote;
  request.last_log_index = log_.last_index();
  request.last_log_term = log_.last_term();
  request.cluster_id = electorate_.configuration().cluster_id;
  if (const auto* candidate = std::get_if<Candidate>(&role_))
    request.transfer = candidate->transfer;
  AskAgain& again =
      pre_vote ? std::get<PreCandidate>(role_).again : std::get<Candidate>(role_).again;
  const std::vector<ServerId> only = std::exchange(again, {}).voters;
  for (const Member& voter : electorate_.configuration().members) {
    if (voter.id == self() || !voter.votes()) continue;
    if (!only.empty() && !std::binary_search(only.begin(), only.end(), voter.id)) continue;
    send(voter.id, request, kTermOnly);
  }
}

void Raft::on_vote_reply(ServerId from, Incarnation incarnation, const VoteReply& m) {
  // A higher term was adopted before this. E10: of the replies to pre-votes, only refusals carry
  // one.
  if (m.term > current_term() || !electorate_.counts(from, incarnation)) return;
  if (auto* pre = std::get_if<PreCandidate>(&role_)) {
    if (!m.pre_vote || m.for_term != current_term().next()) return;
    // A server with a log refuses a server without one. The voter may hold the last copy of the
    // cluster.
    if (log_.empty() && m.refusal == VoteRefusal::log_behind)
      founding_.on_sign_of_a_log(from, now_);
    if (m.granted()) {
      insert_sorted(pre->granted, from);
    } else if (m.refusal == VoteRefusal::leader_fresh || m.refusal == VoteRefusal::promised) {
      pre->again.add(from, now_ + kAskAgain);
    }
  } else if (auto* candidate = std::get_if<Candidate>(&role_)) {
    if (m.pre_vote || m.for_term != current_term()) return;
    if (m.refusal == VoteRefusal::promised) candidate->again.add(from, now_ + kAskAgain);
    if (!m.granted()) return;
    candidate->granted.emplace(from, incarnation);
  } else {
    return;
  }
  count_votes();
}

void Raft::count_votes() {
  if (const auto* pre = std::get_if<PreCandidate>(&role_)) {
    const auto granted = [&](const Member& voter) {
      return std::binary_search(pre->granted.begin(), pre->granted.end(), voter.id);
    };
    if (electorate_.quorum().holds(granted)) become_candidate(Campaign::own);
    return;
  }
  const auto& candidate = std::get<Candidate>(role_);
  // A candidate's own vote counts once it is durable (E2, E14).
  const bool own_counts = writes_.persisted_hard_state() >= candidate.own_vote;
  const auto granted = [&](const Member& voter) {
    return electorate_.is_self(voter.id) ? own_counts : candidate.granted.contains(voter.id);
  };
  if (electorate_.quorum().holds(granted)) become_leader();
}

}  // namespace vesper::raft
