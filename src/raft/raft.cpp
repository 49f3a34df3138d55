// Dispatch, terms, and the numbered writes that make them durable. The roles are in follower.cpp,
// candidate.cpp and leader.cpp.
#include "raft/raft.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "raft/entry.hpp"
#include "raft/names.hpp"

namespace vesper::raft {
namespace {

Log::Base log_base(const RecoveredState& durable) {
  const LogBase& base = durable.begins();
  const bool is_snapshot = base.index == durable.snapshot.last_index;
  return {base.index, base.term, is_snapshot ? durable.snapshot.log_time : LogTime(0)};
}

}  // namespace

Raft::Raft(Config config, RecoveredState durable, Instant now)
    : config_(std::move(config)),
      prng_(config_.seed),
      founding_(config_.self, config_.initial_voters, config_.found_after, now),
      hard_state_(durable.hard_state),
      log_(log_base(durable), std::move(durable.entries)),
      writes_(durable.last_write, log_.last_index()),
      electorate_(config_.self, config_.incarnation),
      commit_index_(durable.commit_index),
      proven_index_(durable.commit_index),
      snapshot_(std::move(durable.snapshot)),
      disk_base_(durable.base),
      peers_(config_.election_timeout * 2),
      pace_(config_.election_timeout),
      clock_(log_.last_time(), now),
      freshness_(config_.seed, now),
      now_(now) {
  VESPER_ASSERT(commit_index_ <= log_.last_index());
  VESPER_ASSERT(log_.base_index() <= snapshot_.last_index);
  VESPER_ASSERT(snapshot_.last_index <= commit_index_);
  VESPER_ASSERT(hard_state_.current_term >= log_.last_term());
  if (durable.replaces_log) {
    writes_.rewrite_from(log_.first_index());
    writes_.change_term();
  }
  if (!snapshot_.is_none()) {
    plan_compaction();
    log_.compact(compact_to_, SIZE_MAX, SIZE_MAX);  // nothing waits for this server yet
  }
  recompute_configuration();
  // A server without a durable term has never answered a heartbeat, because a reply waits until its
  // term is durable. A server that is the quorum alone has no rival. So neither assumes a
  // promise.
  if (current_term().value > 0 && !electorate_.is_alone()) promise_.assume(now);
  role_ = Follower{std::nullopt, now_ + pace_.draw(prng_)};
  maybe_fast_start();  // a cluster of one reaches its majority at once
}

void Raft::step(Instant now, Event event, Output& output) {
  VESPER_ASSERT(now >= now_);
  now_ = now;
  output_ = &output;
  struct Dispatch {
    Raft& raft;
    void operator()(Received& e) { raft.on_received(std::move(e)); }
    void operator()(Persisted& e) { raft.on_persisted(e); }
    void operator()(Propose& e) { raft.on_propose(std::move(e)); }
    void operator()(ReadIndex& e) { raft.on_read_index(e); }
    void operator()(LeaderLeaseRead&) { raft.on_leader_lease_read(); }
    void operator()(CommitsWanted& e) { raft.wants_commits_ = e.wanted; }
    void operator()(PeerUp& e) { raft.on_peer_up(e); }
    void operator()(PeerSaid& e) { raft.on_peer_said(e.id, e.state); }
    void operator()(PeerGone& e) { raft.on_peer_gone(e.id); }
    void operator()(DiskReplaced& e) { raft.on_disk_replaced(e); }
    void operator()(OlderCopy&) { raft.on_older_copy(); }
    void operator()(ChangeMembers& e) { raft.on_change_members(e); }
    void operator()(SnapshotStored& e) { raft.on_snapshot_stored(e.snapshot); }
    void operator()(ChunkRead& e) { raft.on_chunk_read(e); }
    void operator()(ChunkStored& e) { raft.on_chunk_stored(e); }
    void operator()(ReceiveFailed&) { raft.receipt_.end(); }
    void operator()(DiskSpace& e) { raft.on_disk_space(e); }
    void operator()(TransferLeadership& e) { raft.on_transfer_leadership(e); }
    void operator()(DeadlinePassed&) { raft.on_deadline(); }
    void operator()(ElectionTimeout&) { raft.on_election_timeout(); }
    void operator()(EndOfTurn& e) { raft.on_end_of_turn(e.applied); }
  };
  std::visit(Dispatch{*this}, event);
  output.deadline = next_deadline();
  output_ = nullptr;
}

void Raft::on_received(Received received) {
  const Term term = term_of(received.message);
  const ServerId from = received.from;
  if (from == self() || term > kMaxTerm) {
    output_->notes.push_back(fmt::format("message of {} with {} -> ignored",
                                         from == self() ? "myself" : name(from), name(term)));
    return;
  }
  // C12: a removed server disturbs no one. A leader that still replicates to it hears its replies.
  if (has_left(from) && (term > current_term() || progress_of(from) == nullptr)) return;
  peers_.heard(from, received.incarnation, now_);
  on_message(from, received.incarnation, std::move(received.message));
}

// A message of an older term changes nothing. If only a leader sends that message, the reply
// carries the current term, so that the deposed leader steps down (E8).
struct Raft::AnswerOldTerm {
  Raft& raft;
  ServerId from;

  void operator()(const AppendEntries&) const { answer(AppendReply{.term = raft.current_term()}); }
  void operator()(const Heartbeat&) const { answer(HeartbeatReply{.term = raft.current_term()}); }
  void operator()(const InstallSnapshot&) const {
    answer(InstallSnapshotReply{.term = raft.current_term()});
  }
  void operator()(const VoteRequest&) const {}
  void operator()(const VoteReply&) const {}
  void operator()(const AppendReply&) const {}
  void operator()(const HeartbeatReply&) const {}
  void operator()(const ReadIndexRequest&) const {}
  void operator()(const ReadIndexReply&) const {}
  void operator()(const TimeoutNow&) const {}
  void operator()(const InstallSnapshotReply&) const {}
  void answer(Message message) const { raft.send(from, std::move(message), kTermOnly); }
};

struct Raft::HandleMessage {
  Raft& raft;
  ServerId from;
  Incarnation incarnation;

  void operator()(VoteRequest& m) const { raft.on_vote_request(from, m); }
  void operator()(VoteReply& m) const { raft.on_vote_reply(from, incarnation, m); }
  void operator()(AppendEntries& m) const { raft.on_append_entries(from, std::move(m)); }
  void operator()(AppendReply& m) const { raft.on_append_reply(from, incarnation, m); }
  void operator()(Heartbeat& m) const { raft.on_heartbeat(from, m); }
  void operator()(HeartbeatReply& m) const { raft.on_heartbeat_reply(from, incarnation, m); }
  void operator()(ReadIndexRequest& m) const { raft.on_read_index_request(from, m); }
  void operator()(ReadIndexReply& m) const { raft.on_read_index_reply(m); }
  void operator()(TimeoutNow&) const { raft.on_timeout_now(from); }
  void operator()(InstallSnapshot& m) const { raft.on_install_snapshot(from, std::move(m)); }
  void operator()(InstallSnapshotReply& m) const {
    raft.on_install_snapshot_reply(from, incarnation, m);
  }
};

// §5.1: a higher term makes this server a follower, and a message of a lower term changes nothing.
// Vote requests are an exception: they are judged before their term is adopted (E9, E12). Replies
// to them may carry a lower term, because a candidate compares the term that they answer (E10).
void Raft::on_message(ServerId from, Incarnation incarnation, Message message) {
  const Term term = term_of(message);
  if (term > current_term() && !std::holds_alternative<VoteRequest>(message)) {
    advance_term(term, "a message of a higher term");
    become_follower(std::nullopt);
  }
  const bool has_own_rule =
      std::holds_alternative<VoteRequest>(message) || std::holds_alternative<VoteReply>(message);
  if (term < current_term() && !has_own_rule) std::visit(AnswerOldTerm{*this, from}, message);
  else std::visit(HandleMessage{*this, from, incarnation}, message);
}

// ---- durability ---------------------------------------------------------------------------

void Raft::on_persisted(const Persisted& persisted) {
  const bool news = writes_.complete(persisted, now_);
  if (std::holds_alternative<Candidate>(role_)) count_votes();
  if (!news) return;
  VESPER_ASSERT(writes_.durable_index() <= log_.last_index());
  if (is_leader()) advance_commit();
  settle();
}

void Raft::append(Entry entry) {
  writes_.append(entry.index);
  const bool reconfigures = electorate_.append(entry);
  if (auto* leader = std::get_if<Leader>(&role_)) leader->unsettled_bytes += entry.bytes.size();
  log_.append(std::move(entry));
  if (!reconfigures) return;
  peers_.forget_replaced(configuration());
  if (is_leader()) follow_members();
}

// §5.3: removes an entry that conflicts with the leader's, and all entries after it.
void Raft::truncate_from(Index index) {
  VESPER_ASSERT(index > commit_index_);  // L3
  output_->notes.push_back(fmt::format("entries {}..{} conflict with the leader's of {} -> dropped",
                                       index.value, log_.last_index().value, name(current_term())));
  log_.truncate_from(index);
  writes_.truncate(index, log_.last_index());
  electorate_.truncate_from(index);
}

void Raft::make_write() {
  const auto begun = writes_.begin(now_, log_.last_index());
  if (!begun) return;
  VESPER_ASSERT(!output_->write.has_value());
  Write write;
  write.number = begun->number;
  write.hard_state = hard_state_;
  write.commit_index = commit_index_;
  write.base = disk_base_;
  write.keep_through = begun->from ? Index(begun->from->value - 1) : log_.last_index();
  for (Index i = write.keep_through.next(); i <= log_.last_index(); i = i.next())
    write.entries.push_back(log_.at(i));
  output_->write = std::move(write);
}

// ---- configuration ------------------------------------------------------------------------

// The log may begin before the snapshot.
void Raft::recompute_configuration() {
  electorate_.adopt(snapshot_.is_none() ? Configuration{{}, config_.initial_voters}
                                        : snapshot_.configuration);
  for (Index i = std::max(log_.base_index(), snapshot_.last_index).next(); i <= log_.last_index();
       i = i.next())
    electorate_.append(log_.at(i));
  electorate_.commit_to(commit_index_);
  peers_.forget_replaced(configuration());
}

// ---- terms and roles ----------------------------------------------------------------------

void Raft::advance_term(Term term, std::string_view reason) {
  VESPER_ASSERT(term > current_term());  // E3
  remember_leadership();
  if (is_leader())
    output_->notes.push_back(
        fmt::format("{} > {}: {} -> step down", name(term), name(current_term()), reason));
  hard_state_ = HardState{term, std::nullopt};
  writes_.change_term();
  contact_.write_block = WriteBlock::none;
  pace_.forget_held_back();
  room_.forget_wanted();
  proven_index_ = commit_index_;
}

void Raft::become_follower(std::optional<ServerId> leader) {
  remember_leadership();
  if (leader.has_value())
    output_->notes.push_back(
        fmt::format("server {} leads {} -> follow", leader->value, name(current_term())));
  role_ = Follower{leader, now_ + pace_.draw(prng_)};
}

std::optional<ServerId> Raft::leader() const {
  if (is_leader()) return self();
  if (const auto* follower = std::get_if<Follower>(&role_)) return follower->leader;
  return std::nullopt;
}

// Every message carries a term, and some promise more. A message leaves once all of that is
// durable.
void Raft::send(ServerId to, Message message, WriteNumber needs, Channel channel) {
  Envelope envelope{to, std::move(message), channel};
  if (writes_.may_leave(needs)) output_->send_now.push_back(std::move(envelope));
  else output_->send_after.push_back({std::move(envelope), needs, writes_.term_write()});
}

// L9: commit_index never falls and never passes the end of the log.
void Raft::commit_to(Index index) {
  if (index <= commit_index_) return;
  VESPER_ASSERT(index <= log_.last_index());
  if (output_->committed_first.value == 0) output_->committed_first = commit_index_.next();
  output_->committed_last = index;
  commit_index_ = index;
  electorate_.commit_to(index);
  proven_index_ = std::max(proven_index_, index);
  settle();
}

// Entries that are both committed and durable here no longer count against the leader's bound on
// uncommitted bytes.
void Raft::settle() {
  auto* leader = std::get_if<Leader>(&role_);
  if (leader == nullptr) return;
  const Index settled = std::min(commit_index_, writes_.durable_index());
  while (leader->settled < settled) {
    leader->settled = leader->settled.next();
    leader->unsettled_bytes -= log_.at(leader->settled).bytes.size();
  }
}

// ---- time ---------------------------------------------------------------------------------

// A leader's clock stands still until the leader has committed in its term, and while its oldest
// undecided entry has waited for longer than kMostUndecided. It never falls: once the leader has
// committed in its term, all undecided entries are of that term, and their stamps are not below
// clock_.last_set().
LogTime Raft::log_time(Instant now) const {
  const auto* leader = std::get_if<Leader>(&role_);
  if (leader != nullptr && commit_index_ < leader->term_start) return clock_.last_set();
  const LogTime time = clock_.at(now);
  if (leader == nullptr || commit_index_ == log_.last_index()) return time;
  const LogTime undecided = log_.at(commit_index_.next()).time;
  return std::min(time, LogTime(undecided.value + kMostUndecided.ns));
}

// A new leader continues from the last stamp that it received. Its clock starts within
// kMostUndecided of its oldest undecided entry, because another leader may have gone further
// without that entry.
void Raft::start_clock() {
  LogTime start = clock_.last_set();
  if (commit_index_ < log_.last_index())
    start = std::min(start, LogTime(log_.at(commit_index_.next()).time.value + kMostUndecided.ns));
  clock_.set(std::max(start, log_.last_time()), now_, now_ + config_.election_timeout * 2);
}

LeaderHeard Raft::leader_heard() const {
  const auto* leader = std::get_if<Leader>(&role_);
  if (leader == nullptr) return contact_.heard();
  // A new leader does not know what is committed before it has committed an entry itself (§8).
  return {leader->heard_by_quorum(electorate_, now_), std::max(commit_index_, leader->term_start)};
}

void Raft::on_peer_up(const PeerUp& peer) {
  peers_.connected(peer.id, peer.incarnation, peer.state.level, now_);
  founding_.on_connected(peer.id, now_);
  on_peer_said(peer.id, peer.state);
  if (auto* leader = std::get_if<Leader>(&role_)) {
    // Everything that was in flight on the previous connection is lost.
    if (const auto it = leader->progress.find(peer.id); it != leader->progress.end()) {
      Progress& progress = it->second;
      if (progress.incarnation != peer.incarnation) {
        const Instant heard_at = progress.heard_at;
        progress = new_progress();
        progress.heard_at = heard_at;
      }
      progress.forget_rounds();
      progress.received_index = progress.match_index;
      if (progress.transfer) progress.transfer->asked = progress.transfer->answered = false;
      else
        progress.become_probe(progress.match_index.value == 0 ? progress.next_index
                                                              : progress.match_index.next());
      progress.news(now_);
    }
    register_members();
  }
  maybe_fast_start();
}

// The reported state matters to a server that has no log: it decides whether that server may found
// a cluster, and in which terms it may have voted before it lost its disk.
void Raft::on_peer_said(ServerId id, const std::optional<PeerState>& state) {
  founding_.on_said(id, state, now_);
  if (!log_.empty() || !state || state->term > kMaxTerm || state->term <= current_term()) return;
  advance_term(state->term, "a server of the list has a higher term");
  become_follower(std::nullopt);
}

std::optional<Id128> Raft::cluster_seen() const {
  return founding_.cluster_seen(configuration().cluster_id);
}

PeerState Raft::peer_state() const {
  const bool founded = commit_index_.value > 0;  // index 1 is the Bootstrap entry
  return {founded ? electorate_.configuration().cluster_id : Id128{}, current_term(),
          log_.last_index(), config_.level};
}

// E9 and E12 as amended by fast failover: a leader no longer prevents elections once its process is
// gone.
void Raft::on_peer_gone(ServerId id) {
  peers_.gone(id);
  founding_.on_gone(id, now_);
  auto* follower = std::get_if<Follower>(&role_);
  if (follower == nullptr || follower->leader != id) return;
  contact_.lost();
  follower->leader = std::nullopt;
  pace_.hurry();
  const Instant soon = now_ + nanoseconds(prng_.between(0, kFastFailover.ns));
  follower->election_deadline = std::min(follower->election_deadline, soon);
  output_->notes.push_back(fmt::format("leader {} of {} is gone -> campaign in {} ms", id.value,
                                       name(current_term()), (soon - now_).ms()));
}

void Raft::on_deadline() {
  if (is_leader()) return leader_deadline();
  if (auto* pre = std::get_if<PreCandidate>(&role_)) {
    if (now_ >= pre->round_deadline) return campaign();
    if (now_ >= pre->again.at) ask_votes(VoteRound::pre_vote);
    return;
  }
  if (auto* candidate = std::get_if<Candidate>(&role_)) {
    if (now_ >= candidate->round_deadline) return campaign();
    if (now_ >= candidate->again.at) ask_votes(VoteRound::vote);
    return;
  }
  auto& follower = std::get<Follower>(role_);
  if (now_ >= follower.take_over_at) {
    follower.take_over_at = kNever;
    // If a promise binds this server now, it was given after the hand-over began, so the leader has
    // abandoned the hand-over.
    if (!promise_.binds(now_)) return take_over();
  }
  if (now_ >= next_deadline()) campaign();
}

void Raft::on_election_timeout() {
  auto* follower = std::get_if<Follower>(&role_);
  if (follower == nullptr) return;
  follower->election_deadline = now_;
  on_deadline();
}

Instant Raft::next_deadline() const {
  struct Next {
    Instant operator()(const Follower& r) const {
      return std::min(r.election_deadline, r.take_over_at);
    }
    Instant operator()(const PreCandidate& r) const {
      return std::min(r.round_deadline, r.again.at);
    }
    Instant operator()(const Candidate& r) const { return std::min(r.round_deadline, r.again.at); }
    Instant operator()(const Leader& r) const {
      const bool waits = r.hand_over && !r.hand_over->sent && promises_over_at > now;
      return waits ? std::min(r.next_heartbeat, promises_over_at) : r.next_heartbeat;
    }
    Instant now, promises_over_at;
  };
  return std::visit(Next{now_, promise_.over_elsewhere_at()}, role_);
}

void Raft::on_end_of_turn(Index applied) {
  if (is_leader()) leader_end_of_turn();
  report_lost_majority();
  make_write();
  if (receipt_.current() && receipt_.current()->last_index <= commit_index_) receipt_.end();
  compact_log(applied);
  check_invariants();
}

}  // namespace vesper::raft
