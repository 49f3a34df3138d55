// How old the state of this server is at most, for reads that ask no other server (stale reads). A
// follower stamps its answers to heartbeats; the leader echoes the stamp and says how long before
// it knew that no later leader existed. docs/raft.md, "Stale reads", has the argument.
#pragma once

#include <cstdint>
#include <optional>

#include "raft/message.hpp"

namespace vesper::raft {

class Freshness {
 public:
  // `seed`: differs between the processes of one server, so that the echo of an earlier process is
  // not taken for one of this process.
  Freshness(std::uint64_t seed, Instant now);

  // Goes into an answer to a heartbeat: this server's clock since its start, above a random base.
  std::uint64_t stamp(Instant now) const;
  // A heartbeat has come; `committed` is this server's commit index by now.
  void learn(const Heartbeat& m, Index committed, Instant now);
  // A leader steps down: what it knew stays true.
  void remember(std::optional<Instant> as_of) { as_of_ = as_of; }

  // Everything that anybody was told before this instant is within `committed`. Nothing: unknown.
  std::optional<Instant> as_of(Index committed) const;

 private:
  struct Awaited {
    Index index;  // once this is committed here ...
    Instant as_of;
  };

  std::uint64_t base_;
  Instant started_at_;
  std::optional<Instant> as_of_;
  std::optional<Awaited> awaited_;  // ... the state is that fresh
};

}  // namespace vesper::raft
