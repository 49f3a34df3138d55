// Compares the digests of all nodes while they run. Once a second, if the log has grown, the leader
// names an index, and every node that applies exactly that entry reports its digest after it. A
// node that differs from a majority has a state that cannot be trusted: it takes itself out of
// service. Its vote and its log go on, because consensus does not depend on the store.
#pragma once

#include <map>
#include <optional>

#include "base/ids.hpp"
#include "base/time.hpp"
#include "node/ports.hpp"
#include "raft/types.hpp"

namespace vesper::node {

// This node's digest after the entry at `index` differs from the one that a majority has.
struct Divergence {
  raft::Index index;
  Id128 own, majority;
};

class SelfCheck {
 public:
  explicit SelfCheck(raft::ServerId self) : self_(self) {}
  // This server's number, which it may learn or lose while it runs.
  void set_self(raft::ServerId self) { self_ = self; }

  // ---- on a leader

  // Whether a round may be due. Called in every turn.
  bool is_due(raft::Term term, Instant now) const { return now >= ask_at_ || term != term_; }
  // Ends the last round and begins a new one, if one is due. The question goes to all peers.
  std::optional<DigestAsked> ask(raft::Term term, const raft::Configuration& configuration,
                                 raft::Index last_index, Instant now);
  void on_reply(raft::ServerId from, const DigestReply& reply);

  // ---- on every node, the leader included

  // The leader of the current term asks. If the node has applied exactly this entry, the caller
  // calls on_awaited() at once.
  void on_asked(raft::ServerId leader, const DigestAsked& asked);
  // The index that the node is asked for; 0: none.
  raft::Index awaited() const { return awaited_; }
  // The awaited entry was applied. Returns the reply for the leader, or nothing if this node leads.
  std::optional<DigestReply> on_awaited(Id128 digest);
  raft::ServerId asked_by() const { return asked_by_; }

  // Set once a majority is known to have another digest, until the process ends.
  const std::optional<Divergence>& divergence() const { return divergence_; }
  // True once if the last round of this leader found no digest that a majority shares.
  bool take_split() { return std::exchange(split_, false); }

 private:
  void end_round(const raft::Configuration& configuration);
  void judge(const DigestAsked::Verdict& verdict);

  raft::ServerId self_;

  raft::Term term_;                              // of this leader's rounds
  raft::Index round_;                            // the index of the last round; 0: none
  std::map<raft::ServerId, Id128> digests_;      // reported in that round
  std::optional<DigestAsked::Verdict> verdict_;  // of the round before
  bool complete_ = false;                        // every voter has reported the same
  bool split_ = false;
  Instant ask_at_{};

  raft::ServerId asked_by_;
  raft::Term asked_term_;
  raft::Index awaited_;
  raft::Index own_index_;  // own_ is this node's digest after this entry
  Id128 own_;
  std::optional<Divergence> divergence_;
};

}  // namespace vesper::node
