// What a run exercised, by kind: a run that tested nothing is seen.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace vesper::sim {

enum class Count : std::uint8_t {
  worlds,
  events,
  turns,
  messages,
  lost,
  duplicated,
  disk_jobs,
  elections,
  promises,
  hand_overs,
  transfers_asked,
  transfers_done,
  hand_overs_in_the_calm,
  leaders,
  entries_committed,
  operations,
  answered,
  reads_by_lease,
  reads_stale,
  too_stale,
  reads_from_revision,
  writes_replayed,
  tokens_reused,
  tokens_forgotten,
  tokens_kept_over_outages,
  refused,
  unknown_outcomes,
  reads,
  writes_proposed_again,
  starts,
  starts_from_snapshot,
  logs_replaced_at_start,
  snapshots_taken,
  snapshots_installed,
  snapshots_failed,
  snapshot_chunks_sent,
  transfers_resumed,
  connections,
  peers_up,
  peers_gone,
  peers_refused,
  digests_recomputed,
  stores_compared,
  core_worlds,
  lulls,
  settled_ms,
  settled_ms_max,
  faults,
  fault_crash,
  fault_power,
  fault_torn,
  fault_effects,
  fault_pause,
  fault_slow,
  fault_partition,
  fault_oneway,
  fault_reset,
  fault_loss,
  fault_duplicate,
  fault_delay,
  fault_stall,
  fault_ioerror,
  fault_full,
  fault_wipe,
  fault_shutdown,
  fault_churn,
  fault_skew,
  fault_jump,
  fault_leap,
  fault_core,
  fault_flip,
  fault_ambush,
  fault_hang,
  fault_stretch,
  stretches,
  conflicts_behind_snapshots,
  snapshots_reached_by_logs,
  snapshots_replaced,
  chunks_of_others,
  exits_storage,
  exits_refused,
  leaders_struck,
  kEnd
};

inline constexpr std::size_t kCounts = static_cast<std::size_t>(Count::kEnd);

// In the order of the enum.
inline constexpr auto kCountNames = std::to_array<std::string_view>({
    "worlds",
    "events",
    "turns",
    "messages",
    "lost",
    "duplicated",
    "disk_jobs",
    "elections",
    "promises",
    "hand_overs",
    "transfers_asked",
    "transfers_done",
    "hand_overs_in_the_calm",
    "leaders",
    "entries_committed",
    "operations",
    "answered",
    "reads_by_lease",
    "reads_stale",
    "too_stale",
    "reads_from_revision",
    "writes_replayed",
    "tokens_reused",
    "tokens_forgotten",
    "tokens_kept_over_outages",
    "refused",
    "unknown_outcomes",
    "reads",
    "writes_proposed_again",
    "starts",
    "starts_from_snapshot",
    "logs_replaced_at_start",
    "snapshots_taken",
    "snapshots_installed",
    "snapshots_failed",
    "snapshot_chunks_sent",
    "transfers_resumed",
    "connections",
    "peers_up",
    "peers_gone",
    "peers_refused",
    "digests_recomputed",
    "stores_compared",
    "core_worlds",
    "lulls",
    "settled_ms",
    "settled_ms_max",
    "faults",
    "fault_crash",
    "fault_power",
    "fault_torn",
    "fault_effects",
    "fault_pause",
    "fault_slow",
    "fault_partition",
    "fault_oneway",
    "fault_reset",
    "fault_loss",
    "fault_duplicate",
    "fault_delay",
    "fault_stall",
    "fault_ioerror",
    "fault_full",
    "fault_wipe",
    "fault_shutdown",
    "fault_churn",
    "fault_skew",
    "fault_jump",
    "fault_leap",
    "fault_core",
    "fault_flip",
    "fault_ambush",
    "fault_hang",
    "fault_stretch",
    "stretches",
    "conflicts_behind_snapshots",
    "snapshots_reached_by_logs",
    "snapshots_replaced",
    "chunks_of_others",
    "exits_storage",
    "exits_refused",
    "leaders_struck",
});
static_assert(kCountNames.size() == kCounts);

struct Tally {
  std::array<std::uint64_t, kCounts> counts{};

  void count(Count kind, std::uint64_t n = 1) { counts[static_cast<std::size_t>(kind)] += n; }
  std::uint64_t of(Count kind) const { return counts[static_cast<std::size_t>(kind)]; }
  void at_least(Count kind, std::uint64_t n) {
    std::uint64_t& here = counts[static_cast<std::size_t>(kind)];
    if (here < n) here = n;
  }
  void add(const Tally& other) {
    for (std::size_t i = 0; i < kCounts; ++i) {
      const auto kind = static_cast<Count>(i);
      if (kind == Count::settled_ms_max) at_least(kind, other.counts[i]);
      else counts[i] += other.counts[i];
    }
  }
};

}  // namespace vesper::sim
