// What a run exercised, by kind: a run that tested nothing is seen.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace vesper::sim {

#define VESPER_SIM_COUNTS(X)                                                                     \
  X(worlds) X(events) X(turns) X(messages) X(lost) X(duplicated) X(disk_jobs) X(elections)       \
  X(leaders) X(entries_committed) X(operations) X(answered) X(refused) X(unknown_outcomes)       \
  X(reads) X(writes_proposed_again) X(starts) X(starts_from_snapshot) X(logs_replaced_at_start)  \
  X(snapshots_taken) X(snapshots_installed) X(snapshots_failed) X(snapshot_chunks_sent)          \
  X(transfers_resumed) X(connections) X(peers_up) X(peers_gone) X(peers_refused) X(digests_recomputed)     \
  X(stores_compared) X(core_worlds) X(settled_ms) X(settled_ms_max)                              \
  X(faults) X(fault_crash) X(fault_power) X(fault_torn) X(fault_effects) X(fault_pause)          \
  X(fault_slow) X(fault_partition) X(fault_oneway) X(fault_reset) X(fault_loss)                  \
  X(fault_duplicate) X(fault_delay) X(fault_stall) X(fault_ioerror) X(fault_full) X(fault_wipe)  \
  X(fault_shutdown) X(fault_churn) X(fault_skew) X(fault_jump) X(fault_core) X(fault_flip)       \
  X(exits_storage) X(exits_refused) X(leaders_struck)

enum class Count : std::uint8_t {
#define VESPER_SIM_ENUM(name) name,
  VESPER_SIM_COUNTS(VESPER_SIM_ENUM)
#undef VESPER_SIM_ENUM
      kEnd
};

inline constexpr std::size_t kCounts = static_cast<std::size_t>(Count::kEnd);

inline constexpr std::array<std::string_view, kCounts> kCountNames = {
#define VESPER_SIM_NAME(name) #name,
    VESPER_SIM_COUNTS(VESPER_SIM_NAME)
#undef VESPER_SIM_NAME
};
#undef VESPER_SIM_COUNTS

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
