// Decides whether a server with an empty log may found a cluster, or vote for a server that would.
// No accident may create a second cluster while the first one lives: a lost disk, a wrong
// directory, a list that grew. The argument is in docs/raft.md, "Founding a cluster".
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
  // waits for the servers that have reported nothing. `now`: the start of this process.
  Founding(ServerId self, std::vector<Member> listed, Duration patience, Instant now);

  // A peer has reported its state. Without `state` the peer is still reading its log.
  void on_said(ServerId id, const std::optional<PeerState>& state, Instant now);
  // A server has sent a message that shows that its log is not empty, though that server knows no
  // cluster yet.
  void on_sign_of_a_log(ServerId id, Instant now);
  void on_connected(ServerId id, Instant now);
  // The peer's process is known to be gone. Its report is discarded, because a report is valid only
  // while the process lives.
  void on_gone(ServerId id, Instant now);

  // The first cluster other than `own` that a server of the list has named. It is kept until this
  // process ends.
  std::optional<Id128> cluster_seen(Id128 own) const;
  // Why this server, which has no log, refuses the vote that `from` requests, if it does. `own`:
  // this server's hard state.
  VoteRefusal judge_vote(ServerId from, const VoteRequest& m, const HardState& own,
                         Instant now) const;
  // True if the process of every other server has reported an empty log, or if a majority has been
  // reachable for `patience` and the others have reported nothing. False once any cluster was seen.
  bool is_allowed(Instant now) const;
  // True if every other server has reported an empty log, and no cluster was seen.
  bool is_unanimous() const;
  // A connected server that has a log. While there is one, no cluster is founded.
  std::optional<ServerId> holder() const;
  // When the wait of a reachable majority ends. kNever: founding does not wait for a time.
  Instant waits_until() const;
  // The servers that have not reported an empty log, in id order.
  std::vector<ServerId> missing() const;
  // New log lines about what founding waits for: a server with a log, or, once a second, the silent
  // servers and the time left. Repeats no line.
  std::vector<std::string> news(Instant now);

 private:
  struct Other {
    bool reachable = false;
    // Its latest report. Both are false once its process is known to be gone.
    bool empty = false, has_log = false;
  };

  // True if this server may vote for a candidate of this cluster: it has seen no other cluster.
  bool may_join(Id128 cluster) const;
  bool majority_is_there() const;
  void see(Id128 cluster);
  void review_majority(Instant now);
  void wait_again(Other& other, Instant now);

  const Duration patience_;
  const std::vector<Member> listed_;
  std::map<ServerId, Other> others_;
  std::vector<Id128> seen_;  // at most two: enough for one to differ from any `own` cluster
  // This server may have lost its disk after voting in this term or in an earlier one. In those
  // terms it does not vote to found a cluster.
  Term term_floor_;
  // Start of the wait: since then a majority is reachable, and no server has shown a log.
  Instant waits_since_ = kNever;
  // seconds left in the last line of news(); 0: it named a holder; -1: no line yet
  std::int64_t said_ = -1;
};

}  // namespace vesper::raft
