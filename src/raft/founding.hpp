// Whether a server with an empty log may found a cluster, or vote for a server that would. A second
// cluster beside a living one must be impossible by accident: a lost disk, a wrong directory, a
// list that grew. The argument is in docs/raft.md, "Founding a cluster".
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "raft/event.hpp"

namespace vesper::raft {

class Founding {
 public:
  // `listed`: the servers of this server's list, itself included. `patience`: how long a majority
  // waits for the servers that have said nothing. `now`: of the start of this process.
  Founding(ServerId self, std::vector<Voter> listed, Duration patience, Instant now);

  // A peer has said what it holds. Nothing: it is still reading its log.
  void on_said(ServerId id, const std::optional<PeerState>& state, Instant now);
  // A server whose log is not empty, though it knows no cluster yet, has sent a message.
  void on_sign_of_a_log(ServerId id, Instant now);
  // A connection to the peer stands.
  void on_connected(ServerId id, Instant now);
  // The peer's process is known to be gone. What it has said holds no longer than the process.
  void on_gone(ServerId id, Instant now);

  // The first cluster other than `own` that a server of the list has named. It stays for the life
  // of the process.
  std::optional<Id128> cluster_seen(Id128 own) const;
  // A server without a log may vote for a candidate of this cluster: no other one was seen.
  bool may_join(Id128 cluster) const;
  // True when the process of every other server has said that its log is empty, or when a majority
  // has been there for the patience and the others have said nothing. Never after a cluster was
  // seen.
  bool is_allowed(Instant now) const;
  // True when every other server has said that its log is empty, and no cluster was seen.
  bool is_unanimous() const;
  // A connected server whose log is not empty: no cluster is founded beside it.
  std::optional<ServerId> holder() const;
  // While a majority is there and founding waits: until when. kNever: it does not wait for a time.
  Instant waits_until() const;
  // In id order: the servers that have not said that their log is empty.
  std::vector<ServerId> missing() const;
  // Log lines about what founding waits for: a server with a log, or, once a second, the silent
  // ones and how long they are waited for. Nothing that was said already.
  std::vector<std::string> news(Instant now);
  // A server that lost its disk may have voted in this term or in an earlier one: it does not vote
  // to found in them.
  Term term_floor() const { return term_floor_; }

 private:
  struct Other {
    bool reachable = false;
    // What it showed last; neither once its process is known to be gone.
    bool empty = false, has_log = false;
  };

  bool majority_is_there() const;
  void see(Id128 cluster);
  void review_majority(Instant now);
  void wait_again(Other& other, Instant now);

  const Duration patience_;
  const std::vector<Voter> listed_;
  std::map<ServerId, Other> others_;
  std::vector<Id128> seen_;  // at most two, so that one differs from any cluster of its own
  Term term_floor_;
  // Since when the wait counts: a majority is there, and no server has shown a log since.
  Instant waits_since_ = kNever;
  std::int64_t said_ = -1;  // seconds left, as news() said last; 0: a holder; -1: nothing yet
};

}  // namespace vesper::raft
