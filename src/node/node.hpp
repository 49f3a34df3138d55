// The actor that joins Raft, the store and the disk. Callbacks post inputs; turn() drains them once
// per turn of the loop, steps Raft, and executes the effects in order. Nothing in here blocks,
// locks or reads a clock. Each part of the state is a class of its own; Node passes values between
// them.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "node/applied_state.hpp"
#include "node/client_queues.hpp"
#include "node/forward_stream.hpp"
#include "node/forwarding.hpp"
#include "node/held_envelopes.hpp"
#include "node/ports.hpp"
#include "node/read_batcher.hpp"
#include "node/recovery.hpp"
#include "node/snapshotter.hpp"
#include "node/status.hpp"
#include "node/transfer_requests.hpp"
#include "raft/raft.hpp"
#include "storage/wal.hpp"

namespace vesper::node {

struct NodeLimits {
  std::size_t inflight_bytes = 64u << 20;   // of clients' writes admitted and not yet answered
  std::size_t inflight_requests = 100'000;  // of clients, writes and reads
  std::size_t forward_window = 8u << 20;    // bytes forwarded and not yet decided (or one write)
  std::size_t unsynced_bytes = 32u << 20;   // queued for the disk; above: peers are not read
  std::size_t entries_per_turn = 1024;      // applied in one; the rest in those that follow
  // A snapshot is taken whenever so much has been added to the log. The same on every node, or a
  // transfer is not resumed from another one.
  std::uint64_t snapshot_bytes = 64u << 20;
  std::uint64_t snapshot_entries = 1'000'000;
  std::uint32_t snapshot_chunk_bytes = raft::kMaxChunk;  // at most that
};

class Node {
 public:
  // What recover() found: its wal and snapshots outlive the node, its store and durable are moved
  // from.
  Node(raft::Config config, raft::BootId boot, NodeLimits limits, RecoveredNode& recovery,
       Transport& transport, Clients& clients, Instant now);

  // Applies what the log on this disk already knows to be committed. Once, before the first turn.
  Result<void> replay();

  void post(Input post) { mailbox_.push_back(std::move(post)); }
  bool has_posts() const { return !mailbox_.empty(); }

  // Drains the mailbox and executes the effects. Returns when TimerFired wants to be posted
  // (kNever: not). An error is fatal: the storage failed, or the log holds what this build cannot
  // apply. The process then ends and sends nothing more.
  Result<Instant> turn(Instant now);

  // True when peers' frames should not be read: the disk does not keep up.
  bool congested() const { return wal_.queued_bytes() > limits_.unsynced_bytes; }
  // After Shutdown: nothing is in flight any more, and the disk has what was written.
  bool drained() const;

  Status status(Instant now) const;
  // Log lines since the last call: facts and what was decided.
  std::vector<std::string> take_notes() { return std::exchange(notes_, {}); }
  // Log lines since the last call that an operator has to act on.
  std::vector<std::string> take_alarms() { return std::exchange(alarms_, {}); }
  const Counters& counters() const { return counters_; }
  const raft::Raft& raft() const { return raft_; }
  const kv::Store& store() const { return state_.store(); }
  raft::Index applied_index() const { return state_.index(); }  // of store()
  std::size_t held_envelopes() const { return held_.size(); }   // that wait for the disk

  // May this peer, as its handshake names it, speak to Raft? Nothing, or why not.
  std::optional<PeerRefusal> refuse_peer(raft::ServerId id, raft::Incarnation incarnation,
                                         Id128 cluster_id) const;

 private:
  // node.cpp: inputs, one overload for each
  Result<void> handle(Input& post);
  void on(FromPeer&& from);
  void on(const PeerConnected& peer);
  void on(const PeerStateHeard& peer);
  void on(const PeerDisconnected& peer);
  void on(ClientWrite&& write);
  void on(ClientRead&& read);
  void on(ClientTransfer&& transfer);
  void on(const ClientGone& client);
  Result<void> on(const DiskDone& disk);
  void on(const TimerFired& passed);
  void on(const HandOver& wanted);
  void on(const Shutdown& wanted);
  // messages of peers, one overload for each
  void on_message(const FromPeer& from, raft::Message&& message);
  void on_message(const FromPeer& from, const Forward& forward);
  void on_message(const FromPeer& from, const ForwardReply& reply);
  void on_message(const FromPeer& from, const TransferAsked& asked);

  // node.cpp: effects of a turn
  void step(raft::Event event) { raft_.step(now_, std::move(event), output_); }
  void send(const raft::Envelope& envelope) {
    transport_.send(envelope.to, envelope.message, envelope.channel);
  }
  void write_log();
  void send_held();
  void install_received();
  void take_log_lines();
  Result<void> apply_committed(std::size_t& may_apply);
  Result<void> apply(const raft::Entry& entry);
  void watch_leadership();
  void report_disk_space();
  void work_on_snapshots();
  void begin_snapshot();
  Result<void> on_snapshot_job(const storage::JobDone& done);
  bool wants_another_round() const;
  Instant next_deadline() const;

  // requests.cpp: what clients asked for
  bool can_propose() const { return raft_.takes_proposals() && !stopping_; }
  ClientQueues::Progress progress() const {
    return {state_.index(), raft_.commit_index(), state_.store().revision()};
  }
  bool admit(const Ticket& ticket, std::size_t bytes);
  void end_write(const Ticket& ticket, ClientReply reply);
  void end_unknown(const PendingWrites::Expired& write);
  void advance(std::uint64_t connection);
  void carry_out(ClientWrite&& write);
  void carry_out(ClientRead&& read);
  void on_reads_ended();
  ClientReply evaluate(const ClientRead& read);
  void ask_for_transfers();
  void send_writes();
  void propose_writes();
  void ask_for_reads();
  void answer_reads(const std::vector<raft::ReadReady>& ready);
  void expire();
  void expire_queues();

  const NodeLimits limits_;
  const raft::BootId boot_;
  storage::Wal& wal_;
  storage::SnapshotFiles& files_;
  Transport& transport_;
  Clients& clients_;
  AppliedState state_;
  raft::Raft raft_;
  Instant now_;

  std::vector<Input> mailbox_, draining_;
  raft::Output output_;
  HeldEnvelopes held_;
  Snapshotter snapshotter_;  // reads the store of state_: is destroyed before it

  ClientQueues queues_;
  PendingWrites writes_;
  ForwardStream stream_;
  AcceptedForwards accepted_;
  ReadBatcher reads_;
  TransferRequests transfers_;

  bool disk_was_full_ = false;  // as Raft was told last
  bool stopping_ = false;
  raft::Term seen_term_;  // of the leader seen last
  bool campaigning_ = false;
  std::vector<std::string> notes_, alarms_;
  Counters counters_;
};

}  // namespace vesper::node
