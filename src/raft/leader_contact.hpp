// What a server knows of the current leader: when it last heard from it, and which commit index the
// leader reported.
#pragma once

#include <algorithm>

#include "raft/message.hpp"

namespace vesper::raft {

// What Raft::leader_heard() returns. On a leader: when it last heard from a majority, and the index
// that it has to commit before it knows what is committed. On every other server: when it last
// heard from a leader, or from a majority while it led itself, and the highest commit index that a
// leader has reported.
struct LeaderHeard {
  Instant at;    // Instant{}: never
  Index commit;  // 0: none
};

class LeaderContact {
 public:
  // A message of the current term's leader has arrived. `commit`: the commit index in that message.
  void heard(Instant now, Index commit) {
    ever_ = true;
    gone_ = false;
    heard_at_ = now;
    learn_commit(commit);
  }
  void learn_commit(Index commit) { commit_ = std::max(commit_, commit); }
  // This server has become the leader.
  void is_self() {
    ever_ = true;
    gone_ = false;
  }
  // This server leads no more. As the leader, it last heard from a majority at `at`.
  void was_self(Instant at) { led_at_ = std::max(led_at_, at); }
  // The leader's process is known to be gone. Its last contact no longer prevents elections.
  void lost() { gone_ = true; }

  bool ever() const { return ever_; }  // heard a leader, or led, since this process started
  // Thesis 4.2.3: a server that has heard from a leader within the minimum election timeout grants
  // no vote. Its own leadership is no such leader once it has ended.
  bool is_fresh(Instant now, Duration election_timeout) const {
    return ever_ && !gone_ && now - heard_at_ < election_timeout;
  }
  // The commit index is the highest that any leader reported.
  LeaderHeard heard() const { return {std::max(heard_at_, led_at_), commit_}; }

  // Whether the leader takes writes, as of its last heartbeat.
  WriteBlock write_block = WriteBlock::none;

 private:
  bool ever_ = false;
  bool gone_ = false;
  Instant heard_at_;
  Instant led_at_;
  Index commit_;
};

}  // namespace vesper::raft
