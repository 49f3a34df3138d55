// The Raft state machine: a value that takes events (event.hpp) and returns effects (output.hpp).
// step() is its only entry point. Everything that can block or fail is in the node around it
// (docs/architecture.md).
#pragma once

#include <string_view>

#include "base/prng.hpp"
#include "raft/config.hpp"
#include "raft/disk_room.hpp"
#include "raft/election_pace.hpp"
#include "raft/electorate.hpp"
#include "raft/event.hpp"
#include "raft/founding.hpp"
#include "raft/freshness.hpp"
#include "raft/leader_contact.hpp"
#include "raft/log.hpp"
#include "raft/log_clock.hpp"
#include "raft/output.hpp"
#include "raft/peers.hpp"
#include "raft/role.hpp"
#include "raft/snapshot_receipt.hpp"
#include "raft/vote_promise.hpp"
#include "raft/write_ledger.hpp"

namespace vesper::raft {

class Raft {
 public:
  Raft(Config config, RecoveredState durable, Instant now);

  // Requires that `now` never falls, that Persisted names only Writes that were handed out, and
  // that Propose comes only while is_leader() and during no hand-over of leadership. Appends to
  // `output`, which the caller clears after it has executed it.
  void step(Instant now, Event event, Output& output);

  // Read-only views for the node.
  bool is_leader() const { return std::holds_alternative<Leader>(role_); }
  std::optional<ServerId> leader() const;  // of current_term, if this server knows it
  Term current_term() const { return hard_state_.current_term; }
  Index commit_index() const { return commit_index_; }
  const Log& log() const { return log_; }
  const Snapshot& snapshot() const { return snapshot_; }  // the newest stored here
  std::uint64_t transfers_resumed() const { return transfers_resumed_; }
  // Snapshots that must not be removed: the newest one, and those that are being sent.
  std::vector<Index> snapshots_in_use() const;
  // The latest in the log, committed or not (§6), and the latest committed one.
  const Configuration& configuration() const { return electorate_.configuration(); }
  const Configuration& committed_configuration() const { return electorate_.committed(); }
  ServerId self() const { return electorate_.self(); }  // kNoServer: no member
  // True once a committed configuration has left this server out. It takes no part any more.
  bool is_removed() const { return electorate_.is_removed(); }
  // True if the number was given to a server that is no member any more (C12).
  bool has_left(ServerId id) const;
  // What this leader knows of the member's log. Null: this server does not lead, or `id` is
  // unknown.
  const Progress* progress_of(ServerId id) const;
  // True if the leader has heard from the member within two election timeouts; always for itself.
  bool is_answering(ServerId id) const;
  // The nodes that have lost their disks, if the other voters are no majority. Empty while a leader
  // is known.
  std::vector<NodeId> lost_majority() const;
  // True while there is a connection to the server, in any role. It may hang.
  bool is_connected(ServerId id) const { return peers_.is_connected(id); }
  // The feature level of the build there. 0: it was never connected.
  std::uint32_t level_of(ServerId id) const { return peers_.level_of(id); }
  const Role& role() const { return role_; }
  const Config& config() const { return config_; }
  const HardState& hard_state() const { return hard_state_; }
  const WriteLedger& writes() const { return writes_; }
  // True if this server leads and Propose may be stepped. False during a hand-over of leadership,
  // while its disk is full, and while writes are blocked.
  bool takes_proposals() const;
  // Bytes of entries that a leader may still take before it reaches Config::max_uncommitted_bytes.
  std::size_t proposal_room() const;
  // As decided by this leader, or as reported by the current leader.
  WriteBlock write_block() const;
  DiskHealth disk_health() const;
  // True if the server `id` lacks entries that it has acknowledged. Known of this server itself,
  // and, to a leader, of the other voters.
  bool has_regressed(ServerId id) const;
  std::optional<Id128> cluster_seen() const;  // another cluster that a server of the list named
  const Founding& founding() const { return founding_; }
  PeerState peer_state() const;  // reported in handshakes
  LeaderHeard leader_heard() const;
  // The index that a read must see, if this server holds a leader lease at `now`.
  std::optional<Index> leader_lease_index(Instant now) const;
  Instant promised_until() const { return promise_.until(); }
  std::optional<Instant> fresh_as_of() const;  // Freshness::as_of, for commit_index()
  // The cluster's clock: a leader's own, or extrapolated from what the leader sent last.
  LogTime log_time(Instant now) const;

  // Asserts the invariants that hold after every turn (raft/invariants.cpp).
  void check_invariants() const;

 private:
  struct AnswerOldTerm;
  struct HandleMessage;

  // raft.cpp: dispatch, terms, writes
  void on_received(Received received);
  void on_message(ServerId from, Incarnation incarnation, Message message);
  void on_persisted(const Persisted& persisted);
  void on_peer_up(const PeerUp& peer);
  void on_peer_said(ServerId id, const std::optional<PeerState>& state);
  void on_peer_gone(ServerId id);
  void on_deadline();
  void on_election_timeout();
  void on_end_of_turn(Index applied);
  void advance_term(Term term, std::string_view reason);
  void become_follower(std::optional<ServerId> leader);
  void send(ServerId to, Message message, WriteNumber needs, Channel channel = Channel::control);
  void append(Entry entry);
  void truncate_from(Index index);
  void recompute_configuration();
  void commit_to(Index index);
  void settle();
  void make_write();
  void start_clock();
  Instant next_deadline() const;
  // snapshots.cpp
  void on_snapshot_stored(const Snapshot& snapshot);
  void adopt_snapshot(const Snapshot& snapshot);
  void install(const Snapshot& snapshot);
  void plan_compaction();
  void compact_log(Index applied);
  void send_snapshot(ServerId id, Progress& progress);
  void begin_transfer(ServerId id, Progress& progress);
  void on_chunk_read(const ChunkRead& read);
  void on_install_snapshot(ServerId from, InstallSnapshot m);
  void on_install_snapshot_reply(ServerId from, Incarnation incarnation,
                                 const InstallSnapshotReply& m);
  void on_chunk_stored(const ChunkStored& stored);
  void send_progress(ServerId to, ReceiptReport why);
  void send_done(ServerId to, const Snapshot& snapshot);
  // follower.cpp
  void on_append_entries(ServerId from, AppendEntries m);
  std::optional<Index> take_entries(ServerId from, std::vector<Entry>& entries, Index equal);
  void on_heartbeat(ServerId from, const Heartbeat& m);
  void on_read_index_reply(const ReadIndexReply& m);
  void on_vote_request(ServerId from, const VoteRequest& m);
  void hold_back(ServerId candidate);
  VoteRefusal judge_vote(ServerId from, const VoteRequest& m) const;
  bool hear_leader(ServerId from, Index leader_commit, std::optional<LogTime> log_time);
  // regress.cpp
  bool notice_regress(ServerId from, const Heartbeat& m);
  void on_older_copy();
  void on_regressed(ServerId from, Progress& progress);
  // leader_lease.cpp
  bool put_off_by_promise();
  void on_leader_lease_read();
  RoundFacts round_facts() const;
  Heartbeat heartbeat_to(const Progress& progress, const RoundFacts& facts) const;
  void remember_leadership();
  void on_heartbeat_answered(Progress& progress, const HeartbeatReply& m);
  // candidate.cpp
  void maybe_fast_start();
  void campaign();  // a pre-vote round, then an election
  void become_candidate(Campaign why);
  void on_vote_reply(ServerId from, Incarnation incarnation, const VoteReply& m);
  void ask_votes(VoteRound round);
  void count_votes();
  // transfer.cpp
  void on_disk_space(const DiskSpace& space);
  void on_transfer_leadership(const TransferLeadership& transfer);
  void maybe_send_timeout_now();
  void review_hand_over();
  void on_timeout_now(ServerId from);
  void take_over();
  // membership_leader.cpp
  void on_change_members(const ChangeMembers& change);
  void on_disk_replaced(const DiskReplaced& disk);
  void append_configuration(Configuration configuration);
  void follow_members();
  Progress new_progress() const;
  void review_catch_up(Progress& progress);
  void review_membership();
  void report_lost_majority();
  void report_full(const Member& lost, const DiskReplaced& disk);
  bool replace_lost_disks();
  bool carry_on_plans();
  bool may_receive(ServerId id, const Progress& progress) const;
  bool is_caught_up(const Member& member) const;
  bool is_ready(const Configuration& now, Index plan) const;
  bool can_be_succeeded() const;
  bool is_reachable(const Configuration& next) const;
  // leader.cpp
  void become_leader();
  void on_propose(Propose propose);
  void on_append_reply(ServerId from, Incarnation incarnation, const AppendReply& m);
  void on_heartbeat_reply(ServerId from, Incarnation incarnation, const HeartbeatReply& m);
  void on_read_index_request(ServerId from, const ReadIndexRequest& m);
  void on_read_index(const ReadIndex& read);
  void register_members();
  void replicate_to(ServerId id, Progress& progress);
  void send_append(ServerId id, Progress& progress);
  void send_heartbeats(Heartbeats which);
  void send_heartbeat(ServerId id, Progress& progress, const RoundFacts& facts);
  void repeat_round(ServerId id, Progress& progress);
  void advance_commit();
  void maybe_start_read_round();
  void maybe_finish_read_round();
  void ask_stalled();
  void ask_arrival(ServerId id, Progress& progress);
  WriteBlock block_by_disks(const Leader& leader) const;
  void leader_deadline();
  void leader_end_of_turn();

  Config config_;
  Prng prng_;
  Founding founding_;
  HardState hard_state_;
  Log log_;
  WriteLedger writes_;
  Electorate electorate_;
  Role role_;
  Index commit_index_;  // never falls; <= log_.last_index()
  Index proven_index_;  // equals the current leader's log up to here (L4); >= commit_index_

  Snapshot snapshot_;  // the newest stored here
  LogBase disk_base_;  // where the log on the disk begins; <= snapshot_.last_index
  Index compact_to_;   // the log in memory may be compacted up to here
  SnapshotReceipt receipt_;
  std::uint64_t transfers_resumed_ = 0;  // transfers that this leader resumed after the first chunk

  Peers peers_;
  std::vector<NodeId> lost_majority_said_;  // in the latest alarm about that
  LeaderContact contact_;
  ElectionPace pace_;
  bool wants_commits_ = false;  // CommitsWanted
  bool regressed_ = false;      // this disk lacks what it has promised; never cleared
  DiskRoom room_;
  LogClock clock_;
  VotePromise promise_;
  Freshness freshness_;

  Instant now_;
  Output* output_ = nullptr;  // of the current step
};

}  // namespace vesper::raft
