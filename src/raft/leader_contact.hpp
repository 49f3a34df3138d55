// What a server remembers of the leader that it has heard.
#pragma once

#include <algorithm>

#include "raft/message.hpp"

namespace vesper::raft {

class LeaderContact {
 public:
  // A message of the current term's leader has come. `commit`: the commit index that it told.
  void heard(Instant now, Index commit) {
    ever_ = true;
    gone_ = false;
    heard_at_ = now;
    learn_commit(commit);
  }
  void learn_commit(Index commit) { commit_ = std::max(commit_, commit); }
  // This server leads now.
  void is_self() {
    ever_ = true;
    gone_ = false;
  }
  // The leader's process is known to be gone: it no longer protects its term from elections.
  void lost() { gone_ = true; }

  bool ever() const { return ever_; }  // since the start of this process
  // Thesis 4.2.3: within the minimum election timeout of hearing a leader a server grants no vote.
  bool is_fresh(Instant now, Duration election_timeout) const {
    return ever_ && !gone_ && now - heard_at_ < election_timeout;
  }
  Instant heard_at() const { return heard_at_; }  // Instant{}: never
  Index commit() const { return commit_; }        // the highest that a leader told

  // Whether the leader takes writes, as it said with its last heartbeat.
  WriteBlock write_block = WriteBlock::none;

 private:
  bool ever_ = false;
  bool gone_ = false;
  Instant heard_at_;
  Index commit_;
};

}  // namespace vesper::raft
