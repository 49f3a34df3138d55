#include "node/trace_askers.hpp"

#include <algorithm>
#include <utility>

namespace vesper::node {

bool TraceAskers::on_asked(raft::ServerId from, const TraceAsked& asked, std::uint64_t end,
                           Instant now) {
  const auto [at, is_new] = askers_.try_emplace(from);
  if (is_new) at->second.place = end;
  at->second.clock = asked.clock;
  at->second.asked_at = now;
  return is_new || asked.wants_state;
}

void TraceAskers::send(const TraceRing<TimedTraceEvent>& events, Transport& transport,
                       Instant now) {
  std::erase_if(askers_, [&](const auto& each) { return now - each.second.asked_at > kPatience; });
  for (auto& [id, asker] : askers_) {
    if (now - asker.sent_at < kBatch) continue;
    if (!transport.has_room(id, raft::Channel::bulk)) continue;
    asker.place = std::max(asker.place, events.begin());
    TraceHeard batch{boot_, asker.clock, now - asker.asked_at, now, asker.place, {}};
    for (std::size_t cost = 0; asker.place < events.end() && cost < kMaxBatch; ++asker.place) {
      batch.events.push_back(events.at(asker.place));
      cost += cost_of(batch.events.back().event);
    }
    asker.sent_at = now;
    transport.send(id, PeerMessage{std::move(batch)}, raft::Channel::bulk);
  }
}

}  // namespace vesper::node
