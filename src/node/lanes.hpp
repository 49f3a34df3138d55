// Requests of one connection take effect in order: writes are proposed one behind the other
// without waiting; a read is evaluated when every write before it has ended; a write behind a read
// waits until that was evaluated. A lane is one connection's line.
#pragma once

#include <deque>
#include <map>
#include <variant>

#include "node/ports.hpp"

namespace vesper::node {

struct WaitingRead {
  ClientRead request;
  std::uint64_t batch = 0;           // of the ReadIndex that it belongs to; 0: of none
  std::optional<raft::Index> index;  // what must be applied before it; nothing: not known yet
};

struct Lane {
  std::size_t open_writes = 0;  // taken, not ended; all of them before what is in `line`
  std::deque<std::variant<WaitingRead, ClientWrite>> line;
  std::uint64_t awaits = 0;  // the revision that its first read waits for; 0: none
};

// In connection order, so that every run does the same.
using Lanes = std::map<std::uint64_t, Lane>;

// One ReadIndex for many reads: one batch asks while the next one gathers.
struct ReadBatches {
  std::uint64_t gathering = 1;  // the batch that new reads join
  std::vector<std::uint64_t> gathering_lanes;
  bool gathering_rounds = false;            // one of them wants a round, whatever lease there is
  std::vector<std::uint64_t> asking_lanes;  // whose batch is `gathering - 1` or older
  std::uint64_t asked_id = 0;               // of the last ReadIndex; never reused
  bool asking = false;
  raft::Term asked_term;
  std::optional<raft::ServerId> asked_leader;
  Instant ask_again_at = kNever;
};

}  // namespace vesper::node
