// Damages the newest snapshot while its server is down; the one before it has to be enough.
#include <algorithm>

#include "sim/world.hpp"
#include "storage/snapshot_format.hpp"

namespace vesper::sim {

// If acknowledged state is only in the newest snapshot, the server refuses to start, and the damage
// is undone here. Otherwise it starts from the snapshot before.
Result<node::RecoveredNode> World::recover(Host& h) {
  const auto once = [&] {
    return node::recover(h, h.id, raft::Incarnation(hosts_random_.next() | 1), plan_.wal,
                         plan_.raft.log_tail_entries, plan_.max_idempotency_keys);
  };
  if (!faulty_ || !plan_.has(FaultKind::ioerror) || h.failing || !one_in(faults_, 8)) return once();
  std::vector<std::pair<raft::Index, std::string>> snapshots;
  const auto files = h.disk.list();
  for (const std::string& file : files.value())
    if (const auto index = storage::parse_snapshot_name(file)) snapshots.emplace_back(*index, file);
  if (snapshots.size() < 2) return once();
  const auto [index, newest] = *std::max_element(snapshots.begin(), snapshots.end());
  const auto size = static_cast<std::int64_t>(h.disk.content(newest).size());
  if (size == 0) return once();
  const auto at = static_cast<std::uint64_t>(faults_.between(0, size - 1));
  h.disk.flip_bit(newest, at, 0);
  trace("the newest snapshot of server {} is damaged", h.number());
  tally_.count(Count::snapshots_damaged);
  auto found = once();
  if (found) {
    // Damage to padding has no effect.
    if (found.value().durable.snapshot.last_index < index)
      tally_.count(Count::snapshots_fallen_back);
    return found;
  }
  trace("server {} cannot recover without it: {}", h.number(), found.error().what);
  h.disk.flip_bit(newest, at, 0);
  return once();
}

}  // namespace vesper::sim
