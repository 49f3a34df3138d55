// The traces of all nodes as this node's clients see them: asks the other nodes while somebody
// watches, puts their events on this node's clock, notices which of them are silent, and lets each
// viewer read at its own pace.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "node/ports.hpp"
#include "node/trace_ring.hpp"
#include "raft/raft.hpp"

namespace vesper::node {

class TraceFeed;

// One client that watches.
class TraceViewer {
 public:
  // Made by TraceFeed::open(). `feed` must outlive the viewer.
  TraceViewer(TraceFeed& feed, const Ticket& ticket);
  ~TraceViewer();
  TraceViewer(const TraceViewer&) = delete;
  TraceViewer& operator=(const TraceViewer&) = delete;

  // The next event. Of each node, a state or its silence comes first. Nothing: there is none now,
  // and Clients::wake() comes when there may be.
  std::optional<TraceItem> next();

 private:
  friend class TraceFeed;

  TraceFeed& feed_;
  const Ticket ticket_;
  std::uint64_t place_;
  std::set<raft::NodeId> begun_;  // the nodes whose state this viewer knows
  std::list<TraceViewer*>::iterator listed_;
};

class TraceFeed {
 public:
  static constexpr std::size_t kMaxViewers = 16;
  static constexpr Duration kAskAgain = seconds(1);
  // A node that has said nothing for longer than this is silent. With kBatch, a viewer learns of it
  // within 300 ms.
  static constexpr Duration kSilence = milliseconds(225);
  // Viewers are woken this often: for what is new, or to show that this node lives.
  static constexpr Duration kWake = milliseconds(50);

  TraceFeed() = default;
  TraceFeed(const TraceFeed&) = delete;
  TraceFeed& operator=(const TraceFeed&) = delete;
  ~TraceFeed();

  // Null: there are as many viewers as are allowed.
  std::unique_ptr<TraceViewer> open(const Ticket& ticket);
  bool is_idle() const { return viewers_.empty(); }
  // True if a viewer waits for a turn.
  bool has_question() const {
    return !viewers_.empty() && states_wanted_ && states_asked_at_ == Instant{};
  }

  // The last viewer has left.
  void clear();
  // An event of this node.
  void add_own(raft::NodeId self, TimedTraceEvent event);
  // What comes next from a node begins with a state again, if anything comes.
  void interrupt(raft::NodeId node, Instant at);
  // Takes a batch of events from a peer. Ignores it if there is no viewer, or if this node did not
  // ask the peer.
  void on_heard(raft::ServerId from, TraceHeard&& heard, Instant now);
  // Call at the end of a turn, at least each TraceAskers::kBatch. Returns true if this node's own
  // state is wanted, too.
  bool end_turn(const raft::Raft& raft, Transport& transport, Clients& clients, Instant now);

 private:
  friend class TraceViewer;
  static constexpr Duration kStatesAgain = milliseconds(250);
  static constexpr Duration kOffsetLasts = seconds(30);

  struct Peer {
    raft::NodeId node;
    Instant asked_at;
    Instant heard_at;
    bool wants_state = true;
    bool is_silent = false;
    std::optional<std::uint64_t> next;  // TraceHeard::before of its next batch if none is lost
    // Of the newest process there: how far its clock is ahead of this node's, measured by the round
    // trip that took the least time.
    raft::BootId boot;
    Duration ahead;
    Duration round_trip;
    Instant measured_at;
  };

  void follow(const raft::Raft& raft, Instant now);
  void interrupt_server(raft::ServerId id, raft::NodeId node, Instant at);
  void want_states() { states_wanted_ = true; }

  raft::NodeId self_;
  TraceRing<TraceItem> events_;
  std::list<TraceViewer*> viewers_;
  std::map<raft::ServerId, Peer> peers_;  // while somebody watches
  bool states_wanted_ = false;
  Instant states_asked_at_;  // Instant{}: not for these viewers
  Instant woken_at_;
};

}  // namespace vesper::node
