#include "node/tracer.hpp"

#include <utility>

#include "base/overloaded.hpp"

namespace vesper::node {
namespace {

// When this server campaigns, or ends the present round. Nothing: no such timer runs.
std::optional<Instant> election_deadline(const raft::Raft& raft) {
  if (role_of(raft) == ServerRole::learner) return std::nullopt;
  const Instant deadline =
      std::visit(Overloaded{[](const raft::Follower& r) { return r.election_deadline; },
                            [](const raft::PreCandidate& r) { return r.round_deadline; },
                            [](const raft::Candidate& r) { return r.round_deadline; },
                            [](const raft::Leader&) { return kNever; }},
                 raft.role());
  if (deadline == kNever) return std::nullopt;
  return deadline;
}

std::optional<TraceTimer> timer_until(std::optional<Instant> deadline, Instant now) {
  if (!deadline) return std::nullopt;
  return TraceTimer{*deadline, std::max(Duration{}, *deadline - now)};
}

// Requires that the log has the entries from `from` to `to`.
std::vector<TraceRun> runs_of(const raft::Log& log, raft::Index from, raft::Index to) {
  std::vector<TraceRun> runs;
  while (from <= to) {
    const raft::Term term = *log.term_at(from);
    const raft::Index end = *log.last_at_most(to, term);
    runs.push_back({term, from, end});
    from = end.next();
  }
  return runs;
}

std::vector<TraceRun> tail_of(const raft::Log& log) {
  const std::uint64_t last = log.last_index().value;
  const raft::Index from(last - std::min(last, kTraceLogWindow) + 1);
  return runs_of(log, std::max(from, log.first_index()), log.last_index());
}

TraceConfiguration shown(const raft::Configuration& configuration) {
  TraceConfiguration shown{configuration.index, configuration.is_joint(), {}};
  for (const raft::Member& member : configuration.members)
    shown.members.push_back({member.node, member.address, member.seat});
  return shown;
}

using SendField = TraceSend::Field;
using Fields = std::vector<SendField>;

// Fills in what a reader of the Raft paper looks for in a message.
struct ShowMessage {
  TraceSend& shown;

  void show(TraceMessage kind, raft::Term term, Fields fields = {}) const {
    shown.message = kind;
    shown.term = term;
    shown.fields = std::move(fields);
  }
  void operator()(const raft::Message& m) const { std::visit(*this, m); }
  void operator()(const raft::VoteRequest& m) const {
    show(m.pre_vote ? TraceMessage::pre_vote : TraceMessage::vote, m.term,
         {{TraceField::last_index, m.last_log_index.value},
          {TraceField::last_term, m.last_log_term.value}});
  }
  void operator()(const raft::VoteReply& m) const {
    show(m.pre_vote ? TraceMessage::pre_vote_reply : TraceMessage::vote_reply, m.term,
         {{TraceField::granted, m.granted() ? 1u : 0u}});
  }
  void operator()(const raft::AppendEntries& m) const {
    std::uint64_t bytes = 0;
    for (const raft::Entry& entry : m.entries) bytes += entry.bytes.size();
    show(TraceMessage::append, m.term,
         {{TraceField::prev_index, m.prev_log_index.value},
          {TraceField::prev_term, m.prev_log_term.value},
          {TraceField::entries, m.entries.size()},
          {TraceField::commit_index, m.leader_commit.value},
          {TraceField::bytes, bytes}});
  }
  void operator()(const raft::AppendReply& m) const {
    Fields fields{{TraceField::success, m.success ? 1u : 0u}};
    if (m.success) fields.push_back({TraceField::match_index, m.match_index.value});
    else fields.push_back({TraceField::prev_index, m.prev_log_index.value});
    show(TraceMessage::append_reply, m.term, std::move(fields));
  }
  void operator()(const raft::Heartbeat& m) const {
    show(TraceMessage::heartbeat, m.term, {{TraceField::commit_index, m.leader_commit.value}});
  }
  void operator()(const raft::HeartbeatReply& m) const {
    show(TraceMessage::heartbeat_reply, m.term);
  }
  void operator()(const raft::ReadIndexRequest& m) const { show(TraceMessage::read, m.term); }
  void operator()(const raft::ReadIndexReply& m) const {
    show(TraceMessage::read_reply, m.term, {{TraceField::commit_index, m.read_index.value}});
  }
  void operator()(const raft::InstallSnapshot& m) const {
    show(TraceMessage::snapshot, m.term,
         {{TraceField::last_index, m.snapshot.last_index.value},
          {TraceField::last_term, m.snapshot.last_term.value},
          {TraceField::bytes, m.data.size()}});
  }
  void operator()(const raft::InstallSnapshotReply& m) const {
    show(TraceMessage::snapshot_reply, m.term, {{TraceField::last_index, m.last_index.value}});
  }
  void operator()(const raft::TimeoutNow& m) const { show(TraceMessage::transfer, m.term); }
  void operator()(const Forward& m) const {
    std::uint64_t bytes = 0;
    for (const Forward::Write& write : m.writes) bytes += write.command.size();
    show(TraceMessage::forward, m.term,
         {{TraceField::entries, m.writes.size()}, {TraceField::bytes, bytes}});
  }
  void operator()(const ForwardReply& m) const { show(TraceMessage::forward_reply, m.term); }
  template <typename Other>
  void operator()(const Other&) const {}
};

TraceMessage kind_of(const PeerMessage& message) {
  if (const auto* own = std::get_if<raft::Message>(&message)) {
    if (const auto* request = std::get_if<raft::VoteRequest>(own))
      return request->pre_vote ? TraceMessage::pre_vote : TraceMessage::vote;
    if (const auto* reply = std::get_if<raft::VoteReply>(own))
      return reply->pre_vote ? TraceMessage::pre_vote_reply : TraceMessage::vote_reply;
    // In the order of raft::Message.
    static constexpr TraceMessage kKinds[] = {
        TraceMessage::vote,           TraceMessage::vote_reply, TraceMessage::append,
        TraceMessage::append_reply,   TraceMessage::heartbeat,  TraceMessage::heartbeat_reply,
        TraceMessage::read,           TraceMessage::read_reply, TraceMessage::snapshot,
        TraceMessage::snapshot_reply, TraceMessage::transfer};
    static_assert(std::size(kKinds) == std::variant_size_v<raft::Message>);
    return kKinds[own->index()];
  }
  if (std::holds_alternative<Forward>(message)) return TraceMessage::forward;
  if (std::holds_alternative<ForwardReply>(message)) return TraceMessage::forward_reply;
  return TraceMessage::other;
}

}  // namespace

void Tracer::reset() {
  has_seen_ = false;
  refused_.clear();
  sent_.clear();
  granted_.clear();
  counts_ = {};
  hidden_ = 0;
  shown_at_.clear();
}

// ---- messages -----------------------------------------------------------------------------

void Tracer::on_sent(const raft::Raft& raft, raft::ServerId to, const PeerMessage& message,
                     Instant now) {
  if (std::holds_alternative<TraceAsked>(message) || std::holds_alternative<TraceHeard>(message))
    return;
  const TraceMessage kind = kind_of(message);
  ++counts_[static_cast<std::size_t>(kind)];
  const auto* own = std::get_if<raft::Message>(&message);
  const auto* reply = own == nullptr ? nullptr : std::get_if<raft::VoteReply>(own);
  if (reply != nullptr && reply->pre_vote && reply->granted())
    granted_.push_back({reply->for_term, node_of(raft, to), true});
  if (!may_show(to, kind, now)) {
    ++hidden_;
    return;
  }
  TraceSend& shown = sent_.emplace_back();
  shown.to = node_of(raft, to);
  std::visit(ShowMessage{shown}, message);
}

// Under load each kind and each link stays in sight, and a rare message is not crowded out.
bool Tracer::may_show(raft::ServerId to, TraceMessage kind, Instant now) {
  if (shown_at_.size() > raft::kMaxServers) shown_at_.clear();  // members have changed
  Instant& shown_at = shown_at_[to][static_cast<std::size_t>(kind)];
  if (now - shown_at < kMessageGap && !message_pace_.take(now)) return false;
  shown_at = now;
  return true;
}

void Tracer::on_vote_reply(raft::ServerId from, const raft::VoteReply& reply) {
  if (reply.for_term != refused_term_ || reply.pre_vote != refused_pre_vote_) return;
  if (reply.granted()) std::erase(refused_, from);
  else raft::insert_sorted(refused_, from);
}

void Tracer::yield_messages(const Turn& turn) {
  for (const TraceVote& vote : std::exchange(granted_, {})) turn.yield(vote);
  for (TraceSend& send : std::exchange(sent_, {})) turn.yield(std::move(send));
  if (turn.now - rate_at_ < kRateInterval) return;
  if (hidden_ > 0) turn.yield(TraceRate{counts_});
  rate_at_ = turn.now;
  counts_ = {};
  hidden_ = 0;
}

// ---- comparisons --------------------------------------------------------------------------

void Tracer::end_turn(const raft::Raft& raft, const TracedNode& node, Instant now,
                      TraceRing<TimedTraceEvent>& out) {
  const Turn turn{raft, node, now, out};
  const TraceAlarms alarms = alarms_of(turn);
  if (!has_seen_) yield_state(turn, alarms);
  compare_role(turn);
  compare_votes(turn);
  compare_configuration(turn);
  if (has_truncated(raft.log()) || progress_pace_.take(now)) {
    compare_log(turn);
    if (!wants_state_) compare_progress(turn);  // a state says more
    compare_reachable(turn);
  }
  if (wants_state_ || alarms != seen_.alarms || now - state_at_ >= kStateInterval)
    yield_state(turn, alarms);
  yield_messages(turn);
}

TraceAlarms Tracer::alarms_of(const Turn& turn) {
  const TracedNode& node = turn.node;
  const bool has_written = std::exchange(log_writes_, node.log_writes) != node.log_writes;
  // What it wrote before it was watched is old. After the first slow write, this is its time.
  if (has_seen_ && has_written && node.last_log_write >= kSlowWrite)
    slow_until_ = turn.now - slow_until_ < kSlowFor ? turn.now + kSlowFor : turn.now;
  return {
      .disk_full = node.disk_full, .disk_slow = turn.now < slow_until_, .diverged = node.diverged};
}

void Tracer::yield_state(const Turn& turn, const TraceAlarms& alarms) {
  const raft::Raft& raft = turn.raft;
  const auto node = [&](std::optional<raft::ServerId> id) {
    return id ? std::optional(node_of(raft, *id)) : std::nullopt;
  };
  TraceState state{.role = role_of(raft),
                   .term = raft.current_term(),
                   .voted_for = node(raft.hard_state().voted_for),
                   .leader = node(raft.leader()),
                   .first_index = raft.log().first_index(),
                   .last_index = raft.log().last_index(),
                   .commit_index = raft.commit_index(),
                   .applied_index = turn.node.applied,
                   .snapshot_index = raft.snapshot().last_index,
                   .configuration = shown(raft.configuration()),
                   .election = timer_until(election_deadline(raft), turn.now),
                   .followers = {},
                   .votes = tally(raft),
                   .log = tail_of(raft.log()),
                   .alarms = alarms};
  seen_ = {.role = state.role,
           .term = state.term,
           .voted_for = raft.hard_state().voted_for,
           .leader = raft.leader(),
           .last_index = state.last_index,
           .commit_index = state.commit_index,
           .applied_index = state.applied_index,
           .snapshot_index = state.snapshot_index,
           .configuration_index = raft.configuration().index,
           .deadline = election_deadline(raft),
           .is_pre_candidate = std::holds_alternative<raft::PreCandidate>(raft.role()),
           .votes = state.votes,
           .log = state.log,
           .matches = {},
           .reachable = {},
           .alarms = alarms};
  for (const raft::Member& member : raft.configuration().members) {
    if (member.id == raft.self()) continue;
    seen_.reachable[member.id] = true;  // the others are named after the state
    const raft::Progress* const progress = raft.progress_of(member.id);
    if (progress == nullptr) continue;
    state.followers.push_back({member.node, progress->match_index, state_of(raft, member)});
    seen_.matches[member.id] = progress->match_index;
  }
  turn.yield(std::move(state));
  compare_reachable(turn);
  has_seen_ = true;
  wants_state_ = false;
  state_at_ = turn.now;
}

void Tracer::compare_role(const Turn& turn) {
  const raft::Raft& raft = turn.raft;
  const ServerRole role = role_of(raft);
  const auto leader = raft.leader();
  if (raft.current_term() != seen_.term || role != seen_.role || leader != seen_.leader) {
    turn.yield(TraceRole{role, raft.current_term(),
                         leader ? std::optional(node_of(raft, *leader)) : std::nullopt});
    if (role != seen_.role || raft.current_term() != seen_.term) seen_.matches.clear();
  }
  const bool pre_votes = std::holds_alternative<raft::PreCandidate>(raft.role());
  if (pre_votes && (!seen_.is_pre_candidate || raft.current_term() != seen_.term))
    turn.yield(TraceVote{raft.current_term().next(), node_of(raft, raft.self()), true});
  const auto vote = raft.hard_state().voted_for;
  if (vote && (vote != seen_.voted_for || raft.current_term() != seen_.term))
    turn.yield(TraceVote{raft.current_term(), node_of(raft, *vote), false});
  seen_.role = role;
  seen_.term = raft.current_term();
  seen_.leader = leader;
  seen_.is_pre_candidate = pre_votes;
  seen_.voted_for = vote;
}

// Nothing unless this server campaigns.
std::optional<TraceVotes> Tracer::tally(const raft::Raft& raft) {
  const auto* pre = std::get_if<raft::PreCandidate>(&raft.role());
  const auto* candidate = std::get_if<raft::Candidate>(&raft.role());
  if (pre == nullptr && candidate == nullptr) return std::nullopt;
  TraceVotes votes;
  votes.pre_vote = pre != nullptr;
  votes.term = pre != nullptr ? raft.current_term().next() : raft.current_term();
  const Instant round = pre != nullptr ? pre->round_deadline : candidate->round_deadline;
  if (votes.term != refused_term_ || votes.pre_vote != refused_pre_vote_ || round != refused_round_)
    refused_.clear();
  refused_term_ = votes.term;
  refused_pre_vote_ = votes.pre_vote;
  refused_round_ = round;
  votes.needed = static_cast<std::uint32_t>(raft::Quorum(raft.configuration().members).needed());
  if (pre != nullptr)
    for (const raft::ServerId id : pre->granted) votes.granted.push_back(node_of(raft, id));
  if (candidate != nullptr) {
    if (raft.writes().persisted_hard_state() >= candidate->own_vote)
      votes.granted.push_back(node_of(raft, raft.self()));
    for (const auto& [id, incarnation] : candidate->granted)
      votes.granted.push_back(node_of(raft, id));
  }
  for (const raft::ServerId id : refused_) votes.refused.push_back(node_of(raft, id));
  std::sort(votes.granted.begin(), votes.granted.end());
  return votes;
}

void Tracer::compare_votes(const Turn& turn) {
  if (seen_.role != ServerRole::candidate && !seen_.votes) return;
  auto votes = tally(turn.raft);
  if (votes && votes != seen_.votes) turn.yield(*votes);
  seen_.votes = std::move(votes);
}

void Tracer::compare_configuration(const Turn& turn) {
  const raft::Configuration& configuration = turn.raft.configuration();
  if (configuration.index == seen_.configuration_index) return;
  seen_.configuration_index = configuration.index;
  turn.yield(shown(configuration));
  wants_state_ = true;  // people may call this server by another id now
}

// ---- the log ------------------------------------------------------------------------------

std::optional<raft::Term> Tracer::seen_term_at(raft::Index index) const {
  for (const TraceRun& run : seen_.log)
    if (run.from <= index && index <= run.to) return run.term;
  return std::nullopt;
}

bool Tracer::has_truncated(const raft::Log& log) const {
  if (log.last_index() < seen_.last_index) return true;
  if (log.base_index() >= seen_.last_index || seen_.log.empty()) return false;
  return log.term_at(seen_.last_index) != seen_.log.back().term;
}

// Two logs that have the same term at an index have the same entries up to there (§5.3).
void Tracer::compare_log(const Turn& turn) {
  const raft::Log& log = turn.raft.log();
  const raft::Index last = log.last_index();
  raft::Index same = std::min(seen_.last_index, last);
  while (same > log.base_index() && log.term_at(same) != seen_term_at(same) && seen_term_at(same))
    same = raft::Index(same.value - 1);
  const bool is_known = same.value == 0 || seen_term_at(same) || same == seen_.last_index;
  // A snapshot has replaced the log, or more of it has changed than was remembered.
  if (same < log.base_index() || !is_known) {
    wants_state_ = true;
    return;
  }
  if (same < seen_.last_index) turn.yield(TraceTruncate{same.next()});
  if (same < seen_.last_index || same < last) {
    const auto runs = runs_of(log, same.next(), last);
    if (runs.size() > kTraceLogWindow) {
      wants_state_ = true;
      return;
    }
    for (const TraceRun& run : runs) turn.yield(TraceAppend{run});
    seen_.log = tail_of(log);
    seen_.last_index = last;
  }
}

void Tracer::compare_progress(const Turn& turn) {
  const raft::Raft& raft = turn.raft;
  for (const raft::Member& member : raft.configuration().members) {
    const raft::Progress* const progress = raft.progress_of(member.id);
    if (progress == nullptr) continue;
    raft::Index& seen = seen_.matches[member.id];
    if (std::exchange(seen, progress->match_index) != progress->match_index)
      turn.yield(TraceMatch{member.node, progress->match_index});
  }
  if (raft.commit_index() != seen_.commit_index) turn.yield(TraceCommit{raft.commit_index()});
  if (turn.node.applied != seen_.applied_index) turn.yield(TraceApply{turn.node.applied});
  seen_.commit_index = raft.commit_index();
  seen_.applied_index = turn.node.applied;
  const raft::Index snapshot = raft.snapshot().last_index;
  if (std::exchange(seen_.snapshot_index, snapshot) != snapshot)
    turn.yield(TraceSnapshot{snapshot});
  const auto deadline = election_deadline(raft);
  if (std::exchange(seen_.deadline, deadline) != deadline)
    turn.yield(TraceElection{timer_until(deadline, turn.now)});
}

void Tracer::compare_reachable(const Turn& turn) {
  const raft::Raft& raft = turn.raft;
  for (const raft::Member& member : raft.configuration().members) {
    if (member.id == raft.self()) continue;
    const bool now = is_reachable(raft, member.id);
    const auto [at, is_new] = seen_.reachable.try_emplace(member.id, true);
    if (std::exchange(at->second, now) != now) turn.yield(TraceReachable{member.node, now});
  }
}

}  // namespace vesper::node
