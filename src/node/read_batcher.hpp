// Combines many reads into one ReadIndex: while one batch waits for the leader's reply, the next
// one collects reads. This limits a server to one ReadIndex request in flight. Raft batches again
// across servers (raft/leader.cpp), which limits the leader's heartbeat rounds. The reads
// themselves wait in ClientQueues.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "node/ports.hpp"
#include "raft/event.hpp"

namespace vesper::node {

class ReadBatcher {
 public:
  // ReadIndex ids continue after `last_id`. K4: the caller ensures that no other process of this
  // server uses the same ids.
  explicit ReadBatcher(std::uint64_t last_id) : asked_id_(last_id) {}

  // Adds a read of the connection to the open batch. Returns the batch number, which is at least 1.
  std::uint64_t join(std::uint64_t connection, ReadLevel level);
  // The number of the open batch. Every earlier batch has been asked for.
  std::uint64_t gathering() const { return gathering_; }
  // True if no connection waits for an index, so ask() has nothing to ask.
  bool is_idle() const {
    return !asking_ && gathering_connections_.empty() && asking_connections_.empty();
  }
  // True if the open batch has reads and no request is in flight.
  bool has_question() const { return !asking_ && !gathering_connections_.empty(); }

  // Returns the next ReadIndex for Raft, if one is due. K6: a request becomes void when the term or
  // the leader changes, and is repeated if no reply arrives within `patience`. Both cases use a new
  // id.
  std::optional<raft::ReadIndex> ask(raft::Term term, std::optional<raft::ServerId> leader,
                                     Instant now, Duration patience);
  // Returns the connections with reads that this reply covers; none if the request is no longer
  // open.
  std::vector<std::uint64_t> answered(std::uint64_t id);
  // When to repeat the request; kNever if none is in flight.
  Instant deadline() const { return asking_ ? ask_again_at_ : kNever; }

  // No read waits any more; forgets all connections.
  void forget_reads();
  // Forgets duplicates and the connections for which `is_gone(connection)` holds. Without a leader,
  // the lists would otherwise grow with every read that expires.
  template <typename IsGone>
  void tidy(IsGone&& is_gone) {
    for (auto* connections : {&gathering_connections_, &asking_connections_}) {
      std::sort(connections->begin(), connections->end());
      connections->erase(std::unique(connections->begin(), connections->end()), connections->end());
      std::erase_if(*connections, is_gone);
    }
  }

 private:
  std::uint64_t gathering_ = 1;
  std::vector<std::uint64_t> gathering_connections_;
  // Some read of the open batch does not accept a leader lease.
  bool gathering_needs_round_ = false;
  std::vector<std::uint64_t> asking_connections_;  // of batch `gathering_ - 1` or older
  std::uint64_t asked_id_;                         // id of the last ReadIndex; never reused
  bool asking_ = false;
  raft::Term asked_term_;
  std::optional<raft::ServerId> asked_leader_;
  Instant ask_again_at_ = kNever;
};

}  // namespace vesper::node
