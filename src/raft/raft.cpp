// Dispatch, terms, and the numbered writes that make them durable. What the roles do is in
// follower.cpp, candidate.cpp and leader.cpp.
#include "raft/raft.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "raft/entry.hpp"

namespace vesper::raft {
namespace {

Log::Base log_base(const Durable& durable) {
  const LogBase& base = durable.begins();
  const bool is_snapshot = base.index == durable.snapshot.last_index;
  return {base.index, base.term, is_snapshot ? durable.snapshot.log_time : LogTime(0)};
}

}  // namespace

Raft::Raft(Config config, Durable durable, Instant now)
    : config_(std::move(config)),
      prng_(config_.seed),
      hard_state_(durable.hard_state),
      log_(log_base(durable), std::move(durable.entries)),
      commit_index_(durable.commit_index),
      proven_index_(durable.commit_index),
      last_write_(durable.last_write),
      persisted_(durable.last_write),
      persisted_hard_state_(durable.last_write),
      durable_index_(log_.last_index()),
      term_write_(durable.last_write),
      snapshot_(std::move(durable.snapshot)),
      disk_base_(durable.base),
      founding_(config_.self, config_.initial_voters, config_.found_after, now),
      round_base_(config_.election_timeout),
      time_base_at_(now),
      time_runs_until_(now),
      started_at_(now),
      now_(now) {
  VESPER_ASSERT(commit_index_ <= log_.last_index());
  VESPER_ASSERT(log_.base_index() <= snapshot_.last_index);
  VESPER_ASSERT(snapshot_.last_index <= commit_index_);
  VESPER_ASSERT(hard_state_.current_term >= log_.last_term());
  if (durable.replaces_log) {
    dirty_ = true;
    write_from_ = log_.first_index();
    term_write_ = pending_write();
  }
  if (!snapshot_.is_none()) plan_compaction();
  time_base_ = log_.last_time();
  recompute_configuration();
  promise_after_restart();
  role_ = Follower{std::nullopt, now_ + random_election_timeout()};
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
    void operator()(LeaseRead&) { raft.on_lease_read(); }
    void operator()(PeerUp& e) { raft.on_peer_up(e); }
    void operator()(PeerSaid& e) { raft.on_peer_said(e.id, e.state); }
    void operator()(PeerGone& e) { raft.on_peer_gone(e.id); }
    void operator()(SnapshotStored& e) { raft.on_snapshot_stored(e.snapshot); }
    void operator()(ChunkRead& e) { raft.on_chunk_read(e); }
    void operator()(ChunkStored& e) { raft.on_chunk_stored(e); }
    void operator()(ReceiveFailed&) { raft.on_receive_failed(); }
    void operator()(DiskSpace& e) { raft.on_disk_space(e); }
    void operator()(TransferLeadership& e) { raft.on_transfer_leadership(e); }
    void operator()(DeadlinePassed&) { raft.on_deadline(); }
    void operator()(EndOfTurn& e) { raft.on_end_of_turn(e.applied); }
  };
  std::visit(Dispatch{*this}, event);
  output.deadline = next_deadline();
  output_ = nullptr;
}

void Raft::on_received(Received received) {
  const Term term = term_of(received.message);
  const ServerId from = received.from;
  if (from == config_.self || term > kMaxTerm) {
    output_->notes.push_back(fmt::format("message of {} with {} -> ignored",
                                         from == config_.self ? "myself" : name(from), name(term)));
    return;
  }
  if (const auto peer = peers_.find(from);
      peer != peers_.end() && peer->second.incarnation == received.incarnation)
    peer->second.heard_at = now_;
  on_message(from, received.incarnation, std::move(received.message));
}

// §5.1: a higher term makes a follower, a lower one is answered with ours and changes nothing
// (E8). Vote requests are the exception: they are judged before their term is believed (E9, E12).
void Raft::on_message(ServerId from, Incarnation incarnation, Message message) {
  if (auto* m = std::get_if<VoteRequest>(&message)) return on_vote_request(from, *m);
  const Term term = term_of(message);
  if (term > current_term()) {
    advance_term(term, "a message of a higher term");
    become_follower(std::nullopt);
  }
  if (auto* m = std::get_if<VoteReply>(&message)) return on_vote_reply(from, incarnation, *m);
  if (term < current_term()) {
    if (std::holds_alternative<AppendEntries>(message)) {
      send(from, AppendReply{.term = current_term()}, WriteNumber(0));
    } else if (std::holds_alternative<Heartbeat>(message)) {
      send(from, HeartbeatReply{.term = current_term()}, WriteNumber(0));
    } else if (std::holds_alternative<InstallSnapshot>(message)) {
      send(from, InstallSnapshotReply{.term = current_term()}, WriteNumber(0));
    }
    return;
  }
  if (auto* m = std::get_if<AppendEntries>(&message)) on_append_entries(from, std::move(*m));
  if (auto* m = std::get_if<AppendReply>(&message)) on_append_reply(from, incarnation, *m);
  if (auto* m = std::get_if<Heartbeat>(&message)) on_heartbeat(from, *m);
  if (auto* m = std::get_if<HeartbeatReply>(&message)) on_heartbeat_reply(from, incarnation, *m);
  if (auto* m = std::get_if<ReadIndexRequest>(&message)) on_read_index_request(from, *m);
  if (auto* m = std::get_if<ReadIndexReply>(&message)) on_read_index_reply(*m);
  if (std::holds_alternative<TimeoutNow>(message)) on_timeout_now(from);
  if (auto* m = std::get_if<InstallSnapshot>(&message)) on_install_snapshot(from, std::move(*m));
  if (auto* m = std::get_if<InstallSnapshotReply>(&message))
    on_install_snapshot_reply(from, incarnation, *m);
}

// ---- durability ---------------------------------------------------------------------------

void Raft::on_persisted(const Persisted& persisted) {
  const WriteNumber number = persisted.number;
  persisted_hard_state_ = std::max({persisted_hard_state_, persisted.hard_state, number});
  VESPER_ASSERT(persisted_hard_state_ <= last_write_);
  if (std::holds_alternative<Candidate>(role_)) count_votes();
  if (number <= persisted_) return;
  persisted_ = number;
  persisted_at_ = now_;
  std::size_t done = 0;
  while (done < outstanding_.size() && outstanding_[done].number <= number) {
    durable_index_ = std::max(durable_index_, outstanding_[done].last_index);
    ++done;
  }
  outstanding_.erase(outstanding_.begin(),
                     outstanding_.begin() + static_cast<std::ptrdiff_t>(done));
  VESPER_ASSERT(durable_index_ <= log_.last_index());
  if (is_leader()) advance_commit();
  settle();
}

WriteNumber Raft::write_of(Index index) const {
  if (index <= durable_index_) return WriteNumber(0);
  for (const Outstanding& write : outstanding_)
    if (write.last_index >= index) return write.number;
  VESPER_ASSERT(dirty_);
  return pending_write();
}

void Raft::append(Entry entry) {
  if (write_from_.value == 0) write_from_ = entry.index;
  dirty_ = true;
  apply_configuration(entry, configuration_);
  if (auto* leader = std::get_if<Leader>(&role_)) leader->unsettled_bytes += entry.bytes.size();
  log_.append(std::move(entry));
}

// §5.3: an entry that conflicts with the leader's goes, with all behind it.
void Raft::truncate_from(Index index) {
  VESPER_ASSERT(index > commit_index_);  // L3
  output_->notes.push_back(fmt::format("entries {}..{} conflict with the leader's of {} -> dropped",
                                       index.value, log_.last_index().value, name(current_term())));
  log_.truncate_from(index);
  const Index last = log_.last_index();
  durable_index_ = std::min(durable_index_, last);
  // L14: what an outstanding write promised of the dropped entries is void; only later writes
  // can make their successors durable.
  for (Outstanding& write : outstanding_) write.last_index = std::min(write.last_index, last);
  if (write_from_.value == 0 || write_from_ > index) write_from_ = index;
  dirty_ = true;
  recompute_configuration();
}

void Raft::make_write() {
  if (!dirty_) return;
  VESPER_ASSERT(!output_->write.has_value());
  last_write_ = last_write_.next();
  Write write;
  write.number = last_write_;
  write.hard_state = hard_state_;
  write.commit_index = commit_index_;
  write.base = disk_base_;
  write.keep_through = write_from_.value == 0 ? log_.last_index() : Index(write_from_.value - 1);
  for (Index i = write.keep_through.next(); i <= log_.last_index(); i = i.next())
    write.entries.push_back(log_.at(i));
  outstanding_.push_back({last_write_, log_.last_index(), now_});
  output_->write = std::move(write);
  dirty_ = false;
  write_from_ = Index(0);
}

// ---- configuration ------------------------------------------------------------------------

// C3: a configuration entry that is dropped rolls back to the one before it.
void Raft::recompute_configuration() {
  configuration_ =
      snapshot_.is_none() ? Configuration{{}, config_.initial_voters} : snapshot_.configuration;
  for (Index i = std::max(log_.base_index(), snapshot_.last_index).next(); i <= log_.last_index();
       i = i.next())
    apply_configuration(log_.at(i), configuration_);
}

bool Raft::counts(ServerId id, Incarnation incarnation) const {
  const Voter* voter = configuration_.find(id);
  if (voter == nullptr) return false;
  if (configuration_.cluster_id.is_none()) return true;                // before the Bootstrap entry
  return incarnation.value != 0 && voter->incarnation == incarnation;  // C10
}

// ---- terms and roles ----------------------------------------------------------------------

void Raft::advance_term(Term term, std::string_view reason) {
  VESPER_ASSERT(term > current_term());  // E3
  remember_freshness();
  if (is_leader())
    output_->notes.push_back(
        fmt::format("{} > {}: {} -> step down", name(term), name(current_term()), reason));
  hard_state_ = HardState{term, std::nullopt};
  dirty_ = true;
  term_write_ = pending_write();
  leaders_write_block_ = WriteBlock::none;
  room_wanted_ = 0;  // another leader's next entry may be smaller
  proven_index_ = commit_index_;
}

void Raft::become_follower(std::optional<ServerId> leader) {
  remember_freshness();
  if (leader.has_value())
    output_->notes.push_back(
        fmt::format("server {} leads {} -> follow", leader->value, name(current_term())));
  role_ = Follower{leader, now_ + random_election_timeout()};
}

std::optional<ServerId> Raft::leader() const {
  if (is_leader()) return config_.self;
  if (const auto* follower = std::get_if<Follower>(&role_)) return follower->leader;
  return std::nullopt;
}

// Every message carries a term, and some promise more: it leaves when all of that is durable.
void Raft::send(ServerId to, Message message, WriteNumber needs, bool bulk) {
  Envelope envelope{to, std::move(message), bulk};
  if (needs <= persisted_ && term_write_ <= persisted_hard_state_)
    output_->send_now.push_back(std::move(envelope));
  else output_->send_after.push_back({std::move(envelope), needs, term_write_});
}

// L9: commit_index never falls and never passes the log.
void Raft::commit_to(Index index) {
  if (index <= commit_index_) return;
  VESPER_ASSERT(index <= log_.last_index());
  if (output_->committed_first.value == 0) output_->committed_first = commit_index_.next();
  output_->committed_last = index;
  commit_index_ = index;
  proven_index_ = std::max(proven_index_, index);
  settle();
}

// What a leader has both committed and on its own disk no longer counts against the bound.
void Raft::settle() {
  auto* leader = std::get_if<Leader>(&role_);
  if (leader == nullptr) return;
  const Index settled = std::min(commit_index_, durable_index_);
  while (leader->settled < settled) {
    leader->settled = leader->settled.next();
    leader->unsettled_bytes -= log_.at(leader->settled).bytes.size();
  }
}

// ---- time ---------------------------------------------------------------------------------

// §5.6: drawn anew each time (E7). While a failover is under way the range is shorter.
Duration Raft::random_election_timeout() {
  return nanoseconds(prng_.between(round_base_.ns, 2 * round_base_.ns));
}

// A leader's clock stands still until it has committed in its term, and while its oldest undecided
// entry waits for longer than kMostUndecided. It never falls: undecided entries are of its own term
// once it has committed in it, and their stamps are not below time_base_.
LogTime Raft::log_time(Instant now) const {
  const auto* leader = std::get_if<Leader>(&role_);
  if (leader != nullptr && commit_index_ < leader->term_start) return time_base_;
  const LogTime time(time_base_.value + (std::min(now, time_runs_until_) - time_base_at_).ns);
  if (leader == nullptr || commit_index_ == log_.last_index()) return time;
  const LogTime undecided = log_.at(commit_index_.next()).time;
  return std::min(time, LogTime(undecided.value + kMostUndecided.ns));
}

void Raft::set_clock(LogTime time, Instant runs_until) {
  time_base_ = time;
  time_base_at_ = now_;
  time_runs_until_ = std::max(now_, runs_until);
}

// A new leader goes on from the last stamp that it received, and begins within kMostUndecided of
// its oldest undecided entry: another leader may have gone further without that entry.
void Raft::start_clock() {
  LogTime start = time_base_;
  if (commit_index_ < log_.last_index())
    start = std::min(start, LogTime(log_.at(commit_index_.next()).time.value + kMostUndecided.ns));
  set_clock(std::max(start, log_.last_time()), now_ + config_.election_timeout * 2);
}

Instant Raft::leader_heard_at() const {
  const auto* leader = std::get_if<Leader>(&role_);
  if (leader == nullptr) return leader_heard_at_;
  std::vector<Instant> heard;
  if (self_counts()) heard.push_back(now_);
  for (const auto& [id, progress] : leader->progress)
    if (counts(id, progress.incarnation)) heard.push_back(progress.heard_at);
  if (heard.size() < majority()) return Instant{};
  std::sort(heard.begin(), heard.end(), std::greater<>());
  return heard[majority() - 1];
}

Index Raft::leader_commit_heard() const {
  const auto* leader = std::get_if<Leader>(&role_);
  // A new leader does not know what is committed before it has committed itself (§8).
  return leader == nullptr ? leader_commit_heard_ : std::max(commit_index_, leader->term_start);
}

void Raft::on_peer_up(const PeerUp& peer) {
  peers_[peer.id] = Peer{true, peer.incarnation, now_};
  founding_.on_reachable(peer.id, true, now_);
  on_peer_said(peer.id, peer.state);
  if (auto* leader = std::get_if<Leader>(&role_)) {
    // Whatever was under way on the connection before this one is lost.
    if (const auto it = leader->progress.find(peer.id); it != leader->progress.end()) {
      Progress& progress = it->second;
      if (progress.incarnation != peer.incarnation) {
        const Instant heard_at = progress.heard_at;
        progress = Progress{};
        progress.heard_at = heard_at;
        progress.next_index = log_.last_index().next();
      }
      progress.received_index = progress.match_index;
      if (progress.transfer) progress.transfer->asked = progress.transfer->answered = false;
      else
        progress.become_probe(progress.match_index.value == 0 ? progress.next_index
                                                              : progress.match_index.next());
      progress.news(now_);
    }
    register_voters();
  }
  maybe_fast_start();
}

// What a server holds matters to a server that has nothing: whether it may found a cluster, and in
// which terms it may have voted before it lost its disk.
void Raft::on_peer_said(ServerId id, const std::optional<PeerState>& state) {
  founding_.on_said(id, state, now_);
  if (!log_.empty() || !state || state->term > kMaxTerm || state->term <= current_term()) return;
  advance_term(state->term, "a server of the list has a higher term");
  become_follower(std::nullopt);
}

PeerState Raft::peer_state() const {
  const bool founded = commit_index_.value > 0;  // index 1 is the Bootstrap entry
  return {founded ? configuration_.cluster_id : Id128{}, current_term(), log_.last_index()};
}

// E9 and E12 as amended by fast failover: a leader whose process is gone protects nobody.
void Raft::on_peer_gone(ServerId id) {
  peers_[id].up = false;
  founding_.on_reachable(id, false, now_);
  auto* follower = std::get_if<Follower>(&role_);
  if (follower == nullptr || follower->leader != id) return;
  leader_gone_ = true;
  follower->leader = std::nullopt;
  round_base_ = kFastRound;
  const Instant soon = now_ + nanoseconds(prng_.between(0, kFastFailover.ns));
  follower->election_deadline = std::min(follower->election_deadline, soon);
  output_->notes.push_back(fmt::format("leader {} of {} is gone -> campaign in {} ms", id.value,
                                       name(current_term()), (soon - now_).ms()));
}

void Raft::on_deadline() {
  if (is_leader()) return leader_deadline();
  if (auto* pre = std::get_if<PreCandidate>(&role_)) {
    if (now_ >= pre->round_deadline) return campaign();
    if (now_ >= pre->again.at) ask_votes(true);
    return;
  }
  if (auto* candidate = std::get_if<Candidate>(&role_)) {
    if (now_ >= candidate->round_deadline) return campaign();
    if (now_ >= candidate->again.at) ask_votes(false);
    return;
  }
  auto& follower = std::get<Follower>(role_);
  if (now_ >= follower.take_over_at) {
    follower.take_over_at = kNever;
    // A promise made since then is one to a leader that has given the hand-over up.
    if (!promised()) return take_over();
  }
  if (now_ >= next_deadline()) campaign();
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
      const bool waits = r.hand_over && !r.hand_over->sent && leases_over_at > now;
      return waits ? std::min(r.next_heartbeat, leases_over_at) : r.next_heartbeat;
    }
    Instant now, leases_over_at;
  };
  return std::visit(Next{now_, leases_over_at()}, role_);
}

void Raft::on_end_of_turn(Index applied) {
  if (is_leader()) leader_end_of_turn();
  make_write();
  if (receiving_ && receiving_->snapshot.last_index <= commit_index_) receiving_.reset();
  compact_log(applied);
  check_invariants();
}

std::string Raft::name(Term term) {
  return fmt::format("term {}", term.value);
}
std::string Raft::name(ServerId id) {
  return fmt::format("server {}", id.value);
}

}  // namespace vesper::raft
