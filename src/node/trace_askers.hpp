// The other nodes that watch this one because somebody watches there (TraceAsked). Each gets what
// is new in batches. A node that stops asking is forgotten.
#pragma once

#include <map>

#include "node/ports.hpp"
#include "node/trace_ring.hpp"

namespace vesper::node {

class TraceAskers {
 public:
  static constexpr Duration kPatience = seconds(3);  // after the last TraceAsked
  // An asker hears something this often, also if nothing is new, so that it notices when this node
  // is gone.
  static constexpr Duration kBatch = milliseconds(50);
  static constexpr std::size_t kMaxBatch = 48u << 10;  // bytes, estimated by cost_of()

  explicit TraceAskers(raft::BootId boot) : boot_(boot) {}

  bool empty() const { return askers_.empty(); }
  // Returns true if the asker needs the whole state. `end`: the end of the ring.
  bool on_asked(raft::ServerId from, const TraceAsked& asked, std::uint64_t end, Instant now);
  // Sends what is due. A peer without room gets its events later, or misses some: then `before` of
  // its next batch says how many, and it asks for the whole state.
  void send(const TraceRing<TimedTraceEvent>& events, Transport& transport, Instant now);

 private:
  struct Asker {
    Instant clock;     // of the asker, in its newest question
    Instant asked_at;  // when that came
    Instant sent_at;
    std::uint64_t place = 0;  // of the next event for it
  };

  const raft::BootId boot_;
  std::map<raft::ServerId, Asker> askers_;
};

}  // namespace vesper::node
