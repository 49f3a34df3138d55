// What clients asked for: admission, the order of a connection's requests, forwarding, reads, and
// deadlines.
#include <algorithm>

#include "node/node.hpp"

namespace vesper::node {
namespace {

// Of writes that go into one Write of the log. A disk shows that it lives when a Write is done.
constexpr std::size_t kProposeBytes = 4u << 20;
constexpr std::size_t kForwardBytes = 256u << 10;  // of writes in one Forward (or one write)
constexpr std::size_t kForwardBulk = 64u << 10;    // a Forward above this goes the slow way

}  // namespace

// ---- admission and order ------------------------------------------------------------------

bool Node::admit(const Ticket& ticket, std::size_t bytes) {
  if (stopping_) {
    clients_.reply(ticket, Refusal::shutting_down);
    return false;
  }
  const std::size_t requests = writes_.waiting() + waiting_reads_ + held_writes_;
  const std::size_t held = writes_.bytes() + held_bytes_;
  if (requests < limits_.inflight_requests && (held == 0 || held + bytes <= limits_.inflight_bytes))
    return true;
  clients_.reply(ticket, Refusal::overloaded);
  return false;
}

void Node::on_client_write(ClientWrite write) {
  if (!admit(write.ticket, write.command.size())) return;
  Lane& lane = lanes_[write.ticket.connection];
  if (lane.line.empty()) return take_write(lane, std::move(write));
  held_bytes_ += write.command.size();
  ++held_writes_;
  read_expiry_ = std::min(read_expiry_, write.deadline);
  lane.line.emplace_back(std::move(write));
}

void Node::on_client_read(ClientRead read) {
  if (!admit(read.ticket, 0)) return;
  const std::uint64_t connection = read.ticket.connection;
  Lane& lane = lanes_[connection];
  read_expiry_ = std::min(read_expiry_, read.deadline);
  ++waiting_reads_;
  WaitingRead waiting{std::move(read), 0, std::nullopt};
  switch (waiting.request.options.level) {
    case ReadLevel::stale: waiting.index = applied_index_; break;
    case ReadLevel::lease:
      // What is asked here is asked with the clock of this turn, which is younger than the read.
      step(raft::LeaseRead{});
      waiting.index = raft_.lease_index(now_);
      break;
    case ReadLevel::linearizable: break;
  }
  if (waiting.index) {
    unapplied_.emplace_back(*waiting.index, connection);
  } else {
    reads_.gathering_rounds |= waiting.request.options.level == ReadLevel::linearizable;
    waiting.batch = reads_.gathering;
    reads_.gathering_lanes.push_back(connection);
  }
  lane.line.emplace_back(std::move(waiting));
}

void Node::take_write(Lane& lane, ClientWrite write) {
  ++lane.open_writes;
  writes_.add(write.ticket, std::move(write.command), write.deadline);
}

void Node::end_write(const Ticket& ticket, Reply reply) {
  const auto it = lanes_.find(ticket.connection);
  if (it == lanes_.end()) return;  // it hung up; its write stands all the same
  VESPER_ASSERT(it->second.open_writes > 0);
  --it->second.open_writes;
  clients_.reply(ticket, std::move(reply));
  advance(ticket.connection);
}

// Lets go whatever is at the front of the line and waits for nothing any more.
void Node::advance(std::uint64_t connection) {
  const auto it = lanes_.find(connection);
  if (it == lanes_.end()) return;
  Lane& lane = it->second;
  await_revision(connection, lane, 0);
  while (!lane.line.empty()) {
    if (auto* write = std::get_if<ClientWrite>(&lane.line.front())) {
      held_bytes_ -= write->command.size();
      --held_writes_;
      ClientWrite taken = std::move(*write);
      lane.line.pop_front();
      take_write(lane, std::move(taken));
      continue;
    }
    auto& read = std::get<WaitingRead>(lane.line.front());
    if (!may_answer(connection, lane, read)) return;
    const Ticket ticket = read.request.ticket;
    Reply reply = answer(read.request);
    lane.line.pop_front();
    end_reads(1);
    clients_.reply(ticket, std::move(reply));
  }
  drop_if_idle(it);
}

// Whether the read at the front of a lane waits for nothing any more; else it will be looked at
// again when what it waits for has happened.
bool Node::may_answer(std::uint64_t connection, Lane& lane, const WaitingRead& read) {
  if (lane.open_writes > 0 || !read.index || *read.index > applied_index_) return false;
  // How fresh the state is, is known of what is committed: not in the middle of applying it.
  const ReadOptions& options = read.request.options;
  if (options.level == ReadLevel::stale && applied_index_ < raft_.commit_index()) {
    unapplied_.emplace_back(raft_.commit_index(), connection);
    return false;
  }
  if (store_->revision() >= options.min_revision) return true;
  await_revision(connection, lane, options.min_revision);
  return false;
}

Reply Node::answer(const ClientRead& read) {
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
  result.revision = store_->revision();
  if (const kv::Item* item = store_->find(read.key)) result.item = *item;
  return result;
}

// One entry a lane, whose first read waits for `revision`. 0: none does.
void Node::await_revision(std::uint64_t connection, Lane& lane, std::uint64_t revision) {
  if (lane.awaits != 0) awaited_revisions_.erase({lane.awaits, connection});
  lane.awaits = revision;
  if (revision != 0) awaited_revisions_.emplace(revision, connection);
}

void Node::advance_awaited_revisions() {
  while (!awaited_revisions_.empty() && awaited_revisions_.begin()->first <= store_->revision()) {
    const std::uint64_t connection = awaited_revisions_.begin()->second;
    awaited_revisions_.erase(awaited_revisions_.begin());
    advance(connection);
  }
}

// A connection that has nothing here under way costs nothing here.
void Node::drop_if_idle(Lanes::iterator lane) {
  if (lane->second.line.empty() && lane->second.open_writes == 0) lanes_.erase(lane);
}

void Node::end_reads(std::size_t count) {
  VESPER_ASSERT(waiting_reads_ >= count);
  waiting_reads_ -= count;
  if (waiting_reads_ > 0) return;
  reads_.gathering_lanes.clear();
  reads_.gathering_rounds = false;
  reads_.asking_lanes.clear();
  unapplied_.clear();
}

void Node::refuse_line(std::uint64_t connection, Refusal why) {
  const auto it = lanes_.find(connection);
  if (it == lanes_.end()) return;
  auto line = std::move(it->second.line);
  it->second.line.clear();
  await_revision(connection, it->second, 0);
  for (auto& waiting : line) {
    if (auto* write = std::get_if<ClientWrite>(&waiting)) {
      held_bytes_ -= write->command.size();
      --held_writes_;
      clients_.reply(write->ticket, why);
    } else {
      end_reads(1);
      clients_.reply(std::get<WaitingRead>(waiting).request.ticket, why);
    }
  }
  drop_if_idle(it);
}

void Node::on_client_gone(std::uint64_t connection) {
  std::erase_if(transfers_, [&](const PendingTransfer& pending) {
    return pending.request.ticket.connection == connection;
  });
  const auto it = lanes_.find(connection);
  if (it == lanes_.end()) return;
  for (auto& waiting : it->second.line) {
    if (auto* write = std::get_if<ClientWrite>(&waiting)) {
      // It was taken: hanging up does not undo it.
      held_bytes_ -= write->command.size();
      --held_writes_;
      writes_.add(write->ticket, std::move(write->command), write->deadline);
    } else {
      end_reads(1);
    }
  }
  await_revision(connection, it->second, 0);
  lanes_.erase(it);
}

// ---- writes -------------------------------------------------------------------------------

// Whether this node takes writes into its log. Where it leads and does not, they wait.
bool Node::can_propose() const {
  return raft_.takes_proposals() && !stopping_;
}

void Node::report_disk_space() {
  const bool full = wal_.disk_full();
  if (full || disk_was_full_) step(raft::DiskSpace{full, wal_.room()});
  disk_was_full_ = full;
}

void Node::pump_writes() {
  const auto leader = raft_.leader();
  if (!leader || stopping_) return;
  const raft::Term term = raft_.current_term();
  const raft::WriteBlock block = raft_.write_block();
  if (block == raft::WriteBlock::full)
    for (const auto& refused : writes_.give_up_unsent())
      end_write(refused.ticket, Refusal::disk_full);
  // What is in no log stays out of it: it can end as not applied (expire).
  if (block != raft::WriteBlock::none) return;
  if (!raft_.is_leader()) return send_forwards(*leader);
  if (!can_propose()) return;
  const auto batch = writes_.take_unsent(term, std::min(raft_.proposal_room(), kProposeBytes));
  if (batch.empty()) return;
  raft::Propose propose;
  for (const Forward::Write& write : batch)
    propose.proposals.push_back(
        {raft::Origin{raft_.config().self, boot_, write.sequence}, write.command});
  counters_.writes_proposed += batch.size();
  step(std::move(propose));
}

void Node::send_forwards(raft::ServerId leader) {
  const raft::Term term = raft_.current_term();
  if (stream_.term != term) stream_ = ForwardStream{.term = term};
  if (std::exchange(stream_.goes_back, false)) {
    send_forwards_again(leader);
  } else if (stream_.last_sent > stream_.accepted && now_ >= stream_.ask_at) {
    // Lost, or slow to arrive? What waits in a slow link is not sent again behind itself.
    stream_.ask_at = now_ + forward_patience();
    send_forward(leader, stream_.last_sent, {});
  }
  while (writes_.has_unsent() && writes_.sent_bytes() < limits_.forward_window) {
    auto writes = writes_.take_unsent(term, kForwardBytes);
    if (writes.empty()) return;  // a write of an older term is undecided
    send_forward(leader, stream_.last_sent, std::move(writes));
  }
}

void Node::send_forward(raft::ServerId leader, std::uint64_t previous,
                        std::vector<Forward::Write> writes) {
  std::size_t bytes = 0;
  for (const Forward::Write& write : writes) bytes += write.command.size();
  const std::uint64_t last = writes.empty() ? previous : writes.back().sequence;
  if (bytes > kForwardBulk) stream_.bulk_until = std::max(stream_.bulk_until, last);
  const bool bulk = stream_.bulk_until > stream_.accepted;
  if (stream_.last_sent <= stream_.accepted) stream_.ask_at = now_ + forward_patience();
  stream_.last_sent = std::max(stream_.last_sent, last);
  counters_.writes_forwarded += writes.size();
  transport_.send(leader,
                  Forward{stream_.term, boot_, stream_.attempt, previous, std::move(writes)}, bulk);
}

// Go-back-N: everything after what was accepted.
void Node::send_forwards_again(raft::ServerId leader) {
  stream_.ask_at = now_ + forward_patience();
  std::uint64_t previous = stream_.accepted;
  for (std::size_t sent = 0; sent < limits_.forward_window;) {
    auto writes = writes_.sent_after(stream_.term, previous, kForwardBytes);
    if (writes.empty()) break;
    const std::uint64_t last = writes.back().sequence;
    for (const Forward::Write& write : writes) sent += write.command.size();
    send_forward(leader, previous, std::move(writes));
    previous = last;
  }
  if (previous == stream_.accepted) stream_.last_sent = previous;  // all were given up
}

// ---- reads --------------------------------------------------------------------------------

void Node::pump_reads() {
  const auto leader = raft_.leader();
  if (reads_.asking) {
    const bool same = reads_.asked_term == raft_.current_term() && reads_.asked_leader == leader;
    if (same && now_ < reads_.ask_again_at) return;
    // K6: what another leader would answer is void; what got lost is asked again, both anew.
    reads_.asking = false;
  }
  if (!leader) return;
  if (reads_.asking_lanes.empty() && reads_.gathering_lanes.empty()) return;
  // What was asked before and got no answer is asked again, in a round.
  const bool lease = !reads_.gathering_rounds && reads_.asking_lanes.empty();
  reads_.asking_lanes.insert(reads_.asking_lanes.end(), reads_.gathering_lanes.begin(),
                             reads_.gathering_lanes.end());
  reads_.gathering_lanes.clear();
  reads_.gathering_rounds = false;
  ++reads_.gathering;
  reads_.asking = true;
  reads_.asked_term = raft_.current_term();
  reads_.asked_leader = leader;
  reads_.ask_again_at = now_ + raft_.config().heartbeat_interval * 4;
  ++counters_.read_rounds;
  step(raft::ReadIndex{++reads_.asked_id, lease});
}

void Node::on_read_ready(const raft::ReadReady& ready) {
  if (!reads_.asking || ready.id != reads_.asked_id) return;
  reads_.asking = false;
  const std::vector<std::uint64_t> lanes = std::exchange(reads_.asking_lanes, {});
  for (const std::uint64_t connection : lanes) {
    const auto it = lanes_.find(connection);
    if (it == lanes_.end()) continue;
    for (auto& waiting : it->second.line) {
      auto* read = std::get_if<WaitingRead>(&waiting);
      if (read == nullptr || read->index || read->batch >= reads_.gathering) continue;
      read->index = ready.index;
      if (!ready.lease) read->request.options.level = ReadLevel::linearizable;
    }
    if (ready.index > applied_index_) unapplied_.emplace_back(ready.index, connection);
    else advance(connection);
  }
}

// K5: a read waits until its index is applied.
void Node::advance_applied_reads() {
  if (unapplied_.empty()) return;
  auto waiting = std::exchange(unapplied_, {});
  for (const auto& [index, connection] : waiting) {
    if (index > applied_index_) unapplied_.emplace_back(index, connection);
    else advance(connection);
  }
}

// ---- deadlines ----------------------------------------------------------------------------

void Node::expire() {
  for (const PendingWrites::Expired& expired : writes_.expire(now_)) {
    if (expired.sent) {
      ++counters_.writes_unknown;
      end_write(expired.ticket, Refusal::outcome_unknown);
    } else {
      const bool full = raft_.leader() && !writes_.undecided_before(raft_.current_term());
      end_write(expired.ticket, full ? Refusal::overloaded : Refusal::no_leader);
    }
  }
  if (now_ >= read_expiry_) expire_reads();
  if (!transfers_.empty()) expire_transfers();
}

void Node::expire_reads() {
  read_expiry_ = kNever;
  const Refusal read_refusal = raft_.leader() ? Refusal::timeout : Refusal::no_leader;
  std::vector<std::uint64_t> touched;
  std::vector<std::pair<Ticket, Refusal>> refused;
  for (auto& [connection, lane] : lanes_) {
    const std::size_t before = lane.line.size();
    std::erase_if(lane.line, [&](auto& waiting) {
      auto* write = std::get_if<ClientWrite>(&waiting);
      const Instant deadline =
          write != nullptr ? write->deadline : std::get<WaitingRead>(waiting).request.deadline;
      if (deadline > now_) {
        read_expiry_ = std::min(read_expiry_, deadline);
        return false;
      }
      if (write != nullptr) {
        held_bytes_ -= write->command.size();
        --held_writes_;
        refused.emplace_back(write->ticket, Refusal::no_leader);
      } else {
        end_reads(1);
        const auto& read = std::get<WaitingRead>(waiting);
        // With its index known it waits for no leader, but for a revision.
        const bool unreached = read.index && store_->revision() < read.request.options.min_revision;
        refused.emplace_back(read.request.ticket, unreached ? Refusal::unreached : read_refusal);
      }
      return true;
    });
    if (lane.line.size() != before) touched.push_back(connection);
  }
  for (const auto& [ticket, why] : refused) clients_.reply(ticket, why);
  for (const std::uint64_t connection : touched) advance(connection);
  // Without a leader these would grow with every read that came and expired.
  for (auto* lanes : {&reads_.gathering_lanes, &reads_.asking_lanes}) {
    std::sort(lanes->begin(), lanes->end());
    lanes->erase(std::unique(lanes->begin(), lanes->end()), lanes->end());
    std::erase_if(*lanes, [&](std::uint64_t lane) { return !lanes_.contains(lane); });
  }
}

// Something that this round let go can leave in this turn.
bool Node::wants_another_round() const {
  if (!raft_.leader() || stopping_) return false;
  const bool reads = !reads_.asking && !reads_.gathering_lanes.empty();
  if (!writes_.has_unsent() || writes_.undecided_before(raft_.current_term())) return reads;
  if (raft_.write_block() != raft::WriteBlock::none) return reads;
  return reads || can_propose() ||
         (!raft_.is_leader() && writes_.sent_bytes() < limits_.forward_window);
}

}  // namespace vesper::node
