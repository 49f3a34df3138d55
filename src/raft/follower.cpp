// The receiving half of Raft (figure 2, "Receiver implementation"): entries and heartbeats from the
// leader, and requests for votes. The sending half is in leader.cpp and candidate.cpp.
#include <fmt/core.h>

#include <algorithm>

#include "raft/names.hpp"
#include "raft/raft.hpp"

namespace vesper::raft {

// Handles what all messages from the leader of current_term have in common. A term has one leader
// (E1). A second one can only be a server that lost its vote with its disk, or a forger. Its
// message is ignored, and this returns false.
bool Raft::hear_leader(ServerId from, Index leader_commit, std::optional<LogTime> log_time) {
  const std::optional<ServerId> known = leader();
  if (known && *known != from) {
    output_->notes.push_back(fmt::format("server {} claims {}, which server {} leads -> ignored",
                                         from.value, name(current_term()), known->value));
    return false;
  }
  auto* follower = std::get_if<Follower>(&role_);
  pace_.relax();
  const bool is_new = follower == nullptr || !follower->leader;
  if (is_new) become_follower(from);
  else follower->election_deadline = now_ + pace_.draw(prng_);
  contact_.heard(now_, leader_commit);
  pace_.forget_held_back();
  // The cluster has one clock: the leader's time replaces what this server extrapolated. If a new
  // leader sends no time, this clock restarts at the last entry's stamp, because the time of an
  // earlier leader may be ahead of the new one's clock. A large message arrives later than those
  // that were sent after it, and its time is outdated.
  const Instant runs_until = now_ + config_.election_timeout * 2;
  if (log_time && (is_new || *log_time >= clock_.last_set()))
    clock_.set(*log_time, now_, runs_until);
  else if (is_new) clock_.set(log_.last_time(), now_, runs_until);
  return true;
}

void Raft::on_append_entries(ServerId from, AppendEntries m) {
  if (!hear_leader(from, m.leader_commit, m.log_time) || regressed_) return;
  // Below the base everything is committed, in a snapshot, and equal in every leader's log.
  const Index base = log_.base_index();
  const auto term_here = log_.term_at(m.prev_log_index);
  if (m.prev_log_index >= base && term_here != m.prev_log_term) {  // §5.3: the consistency check
    AppendReply reply{.term = current_term(), .prev_log_index = m.prev_log_index};
    reply.hint_index = log_.last_at_most(m.prev_log_index, m.prev_log_term).value_or(base);  // L13
    reply.hint_term = log_.term_at(reply.hint_index).value_or(Term(0));
    if (!room_.is_exhausted()) send(from, reply, kTermOnly);
    return;
  }
  const auto last_new = take_entries(from, m.entries, std::max(m.prev_log_index, base));
  if (!last_new) return;
  // L4: only entries that this leader's messages have proven to match may be committed here.
  proven_index_ = std::max(proven_index_, *last_new);
  commit_to(std::min(m.leader_commit, proven_index_));
  // On a full disk a reply would only make the leader send the same entries again at once.
  if (room_.is_exhausted() && *last_new == m.prev_log_index && !m.entries.empty()) return;
  // L10: the acknowledgement leaves once everything that it covers is durable.
  AppendReply reply{.term = current_term(), .success = true, .match_index = *last_new};
  send(from, reply, writes_.covering(*last_new));
}

// Appends the entries this log lacks, space permitting. `equal`: the last index known to match
// before. Returns the last index known to match afterwards, or nothing if the message contradicts a
// committed entry or the snapshot.
std::optional<Index> Raft::take_entries(ServerId from, std::vector<Entry>& entries, Index equal) {
  const Index base = log_.base_index();
  for (Entry& entry : entries) {
    if (entry.index <= base) continue;
    // L2: entries that already match stay, whatever follows them. Only a real conflict truncates,
    // so a delayed message removes nothing.
    const auto here = log_.term_at(entry.index);
    const Index index = entry.index;
    if (here && *here == entry.term) {
      equal = index;
      continue;
    }
    if (here && entry.index <= commit_index_) {  // L3: no leader sends this (L7)
      output_->notes.push_back(fmt::format("server {} contradicts committed entry {} -> ignored",
                                           from.value, entry.index.value));
      return std::nullopt;
    }
    if (entry.index == base.next() && entry.term < log_.term_at(base)) {
      output_->notes.push_back(
          fmt::format("server {} sends an entry older than the snapshot that it "
                      "follows -> ignored",
                      from.value));
      return std::nullopt;
    }
    if (here) truncate_from(index);
    if (!room_.reserve(entry.bytes.size())) break;
    append(std::move(entry));
    equal = index;
  }
  return equal;
}

void Raft::on_heartbeat(ServerId from, const Heartbeat& m) {
  if (!hear_leader(from, m.leader_commit, m.log_time) || notice_regress(from, m)) return;
  promise_.give(m.leader_lease_ms, now_);
  commit_to(std::min(m.leader_commit, proven_index_));
  freshness_.learn(m, commit_index_, now_);
  contact_.write_block = m.write_block;
  HeartbeatReply reply{current_term(),         m.round,       proven_index_,
                       freshness_.stamp(now_), disk_health(), wants_commits_};
  send(from, reply, kTermOnly);  // promises the term, and no vote for a while
}

// Thesis 6.4. The leader has committed up to read_index, so this server commits as far as its log
// is proven to match.
void Raft::on_read_index_reply(const ReadIndexReply& m) {
  const auto* follower = std::get_if<Follower>(&role_);
  if (follower == nullptr || !follower->leader) return;
  contact_.learn_commit(m.read_index);
  commit_to(std::min(m.read_index, proven_index_));
  output_->reads.push_back({m.id, m.read_index, m.leader_lease});
}

// ---- votes --------------------------------------------------------------------------------

VoteRefusal Raft::judge_vote(ServerId from, const VoteRequest& m) const {
  if (regressed_) return VoteRefusal::regressed;
  // The request's term is old, or a pre-vote asks about a term that has already begun.
  if (m.term < current_term() || (m.pre_vote && m.term == current_term()))
    return VoteRefusal::old_term;
  if (!m.transfer && (is_leader() || contact_.is_fresh(now_, config_.election_timeout)))
    return VoteRefusal::leader_fresh;
  if (promise_.binds(now_)) return VoteRefusal::promised;  // a hand-over is no exception
  if (log_.empty())
    if (const auto refusal = founding_.judge_vote(from, m, hard_state_, now_);
        refusal != VoteRefusal::none)
      return refusal;
  if (!log_.allows_vote(m.last_log_index, m.last_log_term)) return VoteRefusal::log_behind;
  return VoteRefusal::none;
}

// Two servers that ask at the same instant would split the vote: this server lets `candidate` go
// first.
void Raft::hold_back(ServerId candidate) {
  if (!pace_.may_hold_back()) return;
  const Instant later = now_ + kHoldBack;
  if (auto* follower = std::get_if<Follower>(&role_)) {
    const Instant before = follower->election_deadline;
    follower->election_deadline = std::max(before, later);
    pace_.held_back(follower->election_deadline - before);
  } else if (std::holds_alternative<PreCandidate>(role_) && candidate < self()) {
    role_ = Follower{std::nullopt, later};
    pace_.held_back(kHoldBack);
  }
}

void Raft::on_vote_request(ServerId from, const VoteRequest& m) {
  if (log_.empty() && m.last_log_index.value > 0) founding_.on_sign_of_a_log(from, now_);
  VoteReply reply{.for_term = m.term, .pre_vote = m.pre_vote, .refusal = judge_vote(from, m)};
  // E9: a pre-vote changes nothing, except that this server delays its own campaign if it grants
  // one.
  if (m.pre_vote) {
    if (reply.granted()) hold_back(from);
    reply.term = current_term();
    return send(from, reply, kTermOnly);
  }
  // E12: while a leader is fresh, or may hold a lease, this server does not adopt the candidate's
  // term either.
  if (reply.refusal == VoteRefusal::leader_fresh || reply.refusal == VoteRefusal::promised ||
      reply.refusal == VoteRefusal::old_term || reply.refusal == VoteRefusal::regressed) {
    reply.term = current_term();
    return send(from, reply, kTermOnly);
  }
  if (m.term > current_term()) {
    advance_term(m.term, "a candidate");
    // E7: a refused vote does not delay this server's own campaign.
    const Instant deadline = next_deadline();
    role_ = Follower{std::nullopt, deadline};
  }
  if (reply.granted() && hard_state_.voted_for && *hard_state_.voted_for != from)
    reply.refusal = VoteRefusal::already_voted;  // E4
  if (reply.granted()) {
    VESPER_ASSERT(!promise_.binds(now_));
    if (!hard_state_.voted_for) {
      hard_state_.voted_for = from;
      writes_.change_term();
    }
    if (auto* follower = std::get_if<Follower>(&role_))
      follower->election_deadline =
          now_ +
          nanoseconds(prng_.between(config_.election_timeout.ns, 2 * config_.election_timeout.ns));
  }
  reply.term = current_term();
  send(from, reply, kTermOnly);  // E2: after the write of term and vote, like every message
}

}  // namespace vesper::raft
