// The leader's half of replication (figure 2, "Leaders"): what to send to each follower, when an
// entry is committed, how a read is confirmed, and when the leader steps down. Elections are in
// candidate.cpp, leader leases in leader_lease.cpp, snapshots in snapshots.cpp.
#include <fmt/core.h>

#include <algorithm>
#include <functional>

#include "raft/entry.hpp"
#include "raft/names.hpp"
#include "raft/raft.hpp"

namespace vesper::raft {
namespace {

constexpr std::size_t kSentPerTurn = 2u << 20;  // bytes of entries to one follower
// A follower with this many unanswered heartbeats gets no more of those that only confirm reads.
// Reads arrive 30,000 times a second, and on a slow link their heartbeats would delay everything
// else.
constexpr std::size_t kMostOwed = 4;

}  // namespace

void Raft::become_leader() {
  // The incarnation under which the leader knows each voter: the one that voted, even if its
  // connection has changed since; otherwise the connected one.
  const std::map<ServerId, Incarnation> voted = std::get<Candidate>(role_).granted;
  std::map<ServerId, Incarnation> known = voted;
  for (const Member& voter : electorate_.configuration().members)
    if (const auto incarnation = peers_.connected_as(voter.id))
      known.emplace(voter.id, *incarnation);
  known[self()] = config_.incarnation;

  Leader leader;
  leader.since = now_;
  for (const Member& member : electorate_.configuration().members) {
    if (member.id == self()) continue;
    Progress progress = new_progress();
    if (const auto it = known.find(member.id); it != known.end()) progress.incarnation = it->second;
    leader.progress.emplace(member.id, std::move(progress));
  }
  leader.next_heartbeat = now_ + config_.heartbeat_interval;
  leader.term_start = log_.last_index().next();
  start_clock();
  leader.settled = std::min(commit_index_, writes_.durable_index());
  for (Index i = leader.settled.next(); i <= log_.last_index(); i = i.next())
    leader.unsettled_bytes += log_.at(i).bytes.size();
  output_->notes.push_back(fmt::format("a majority voted for me -> leader of {} from index {}",
                                       name(current_term()), leader.term_start.value));
  role_ = std::move(leader);
  contact_.is_self();
  pace_.relax();

  // §8: a leader commits an entry of its own term first. In an empty log this is the Bootstrap
  // entry.
  const LogTime stamp = log_time(now_);
  if (log_.empty()) {
    Configuration founded{{prng_.next(), prng_.next() | 1}, config_.initial_voters};
    founded.index = Index(1);
    // Registers the servers that voted, so that a majority counts from the first entry on. Of the
    // other servers, registers those that recently sent something: a connection to a dead machine
    // may stay open for long.
    for (Member& voter : founded.members) {
      if (voter.id == self() || voted.contains(voter.id) || peers_.answering_as(voter.id, now_))
        voter.incarnation = known.at(voter.id);
      voter.level = voter.id == self() ? config_.level : peers_.level_of(voter.id);
    }
    founded.level = 0;
    founded.raise_level();
    append(make_entry(Index(1), current_term(), EntryType::bootstrap, stamp, Origin{},
                      encode_configuration(founded)));
    output_->notes.push_back(
        fmt::format("empty log -> found cluster {}", to_hex(founded.cluster_id)));
  } else {
    append(
        make_entry(log_.last_index().next(), current_term(), EntryType::noop, stamp, Origin{}, {}));
  }
  send_heartbeats(Heartbeats::regular);
}

void Raft::on_propose(Propose propose) {
  VESPER_ASSERT(is_leader());
  VESPER_ASSERT(!std::get<Leader>(role_).hand_over);
  const LogTime stamp = log_time(now_);
  for (Proposal& proposal : propose.proposals) {
    append(make_entry(log_.last_index().next(), current_term(), EntryType::command, stamp,
                      proposal.origin, proposal.payload.view()));
  }
}

// Registers the incarnation of members that were unknown when they joined the configuration, and
// builds that have changed. C2: only after an entry of this term is committed. C13: a disk is
// registered once.
void Raft::register_members() {
  if (commit_index_ < std::get<Leader>(role_).term_start) return;
  std::vector<Registration> news;
  for (const Member& member : configuration().members) {
    auto incarnation = member.id == self() ? std::optional(config_.incarnation)
                                           : peers_.answering_as(member.id, now_);
    std::uint32_t level = member.id == self() ? config_.level : peers_.level_of(member.id);
    // The machine runs a build, too, if its disk is lost. Otherwise the old one would keep the
    // level down for good, and without that level no new disk is taken in.
    const auto lost = peers_.replaced().find(member.id);
    if (!incarnation && lost != peers_.replaced().end() && member.incarnation.value != 0) {
      incarnation = member.incarnation;
      level = lost->second.level;
    }
    // C14: a build that lacks the level in use cannot read the log. It may have been met before the
    // founding was committed; from then on the handshake refuses it.
    if (!incarnation || level < configuration().level) continue;
    const bool is_registered = configuration().find(*incarnation) != nullptr ||
                               std::any_of(news.begin(), news.end(), [&](const auto& each) {
                                 return each.incarnation == *incarnation;
                               });
    const bool is_new = member.incarnation.value == 0 && !is_registered;
    if (is_new || (member.incarnation == *incarnation && member.level != level))
      news.push_back({member.id, *incarnation, level});
  }
  // C14: the older builds first. Otherwise a newer one would raise the level past one that has been
  // met, and whose registration comes next.
  std::stable_sort(news.begin(), news.end(),
                   [](const auto& a, const auto& b) { return a.level < b.level; });
  for (const Registration& each : news) {
    const Member& member = *configuration().find(each.id);
    output_->notes.push_back(
        member.incarnation.value == 0
            ? fmt::format("{} has no registered incarnation -> register {}", name(each.id),
                          to_hex(each.incarnation.value))
            : fmt::format("{} runs a build of feature level {}, {} before -> register it",
                          name(each.id), each.level, member.level));
    append(make_entry(log_.last_index().next(), current_term(), EntryType::registration,
                      log_time(now_), Origin{}, encode_registration(each)));
  }
}

// ---- replication --------------------------------------------------------------------------

// Sends contiguous entries, within bounds of bytes and messages, per turn and in flight (L15, L16).
void Raft::replicate_to(ServerId id, Progress& progress) {
  if (progress.regressed || !may_receive(id, progress)) return;
  // A probe in flight may still be accepted, so the entry after the probe decides.
  const Index next = progress.probe_sent ? progress.probe_last.next() : progress.next_index;
  if (next <= log_.base_index() && !progress.transfer) begin_transfer(id, progress);
  if (progress.state == Progress::State::snapshot) return send_snapshot(id, progress);
  if (progress.state == Progress::State::probe) {
    if (!progress.probe_sent) send_append(id, progress);
    return;
  }
  // A large window is not filled in one turn. The acknowledgements of the entries in flight trigger
  // the rest.
  const std::size_t at_most =
      std::min(config_.max_inflight_bytes, progress.in_flight_bytes + kSentPerTurn);
  while (progress.next_index <= log_.last_index() &&
         progress.in_flight.size() < config_.max_inflight_messages &&
         progress.in_flight_bytes < at_most) {
    send_append(id, progress);
  }
}

void Raft::send_append(ServerId id, Progress& progress) {
  AppendEntries m;
  m.term = current_term();
  m.prev_log_index = Index(progress.next_index.value - 1);
  m.prev_log_term = log_.term_at(m.prev_log_index).value();
  m.leader_commit = commit_index_;
  m.log_time = log_time(now_);
  std::size_t bytes = 0;
  for (Index i = progress.next_index; i <= log_.last_index(); i = i.next()) {
    const Entry& entry = log_.at(i);
    if (bytes > 0 && bytes + entry.bytes.size() > config_.max_append_bytes) break;
    bytes += entry.bytes.size();
    m.entries.push_back(entry);
  }
  const Index last(m.prev_log_index.value + m.entries.size());
  // Messages after a large one use the same connection. Otherwise they would overtake it and be
  // refused.
  const bool is_bulk = bytes > config_.bulk_bytes || progress.bulk_until > progress.match_index;
  if (bytes > config_.bulk_bytes) progress.bulk_until = last;
  if (progress.state == Progress::State::probe || progress.in_flight.empty()) progress.news(now_);
  progress.in_flight.push_back({last, bytes});
  progress.in_flight_bytes += bytes;
  if (progress.state == Progress::State::probe) {
    progress.probe_sent = true;
    progress.probe_last = last;
  } else {
    progress.next_index = last.next();
  }
  progress.told_commit = commit_index_;
  progress.waits_for_commit = false;
  send(id, std::move(m), kTermOnly, is_bulk ? Channel::bulk : Channel::control);
}

void Raft::on_append_reply(ServerId from, Incarnation incarnation, const AppendReply& m) {
  auto* leader = std::get_if<Leader>(&role_);
  Progress* progress = leader == nullptr ? nullptr : leader->progress_of(from, incarnation);
  if (progress == nullptr) return;
  progress->news(now_);
  if (m.success) {
    if (m.match_index > log_.last_index()) return;  // claims entries that were never sent
    // An acknowledgement of messages before the probe says nothing about the probe.
    const bool probed =
        progress->state == Progress::State::probe && m.match_index.next() >= progress->next_index;
    progress->acknowledge(m.match_index, now_);
    review_catch_up(*progress);
    if (probed ||
        (progress->transfer && progress->match_index >= progress->transfer->snapshot.last_index))
      progress->become_replicate();
    return advance_commit();
  }
  // §5.3: go back to where the logs may agree. A refusal is ignored if it is late: if its entry has
  // matched since, or if it answers another probe (L12, L17).
  if (m.prev_log_index <= progress->match_index) return;
  if (progress->state == Progress::State::snapshot) return;
  if (progress->state == Progress::State::probe &&
      m.prev_log_index.next() != progress->next_index && m.prev_log_index != progress->asked_behind)
    return;
  const auto agree = log_.last_at_most(std::min(m.hint_index, m.prev_log_index), m.hint_term);
  progress->received_index = progress->match_index;
  // If the logs may agree only below the base, replicate_to decides to send the snapshot.
  const Index below = std::min(m.hint_index, Index(log_.base_index().value - 1));
  progress->become_probe(std::max(agree ? *agree : below, progress->match_index).next());
}

// L5: only entries of the current term are committed by counting (figure 8). Earlier entries are
// committed with them. The leader counts its own log only as far as it is durable (L10).
void Raft::advance_commit() {
  auto& leader = std::get<Leader>(role_);
  const auto reached = leader.matched_by_quorum(electorate_, writes_.durable_index());
  if (!reached || *reached <= commit_index_ || log_.term_at(*reached) != current_term()) return;
  const Index candidate = *reached;
  // A follower that waits for its own writes learns in this turn that they are committed.
  for (Index i = commit_index_.next(); i <= candidate; i = i.next()) {
    const Origin& origin = log_.at(i).origin;
    if (origin.is_none()) continue;
    if (const auto it = leader.progress.find(origin.server); it != leader.progress.end())
      it->second.waits_for_commit = true;
  }
  for (auto& [id, progress] : leader.progress)
    progress.waits_for_commit |= progress.wants_commits && progress.owes < kMostOwed;
  clock_.resume(log_time(now_), now_);  // if it had stopped, it resumes now
  commit_to(candidate);
  register_members();
}

// ---- heartbeats ---------------------------------------------------------------------------

void Raft::send_heartbeats(Heartbeats which) {
  auto& leader = std::get<Leader>(role_);
  ++leader.round;  // K4: never reused, so that an old reply confirms nothing new
  leader.sent.add({leader.round, now_, leader.leader_lease_to_ask(config_.max_leader_lease, now_)},
                  which);
  // The leader also gives this promise, and stays bound by it after it steps down.
  promise_.give(leader.sent.newest().leader_lease_ms, now_);
  leader.own_leader_lease_until =
      std::max(leader.own_leader_lease_until, leader.sent.newest().leader_lease_end());
  const RoundFacts facts = round_facts();
  for (auto& [id, progress] : leader.progress)
    if (which == Heartbeats::regular || progress.owes < kMostOwed)
      send_heartbeat(id, progress, facts);
}

void Raft::send_heartbeat(ServerId id, Progress& progress, const RoundFacts& facts) {
  progress.told_commit = commit_index_;
  progress.waits_for_commit = false;
  progress.told_round = std::get<Leader>(role_).round;
  ++progress.owes;
  send(id, heartbeat_to(progress, facts), kTermOnly);
}

// Sends the newest round's heartbeat to one follower between rounds. The promise that it requests
// begins now.
void Raft::repeat_round(ServerId id, Progress& progress) {
  promise_.give(std::get<Leader>(role_).sent.newest().leader_lease_ms, now_);
  send_heartbeat(id, progress, round_facts());
}

void Raft::on_heartbeat_reply(ServerId from, Incarnation incarnation, const HeartbeatReply& m) {
  auto* leader = std::get_if<Leader>(&role_);
  if (leader == nullptr || m.round > leader->round) return;
  Progress* const known = leader->progress_of(from, incarnation);
  if (known == nullptr) return;
  Progress& progress = *known;
  if (m.disk == DiskHealth::regressed) return on_regressed(from, progress);
  progress.regressed = false;  // its up-to-date disk came back
  if (m.round >= progress.acked_round) {
    progress.disk = m.disk;
    progress.wants_commits = m.wants_commits;
  }
  progress.acked_round = std::max(progress.acked_round, m.round);
  progress.owes = m.round >= progress.told_round || progress.owes == 0 ? 0 : progress.owes - 1;
  on_heartbeat_answered(progress, m);
  review_catch_up(progress);  // nothing else comes from a learner that has everything
  if (const Member* voter = electorate_.configuration().find(from);
      voter != nullptr && voter->incarnation.value == 0)
    register_members();
  if (m.received_index > progress.received_index && m.received_index <= log_.last_index()) {
    progress.received_index = m.received_index;
    progress.news(now_);
  }
  maybe_finish_read_round();
  // This follower had too many unanswered heartbeats when the round of these reads began.
  if (!leader->reading.empty() && progress.told_round < leader->reading.round &&
      progress.owes < kMostOwed)
    repeat_round(from, progress);
}

// The transport resends nothing. A lost message shows only in the lack of progress. Messages that
// wait in a slow link or for a slow disk look the same, so the leader does not resend: it asks the
// follower first.
void Raft::ask_stalled() {
  auto& leader = std::get<Leader>(role_);
  for (auto& [id, progress] : leader.progress) {
    if (now_ - progress.progress_at < config_.heartbeat_interval * 4) continue;
    progress.progress_at = now_;
    if (progress.transfer) {
      // A follower that is silent for long gets the newest snapshot when it comes back. Until then
      // nothing is kept for it.
      const bool given_up =
          now_ - progress.kept_at.value_or(Instant{}) >= config_.transfer_patience();
      if (progress.transfer->unreadable || given_up) progress.become_snapshot(snapshot_);
      progress.transfer->asked = progress.transfer->answered = false;
    } else if (progress.probe_sent || progress.sent_through() > progress.match_index) {
      ask_arrival(id, progress);
    }
  }
}

// Sends an empty AppendEntries after everything that was sent, on the same connection. A refusal
// proves that something before it was lost, and on_append_reply goes back to what has arrived. A
// success acknowledges everything.
void Raft::ask_arrival(ServerId id, Progress& progress) {
  const Index last = progress.sent_through();
  const auto term = log_.term_at(last);
  if (!term) return;  // compacted meanwhile: replicate_to sends a snapshot
  progress.arrival_asked = true;
  progress.asked_behind = last;
  AppendEntries m{current_term(), last, *term, commit_index_, log_time(now_), {}};
  send(id, std::move(m), kTermOnly,
       progress.bulk_until > progress.match_index ? Channel::bulk : Channel::control);
}

void Raft::leader_deadline() {
  auto& leader = std::get<Leader>(role_);
  if (now_ < leader.next_heartbeat) return;
  // Thesis 6.2 (E11): a leader that has not heard from a quorum for two election timeouts steps
  // down, and sends nothing more as leader.
  if (const Duration patience = config_.election_timeout * 2; now_ - leader_heard().at > patience) {
    output_->notes.push_back(fmt::format("no majority heard for {} ms -> step down in {}",
                                         patience.ms(), name(current_term())));
    return become_follower(std::nullopt);
  }
  if (block_by_disks(leader) != WriteBlock::full)
    clock_.set(log_time(now_), now_, leader_heard().at + config_.election_timeout * 2);
  leader.next_heartbeat = now_ + config_.heartbeat_interval;
  ask_stalled();
  for (auto& [id, progress] : leader.progress)
    if (progress.caught_up && !is_answering(id)) progress.forget_rounds();
  review_hand_over();
  send_heartbeats(Heartbeats::regular);
}

void Raft::leader_end_of_turn() {
  review_membership();
  if (!is_leader()) return;  // C9: it is no voter any more
  auto& leader = std::get<Leader>(role_);
  maybe_start_read_round();
  maybe_finish_read_round();  // nobody has to answer it, or those who have not are no voters now
  for (auto& [id, progress] : leader.progress) {
    replicate_to(id, progress);
    if (progress.waits_for_commit && progress.told_commit < commit_index_)
      repeat_round(id, progress);
    progress.waits_for_commit = false;
  }
  maybe_send_timeout_now();
}

// ---- reads (thesis 6.4) -------------------------------------------------------------------

void Raft::on_read_index(const ReadIndex& read) {
  if (auto* leader = std::get_if<Leader>(&role_)) {
    leader->gathering.local.push_back(read.id);
  } else if (const auto to = this->leader()) {
    send(*to, ReadIndexRequest{current_term(), read.id, read.leader_lease}, kTermOnly);
  }
}

void Raft::on_read_index_request(ServerId from, const ReadIndexRequest& m) {
  auto* leader = std::get_if<Leader>(&role_);
  if (leader == nullptr) return;
  if (m.leader_lease) {
    on_leader_lease_read();
    if (const auto index = leader_lease_index(now_))
      return send(from, ReadIndexReply{current_term(), m.id, *index, true}, kTermOnly);
  }
  leader->gathering.remote.emplace_back(from, m.id);
}

// One round is in flight while the next one gathers. K3: no round starts before an entry of this
// term is committed, because until then the leader may not know what is committed. K4: the
// heartbeats that confirm a read are sent after the read arrived.
void Raft::maybe_start_read_round() {
  auto& leader = std::get<Leader>(role_);
  if (leader.gathering.empty() || !leader.reading.empty()) return;
  if (commit_index_ < leader.term_start) return;
  leader.reading = std::move(leader.gathering);
  leader.gathering = ReadRound{};
  leader.reading.read_index = commit_index_;
  send_heartbeats(Heartbeats::for_reads);
  leader.reading.round = leader.round;
}

void Raft::maybe_finish_read_round() {
  auto& leader = std::get<Leader>(role_);
  if (leader.reading.empty()) return;
  if (!leader.is_confirmed(leader.reading.round, electorate_)) return;
  for (const std::uint64_t id : leader.reading.local)
    output_->reads.push_back({id, leader.reading.read_index});
  for (const auto& [to, id] : leader.reading.remote)
    send(to, ReadIndexReply{current_term(), id, leader.reading.read_index}, kTermOnly);
  leader.reading = ReadRound{};
}

}  // namespace vesper::raft
