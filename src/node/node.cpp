// One turn of the actor: drain, step, execute the effects in the order of Output's fields.
#include "node/node.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "kv/command.hpp"
#include "raft/entry.hpp"

namespace vesper::node {

// What is kept for a time after the decision of an entry is measured from the entry's stamp.
static_assert(kv::kMostUndecided == raft::kMostUndecided);

namespace {

constexpr Duration kShutdownPatience = milliseconds(400);  // for writes that are in some log

std::size_t bucket_of(std::size_t entries, std::size_t buckets) {
  std::size_t bucket = 0;
  while (bucket + 1 < buckets && (std::size_t{1} << bucket) < entries) ++bucket;
  return bucket;
}

}  // namespace

Node::Node(raft::Config config, raft::BootId boot, Limits limits, Recovery& recovery,
           Transport& transport, Clients& clients, Instant now)
    : limits_(limits),
      boot_(boot),
      wal_(*recovery.wal),
      files_(*recovery.snapshots),
      transport_(transport),
      clients_(clients),
      store_(std::move(recovery.store)),
      applied_index_(recovery.durable.snapshot.last_index),
      applied_term_(recovery.durable.snapshot.last_term),
      applied_time_(recovery.durable.snapshot.log_time),
      applied_bytes_(recovery.durable.snapshot.log_bytes),
      configuration_(recovery.durable.snapshot.configuration),
      raft_(std::move(config), std::move(recovery.durable), now),
      now_(now) {
  VESPER_ASSERT(limits_.entries_per_turn > 0);
  VESPER_ASSERT(limits_.snapshot_bytes > 0);
  VESPER_ASSERT(limits_.snapshot_entries > 0);
  VESPER_ASSERT(limits_.snapshot_chunk_bytes > 0);
  VESPER_ASSERT(limits_.snapshot_chunk_bytes <= raft::kMaxChunk);
  // K4: ids of reads are never reused, not by another process of this server either.
  reads_.asked_id = boot_.value << 32;
}

Result<void> Node::replay() {
  while (applied_index_ < raft_.commit_index()) {
    if (auto done = apply(raft_.log().at(applied_index_.next())); !done) return done;
  }
  replaying_ = false;
  return {};
}

Result<Instant> Node::turn(Instant now) {
  now_ = now;
  may_apply_ = limits_.entries_per_turn;
  ++counters_.turns;
  report_disk_space();  // before this turn's entries: the log knows of those up to the last one
  draining_.swap(mailbox_);
  counters_.posts += draining_.size();
  for (Post& post : draining_)
    if (auto done = handle(std::move(post)); !done) return std::move(done).error();
  draining_.clear();
  expire();
  pump_snapshots();
  // What is applied may decide writes and let others go; they leave in the same turn.
  do {
    pump_transfers();
    pump_writes();
    pump_reads();
    step(raft::EndOfTurn{applied_index_});
    if (auto done = flush(); !done) return std::move(done).error();
  } while (wants_another_round());
  wal_.flush(now_);
  return next_deadline();
}

Result<void> Node::handle(Post post) {
  struct Handle {
    Node& node;
    Result<void> operator()(FromPeer& p) {
      node.on_peer_message(std::move(p));
      return {};
    }
    Result<void> operator()(PeerUp& p) {
      node.on_peer_up(p);
      return {};
    }
    Result<void> operator()(PeerSaid& p) {
      node.step(raft::PeerSaid{p.id, p.state});
      return {};
    }
    Result<void> operator()(PeerGone& p) {
      node.step(raft::PeerGone{p.id});
      return {};
    }
    Result<void> operator()(ClientWrite& p) {
      node.on_client_write(std::move(p));
      return {};
    }
    Result<void> operator()(ClientRead& p) {
      node.on_client_read(std::move(p));
      return {};
    }
    Result<void> operator()(ClientGone& p) {
      node.on_client_gone(p.connection);
      return {};
    }
    Result<void> operator()(ClientTransfer& p) {
      node.on_client_transfer(std::move(p));
      return {};
    }
    Result<void> operator()(DiskDone& p) { return node.on_disk_done(p.done); }
    Result<void> operator()(DeadlinePassed&) {
      if (node.now_ >= node.output_.deadline) node.step(raft::DeadlinePassed{});
      return {};
    }
    Result<void> operator()(HandOver&) {
      node.handing_over_ = true;
      node.transfers_ask_at_ = node.now_;
      return {};
    }
    Result<void> operator()(Shutdown&) {
      node.on_shutdown();
      return {};
    }
  };
  return std::visit(Handle{*this}, post);
}

Result<void> Node::on_disk_done(const storage::JobDone& done) {
  if (files_.owns(done.id)) return on_snapshot_job(done);
  if (auto result = wal_.on_done(done, now_); !result) return result;
  if (wal_.persisted() > raft_.persisted() ||
      wal_.persisted_hard_state() > raft_.persisted_hard_state())
    step(raft::Persisted{wal_.persisted(), wal_.persisted_hard_state()});
  return {};
}

void Node::on_peer_message(FromPeer from) {
  if (auto* message = std::get_if<raft::Message>(&from.message)) {
    step(raft::Received{from.from, from.incarnation, std::move(*message)});
  } else if (auto* forward = std::get_if<Forward>(&from.message)) {
    on_forward(from.from, *forward);
  } else if (auto* reply = std::get_if<ForwardReply>(&from.message)) {
    on_forward_reply(*reply);
  } else if (auto* asked = std::get_if<TransferAsked>(&from.message)) {
    on_transfer_asked(*asked);
  }
}

// A write that was meant for the leader of another term is not taken: its origin decides its fate
// when the log reaches the next term.
void Node::on_forward(raft::ServerId from, const Forward& forward) {
  if (!can_propose() || forward.term != raft_.current_term()) return;
  // What cannot be applied must not get into the log: every server would end at it.
  for (const Forward::Write& write : forward.writes) {
    if (auto command = kv::decode_command(write.command); !command) {
      notes_.push_back(fmt::format("server {} forwards a write that is refused: {}", from.value,
                                   command.error().what));
      return;
    }
  }
  ForwardReply reply{forward.term, forward.boot, forward.attempt, 0, false};
  raft::Propose propose;
  for (Forward::Write& write : accepted_.accept(from, forward, reply))
    propose.proposals.push_back(
        {raft::Origin{from, forward.boot, write.sequence}, std::move(write.command)});
  if (!propose.proposals.empty()) step(std::move(propose));
  transport_.send(from, reply, false);
}

void Node::on_forward_reply(const ForwardReply& reply) {
  if (reply.boot != boot_ || reply.term != stream_.term) return;
  // A stream goes back once for each loss: what an earlier attempt lacked has been sent again.
  if (reply.gap && reply.attempt == stream_.attempt && reply.accepted >= stream_.accepted) {
    ++stream_.attempt;
    stream_.goes_back = true;
  }
  forwards_accepted(reply.accepted);
}

// While the leader takes some of it, nothing is lost: on a slow link the rest is under way.
void Node::forwards_accepted(std::uint64_t sequence) {
  if (sequence <= stream_.accepted) return;
  stream_.accepted = sequence;
  stream_.ask_at = now_ + forward_patience();
}

void Node::on_peer_up(const PeerUp& peer) {
  step(raft::PeerUp{peer.id, peer.incarnation, peer.state});
  // What was under way on the connection before this one may be lost.
  if (raft_.leader() == peer.id && stream_.last_sent > stream_.accepted) stream_.ask_at = now_;
}

// Executes the effects in the order of the fields.
Result<void> Node::flush() {
  for (const raft::Envelope& envelope : output_.send_now)
    transport_.send(envelope.to, envelope.message, envelope.bulk);
  if (output_.write.has_value()) {
    const std::size_t entries = output_.write->entries.size();
    if (entries > 0) {
      ++counters_.batch_buckets[bucket_of(entries, counters_.batch_buckets.size())];
      counters_.batch_sum += entries;
      ++counters_.batch_count;
    }
    wal_.write(std::move(*output_.write));
  }
  for (raft::Gated& gated : output_.send_after) held_.hold(std::move(gated));
  held_.release(raft_.persisted(), raft_.persisted_hard_state(),
                [this](const raft::Envelope& envelope) {
                  transport_.send(envelope.to, envelope.message, envelope.bulk);
                });
  for (const raft::ReadChunk& read : output_.read_chunks)
    files_.read(read.last_index, read.chunk, read.to.value);
  // Before a chunk of the next one takes its place.
  if (const auto installed = std::exchange(output_.install, std::nullopt)) install(*installed);
  for (raft::StoreChunk& chunk : output_.store_chunks) on_store_chunk(std::move(chunk));
  const std::vector<raft::ReadReady> reads = std::move(output_.reads);
  for (std::string& note : output_.notes) notes_.push_back(std::move(note));
  for (std::string& alarm : output_.alarms) alarms_.push_back(std::move(alarm));
  const Instant deadline = output_.deadline;
  output_.clear();
  output_.deadline = deadline;
  watch_leadership();
  if (auto done = apply_committed(); !done) return done;
  for (const raft::ReadReady& ready : reads) on_read_ready(ready);
  advance_applied_reads();
  advance_awaited_revisions();
  return {};
}

// As much of it as a turn may take; the rest is for the next one. Where the log brings a follower
// up to date there may be any number of entries.
Result<void> Node::apply_committed() {
  while (applied_index_ < raft_.commit_index() && may_apply_ > 0) {
    --may_apply_;
    if (auto done = apply(raft_.log().at(applied_index_.next())); !done) return done;
  }
  if (applied_index_ < raft_.commit_index()) turn_again_ = true;
  return {};
}

// L9, L11: entries in order, each once; clients are answered from here only.
Result<void> Node::apply(const raft::Entry& entry) {
  VESPER_ASSERT(entry.index == applied_index_.next());
  if (entry.term > applied_term_) {
    applied_term_ = entry.term;
    const std::size_t again = writes_.decide(entry.term);
    counters_.writes_retried += again;
    if (again > 0)
      notes_.push_back(fmt::format("term {} begins in the log -> propose {} writes again",
                                   entry.term.value, again));
  }
  applied_index_ = entry.index;
  applied_time_ = entry.time;
  applied_bytes_ += entry.bytes.size();
  ++counters_.entries_applied;
  raft::apply_configuration(entry, configuration_);
  if (entry.type == raft::EntryType::command)
    if (auto done = apply_command(entry); !done) return done;
  if (!replaying_ && crosses_snapshot_position(entry)) begin_snapshot();
  return {};
}

Result<void> Node::apply_command(const raft::Entry& entry) {
  auto result = store_->apply(entry.payload(), kv::LogTime(entry.time.value));
  if (!result)
    return Error{
        fmt::format("entry {} cannot be applied: {}; a newer version wrote it: run that "
                    "version",
                    entry.index.value, result.error().what)};
  if (entry.origin.server == raft_.config().self && entry.origin.boot == boot_) {
    if (const auto ticket = writes_.applied(entry.origin.sequence)) {
      count(*result);
      end_write(*ticket, *result);
    }
    // Only an entry of the stream's own term says how far its leader has accepted.
    if (entry.term == stream_.term) forwards_accepted(entry.origin.sequence);
  }
  return {};
}

void Node::count(const kv::WriteResult& answer) {
  if (answer.replayed) ++counters_.writes_replayed;
  if (answer.kind == kv::WriteResult::Kind::key_reused) ++counters_.tokens_reused;
  if (answer.kind == kv::WriteResult::Kind::table_full) ++counters_.tokens_refused_full;
}

void Node::watch_leadership() {
  if (!raft_.leader() || raft_.current_term() == seen_term_) return;
  seen_term_ = raft_.current_term();
  ++counters_.leader_changes;
}

void Node::on_shutdown() {
  if (stopping_) return;
  stopping_ = true;
  wal_.finish();
  taking_.reset();
  if (!output_.install) stop_receiving();  // else it takes effect in this turn
  files_.stop();
  writes_.cap_deadlines(now_ + kShutdownPatience);
  // Whatever was not sent is not going to be.
  std::vector<std::uint64_t> connections;
  for (const auto& [connection, lane] : lanes_) connections.push_back(connection);
  for (const std::uint64_t connection : connections)
    refuse_line(connection, Refusal::shutting_down);
  for (const auto& expired : writes_.give_up_unsent())
    end_write(expired.ticket, Refusal::shutting_down);
  for (const PendingTransfer& pending : std::exchange(transfers_, {}))
    clients_.reply(pending.request.ticket, Refusal::shutting_down);
}

Instant Node::next_deadline() const {
  Instant next = std::min({output_.deadline, wal_.deadline(), writes_.next_expiry(), read_expiry_});
  const bool forwarding = raft_.leader().has_value() && !raft_.is_leader() && !stopping_ &&
                          raft_.write_block() == raft::WriteBlock::none;
  if (forwarding && stream_.term == raft_.current_term() && stream_.last_sent > stream_.accepted)
    next = std::min(next, stream_.ask_at);
  if (reads_.asking) next = std::min(next, reads_.ask_again_at);
  next = std::min(next, next_transfer_deadline());
  if (turn_again_) next = now_;
  return next;
}

bool Node::congested() const {
  return wal_.queued_bytes() > limits_.unsynced_bytes;
}

bool Node::drained() const {
  return stopping_ && writes_.empty() && waiting_reads_ == 0 && held_writes_ == 0 && wal_.idle() &&
         files_.idle();
}

Status Node::status(Instant now) const {
  Status status;
  struct Name {
    std::string_view operator()(const raft::Follower&) const { return "follower"; }
    std::string_view operator()(const raft::PreCandidate&) const { return "candidate"; }
    std::string_view operator()(const raft::Candidate&) const { return "candidate"; }
    std::string_view operator()(const raft::Leader&) const { return "leader"; }
  };
  status.role = std::visit(Name{}, raft_.role());
  status.term = raft_.current_term();
  status.leader = raft_.leader();
  status.last_index = raft_.log().last_index();
  status.commit_index = raft_.commit_index();
  status.applied_index = applied_index_;
  status.revision = store_->revision();
  status.digest = store_->digest();
  status.cluster_id = configuration_.cluster_id;
  status.cluster_seen = raft_.cluster_seen();
  status.leader_fresh = status.leader.has_value() &&
                        now - raft_.leader_heard_at() <= raft_.config().election_timeout * 2;
  status.caught_up = applied_index_ >= raft_.leader_commit_heard() && applied_index_.value > 0;
  status.regressed = raft_.has_regressed(raft_.config().self);
  status.log_entries = raft_.log().size();
  status.log_bytes = raft_.log().bytes();
  status.log_first_index = raft_.log().first_index();
  status.snapshot_index = raft_.snapshot().last_index;
  if (const auto* newest = files_.find(status.snapshot_index))
    status.snapshot_bytes = newest->file_bytes;
  status.snapshots = files_.files();
  status.taking_snapshot = taking_ != nullptr;
  if (receiving_) {
    status.receiving_chunks = receiving_->durable;
    status.receiving_of = receiving_->snapshot.chunks();
  }
  status.keys = store_->size();
  status.store_bytes = store_->bytes();
  status.idempotency_keys = store_->replies().size();
  status.inflight_requests = writes_.waiting() + waiting_reads_ + held_writes_;
  status.inflight_bytes = writes_.bytes() + held_bytes_;
  return status;
}

std::optional<PeerRefusal> Node::refuse_peer(raft::ServerId id, raft::Incarnation incarnation,
                                             Id128 cluster_id) const {
  // By what is committed: an entry that may still be dropped, here or there, must not keep two
  // servers apart that need each other to decide it.
  const bool founded = !configuration_.cluster_id.is_none();
  const Id128 ours = configuration_.cluster_id;
  if (founded && !cluster_id.is_none() && cluster_id != ours)
    return PeerRefusal{
        fmt::format("server {} is of cluster {}, this one is of cluster {}", id.value,
                    to_hex(cluster_id), to_hex(ours)),
        "check the lists and the data directories: servers of two clusters never mix"};
  const auto& voters = founded ? configuration_.voters : raft_.config().initial_voters;
  const auto voter = std::find_if(voters.begin(), voters.end(),
                                  [&](const raft::Voter& known) { return known.id == id; });
  if (voter == voters.end())
    return PeerRefusal{
        fmt::format("server {} is not a member {}", id.value,
                    founded ? "of cluster " + to_hex(ours) : std::string("of this server's list")),
        "the members of a cluster are those of the list that it was founded with"};
  if (founded && voter->incarnation.value != 0 && voter->incarnation != incarnation)
    return PeerRefusal{
        fmt::format("server {} comes with incarnation {}, registered is {}: its data directory "
                    "was wiped or replaced",
                    id.value, to_hex(incarnation.value), to_hex(voter->incarnation.value)),
        "start it with the data directory that it had; an empty one is not taken in"};
  return std::nullopt;
}

}  // namespace vesper::node
