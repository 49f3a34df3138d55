// THE ACTOR: joins Raft, the store and the WAL. Callbacks post; turn() drains the mailbox once per
// turn of the loop, steps, and executes what came out, in order. Nothing in here blocks, locks or
// reads a clock.
#pragma once

#include <array>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "kv/store.hpp"
#include "node/forwarding.hpp"
#include "node/held_envelopes.hpp"
#include "node/lanes.hpp"
#include "node/ports.hpp"
#include "node/recovery.hpp"
#include "node/snapshots.hpp"
#include "raft/raft.hpp"
#include "storage/wal.hpp"

namespace vesper::node {

struct Limits {
  std::size_t inflight_bytes = 64u << 20;   // of clients' writes taken and not yet answered
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

// What /status, /readyz and /metrics show. This node's own view.
struct Status {
  std::string_view role;  // leader follower candidate learner
  raft::Term term;
  std::optional<raft::ServerId> leader;
  raft::Index last_index, commit_index, applied_index;
  std::uint64_t revision = 0;
  Id128 digest;
  Id128 cluster_id;                              // none before the Bootstrap entry is committed
  std::optional<Id128> cluster_seen;             // another one, of a server of the list
  bool leader_fresh = false;                     // heard a leader within an election timeout
  bool caught_up = false;                        // applied what that leader had then committed
  bool regressed = false;                        // this disk lacks what it has acknowledged
  std::uint64_t log_entries = 0, log_bytes = 0;  // in memory
  raft::Index log_first_index;                   // in memory
  raft::Index snapshot_index;                    // of the newest one stored here; 0: none
  std::uint64_t snapshot_bytes = 0;              // of its file
  std::size_t snapshots = 0;                     // files
  bool taking_snapshot = false;
  std::uint64_t receiving_chunks = 0, receiving_of = 0;  // of a snapshot that the leader sends
  std::size_t keys = 0;
  std::uint64_t store_bytes = 0;
  std::size_t idempotency_keys = 0;  // whose replies are kept
  std::size_t inflight_requests = 0, inflight_bytes = 0;
};

struct Counters {
  std::uint64_t leader_changes = 0;     // leaders seen in office here, self included
  std::uint64_t elections_started = 0;  // campaigns of this node, pre-votes included
  std::uint64_t turns = 0, posts = 0;
  std::uint64_t entries_applied = 0;
  std::uint64_t writes_proposed = 0, writes_forwarded = 0, writes_retried = 0;
  std::uint64_t read_rounds = 0;
  std::array<std::uint64_t, 3> reads{};  // answered, by what they were (ReadLevel)
  std::uint64_t reads_too_stale = 0;
  std::uint64_t writes_unknown = 0;
  // Of this node's clients: answers given again, tokens refused.
  std::uint64_t writes_replayed = 0, tokens_reused = 0, tokens_refused_full = 0;
  std::uint64_t snapshots_taken = 0, snapshots_installed = 0, snapshots_failed = 0;
  std::uint64_t snapshot_chunks_sent = 0, transfers_resumed = 0;
  // Entries in one Write to the disk: buckets of at most 1, 2, 4, ... 512, and more.
  std::array<std::uint64_t, 11> batch_buckets{};
  std::uint64_t batch_sum = 0, batch_count = 0;
};

class Node {
 public:
  // What recover() found: its wal and snapshots outlive the node, its store and durable are moved
  // from.
  Node(raft::Config config, raft::BootId boot, Limits limits, Recovery& recovery,
       Transport& transport, Clients& clients, Instant now);

  // Applies what the log on this disk already knows to be committed. Once, before the first turn.
  Result<void> replay();

  void post(Post post) { mailbox_.push_back(std::move(post)); }
  bool has_posts() const { return !mailbox_.empty(); }

  // Drains the mailbox and executes the effects. Returns when DeadlinePassed wants to be posted
  // (kNever: not). An error is fatal: the storage failed or the log holds what this build cannot
  // apply; the process ends without another word to anybody.
  Result<Instant> turn(Instant now);

  // True when peers' frames should not be read: the disk does not keep up.
  bool congested() const;
  // After Shutdown: nothing is in flight any more, and the disk has what was written.
  bool drained() const;

  Status status(Instant now) const;
  // Log lines since the last call: facts and what was decided.
  std::vector<std::string> take_notes() { return std::exchange(notes_, {}); }
  // Likewise, those that somebody has to act on.
  std::vector<std::string> take_alarms() { return std::exchange(alarms_, {}); }
  const Counters& counters() const { return counters_; }
  const raft::Raft& raft() const { return raft_; }
  const kv::Store& store() const { return *store_; }
  raft::Index applied_index() const { return applied_index_; }  // what store() has come to
  std::size_t held_envelopes() const { return held_.size(); }   // that wait for the disk

  // May this peer, as its handshake names it, speak to Raft? Nothing, or why not.
  std::optional<PeerRefusal> refuse_peer(raft::ServerId id, raft::Incarnation incarnation,
                                         Id128 cluster_id) const;

 private:
  // node.cpp: one turn
  Result<void> handle(Post post);
  void step(raft::Event event) { raft_.step(now_, std::move(event), output_); }
  Result<void> flush();
  Result<void> apply_committed();
  Result<void> apply(const raft::Entry& entry);
  Result<void> apply_command(const raft::Entry& entry);
  void count(const kv::WriteResult& answer);
  Result<void> on_disk_done(const storage::JobDone& done);
  void on_peer_message(FromPeer from);
  void on_forward(raft::ServerId from, const Forward& forward);
  void on_forward_reply(const ForwardReply& reply);
  void forwards_accepted(std::uint64_t sequence);
  Duration forward_patience() const { return raft_.config().heartbeat_interval * 4; }
  void on_peer_up(const PeerUp& peer);
  void on_shutdown();
  void watch_leadership();
  Instant next_deadline() const;

  // transfers.cpp
  struct PendingTransfer {
    ClientTransfer request;
    std::optional<raft::ServerId> from;  // who led when it was asked for; nobody was known
  };
  bool arrived(const PendingTransfer& pending) const;
  void on_client_transfer(ClientTransfer transfer);
  void on_transfer_asked(const TransferAsked& asked);
  void finish_transfers();
  void pump_transfers();
  void expire_transfers();
  Instant next_transfer_deadline() const;

  // snapshots.cpp
  bool crosses_snapshot_position(const raft::Entry& entry) const;
  void begin_snapshot();
  void stop_taking();
  void pump_taking();
  void on_store_chunk(raft::StoreChunk chunk);
  void stop_receiving();
  void fail_receiving(std::string_view why);
  void pump_receiving();
  void install(const raft::Snapshot& snapshot);
  void retire(std::unique_ptr<kv::Store> store);
  void pump_snapshots();
  Result<void> on_snapshot_job(const storage::JobDone& done);
  void on_snapshot_stored(storage::SnapshotFiles::Writer writer);

  // requests.cpp: what clients asked for
  void on_client_write(ClientWrite write);
  void on_client_read(ClientRead read);
  bool admit(const Ticket& ticket, std::size_t bytes);
  void take_write(Lane& lane, ClientWrite write);
  void on_client_gone(std::uint64_t connection);
  void drop_if_idle(Lanes::iterator lane);
  void end_reads(std::size_t count);
  bool may_answer(std::uint64_t connection, Lane& lane, const WaitingRead& read);
  Reply answer(const ClientRead& read);
  void await_revision(std::uint64_t connection, Lane& lane, std::uint64_t revision);
  void advance_awaited_revisions();
  void refuse_line(std::uint64_t connection, Refusal why);
  void end_write(const Ticket& ticket, Reply reply);
  void advance(std::uint64_t connection);
  void pump_writes();
  void send_forwards(raft::ServerId leader);
  void send_forward(raft::ServerId leader, std::uint64_t previous,
                    std::vector<Forward::Write> writes);
  void send_forwards_again(raft::ServerId leader);
  void pump_reads();
  void on_read_ready(const raft::ReadReady& ready);
  void advance_applied_reads();
  void expire();
  void expire_reads();
  bool can_propose() const;
  void report_disk_space();
  bool wants_another_round() const;

  const Limits limits_;
  const raft::BootId boot_;
  storage::Wal& wal_;
  storage::SnapshotFiles& files_;
  Transport& transport_;
  Clients& clients_;
  std::unique_ptr<kv::Store> store_;
  // The state after the entry applied last.
  raft::Index applied_index_;
  raft::Term applied_term_;
  raft::LogTime applied_time_;
  std::uint64_t applied_bytes_ = 0;    // of all entries up to it
  raft::Configuration configuration_;  // committed; without a cluster id before the Bootstrap entry
  raft::Raft raft_;
  Instant now_;

  std::vector<Post> mailbox_, draining_;
  raft::Output output_;
  HeldEnvelopes held_;

  std::unique_ptr<TakingSnapshot> taking_;  // reads *store_: goes first
  std::unique_ptr<ReceivingSnapshot> receiving_;
  std::vector<std::unique_ptr<kv::Store>> retired_;  // replaced, being taken apart
  Instant snapshot_retry_at_, receive_retry_at_;
  bool receive_failed_ = false;  // Raft is to be told
  std::size_t may_apply_ = 0;    // entries in what is left of this turn
  bool turn_again_ = false;      // there is more to do though nothing happens
  bool replaying_ = true;        // until replay() has ended: no jobs yet

  PendingWrites writes_;
  ForwardStream stream_;
  AcceptedForwards accepted_;

  Lanes lanes_;
  ReadBatches reads_;
  std::size_t waiting_reads_ = 0;                 // in lanes, with those of index known
  std::size_t held_bytes_ = 0, held_writes_ = 0;  // of writes behind reads
  std::vector<std::pair<raft::Index, std::uint64_t>>
      unapplied_;  // lanes whose reads wait for apply
  // Lanes whose first read waits for a revision, by that.
  std::set<std::pair<std::uint64_t, std::uint64_t>> awaited_revisions_;
  Instant read_expiry_ = kNever;  // a lower bound of lanes' deadlines

  std::vector<PendingTransfer> transfers_;
  Instant transfers_ask_at_;
  bool handing_over_ = false;
  bool disk_was_full_ = false;

  bool stopping_ = false;
  raft::Term seen_term_;  // of the leader seen last
  std::vector<std::string> notes_, alarms_;
  Counters counters_;
};

}  // namespace vesper::node
