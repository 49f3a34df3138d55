// The actor that joins Raft, the store and the disk. Callbacks post inputs; turn() drains them once
// per turn of the loop, steps Raft, and executes the effects in order. Nothing here blocks, locks
// or reads a clock. Each part of the state is a class of its own, and Node passes values between
// them. The member functions are in node.cpp, requests.cpp, membership.cpp and status.cpp.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "node/applied_state.hpp"
#include "node/client_queues.hpp"
#include "node/cluster_questions.hpp"
#include "node/expiry.hpp"
#include "node/forward_stream.hpp"
#include "node/forwarding.hpp"
#include "node/held_envelopes.hpp"
#include "node/held_requests.hpp"
#include "node/housekeeping.hpp"
#include "node/lock_waits.hpp"
#include "node/long_polls.hpp"
#include "node/member_requests.hpp"
#include "node/ports.hpp"
#include "node/range_reads.hpp"
#include "node/read_batcher.hpp"
#include "node/recovery.hpp"
#include "node/self_check.hpp"
#include "node/snapshotter.hpp"
#include "node/status.hpp"
#include "node/traced_transport.hpp"
#include "node/tracing.hpp"
#include "node/transfer_requests.hpp"
#include "node/watches.hpp"
#include "raft/raft.hpp"
#include "storage/wal.hpp"

namespace vesper::node {

struct NodeLimits {
  std::size_t inflight_bytes = 64u << 20;   // clients' writes admitted and not yet answered
  std::size_t inflight_requests = 100'000;  // clients' writes and reads
  // Bytes forwarded and not yet decided; one write is always allowed.
  std::size_t forward_window = 8u << 20;
  // Bytes queued for the disk. Above this, peers' frames are not read.
  std::size_t unsynced_bytes = 32u << 20;
  // Entries applied in one turn, or keys that they write; the rest follow in later turns.
  std::size_t entries_per_turn = 1024;
  // How much the log grows between snapshots. All nodes must use the same values: otherwise a
  // snapshot transfer cannot resume from a different leader.
  std::uint64_t snapshot_bytes = 64u << 20;
  std::uint64_t snapshot_entries = 1'000'000;
  std::uint32_t snapshot_chunk_bytes = raft::kMaxChunk;  // an upper limit
  // Keys that a read of a range may visit in its first turn, so that a page of the largest limit is
  // usually answered at once; and in a later turn.
  std::size_t range_first_visits = 12'000;
  std::size_t range_visits_per_turn = 4'000;
  HistoryLimits history;
  std::size_t max_watchers = 10'000;
  std::size_t max_waiters = 10'000;  // requests that wait for a change or a lock
};

class Node {
 public:
  // `recovery` is the result of recover(). Its wal and snapshots must outlive the node; its store
  // and durable are moved from.
  Node(raft::Config config, raft::BootId boot, NodeLimits limits, RecoveredNode& recovery,
       Transport& transport, Clients& clients, Instant now);

  // Applies the entries that the recovered log knows to be committed. Call once, before the first
  // turn.
  Result<void> replay();

  void post(Input post) { mailbox_.push_back(std::move(post)); }
  bool has_posts() const {
    return !mailbox_.empty() || watches_.has_question() || tracing_.has_question();
  }

  // Drains the mailbox and executes the effects. Returns when to post TimerFired; kNever: no timer
  // is needed. An error is fatal: the storage failed, or the log holds an entry that this build
  // cannot apply. The process must then exit and send nothing more.
  Result<Instant> turn(Instant now);

  // True if the disk cannot keep up. The caller should then stop reading peers' frames.
  bool congested() const { return wal_.queued_bytes() > limits_.unsynced_bytes; }
  // After Shutdown: true once nothing is in flight and every write is on the disk.
  bool drained() const;

  Status status(Instant now) const;
  // Returns and clears the informational log lines.
  std::vector<std::string> take_notes() { return std::exchange(notes_, {}); }
  // Returns and clears the log lines that an operator has to act on.
  std::vector<std::string> take_alarms() { return std::exchange(alarms_, {}); }
  // For opening watches, between turns.
  Watches& watches();
  const Watches& watches() const { return watches_; }
  // For opening traces, between turns.
  TraceFeed& traces() { return tracing_.feed(); }
  const Counters& counters() const { return counters_; }
  const raft::Raft& raft() const { return raft_; }
  const kv::Store& store() const { return state_.store(); }
  raft::BootId boot() const { return boot_; }
  raft::Index applied_index() const { return state_.index(); }  // of store()
  // Set once a majority is known to have another state.
  const std::optional<Divergence>& divergence() const { return self_check_.divergence(); }
  std::size_t held_envelopes() const { return held_.size(); }  // number that wait for the disk

  // What this server says about itself in handshakes. `address`: at which its peers can reach it.
  Greeting greeting(std::string address) const;
  // What it knows, for judge_dialler() and judge_acceptor(). Valid until the next turn.
  PeerView view() const;
  // True once this server has left the cluster for good. It serves nothing any more.
  bool is_removed() const;
  // False while this server waits to be added or taken in again, and once it has left. A server
  // that may found a cluster counts as a member.
  bool is_member() const;

 private:
  // node.cpp: one overload of on() for each input
  Result<void> handle(Input& post);
  void on(FromPeer&& from);
  void on(const PeerConnected& peer);
  void on(const PeerStateHeard& peer);
  void on(const PeerDisconnected& peer);
  void on(const PeerDiskReplaced& peer);
  void on(const ToldToBeOlder& told);
  void on(const ToldToHaveLeft& told);
  void on(ClientWrite&& write);
  void on(ClientRead&& read);
  void on(ClientTransfer&& transfer);
  void on(ClientMembers&& members);
  void on(const ClientCluster& cluster);
  void on(const ClientGone& client);
  Result<void> on(const DiskDone& disk);
  void on(const TimerFired& passed);
  void on(const FireElectionTimer& wanted);
  void on(const HandOver& wanted);
  void on(const Shutdown& wanted);
  // one overload of on_message() for each message between peers
  void on_message(const FromPeer& from, raft::Message&& message);
  void on_message(const FromPeer& from, const Forward& forward);
  void on_message(const FromPeer& from, const ForwardReply& reply);
  void on_message(const FromPeer& from, const TransferAsked& asked);
  void on_message(const FromPeer& from, const TransferRefused& refused);
  void on_message(const FromPeer& from, const DigestAsked& asked);
  void on_message(const FromPeer& from, const DigestReply& reply);
  void on_message(const FromPeer& from, const MembersAsked& asked);
  void on_message(const FromPeer& from, const MembersReply& reply);
  void on_message(const FromPeer& from, const ClusterAsked& asked);
  void on_message(const FromPeer& from, ClusterReply&& reply);
  void on_message(const FromPeer& from, const TraceAsked& asked);
  void on_message(const FromPeer& from, TraceHeard&& heard);

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
  void follow_members();
  void watch_leadership();
  void check_state();
  void run_watches();
  Instant stale_at() const;
  void report_digest();
  void leave_service();
  void report_disk_space();
  void work_on_snapshots();
  void begin_snapshot();
  Result<void> on_snapshot_job(const storage::JobDone& done);
  bool wants_another_round() const;
  Instant next_deadline() const;
  Instant house_deadline() const;

  // requests.cpp: requests of clients
  kv::LogTime log_time() const { return kv::LogTime{raft_.log_time(now_).value}; }
  bool can_propose() const { return raft_.takes_proposals() && !stopping_; }
  ClientQueues::Progress progress() const {
    return {state_.index(), raft_.commit_index(), state_.store().revision(),
            queues_.awaits_end() ? keys_due() : kv::LogTime{}};
  }
  bool admit(const Ticket& ticket, std::size_t bytes);
  void hold(HeldRequests::Request&& request);
  void start_held();
  void start(ClientWrite&& write);
  void start(ClientRead&& read);
  void answer(const Ticket& ticket, ClientReply&& reply);
  void end_write(const Ticket& ticket, ClientReply&& reply);
  void end_applied(const Ticket& ticket, kv::WriteResult&& result);
  void end_unknown(const PendingWrites::Expired& write);
  void refuse_undecided(Refusal why);
  void refuse_waiting(const Ticket& ticket, Refusal why);
  void advance(std::uint64_t connection);
  // What the queues release is carried out.
  struct Released {
    Node& node;
    template <typename Request>
    void operator()(Request&& request) const {
      node.carry_out(std::forward<Request>(request));
    }
    std::optional<kv::LogTime> overdue(const ClientRead& read) const { return node.overdue(read); }
  };
  std::optional<kv::LogTime> overdue(const ClientRead& read) const;
  kv::LogTime keys_due() const;
  void carry_out(ClientWrite&& write);
  void carry_out(ClientRead&& read);
  void on_reads_ended();
  std::size_t waiters() const { return polls_.size() + lock_waits_.waiting(); }
  void begin(ClientRead&& read);
  void resume_polls();
  bool may_read(const ClientRead& read) const;
  enum class Judgement : std::uint8_t { allowed, refused, too_early };
  Judgement judge_act(const std::optional<kv::Identity>& identity) const;
  std::optional<ClientReply> evaluate(ClientRead&& read);
  std::optional<ReadResult> look_up(ClientRead&& read, ReadResult result);
  void run_range_reads();
  void keep_house();
  void expire_due();
  void propose_own(const std::string& command);
  void run_lock_waits();
  void abandon_lock(const raft::Entry& entry, const kv::WriteResult& result);
  void answer_lock_waits();
  void ask_for_transfers();
  void refuse_transfers(const std::optional<kv::Identity>& identity);
  void send_writes();
  void propose_writes();
  void ask_for_reads();
  void answer_reads(const std::vector<raft::ReadReady>& ready);
  void expire();
  void expire_queues();

  // membership.cpp: changes of the members, and what is known of them
  MembersOutcome change_members(raft::MembersRequest request,
                                const std::optional<kv::Identity>& identity);
  ClusterView cluster_view() const;
  void ask_for_members();
  void answer_members();

  const NodeLimits limits_;
  const raft::BootId boot_;
  storage::Wal& wal_;
  storage::SnapshotFiles& files_;
  TracedTransport transport_;
  Clients& clients_;
  AppliedState state_;
  raft::Raft raft_;
  Instant now_;

  std::vector<Input> mailbox_, draining_;
  raft::Output output_;
  HeldEnvelopes held_;
  Snapshotter snapshotter_;  // reads the store of state_, so it is destroyed first

  RangeWaits range_waits_;
  Watches watches_{range_waits_, limits_.max_watchers};  // its streams pin the store of state_
  LongPolls polls_{range_waits_};
  ClientQueues queues_;  // its reads have polls
  HeldRequests requests_held_;
  PendingWrites writes_;
  ForwardStream stream_;
  AcceptedForwards accepted_;
  ReadBatcher reads_;
  RangeReads range_reads_;  // pins the store of state_
  TransferRequests transfers_;
  MemberRequests member_requests_;
  MemberAnswers member_answers_;
  ClusterQuestions cluster_questions_;
  LockWaits lock_waits_;
  Housekeeping housekeeping_;
  Expiry expiry_;
  SelfCheck self_check_;
  Tracing tracing_;

  bool disk_was_full_ = false;   // as last reported to Raft
  bool commits_wanted_ = false;  // as last told to Raft
  bool snapshot_due_ = false;    // its place has passed, but the one before is not stored yet
  bool stopping_ = false;
  bool out_of_service_ = false;  // this node's state has diverged
  raft::Term seen_term_;         // of the leader seen last
  bool campaigning_ = false;
  // What contacts_ was made from.
  struct Followed {
    raft::Index latest, committed;
    raft::Term term;
    std::ptrdiff_t told = 0;  // contacts that this leader replicates to
    bool operator==(const Followed&) const = default;
  };
  std::optional<Followed> followed_;
  std::vector<Contact> contacts_;  // as last told to the transport
  Instant left_at_ = kNever;       // when this server acts on a peer's report that it has left
  std::vector<std::string> notes_, alarms_;
  Counters counters_;
};

}  // namespace vesper::node
