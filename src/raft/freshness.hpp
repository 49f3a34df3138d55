// An upper bound on the age of this server's state, for reads that ask no other server (stale
// reads). A follower stamps its replies to heartbeats. The leader echoes the stamp, and adds how
// long before it knew that no later leader existed. The argument is in docs/raft.md, "Stale reads".
#pragma once

#include <cstdint>
#include <optional>

#include "raft/message.hpp"

namespace vesper::raft {

class Freshness {
 public:
  // `seed` must differ between the processes of one server, so that this process rejects the echo
  // of an earlier one.
  Freshness(std::uint64_t seed, Instant now);

  // The stamp for a heartbeat reply: the time since this process started, in ns, plus a random
  // base.
  std::uint64_t stamp(Instant now) const;
  // Called for each heartbeat. `committed`: this server's commit index after the heartbeat.
  void learn(const Heartbeat& m, Index committed, Instant now);
  // Called when a leader steps down. What it knew remains true.
  void remember(std::optional<Instant> as_of) { as_of_ = as_of; }

  // Everything that was acknowledged to any client before this instant is at or below `committed`.
  // Nothing: unknown.
  std::optional<Instant> as_of(Index committed) const;

 private:
  struct Awaited {
    Index index;  // once this index is committed here,
    Instant as_of;
  };

  std::uint64_t base_;
  Instant started_at_;
  std::optional<Instant> as_of_;
  std::optional<Awaited> awaited_;  // ... the state is as fresh as `as_of`
};

}  // namespace vesper::raft
