// The part of Node that handles client requests: from the queues to Raft or to the leader, and back
// as replies. The turn itself is in node.cpp.
#include <algorithm>

#include "base/overloaded.hpp"
#include "node/node.hpp"

namespace vesper::node {
namespace {

// Limits the writes in one Write to the log. The disk counts as alive when a Write completes, so a
// Write must not grow without limit.
constexpr std::size_t kProposeBytes = 4u << 20;

// T2: a read finds no key that should have ended this long ago, of the 100 ms that users are told.
constexpr Duration kMostOverdue = milliseconds(50);

constexpr std::uint64_t kNoSequence = 0;  // clients' writes count from 1

// Held requests that begin in one turn.
constexpr std::size_t kStartedPerTurn = 1024;

// The ticket of a write that this node makes for itself, and how long it is proposed again.
constexpr Ticket kOwnWrite{};
constexpr Duration kOwnWriteKept = seconds(10);

}  // namespace

// ---- inputs -------------------------------------------------------------------------------

bool Node::admit(const Ticket& ticket, std::size_t bytes) {
  if (stopping_ || out_of_service_) {
    answer(ticket, stopping_ ? Refusal::shutting_down : Refusal::diverged);
    return false;
  }
  if (queues_.has_room(bytes, writes_, requests_held_)) return true;
  answer(ticket, Refusal::overloaded);
  return false;
}

void Node::on(ClientWrite&& write) {
  if (!admit(write.ticket, write.command.size())) return;
  if (requests_held_.holds(write.ticket.connection)) hold(std::move(write));
  else start(std::move(write));
}

void Node::on(ClientRead&& read) {
  if (!admit(read.ticket, 0)) return;
  if (requests_held_.holds(read.ticket.connection)) hold(std::move(read));
  else start(std::move(read));
}

void Node::hold(HeldRequests::Request&& request) {
  const Ticket ticket = std::visit([](const auto& one) { return one.ticket; }, request);
  if (!requests_held_.add(std::move(request), now_)) answer(ticket, Refusal::overloaded);
}

// Begins requests that were held. Those beyond a turn's share begin in the next one.
void Node::start_held() {
  for (std::size_t i = 0; i < kStartedPerTurn && requests_held_.has_next(); ++i)
    std::visit([this](auto&& request) { start(std::move(request)); }, *requests_held_.next(now_));
}

void Node::start(ClientWrite&& write) {
  if (write.lock_wait != nullptr) {
    if (waiters() >= limits_.max_waiters) return answer(write.ticket, Refusal::overloaded);
    requests_held_.hold_after(write.ticket);
    lock_waits_.add(write.ticket, write.lock_wait);
  }
  if (queues_.add_write(write) == ClientQueues::Placed::through) carry_out(std::move(write));
}

void Node::start(ClientRead&& read) {
  if (read.wait == nullptr) return begin(std::move(read));
  if (waiters() >= limits_.max_waiters) return answer(read.ticket, Refusal::overloaded);
  requests_held_.hold_after(read.ticket);
  polls_.add(std::move(read), state_.store().keyspace(), now_);
}

// Carries out the reads that have waited for long enough.
void Node::resume_polls() {
  if (polls_.is_idle()) return;
  polls_.search(state_.store().keyspace());
  for (ClientRead& read : polls_.take_due(now_)) begin(std::move(read));
}

void Node::begin(ClientRead&& read) {
  std::optional<raft::Index> index;
  switch (read.options.level) {
    case ReadLevel::stale: index = state_.index(); break;
    case ReadLevel::lease:
      // This turn's clock is later than the read's arrival, so a lease that holds now covers the
      // read.
      step(raft::LeaderLeaseRead{});
      index = raft_.leader_lease_index(now_);
      break;
    case ReadLevel::linearizable: break;
  }
  if (index) return queues_.add_read(std::move(read), *index);
  const std::uint64_t batch = reads_.join(read.ticket.connection, read.options.level);
  queues_.add_read_of_batch(std::move(read), batch);
}

void Node::on(ClientTransfer&& transfer) {
  if (!admit(transfer.ticket, 0)) return;
  // With a single voter, no other server can ever lead, so a transfer to one would wait forever.
  const auto& voters = raft_.configuration().members;
  if (voters.size() == 1 && transfer.to != voters.front().id)
    return answer(transfer.ticket, Refusal::no_other_member);
  const Ticket ticket = transfer.ticket;
  if (!transfers_.add(std::move(transfer), raft_.leader(), now_))
    answer(ticket, Refusal::overloaded);
}

void Node::on(const ClientGone& client) {
  requests_held_.leave(client.connection);
  transfers_.leave(client.connection);
  member_requests_.leave(client.connection);
  cluster_questions_.leave(client.connection);
  lock_waits_.leave(client.connection, now_);
  range_reads_.leave(client.connection);
  polls_.leave(client.connection);
  for (ClientWrite& write : queues_.leave(client.connection)) carry_out(std::move(write));
  on_reads_ended();
}

// ---- answers ------------------------------------------------------------------------------

void Node::answer(const Ticket& ticket, ClientReply&& reply) {
  clients_.reply(ticket, std::move(reply));
  requests_held_.answered(ticket);
}

void Node::end_write(const Ticket& ticket, ClientReply&& reply) {
  lock_waits_.forget(ticket);
  // The client has disconnected; its write still counts.
  if (!queues_.end_write(ticket.connection)) return;
  answer(ticket, std::move(reply));
  advance(ticket.connection);
}

// The command was applied: its client gets the result, unless it waits for a lock from now on.
void Node::end_applied(const Ticket& ticket, kv::WriteResult&& result) {
  if (lock_waits_.decided(ticket, result, now_) == LockWaits::Decided::answer) {
    if (out_of_service_) end_write(ticket, Refusal::outcome_unknown);
    else end_write(ticket, std::move(result));
  } else if (stopping_ || out_of_service_) {
    for (const Ticket& waits : lock_waits_.clear(now_)) end_write(waits, Refusal::outcome_unknown);
  }
}

// Refuses a request that waited in its queue.
void Node::refuse_waiting(const Ticket& ticket, Refusal why) {
  lock_waits_.forget(ticket);
  answer(ticket, why);
}

void Node::end_unknown(const PendingWrites::Expired& write) {
  if (write.ticket.connection == kOwnWrite.connection) return;
  ++counters_.writes_unknown;
  end_write(write.ticket, Refusal::outcome_unknown);
}

void Node::carry_out(ClientWrite&& write) {
  writes_.add(write.ticket, std::move(write.command), write.deadline);
}

void Node::carry_out(ClientRead&& read) {
  const Ticket ticket = read.ticket;
  if (auto reply = evaluate(std::move(read))) answer(ticket, std::move(*reply));
}

void Node::advance(std::uint64_t connection) {
  queues_.release(connection, progress(), Released{*this});
  on_reads_ended();
}

void Node::on_reads_ended() {
  if (queues_.reads() == 0 && !watches_.is_asking()) reads_.forget_reads();
}

// T2: many keys that end at once end in slices, so that writes need not wait for them. A read that
// would find one of those that are overdue waits for its end. It would be wrong to leave the key
// out before: a write that comes first in the log may still keep it.
std::optional<kv::LogTime> Node::overdue(const ClientRead& read) const {
  if (read.options.level == ReadLevel::stale) return std::nullopt;
  if (read.poll != nullptr && read.poll->is_unchanged()) return std::nullopt;  // it finds no key
  const kv::Store& store = state_.store();
  if (store.keys_due() == kv::kEndOfLogTime) return std::nullopt;
  const kv::LogTime latest{log_time().value - kMostOverdue.ns};
  if (store.keys_due() > latest || keys_due() > latest) return std::nullopt;
  const auto due_of = [&](std::string_view key) {
    const kv::Version* version = store.keyspace().find(key);
    return version == nullptr ? kv::kEndOfLogTime : store.due(*version);
  };
  const Overloaded due{
      [&](const ReadKey& asked) {
        return asked.revision == 0 ? due_of(asked.key) : kv::kEndOfLogTime;
      },
      [&](const ReadHistory& asked) { return due_of(asked.key); },
      // Looking for overdue keys in a range would take a walk through all of them.
      [&](const ReadRange& asked) {
        return asked.query.revision == 0 ? latest : kv::kEndOfLogTime;
      },
      [&](const ReadTransaction&) { return latest; },
      [](const auto&) { return kv::kEndOfLogTime; },
  };
  const kv::LogTime at = std::visit(due, read.query);
  return at > latest ? std::nullopt : std::optional(at);
}

// The first instant at which a key ends that is still there, if the leader can end it at all. While
// disks are full, nothing can be written, and reads go on.
kv::LogTime Node::keys_due() const {
  const kv::LogTime due = state_.store().keys_due();
  const bool ends = due != kv::kEndOfLogTime && raft_.write_block() != raft::WriteBlock::full;
  return ends ? due : kv::kEndOfLogTime;
}

bool Node::may_read(const ClientRead& read) const {
  const kv::Access& access = state_.store().access();
  if (!access.is_enabled() || std::holds_alternative<ReadAccess>(read.query)) return true;
  return read.identity && access.find(*read.identity, log_time()) != nullptr;
}

// A5: whether this leader may do what a client asks for and no entry of the store judges: transfer
// leadership, change the members. A revocation that any client was told of is committed. Either it
// has an earlier term, and then it precedes the first entry of this one, or it has this term, and
// then this server knows that it is committed. So it is applied here. If a later leader committed
// it, this one has lost its majority: nothing that it begins now can take effect.
Node::Judgement Node::judge_act(const std::optional<kv::Identity>& identity) const {
  if (state_.term() != raft_.current_term() || state_.index() < raft_.commit_index())
    return Judgement::too_early;
  const kv::Access& access = state_.store().access();
  if (!access.is_enabled()) return Judgement::allowed;
  const kv::Token* token = identity ? access.find(*identity, log_time()) : nullptr;
  const bool is_allowed = token != nullptr && token->has(kv::Right::admin);
  return is_allowed ? Judgement::allowed : Judgement::refused;
}

// Nothing: the read needs more than this turn; see run_range_reads().
std::optional<ClientReply> Node::evaluate(ClientRead&& read) {
  if (!may_read(read)) return Refusal::unauthorized;
  ReadResult result;
  result.level = read.options.level;
  if (result.level == ReadLevel::stale) {
    if (const auto as_of = raft_.fresh_as_of()) result.staleness = now_ - *as_of;
    const auto& most = read.options.max_staleness;
    if (most && (!result.staleness || *result.staleness > *most)) {
      ++counters_.reads_too_stale;
      return Refusal::too_stale;
    }
  }
  ++counters_.reads[static_cast<std::size_t>(result.level)];
  result.revision = state_.store().revision();
  result.log_time = log_time();
  result.unchanged = read.poll != nullptr && read.poll->is_unchanged();
  if (result.unchanged) return result;
  auto done = look_up(std::move(read), std::move(result));
  if (!done) return std::nullopt;
  return std::move(*done);
}

std::optional<ReadResult> Node::look_up(ClientRead&& read, ReadResult result) {
  kv::Keyspace& keyspace = state_.store().keyspace();
  const auto unreadable = [&](std::uint64_t revision) {
    if (revision == 0 ||
        (revision >= keyspace.oldest_revision() && revision <= keyspace.revision()))
      return false;
    result.content = RevisionUnreadable{revision > keyspace.revision(), keyspace.oldest_revision()};
    return true;
  };
  const Overloaded answer{
      [&](ReadKey& asked) -> bool {
        if (unreadable(asked.revision)) return true;
        result.content = KeyFound{kv::VersionRef(asked.revision == 0
                                                     ? keyspace.find(asked.key)
                                                     : keyspace.find(asked.key, asked.revision))};
        return true;
      },
      [&](ReadHistory& asked) -> bool {
        result.content =
            HistoryFound{keyspace.history(asked.key, asked.limit), keyspace.oldest_revision()};
        return true;
      },
      [&](ReadRange& asked) -> bool {
        if (unreadable(asked.query.revision)) return true;
        if (asked.form == ReadRange::Form::page) return false;
        if (asked.query.revision == 0) asked.query.revision = keyspace.revision();
        result.content =
            StreamFound{std::make_unique<kv::RangeStream>(keyspace, std::move(asked.query))};
        return true;
      },
      [&](ReadTransaction& asked) -> bool {
        result.content = kv::read(
            keyspace, *asked.transaction,
            {kv::kMaxReply, false, log_time(), &state_.store().leases(), &state_.store().locks()});
        return true;
      },
      [&](ReadAccess&) -> bool {
        result.content = AccessIsFresh{};
        return true;
      },
      [&](const auto& asked) -> bool {
        result.content = node::look_up(state_.store(), asked);
        return true;
      },
  };
  if (std::visit(answer, read.query)) return result;
  return range_reads_.start(read.ticket, std::move(std::get<ReadRange>(read.query)), keyspace,
                            std::move(result), read.options.max_staleness, now_);
}

void Node::run_range_reads() {
  if (auto done = range_reads_.run(now_)) answer(done->ticket, std::move(done->reply));
}

void Node::answer_reads(const std::vector<raft::ReadReady>& answers) {
  for (const raft::ReadReady& ready : answers)
    for (const std::uint64_t connection : reads_.answered(ready.id))
      if (connection == Watches::kConnection)
        watches_.on_read_index(reads_.gathering(), ready.index);
      else if (queues_.confirm(connection, reads_.gathering(), ready, state_.index()))
        advance(connection);
  queues_.release_applied(progress(), Released{*this});
  queues_.release_reached(progress(), Released{*this});
  queues_.release_ended(progress(), Released{*this});
  on_reads_ended();
}

// ---- what a turn sends --------------------------------------------------------------------

// A transfer is done when this node has applied an entry of the new leader's term, because the new
// leader has then committed one.
void Node::ask_for_transfers() {
  const auto leader = raft_.leader();
  if (transfers_.is_idle() || !leader) return;
  const raft::Term term = raft_.current_term();
  if (state_.term() == term)
    for (const Ticket& ticket : transfers_.finish(*leader))
      answer(ticket, TransferResult{*leader, term});
  const auto question = transfers_.ask(*leader, now_, raft_.config().heartbeat_interval);
  if (!question) return;
  if (!raft_.is_leader()) {
    if (question->of_client)
      transport_.send(*leader, TransferAsked{term, question->to, question->identity},
                      raft::Channel::control);
    return;
  }
  const Judgement judgement =
      question->of_client ? judge_act(question->identity) : Judgement::allowed;
  if (judgement == Judgement::allowed) step(raft::TransferLeadership{question->to});
  else if (judgement == Judgement::refused) refuse_transfers(question->identity);
}

void Node::refuse_transfers(const std::optional<kv::Identity>& identity) {
  if (const auto leader = raft_.leader())
    for (const Ticket& ticket : transfers_.refuse(identity, *leader))
      answer(ticket, Refusal::unauthorized);
}

// A leader proposes the writes to its log; a follower forwards them to the leader. While writes are
// blocked, unsent writes stay out of every log, so that they can still expire as not applied.
void Node::send_writes() {
  const auto leader = raft_.leader();
  if (!leader || stopping_) return;
  if (raft_.is_leader() && !writes_.has_unsent()) return;
  const raft::WriteBlock block = raft_.write_block();
  if (block == raft::WriteBlock::full)
    for (const auto& refused : writes_.give_up_unsent())
      end_write(refused.ticket, Refusal::disk_full);
  if (block != raft::WriteBlock::none) return;
  if (raft_.is_leader()) return propose_writes();
  counters_.writes_forwarded +=
      stream_.send(*leader, raft_.current_term(), writes_, transport_, now_);
}

void Node::propose_writes() {
  if (!can_propose()) return;
  const auto batch =
      writes_.take_unsent(raft_.current_term(), std::min(raft_.proposal_room(), kProposeBytes));
  if (batch.empty()) return;
  raft::Propose propose;
  for (const Forward::Write& write : batch)
    propose.proposals.push_back({raft::Origin{raft_.self(), boot_, write.sequence}, write.command});
  counters_.writes_proposed += batch.size();
  step(std::move(propose));
}

// Proposes what keeps the store within its limits. Its origin names no client's write.
void Node::keep_house() {
  if (!raft_.is_leader() || out_of_service_) return housekeeping_.forget();
  if (!housekeeping_.is_due(state_.store(), now_)) return;
  if (auto alarm = housekeeping_.quota_alarm(state_.store())) alarms_.push_back(std::move(*alarm));
  if (!can_propose()) return;
  auto command = housekeeping_.next_command(state_.store(), log_time(), now_);
  if (command) propose_own(*command);
}

void Node::propose_own(const std::string& command) {
  raft::Propose propose;
  propose.proposals.push_back(
      {raft::Origin{raft_.self(), boot_, kNoSequence}, SharedBytes::copy_of(command)});
  step(std::move(propose));
}

// Proposes the end of what is due.
void Node::expire_due() {
  if (!raft_.is_leader() || out_of_service_) return expiry_.forget();
  expiry_.begin_turn(state_.index());
  if (state_.store().next_expiry() > log_time()) return;
  while (can_propose()) {
    const auto expire = expiry_.next_command(state_.store(), log_time());
    if (!expire) return;
    propose_own(kv::encode(*expire));
    expiry_.proposed(raft_.log().last_index());
  }
}

// ---- waiting for locks --------------------------------------------------------------------

void Node::run_lock_waits() {
  if (stopping_ || now_ < lock_waits_.deadline()) return;
  LockWaits::Due due = lock_waits_.take_due(state_.store(), now_);
  const auto propose = [this](const std::string& command) {
    writes_.add(kOwnWrite, SharedBytes::copy_of(command), now_ + kOwnWriteKept);
  };
  for (const std::string& command : due.commands) propose(command);
  if (due.renews) {
    // A leader proposes it at once, ahead of the backlog of clients' writes.
    const std::string keep = kv::encode(kv::KeepPlaces{boot_.value});
    if (can_propose()) propose_own(keep);
    else propose(keep);
  }
  for (const Ticket& ticket : due.unknown) end_write(ticket, Refusal::outcome_unknown);
}

void Node::answer_lock_waits() {
  if (lock_waits_.empty()) return state_.store().forget_left_queue();
  for (const kv::Store::LeftQueue& left : state_.store().take_left_queue()) {
    auto answer = lock_waits_.left_queue(left, state_.store(), log_time(), now_);
    if (answer) end_write(answer->ticket, std::move(answer->reply));
  }
}

// A request for a lock ended as unknown, and was decided now: no client knows of it.
void Node::abandon_lock(const raft::Entry& entry, const kv::WriteResult& result) {
  if (!result.is_done() || entry.origin.sequence == kNoSequence) return;
  const auto* lock = std::get_if<kv::LockResult>(&result.result);
  if (lock == nullptr) return;
  const auto command = kv::decode_command(entry.payload());
  VESPER_ASSERT(command.ok());
  const auto* acquire = std::get_if<kv::AcquireLock>(&command->body);
  if (acquire == nullptr) return;
  auto wait = std::make_shared<LockWait>();
  wait->lock = acquire->lock;
  wait->until = now_;
  if (command->has_idempotency_key) wait->idempotency_key = command->idempotency_key.view();
  lock_waits_.abandon(std::move(wait), *lock, now_);
}

void Node::ask_for_reads() {
  if (reads_.is_idle()) return;
  const auto question =
      reads_.ask(raft_.current_term(), raft_.leader(), now_, raft_.config().heartbeat_interval * 4);
  if (!question) return;
  ++counters_.read_rounds;
  step(*question);
}

// ---- deadlines ----------------------------------------------------------------------------

void Node::expire() {
  for (const PendingWrites::Expired& expired : writes_.expire(now_)) {
    if (expired.sent) {
      end_unknown(expired);
    } else {
      const bool full = raft_.leader() && !writes_.undecided_before(raft_.current_term());
      end_write(expired.ticket, full ? Refusal::overloaded : Refusal::no_leader);
    }
  }
  if (now_ >= queues_.next_expiry()) expire_queues();
  polls_.expire(now_);
  if (transfers_.is_idle()) return;
  const Refusal why = raft_.leader() ? Refusal::timeout : Refusal::no_leader;
  for (const Ticket& ticket : transfers_.expire(now_)) answer(ticket, why);
}

void Node::expire_queues() {
  const Refusal of_read = raft_.leader() ? Refusal::timeout : Refusal::no_leader;
  const auto expiry = queues_.expire(now_, state_.store().revision(), of_read);
  on_reads_ended();
  for (const auto& refused : expiry.refused) refuse_waiting(refused.ticket, refused.why);
  for (const std::uint64_t connection : expiry.connections) advance(connection);
  reads_.tidy([this](std::uint64_t connection) {
    return connection != Watches::kConnection && !queues_.has(connection);
  });
}

}  // namespace vesper::node
