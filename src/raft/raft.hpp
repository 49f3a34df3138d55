// Consensus: a value that eats events and returns effects. step() is the whole of it; everything
// that can wait, fail or surprise lives around it (docs/architecture.md).
#pragma once

#include <algorithm>
#include <map>
#include <string_view>

#include "base/prng.hpp"
#include "raft/event.hpp"
#include "raft/founding.hpp"
#include "raft/log.hpp"
#include "raft/output.hpp"
#include "raft/role.hpp"

namespace vesper::raft {

inline constexpr Duration kLeaseWanted = seconds(1);  // leases are asked for, after a lease read

// The cluster's clock runs at most this far beyond the stamp of the oldest entry that is not
// committed. An entry is so decided within this of its stamp (docs/raft.md, "Log time").
inline constexpr Duration kMostUndecided = seconds(1);

struct Config {
  ServerId self;
  Incarnation incarnation;
  std::vector<Voter> initial_voters;  // of the list file; what counts once the log has a Bootstrap
                                      // entry is that entry
  std::uint64_t seed = 0;             // of timeouts, and of the cluster id if this node bootstraps
  Duration election_timeout = milliseconds(150);  // drawn from [this, 2 * this] (§5.6, §9.3)
  Duration heartbeat_interval = milliseconds(50);
  Duration max_lease = kMaxLease;           // at most that; 0: none is asked for
  Duration found_after = seconds(5);        // a majority waits for silent servers before it founds
  std::size_t max_append_bytes = 1u << 20;  // entries in one AppendEntries (or one entry)
  std::size_t max_inflight_bytes = 8u << 20;  // unacknowledged to one follower (or one entry)
  std::size_t max_inflight_messages = 128;    // likewise
  std::size_t bulk_bytes = 64u << 10;         // an AppendEntries above this goes the slow way
  // Kept in memory behind the newest snapshot, for slow followers: at most so many, and so large.
  std::size_t log_tail_entries = 10'000;
  std::size_t log_tail_bytes = 16u << 20;
  // Above this nothing more is kept for followers that a snapshot is bringing forward (S10).
  std::size_t log_kept_bytes = 256u << 20;
  // Of a leader's entries that are not committed, or not on its own disk: no proposal is taken
  // beyond this (or one entry).
  std::size_t max_uncommitted_bytes = 64u << 20;
  std::size_t snapshot_window = 4;  // chunks unacknowledged to one follower
};

// What a restart found on the disk.
struct Durable {
  HardState hard_state;
  Index commit_index;
  std::vector<Entry> entries;  // behind begins().index, contiguous
  WriteNumber last_write;
  LogBase base;
  LogBase kept;       // entries up to here were left on the disk: nobody needs them in memory
  Snapshot snapshot;  // the newest intact one; base.index <= its last_index <= commit_index
  // The log on the disk does not reach the snapshot, or contradicts it: it is given up, and the
  // next Write says so. entries is empty then, base and hard_state are what it will say.
  bool replaces_log = false;

  const LogBase& begins() const { return kept.index > base.index ? kept : base; }
};

// Fast failover and fast start (docs/raft.md).
inline constexpr Duration kFastFailover = milliseconds(15);  // at most, until the first pre-vote
inline constexpr Duration kFastStartMin = milliseconds(10);
inline constexpr Duration kFastStartMax = milliseconds(60);
inline constexpr Duration kFastRound = milliseconds(20);  // first vote round: [this, 2 * this]
inline constexpr Duration kHoldBack = milliseconds(30);   // of one's own, after a granted pre-vote
inline constexpr Duration kAskAgain = milliseconds(10);   // those that refused for the time being

// What an entry may cost on a full disk beyond its bytes, and the least room for a leader's work.
inline constexpr std::uint64_t kRoomPerEntry = 1024;
inline constexpr std::uint64_t kRoomToLead = 64u << 10;

// What a follower needs behind a snapshot is kept for it in the log for so long after it last came
// forward (S10), in election timeouts.
inline constexpr std::int64_t kTransferPatience = 100;

class Raft {
 public:
  Raft(Config config, Durable durable, Instant now);

  // Requires: `now` never falls; Persisted only up to the last Write handed out; Propose only
  // while is_leader(). Appends to `output`, which the caller clears after it has executed it.
  void step(Instant now, Event event, Output& output);

  // Views, for the node around it.
  bool is_leader() const { return std::holds_alternative<Leader>(role_); }
  std::optional<ServerId> leader() const;  // of current_term, as far as this node knows
  Term current_term() const { return hard_state_.current_term; }
  Index commit_index() const { return commit_index_; }
  Index durable_index() const { return durable_index_; }
  const Log& log() const { return log_; }
  const Snapshot& snapshot() const { return snapshot_; }  // the newest stored here
  std::uint64_t transfers_resumed() const { return transfers_resumed_; }
  // What is not to be removed: the newest, and what is on its way to somebody.
  std::vector<Index> snapshots_in_use() const;
  const Configuration& configuration() const { return configuration_; }
  const Role& role() const { return role_; }
  const Config& config() const { return config_; }
  const HardState& hard_state() const { return hard_state_; }
  WriteNumber last_write() const { return last_write_; }
  WriteNumber persisted() const { return persisted_; }
  WriteNumber persisted_hard_state() const { return persisted_hard_state_; }
  // This server leads, and Propose may come: not while leadership is being handed over, nor while
  // its disk is full or writes are blocked.
  bool takes_proposals() const;
  // Bytes of entries that a leader may take before too much is uncommitted, or not on its disk.
  std::size_t proposal_room() const;
  // Of this leader, or of the one that is heard.
  WriteBlock write_block() const;
  DiskHealth disk_health() const;
  // This server, or as far as this leader knows another one, lacks entries that it has
  // acknowledged.
  bool has_regressed(ServerId id) const;
  // A voter under this incarnation, so that its vote and acknowledgements count.
  bool counts(ServerId id, Incarnation incarnation) const;
  // A cluster that some server of the list belongs to, and that is not this server's own.
  std::optional<Id128> cluster_seen() const {
    return founding_.cluster_seen(configuration_.cluster_id);
  }
  const Founding& founding() const { return founding_; }
  PeerState peer_state() const;  // what this server says in handshakes
  // When the current leader was last heard (of a leader: when a majority last was), and the highest
  // commit index that it had told by then (of a leader: what it has to commit to know what is
  // committed). Never: Instant{} and 0.
  Instant leader_heard_at() const;
  Index leader_commit_heard() const;
  // The index that a read must see, while this server holds a lease at `now`.
  std::optional<Index> lease_index(Instant now) const;
  // This server votes for nobody before, itself included.
  Instant promised_until() const { return promised_until_; }
  // Everything that anybody was told before this instant is within commit_index().
  std::optional<Instant> fresh_as_of() const;
  // The cluster's clock: a leader's own, or as a follower extrapolates what its leader said.
  LogTime log_time(Instant now) const;

  // Asserts what must hold after every step (raft/invariants.cpp).
  void check_invariants() const;

 private:
  // raft.cpp: dispatch, terms, writes
  void on_received(Received received);
  void on_message(ServerId from, Incarnation incarnation, Message message);
  void on_persisted(const Persisted& persisted);
  void on_peer_up(const PeerUp& peer);
  void on_peer_said(ServerId id, const std::optional<PeerState>& state);
  void on_peer_gone(ServerId id);
  void on_deadline();
  void on_end_of_turn(Index applied);
  void advance_term(Term term, std::string_view reason);
  void become_follower(std::optional<ServerId> leader);
  void send(ServerId to, Message message, WriteNumber needs, bool bulk = false);
  void append(Entry entry);
  void truncate_from(Index index);
  void recompute_configuration();
  void commit_to(Index index);
  void settle();
  void make_write();
  void set_clock(LogTime time, Instant runs_until);
  void start_clock();
  Instant next_deadline() const;
  WriteNumber pending_write() const { return dirty_ ? last_write_.next() : last_write_; }
  WriteNumber write_of(Index index) const;  // the Write that makes the log up to index durable
  Duration random_election_timeout();
  std::size_t majority() const { return configuration_.majority(); }
  bool self_counts() const { return counts(config_.self, config_.incarnation); }
  static std::string name(Term term);
  static std::string name(ServerId id);

  // snapshots.cpp
  void on_snapshot_stored(const Snapshot& snapshot);
  void adopt_snapshot(const Snapshot& snapshot);
  void install(const Snapshot& snapshot);
  void plan_compaction();
  Index kept_for_followers(Index to);
  void compact_log(Index applied);
  Duration transfer_patience() const { return config_.election_timeout * kTransferPatience; }
  void send_snapshot(ServerId id, Progress& progress);
  void begin_transfer(ServerId id, Progress& progress);
  void on_chunk_read(const ChunkRead& read);
  void on_install_snapshot(ServerId from, InstallSnapshot m);
  void on_install_snapshot_reply(ServerId from, Incarnation incarnation,
                                 const InstallSnapshotReply& m);
  void on_chunk_stored(const ChunkStored& stored);
  void on_receive_failed();
  void send_progress(ServerId to, bool asked);
  void send_done(ServerId to, const Snapshot& snapshot);

  // follower.cpp
  void on_append_entries(ServerId from, AppendEntries m);
  std::optional<Index> take_entries(ServerId from, std::vector<Entry>& entries, Index equal);
  void on_heartbeat(ServerId from, const Heartbeat& m);
  void on_read_index_reply(const ReadIndexReply& m);
  void on_vote_request(ServerId from, const VoteRequest& m);
  VoteRefusal judge_vote(ServerId from, const VoteRequest& m) const;
  VoteRefusal judge_founding_vote(ServerId from, const VoteRequest& m) const;
  bool hear_leader(ServerId from, Index leader_commit, std::optional<LogTime> log_time);
  bool leader_is_fresh() const;
  bool log_up_to_date(Index last_index, Term last_term) const;

  // regress.cpp
  bool lacks_acknowledged(const Heartbeat& m) const;
  bool notice_regress(ServerId from, const Heartbeat& m);
  void on_regressed(ServerId from, Progress& progress);

  // lease.cpp
  void promise(std::uint32_t lease_ms);
  void promise_after_restart();
  bool promised() const { return now_ < promised_until_; }
  bool put_off_by_promise();
  void on_lease_read();
  std::uint32_t lease_to_ask() const;
  Instant lease_until() const;
  // What the heartbeats of one turn have in common.
  struct RoundFacts {
    WriteBlock write_block = WriteBlock::none;
    std::optional<Instant> confirmed;
  };
  RoundFacts round_facts() const { return {write_block(), confirmed_at()}; }
  Heartbeat heartbeat_to(const Progress& progress, const RoundFacts& facts) const;
  void remember_freshness();
  void on_heartbeat_answered(Progress& progress, const HeartbeatReply& m);
  std::optional<Instant> confirmed_at() const;
  void learn_freshness(const Heartbeat& m);
  std::uint64_t stamp() const;

  // candidate.cpp
  void maybe_fast_start();
  void say_who_is_missing();
  std::size_t reached() const;
  void campaign();  // a pre-vote round, then an election
  void become_candidate(bool transfer);
  void on_vote_reply(ServerId from, Incarnation incarnation, const VoteReply& m);
  void ask_votes(bool pre_vote);
  void ask_again(AskAgain& again, ServerId voter);
  void count_votes();

  // transfer.cpp
  void on_disk_space(const DiskSpace& space);
  bool has_room(std::size_t bytes);
  bool out_of_room() const {
    return disk_space_.full && disk_space_.room < std::max(room_wanted_, kRoomPerEntry + 1);
  }
  bool is_fit(const Voter& voter) const;
  void on_transfer_leadership(const TransferLeadership& transfer);
  Instant leases_over_at() const;
  void maybe_send_timeout_now();
  void review_hand_over();
  void on_timeout_now(ServerId from);
  void take_over();

  // leader.cpp
  void become_leader();
  Progress* progress_of(ServerId id, Incarnation incarnation);
  void acknowledge(Progress& progress, Index match_index);
  void on_propose(Propose propose);
  void on_append_reply(ServerId from, Incarnation incarnation, const AppendReply& m);
  void on_heartbeat_reply(ServerId from, Incarnation incarnation, const HeartbeatReply& m);
  void on_read_index_request(ServerId from, const ReadIndexRequest& m);
  void on_read_index(const ReadIndex& read);
  void register_voters();
  bool answered_lately(ServerId id) const;
  void replicate_to(ServerId id, Progress& progress);
  void send_append(ServerId id, Progress& progress);
  void send_heartbeats(Heartbeats which);
  void send_heartbeat(ServerId id, Progress& progress, const RoundFacts& facts);
  void repeat_round(ServerId id, Progress& progress);
  void advance_commit();
  void check_quorum();
  void maybe_start_read_round();
  void maybe_finish_read_round();
  void ask_stalled();
  void ask_arrival(ServerId id, Progress& progress);
  void leader_deadline();
  void leader_end_of_turn();

  Config config_;
  Prng prng_;
  HardState hard_state_;
  Log log_;
  Role role_;
  Configuration configuration_;  // of the last Bootstrap and registrations in the log, committed or
                                 // not (§6: a server uses the latest configuration in its log)
  Index commit_index_;           // never falls; <= log_.last_index()
  Index proven_index_;  // equals the current leader's log up to here (L4); >= commit_index_

  // Durability, in write numbers: an index that is rewritten while its first write is under way
  // would count as durable too early (L14).
  struct Outstanding {
    WriteNumber number;
    Index last_index;  // of the log after this write; lowered by a later truncation
    Instant handed_out_at;
  };
  std::vector<Outstanding> outstanding_;  // handed out, not Persisted, in order
  WriteNumber last_write_;                // handed out last
  WriteNumber persisted_;
  WriteNumber persisted_hard_state_;  // >= persisted_
  Instant persisted_at_;              // when persisted_ rose last
  Index durable_index_;               // the log up to here is on this disk
  WriteNumber term_write_;            // makes current_term (and voted_for) durable
  bool dirty_ = false;                // something waits for the next Write
  Index write_from_;                  // first entry that the next Write must carry

  Snapshot snapshot_;  // the newest stored here
  LogBase disk_base_;  // where the log on the disk begins; <= snapshot_.last_index
  Index compact_to_;   // the log in memory may go up to here
  struct Receiving {
    Snapshot snapshot;
    Term term;                 // of the leader that asked for it last
    std::uint64_t next = 0;    // chunk expected from the leader
    std::uint64_t stored = 0;  // chunks that are durable; <= next
  };
  std::optional<Receiving> receiving_;
  std::uint64_t transfers_resumed_ = 0;  // by this leader, behind what the follower had

  // What is known of peers and of the leader, whatever the role.
  struct Peer {
    bool up = false;
    Incarnation incarnation;
    Instant heard_at;  // when it last proved that it lives, under this incarnation
  };
  std::map<ServerId, Peer> peers_;
  Founding founding_;
  std::int64_t founding_said_ = -1;  // seconds left, as the log line said last; -1: none was said
  bool ever_heard_leader_ = false;
  Instant leader_heard_at_;  // valid when ever_heard_leader_
  Index leader_commit_heard_;
  Duration round_base_;  // a vote round lasts [this, 2 * this]; doubles up to the normal timeout
  WriteBlock leaders_write_block_ = WriteBlock::none;
  bool regressed_ =
      false;  // this disk lacks entries that were acknowledged; until the process ends
  DiskSpace disk_space_;
  std::uint64_t room_wanted_ = 0;  // by the leader's next entry, which did not fit; 0: by none
  bool leader_gone_ = false;  // its process is known to be gone: stickiness no longer protects it
  LogTime time_base_;         // the cluster's clock at time_base_at_
  Instant time_base_at_;
  Instant time_runs_until_;  // by then nothing has shown that anything could be decided

  // Leases, and how fresh what is committed here is known to be (lease.cpp).
  Instant promised_until_;
  Instant started_at_;
  std::uint64_t stamp_base_ = 0;
  std::optional<Instant> fresh_as_of_;
  struct Awaited {
    Index index;  // once this is committed here ...
    Instant as_of;
  };
  std::optional<Awaited> awaited_;  // ... the state is that fresh

  Instant now_;
  Output* output_ = nullptr;  // of the step under way
};

}  // namespace vesper::raft
