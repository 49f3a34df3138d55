// One turn of the node: inputs first, then effects in the order of raft::Output's fields. Client
// requests are handled in requests.cpp.
#include "node/node.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <type_traits>

#include "kv/command.hpp"
#include "raft/entry.hpp"

namespace vesper::node {
namespace {

// Held requests may take up a quarter of what is admitted: they may wait for minutes.
constexpr std::size_t kHeldShare = 4;
constexpr Duration kHouseRetry = milliseconds(100);  // if nothing could be proposed
// In election timeouts. The leader sends the entry that removes this server for longer than this,
// and with it a client that has asked for the removal gets its answer.
constexpr std::int64_t kFarewellPatience = 4;
constexpr Duration kShutdownPatience = milliseconds(400);  // for writes that may be in some log

// Usually there is nothing to append.
void append(std::vector<std::string>& lines, std::vector<std::string>&& more) {
  if (more.empty()) return;
  for (std::string& line : more) lines.push_back(std::move(line));
}

}  // namespace

Node::Node(raft::Config config, raft::BootId boot, NodeLimits limits, RecoveredNode& recovery,
           Transport& transport, Clients& clients, Instant now)
    : limits_(limits),
      boot_(boot),
      wal_(*recovery.wal),
      files_(*recovery.snapshots),
      transport_(transport, raft_, tracing_, now_),
      clients_(clients),
      state_(recovery.durable.snapshot, std::move(recovery.store)),
      raft_(std::move(config), std::move(recovery.durable), now),
      now_(now),
      snapshotter_(files_),
      queues_(limits_.inflight_requests, limits_.inflight_bytes),
      requests_held_(limits_.inflight_requests / kHeldShare, limits_.inflight_bytes / kHeldShare),
      stream_(boot_, limits_.forward_window, raft_.config().heartbeat_interval * 4),
      // K4: boot ids differ, so two processes of this server never use the same read id.
      reads_(boot_.value << 32),
      range_reads_(limits_.range_first_visits, limits_.range_visits_per_turn),
      member_requests_(raft_.config().heartbeat_interval * 4),
      cluster_questions_(raft_.config().heartbeat_interval * 4),
      lock_waits_(boot_.value),
      housekeeping_(limits_.history),
      self_check_(raft_.self()),
      tracing_(boot_) {
  VESPER_ASSERT(limits_.entries_per_turn > 0);
  VESPER_ASSERT(limits_.snapshot_bytes > 0);
  VESPER_ASSERT(limits_.snapshot_entries > 0);
  VESPER_ASSERT(limits_.snapshot_chunk_bytes > 0);
  VESPER_ASSERT(limits_.snapshot_chunk_bytes <= raft::kMaxChunk);
  VESPER_ASSERT(limits_.range_first_visits > 0);
  VESPER_ASSERT(limits_.range_visits_per_turn > 0);
  watches_.set_store(state_.store().keyspace());
}

// Replay takes no snapshot, because its disk jobs could not complete before the first turn.
Result<void> Node::replay() {
  while (state_.index() < raft_.commit_index())
    if (auto done = apply(raft_.log().at(state_.index().next())); !done) return done;
  return {};
}

Result<Instant> Node::turn(Instant now) {
  now_ = now;
  ++counters_.turns;
  std::size_t may_apply = limits_.entries_per_turn;
  report_disk_space();  // before this turn's entries: the report covers the log as it is now
  draining_.swap(mailbox_);
  counters_.posts += draining_.size();
  for (Input& post : draining_)
    if (auto done = handle(post); !done) return std::move(done).error();
  draining_.clear();
  start_held();
  expire();
  work_on_snapshots();
  run_range_reads();
  check_state();
  keep_house();
  run_lock_waits();
  watches_.join(reads_);
  // Applying entries may decide some writes and release others. The loop sends the released ones in
  // the same turn.
  resume_polls();
  do {
    ask_for_transfers();
    ask_for_members();
    send_writes();
    expire_due();  // after the writes: a renewal of the same turn wins
    ask_for_reads();
    step(raft::EndOfTurn{state_.index()});
    for (const raft::Envelope& envelope : output_.send_now) send(envelope);
    write_log();
    send_held();
    for (const raft::ReadChunk& read : output_.read_chunks)
      files_.read(read.last_index, read.chunk, read.to.value);
    install_received();  // before the next snapshot's chunk replaces the received one
    for (raft::StoreChunk& chunk : output_.store_chunks)
      snapshotter_.add_chunk(std::move(chunk), state_.store().idempotency_table().most(), now_);
    const std::vector<raft::ReadReady> reads = std::move(output_.reads);
    take_log_lines();
    output_.clear();
    watch_leadership();
    if (auto done = apply_committed(may_apply); !done) return std::move(done).error();
    resume_polls();
    answer_reads(reads);
  } while (wants_another_round());
  answer_members();
  run_watches();
  follow_members();
  if (tracing_.is_on() || tracing_.has_question())
    tracing_.end_turn(raft_,
                      {.applied = state_.index(),
                       .disk_full = wal_.disk_full(),
                       .diverged = out_of_service_,
                       .log_writes = wal_.stats().frames,
                       .last_log_write = wal_.stats().last_took},
                      transport_, clients_, now_);
  wal_.flush(now_);
  return next_deadline();
}

// ---- inputs -------------------------------------------------------------------------------

Result<void> Node::handle(Input& post) {
  const auto dispatch = [this](auto& input) -> Result<void> {
    if constexpr (std::is_void_v<decltype(this->on(std::move(input)))>) {
      this->on(std::move(input));
      return {};
    } else {
      return this->on(std::move(input));
    }
  };
  return std::visit(dispatch, post);
}

// A server that has left disturbs no one. While the leader still tells it so, the leader also takes
// its last writes: their results reach it with the entries.
void Node::on(FromPeer&& from) {
  if (!std::holds_alternative<raft::Message>(from.message) && raft_.has_left(from.from) &&
      raft_.progress_of(from.from) == nullptr)
    return;
  std::visit([&](auto& message) { on_message(from, std::move(message)); }, from.message);
}

void Node::on(const PeerConnected& peer) {
  step(raft::PeerUp{peer.id, peer.incarnation, peer.state});
  if (raft_.leader() == peer.id) stream_.on_reconnected(now_);
}

void Node::on(const PeerStateHeard& peer) {
  step(raft::PeerSaid{peer.id, peer.state});
}

void Node::on(const PeerDisconnected& peer) {
  step(raft::PeerGone{peer.id});
}

void Node::on(const ToldToBeOlder&) {
  step(raft::OlderCopy{});
}

void Node::on(const PeerDiskReplaced& peer) {
  step(raft::DiskReplaced{peer.id, peer.incarnation, peer.level});
}

// A number that an uncommitted entry gave to this server may have been given again to another one.
// So only a server that a committed configuration knows believes that it has left.
void Node::on(const ToldToHaveLeft&) {
  if (raft_.committed_configuration().find(raft_.config().incarnation) != nullptr)
    left_at_ = std::min(left_at_, now_ + raft_.config().election_timeout * kFarewellPatience);
}

Result<void> Node::on(const DiskDone& disk) {
  if (files_.owns(disk.done.id)) return on_snapshot_job(disk.done);
  if (auto result = wal_.on_done(disk.done, now_); !result) return result;
  if (wal_.persisted() > raft_.writes().persisted() ||
      wal_.persisted_hard_state() > raft_.writes().persisted_hard_state())
    step(raft::Persisted{wal_.persisted(), wal_.persisted_hard_state()});
  return {};
}

void Node::on(const TimerFired&) {
  if (now_ >= output_.deadline) step(raft::DeadlinePassed{});
}

void Node::on(const FireElectionTimer&) {
  step(raft::ElectionTimeout{});
}

void Node::on(const HandOver&) {
  transfers_.hand_over(now_);
}

void Node::on(const Shutdown&) {
  if (stopping_) return;
  // Withdraws the waiters of locks while writes can still be proposed.
  for (const Ticket& ticket : lock_waits_.clear(now_)) end_write(ticket, Refusal::outcome_unknown);
  run_lock_waits();
  send_writes();
  stopping_ = true;
  wal_.finish();
  snapshotter_.shut_down();
  if (!output_.install) snapshotter_.stop_receiving();  // otherwise it is installed in this turn
  files_.stop();
  writes_.cap_deadlines(now_ + kShutdownPatience);
  refuse_undecided(Refusal::shutting_down);
  for (const Ticket& ticket : transfers_.clear()) answer(ticket, Refusal::shutting_down);
  for (const auto& ended : member_requests_.clear()) answer(ended.ticket, ended.why);
  for (const Ticket& ticket : cluster_questions_.clear()) answer(ticket, Refusal::shutting_down);
}

// Refuses the reads and the requests that wait here, and the writes that are in no log.
void Node::refuse_undecided(Refusal why) {
  const std::vector<Ticket> waiting = queues_.clear();
  on_reads_ended();
  for (const Ticket& ticket : waiting) refuse_waiting(ticket, why);
  for (const Ticket& ticket : requests_held_.clear()) answer(ticket, why);
  for (const auto& unsent : writes_.give_up_unsent()) end_write(unsent.ticket, why);
  for (const Ticket& ticket : range_reads_.clear()) answer(ticket, why);
  for (const Ticket& ticket : polls_.clear()) answer(ticket, why);
}

void Node::on_message(const FromPeer& from, raft::Message&& message) {
  if (tracing_.is_on())
    if (const auto* reply = std::get_if<raft::VoteReply>(&message))
      tracing_.on_vote_reply(from.from, *reply);
  step(raft::Received{from.from, from.incarnation, std::move(message)});
}

// A write that was meant for the leader of another term is ignored. Its origin decides the write's
// outcome when the log reaches the next term.
void Node::on_message(const FromPeer& from, const Forward& forward) {
  if (!can_propose() || forward.term != raft_.current_term()) return;
  // A command that cannot be applied must not enter the log: every server would fail on it.
  for (const Forward::Write& write : forward.writes) {
    if (auto command = kv::decode_command(write.command); !command) {
      notes_.push_back(fmt::format("refused a write that server {} forwarded: {}", from.from.value,
                                   command.error().what));
      return;
    }
  }
  ForwardReply reply{forward.term, forward.boot, forward.attempt, 0, false};
  raft::Propose propose;
  for (Forward::Write& write : accepted_.accept(forward, reply))
    propose.proposals.push_back(
        {raft::Origin{from.from, forward.boot, write.sequence}, std::move(write.command)});
  if (!propose.proposals.empty()) step(std::move(propose));
  transport_.send(from.from, reply, raft::Channel::control);
}

void Node::on_message(const FromPeer&, const ForwardReply& reply) {
  stream_.on_reply(reply, now_);
}

void Node::on_message(const FromPeer& from, const TransferAsked& asked) {
  if (!raft_.is_leader() || raft_.current_term() != asked.term) return;
  switch (judge_act(asked.identity)) {
    case Judgement::allowed: return step(raft::TransferLeadership{asked.to});
    case Judgement::refused:
      return transport_.send(from.from, TransferRefused{asked.term, asked.identity},
                             raft::Channel::control);
    case Judgement::too_early: return;  // the question is repeated
  }
}

void Node::on_message(const FromPeer&, const TransferRefused& refused) {
  if (raft_.current_term() == refused.term) refuse_transfers(refused.identity);
}

void Node::on_message(const FromPeer& from, const DigestAsked& asked) {
  if (raft_.current_term() != asked.term || raft_.leader() != from.from) return;
  self_check_.on_asked(from.from, asked);
  report_digest();
}

void Node::on_message(const FromPeer& from, const DigestReply& reply) {
  self_check_.on_reply(from.from, reply);
}

void Node::on_message(const FromPeer& from, const TraceAsked& asked) {
  tracing_.on_asked(from.from, asked, now_);
}

void Node::on_message(const FromPeer& from, TraceHeard&& heard) {
  tracing_.on_heard(from.from, std::move(heard), now_);
}

// ---- effects ------------------------------------------------------------------------------

void Node::report_disk_space() {
  const bool full = wal_.disk_full();
  if (full || disk_was_full_) step(raft::DiskSpace{full, wal_.room()});
  disk_was_full_ = full;
}

void Node::write_log() {
  if (!output_.write) return;
  if (const std::size_t entries = output_.write->entries.size(); entries > 0)
    counters_.count_batch(entries);
  wal_.write(std::move(*output_.write));
}

void Node::send_held() {
  for (raft::HeldEnvelope& gated : output_.send_after) held_.hold(std::move(gated));
  held_.release(raft_.writes().persisted(), raft_.writes().persisted_hard_state(),
                [this](const raft::Envelope& envelope) { send(envelope); });
}

void Node::take_log_lines() {
  append(notes_, std::move(output_.notes));
  append(alarms_, std::move(output_.alarms));
}

void Node::check_state() {
  self_check_.set_self(raft_.self());
  if (self_check_.is_due(raft_.current_term(), now_) && raft_.is_leader() && !stopping_)
    if (const auto asked = self_check_.ask(raft_.current_term(), raft_.configuration(),
                                           raft_.log().last_index(), now_)) {
      for (const raft::Member& voter : raft_.configuration().members)
        if (voter.id != raft_.self()) transport_.send(voter.id, *asked, raft::Channel::control);
      report_digest();
    }
  if (self_check_.take_split())
    alarms_.push_back(
        "no majority has the same state -> compare \"digest\" in /status of all nodes");
  if (self_check_.divergence() && !out_of_service_) leave_service();
}

// Replies to the leader's question if this node has just applied the entry in question.
void Node::report_digest() {
  if (self_check_.awaited() != state_.index() || state_.index().value == 0) return;
  if (const auto reply = self_check_.on_awaited(state_.store().digest()))
    transport_.send(self_check_.asked_by(), *reply, raft::Channel::control);
}

// Nothing that was read from this state can be trusted. Whether the writes in flight were carried
// out is decided by the other nodes' states, so their outcome is unknown here.
void Node::leave_service() {
  out_of_service_ = true;
  const Divergence& divergence = *self_check_.divergence();
  alarms_.push_back(fmt::format(
      "the state after entry {} has digest {} here, but a majority has {} -> refuse all requests; "
      "restart this node with --discard-state",
      divergence.index.value, to_hex(divergence.own), to_hex(divergence.majority)));
  snapshotter_.stop_taking();
  refuse_undecided(Refusal::diverged);
  for (const Ticket& ticket : lock_waits_.clear(now_)) end_write(ticket, Refusal::outcome_unknown);
  transfers_.hand_over(now_);
  watches_.set_diverged();
}

void Node::watch_leadership() {
  const bool campaigns = std::holds_alternative<raft::PreCandidate>(raft_.role()) ||
                         std::holds_alternative<raft::Candidate>(raft_.role());
  if (campaigns && !campaigning_) ++counters_.elections_started;
  campaigning_ = campaigns;
  if (!raft_.leader() || raft_.current_term() == seen_term_) return;
  seen_term_ = raft_.current_term();
  ++counters_.leader_changes;
}

// Applies entries up to the turn's remaining allowance. A follower that catches up may have any
// number of committed entries to apply.
Result<void> Node::apply_committed(std::size_t& may_apply) {
  while (state_.index() < raft_.commit_index() && may_apply > 0) {
    const std::uint64_t before = state_.store().keyspace().end_of_events();
    if (auto done = apply(raft_.log().at(state_.index().next())); !done) return done;
    const std::uint64_t keys = state_.store().keyspace().end_of_events() - before;
    may_apply -= std::min(may_apply, static_cast<std::size_t>(std::max<std::uint64_t>(1, keys)));
    if (state_.crossed(limits_.snapshot_entries, limits_.snapshot_bytes)) {
      snapshot_due_ = true;
      begin_snapshot();
    }
  }
  return {};
}

// L11: a client's write is only answered with a result from here, after it was applied.
Result<void> Node::apply(const raft::Entry& entry) {
  if (entry.term > state_.term()) {
    const std::size_t again = writes_.decide(entry.term);
    counters_.writes_retried += again;
    if (again > 0)
      notes_.push_back(fmt::format("term {} begins in the log -> proposing {} writes again",
                                   entry.term.value, again));
  }
  ++counters_.entries_applied;
  std::uint64_t event = state_.store().keyspace().end_of_events();
  auto result = state_.apply(entry);
  if (!result) return result.error();
  if (range_waits_.size() > 0)
    for (const auto& keyspace = state_.store().keyspace(); event < keyspace.end_of_events();
         ++event)
      range_waits_.tell(*keyspace.event(event));
  if (state_.index() == self_check_.awaited()) report_digest();
  answer_lock_waits();
  if (!result->has_value() || entry.origin.boot != boot_) return {};
  const auto ticket = writes_.applied(entry.origin.sequence);
  if (ticket) {
    counters_.count_result(**result);
    end_applied(*ticket, std::move(**result));
  } else {
    abandon_lock(entry, **result);
  }
  stream_.on_applied(entry.term, entry.origin.sequence, now_);
  return {};
}

// ---- snapshots ----------------------------------------------------------------------------

void Node::work_on_snapshots() {
  counters_.transfers_resumed = raft_.transfers_resumed();
  snapshotter_.begin_turn();
  if (stopping_) return;
  // A received snapshot that is about to be installed needs no more work.
  if (snapshotter_.is_receiving() && !output_.install) {
    const bool failed = snapshotter_.pump_receiving(raft_.commit_index());
    append(notes_, snapshotter_.take_notes());
    if (failed) step(raft::ReceiveFailed{});
  }
  const storage::StoredSnapshot* newest = files_.find(raft_.snapshot().last_index);
  // A damaged snapshot must not remain the only one.
  if (snapshot_due_ || (newest != nullptr && newest->damaged)) begin_snapshot();
  if (snapshotter_.is_taking()) snapshotter_.pump_taking(raft_.writes().durable_index());
  files_.prune(wal_.durable_base(), raft_.snapshots_in_use());
  snapshotter_.sweep(state_.store());
}

void Node::begin_snapshot() {
  // A diverged state must not reach the disk of others, nor replace what this disk still has.
  if (stopping_ || out_of_service_ || snapshotter_.is_taking()) return;
  raft::Snapshot snapshot = state_.identity();
  snapshot.chunk_bytes = limits_.snapshot_chunk_bytes;
  snapshotter_.begin(std::move(snapshot), state_.store(), now_);
  if (snapshotter_.is_taking()) snapshot_due_ = false;
}

// Replaces the store with the received one (Raft figure 13, step 8). The snapshot may hide the
// outcome of this node's writes.
void Node::install_received() {
  if (!output_.install) return;
  const auto snapshot = std::exchange(output_.install, std::nullopt);
  snapshotter_.stop_taking();
  snapshot_due_ = false;
  const std::uint64_t replaced_revision = state_.store().revision();
  auto replaced = state_.install(*snapshot, snapshotter_.take_received(*snapshot));
  watches_.set_store(state_.store().keyspace(), replaced_revision);
  polls_.on_install(replaced_revision);
  snapshotter_.retire(std::move(replaced));
  ++counters_.snapshots_installed;
  for (LockWaits::Answer& answer : lock_waits_.compare(state_.store(), log_time(), now_))
    end_write(answer.ticket, std::move(answer.reply));
  for (const PendingWrites::Expired& hidden : writes_.hide(snapshot->last_term))
    end_unknown(hidden);
}

Result<void> Node::on_snapshot_job(const storage::JobDone& done) {
  auto events = snapshotter_.on_done(done, now_);
  if (!events) return std::move(events).error();
  append(notes_, snapshotter_.take_notes());
  const Snapshotter::Stats& stats = snapshotter_.stats();
  counters_.snapshots_taken = stats.taken;
  counters_.snapshots_failed = stats.failed;
  counters_.snapshot_chunks_sent = stats.chunks_sent;
  for (raft::Event& event : *events) step(std::move(event));
  return {};
}

// ---- the end of a turn --------------------------------------------------------------------

// This node may be behind if it has heard from no leader, or as a leader from no quorum, within the
// longest election timeout.
Instant Node::stale_at() const {
  return raft_.leader_heard().at + raft_.config().election_timeout * 2;
}

Watches& Node::watches() {
  watches_.set_stale(now_ >= stale_at());  // not kept up to date while there is none
  return watches_;
}

void Node::run_watches() {
  const bool wanted =
      !watches_.is_idle() || !polls_.is_idle() || !lock_waits_.empty() || queues_.awaits_end();
  if (std::exchange(commits_wanted_, wanted) != wanted) step(raft::CommitsWanted{wanted});
  if (!watches_.is_idle()) watches_.set_stale(now_ >= stale_at());
  watches_.end_turn(state_.index(), clients_, now_);
}

// True if this round released something that can be sent in the same turn.
bool Node::wants_another_round() const {
  if (!raft_.leader() || stopping_) return false;
  if (reads_.has_question()) return true;
  if (!writes_.has_unsent() || writes_.undecided_before(raft_.current_term())) return false;
  if (raft_.is_leader()) return can_propose();
  return raft_.write_block() == raft::WriteBlock::none && stream_.has_room(writes_);
}

Instant Node::next_deadline() const {
  if (snapshotter_.is_busy() || !range_reads_.is_idle() || requests_held_.has_next() ||
      state_.index() < raft_.commit_index() || queues_.has_ended(progress().due))
    return now_;
  const auto leader = raft_.leader();
  Instant next = std::min(
      {output_.deadline, wal_.deadline(), writes_.next_expiry(), queues_.next_expiry(),
       reads_.deadline(), transfers_.deadline(leader, raft_.self()),
       member_requests_.deadline(leader), cluster_questions_.deadline(),
       stopping_ ? kNever : lock_waits_.deadline(), house_deadline(), tracing_.deadline()});
  if (now_ < left_at_) next = std::min(next, left_at_);
  if (!polls_.is_idle()) next = std::min(next, polls_.deadline(now_));
  if (!watches_.is_idle()) {
    next = std::min(next, watches_.deadline(now_));
    if (stale_at() > now_) next = std::min(next, stale_at());
  }
  const bool forwarding = leader.has_value() && !raft_.is_leader() && !stopping_ &&
                          raft_.write_block() == raft::WriteBlock::none;
  return forwarding ? std::min(next, stream_.deadline(raft_.current_term())) : next;
}

// When a leader has to look for something to propose by itself.
Instant Node::house_deadline() const {
  if (!raft_.is_leader() || out_of_service_ || stopping_) return kNever;
  return std::min(std::max(housekeeping_.deadline(), now_ + kHouseRetry),
                  expiry_.deadline(state_.store(), log_time(), now_));
}

bool Node::drained() const {
  return stopping_ && writes_.empty() && queues_.reads() == 0 && queues_.writes() == 0 &&
         wal_.idle() && files_.idle();
}

// ---- peers --------------------------------------------------------------------------------

PeerView Node::view() const {
  return {.committed = raft_.committed_configuration(),
          .latest = raft_.configuration(),
          .initial = raft_.config().initial_voters,
          .self = raft_.self(),
          .incarnation = raft_.config().incarnation,
          .has_log = raft_.log().last_index().value > 0};
}

Greeting Node::greeting(std::string address) const {
  Greeting greeting{.number = raft_.self(),
                    .node = {},
                    .incarnation = raft_.config().incarnation,
                    .state = raft_.peer_state(),
                    .address = std::move(address)};
  if (const raft::Member* own = raft_.configuration().find(greeting.number))
    greeting.node = own->node;
  else if (raft_.config().self != raft::kNoServer)
    greeting.node = raft::NodeId(raft_.config().self.value);
  return greeting;
}

bool Node::is_removed() const {
  return now_ >= left_at_ || raft_.is_removed();
}

bool Node::is_member() const {
  if (is_removed() || raft_.self() == raft::kNoServer) return false;
  return !raft_.committed_configuration().cluster_id.is_none() ||
         raft_.log().last_index().value > 0 || !raft_.cluster_seen();
}

// Tells the transport which servers to talk to, if that has changed. The entry at an index is
// another one only in another term.
void Node::follow_members() {
  const auto is_told = [this](const Contact& contact) {
    return raft_.progress_of(contact.number) != nullptr;
  };
  const Followed now{raft_.configuration().index, raft_.committed_configuration().index,
                     raft_.current_term(),
                     std::count_if(contacts_.begin(), contacts_.end(), is_told)};
  if (followed_ == now) return;
  followed_ = now;
  std::vector<raft::ServerId> told;
  for (const Contact& contact : contacts_)
    if (is_told(contact)) told.push_back(contact.number);
  contacts_ = contacts_of(view(), contacts_, told);
  transport_.follow(contacts_);
}

}  // namespace vesper::node
