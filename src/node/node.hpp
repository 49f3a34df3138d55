// THE ACTOR: joins Raft, the store and the WAL. Callbacks post; turn() drains the mailbox once per
// turn of the loop, steps, and executes what came out, in order. Nothing in here blocks, locks or
// reads a clock.
#pragma once

#include <array>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "kv/store.hpp"
#include "node/forwarding.hpp"
#include "node/lanes.hpp"
#include "node/ports.hpp"
#include "raft/raft.hpp"
#include "storage/wal.hpp"

namespace vesper::node {

struct Limits {
  std::size_t inflight_bytes = 64u << 20;   // of clients' writes taken and not yet answered
  std::size_t inflight_requests = 100'000;  // of clients, writes and reads
  std::size_t forward_window = 8u << 20;    // bytes forwarded and not yet decided (or one write)
  std::size_t unsynced_bytes = 32u << 20;   // queued for the disk; above: peers are not read
};

// What /status, /readyz and /metrics show. This node's own view.
struct Status {
  std::string_view role;  // leader follower candidate learner
  raft::Term term;
  std::optional<raft::ServerId> leader;
  raft::Index last_index, commit_index, applied_index;
  std::uint64_t revision = 0;
  Id128 digest;
  Id128 cluster_id;  // none before the Bootstrap entry is committed
  bool leader_fresh = false;   // heard a leader within an election timeout
  bool caught_up = false;      // applied what that leader had then committed
  std::uint64_t log_entries = 0, log_bytes = 0;
  std::size_t keys = 0;
  std::uint64_t store_bytes = 0;
  std::size_t inflight_requests = 0, inflight_bytes = 0;
};

struct Counters {
  std::uint64_t leader_changes = 0;    // leaders seen in office here, self included
  std::uint64_t elections_started = 0; // campaigns of this node, pre-votes included
  std::uint64_t turns = 0, posts = 0;
  std::uint64_t entries_applied = 0;
  std::uint64_t writes_proposed = 0, writes_forwarded = 0, writes_retried = 0;
  std::uint64_t read_rounds = 0, reads = 0;
  std::uint64_t writes_unknown = 0;
  // Entries in one Write to the disk: buckets of at most 1, 2, 4, ... 512, and more.
  std::array<std::uint64_t, 11> batch_buckets{};
  std::uint64_t batch_sum = 0, batch_count = 0;
};

class Node {
 public:
  Node(raft::Config config, raft::BootId boot, Limits limits, storage::Wal& wal,
       raft::Durable durable, Transport& transport, Clients& clients, Instant now);

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
  const Counters& counters() const { return counters_; }
  const raft::Raft& raft() const { return raft_; }
  const kv::Store& store() const { return store_; }

  // May this peer, as its handshake names it, speak to Raft? Nothing, or why not.
  std::optional<std::string> refuse_peer(raft::ServerId id, raft::Incarnation incarnation,
                                         Id128 cluster_id) const;

 private:
  Result<void> handle(Post post);
  Result<void> step(raft::Event event);
  Result<void> flush();
  Result<void> apply(raft::Index first, raft::Index last);
  void on_peer_message(FromPeer from);

  const Limits limits_;
  const raft::BootId boot_;
  storage::Wal& wal_;
  Transport& transport_;
  Clients& clients_;
  raft::Raft raft_;
  kv::Store store_;
  std::vector<Post> mailbox_, draining_;
  raft::Output output_;
};

}  // namespace vesper::node
