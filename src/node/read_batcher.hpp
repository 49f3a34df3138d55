// One ReadIndex for many reads: while one batch waits for the leader's answer, the next one
// gathers. Raft batches again what arrives from all servers (raft/read_index): this part bounds the
// messages of one server to one question in flight, that part bounds the heartbeat rounds of the
// leader. The reads themselves wait in ClientQueues.
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
  // Ids of ReadIndex count on from `last_id`. K4: the caller makes sure that no other process of
  // this server uses them.
  explicit ReadBatcher(std::uint64_t last_id) : asked_id_(last_id) {}

  // A read of the connection joins the batch that gathers. Returns the batch's number, 1 at least.
  std::uint64_t join(std::uint64_t connection, ReadLevel level);
  // The batch that gathers: those before it have been asked for.
  std::uint64_t gathering() const { return gathering_; }
  // ask() has no question, at any time.
  bool is_idle() const {
    return !asking_ && gathering_connections_.empty() && asking_connections_.empty();
  }
  // A batch has gathered and no other one is in the way.
  bool has_question() const { return !asking_ && !gathering_connections_.empty(); }

  // The next question to Raft, if there is one to ask. K6: a question is void under another term or
  // leader; one without an answer is asked again after `patience`. Both get a new id.
  std::optional<raft::ReadIndex> ask(raft::Term term, std::optional<raft::ServerId> leader,
                                     Instant now, Duration patience);
  // Connections with reads that the answer is for; none if it answers no open question.
  std::vector<std::uint64_t> answered(std::uint64_t id);
  // When to ask again; kNever while no question is open.
  Instant deadline() const { return asking_ ? ask_again_at_ : kNever; }

  // No read waits any more.
  void forget_reads();
  // Forgets connections for which `is_gone(connection)` holds, and duplicates. Without a leader
  // they would grow with every read that came and expired.
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
  bool gathering_needs_round_ = false;             // a read of it does not accept a leader lease
  std::vector<std::uint64_t> asking_connections_;  // of batch `gathering_ - 1` or older
  std::uint64_t asked_id_;                         // of the last ReadIndex; never reused
  bool asking_ = false;
  raft::Term asked_term_;
  std::optional<raft::ServerId> asked_leader_;
  Instant ask_again_at_ = kNever;
};

}  // namespace vesper::node
