#include "sim/plan.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "base/prng.hpp"

namespace vesper::sim {
namespace {

constexpr std::array<std::string_view, kFaultKinds> kNames = {
    "crash",    "power",   "torn",      "effects", "pause",   "slow",    "partition", "oneway",
    "reset",    "loss",    "duplicate", "delay",   "stall",   "ioerror", "full",      "wipe",
    "shutdown", "churn",   "skew",      "jump",    "core",    "lists",   "flip",      "ambush",
    "hang",     "stretch", "narrow",    "members", "returns", "copies",  "levels"};

constexpr std::int64_t kMillion = 1'000'000;
constexpr std::size_t kMostMachines = 8;
constexpr std::array<std::size_t, 8> kSizes = {1, 3, 3, 3, 3, 5, 5, 7};
// One bound for Q1, Q3 and Q5, in units of the longest election timeout.
constexpr std::int64_t kSettleTimeouts = 20;

// Small segments, so that a short run sees many of them.
storage::WalOptions small_wal() {
  storage::WalOptions options;
  options.segment_bytes = 64u << 10;
  options.first_segment_bytes = 16u << 10;
  options.slice_bytes = 16u << 10;
  return options;
}

// Ten minutes cost as much as fifty worlds. So few worlds have them, and none with short timeouts.
bool draw_hang(Prng& random, const Options& options, Plan& plan) {
  if (random.between(1, 100) > 4 || options.leaves_out(FaultKind::hang)) return false;
  plan.kinds |= 1u << static_cast<unsigned>(FaultKind::hang);
  return true;
}

// Clocks are slightly off in most worlds, as far off as leases allow in some (1.095 is 21 % faster
// than 0.905), and wildly off in others. Returns the rate of the slowest.
std::int64_t draw_clocks(Prng& random, Plan& plan) {
  const auto chance = [&](std::int64_t percent) { return random.between(1, 100) <= percent; };
  const std::int64_t off = chance(15) ? 0 : chance(30) ? 95'000 : 20'000;
  std::int64_t slowest = kMillion;
  for (std::size_t i = 0; i < plan.machines(); ++i) {
    const std::int64_t rate = off != 0     ? random.between(kMillion - off, kMillion + off)
                              : chance(50) ? random.between(kMillion / 2, kMillion)
                                           : random.between(kMillion, kMillion * 2);
    plan.rates.push_back(plan.has(FaultKind::skew) ? rate : kMillion);
    slowest = std::min(slowest, plan.rates.back());
  }
  plan.leader_leases = !plan.has(FaultKind::jump) && (off != 0 || !plan.has(FaultKind::skew));
  return slowest;
}

void draw_founding(Prng& random, Plan& plan) {
  const auto chance = [&](std::int64_t percent) { return random.between(1, 100) <= percent; };
  if (!chance(15)) plan.kinds &= ~(1u << static_cast<unsigned>(FaultKind::lists));
  plan.lose_majority = chance(20);
  plan.raft.found_after = chance(20) ? seconds(5) : milliseconds(random.between(50, 1'500));
}

bool drawn_apart(FaultKind kind) {
  return kind == FaultKind::hang || kind == FaultKind::narrow || kind == FaultKind::members ||
         kind == FaultKind::returns || kind == FaultKind::copies || kind == FaultKind::levels;
}

// Members that change. A list that changes too would only make servers wait for the operator.
void draw_members(const Options& options, Plan& plan) {
  Prng random(~options.seed * 8 + 4);
  const bool changes = random.between(1, 100) <= 45 && !plan.has(FaultKind::lists);
  if (random.between(1, 100) <= 60) plan.kinds |= 1u << static_cast<unsigned>(FaultKind::returns);
  if (changes) plan.kinds |= 1u << static_cast<unsigned>(FaultKind::members);
  plan.kinds &= ~options.without;
  const auto spares = static_cast<std::size_t>(random.between(1, 3));
  if (plan.has(FaultKind::members)) plan.spares = std::min(spares, kMostMachines - plan.servers);
}

// They have their own random numbers, so that the rest of the world stays what its seed has made
// it.
void draw_copies_and_levels(const Options& options, Plan& plan) {
  Prng random(~options.seed * 8 + 1);
  if (random.between(1, 100) <= 20) plan.kinds |= 1u << static_cast<unsigned>(FaultKind::copies);
  if (random.between(1, 100) <= 15) plan.kinds |= 1u << static_cast<unsigned>(FaultKind::levels);
  plan.kinds &= ~options.without;
  // A member that stays away is never known to have the newest build.
  if (plan.has(FaultKind::levels)) plan.kinds &= ~(1u << static_cast<unsigned>(FaultKind::core));
}

// Small bounds, so that a short run reaches them. They have their own random numbers, so that the
// rest of the world stays what its seed has made it.
void draw_bounds(const Options& options, Plan& plan) {
  Prng random(~options.seed);
  constexpr std::uint32_t narrow = 1u << static_cast<unsigned>(FaultKind::narrow);
  if (random.between(1, 100) <= 40) {
    plan.kinds |= narrow;
    plan.raft.max_inflight_bytes = static_cast<std::size_t>(random.between(4'000, 60'000));
    plan.limits.forward_window = static_cast<std::size_t>(random.between(4'000, 60'000));
  }
  if (random.between(1, 100) <= 30)
    plan.raft.max_uncommitted_bytes = static_cast<std::size_t>(random.between(500, 20'000));
  plan.kinds &= ~options.without;
}

// A table of idempotency keys that soon fills up, and has room again after enough time.
void draw_replies(const Options& options, Plan& plan) {
  Prng random(~options.seed * 4 + 1);
  if (random.between(1, 100) <= (plan.has(FaultKind::hang) ? 25 : 15))
    plan.max_idempotency_keys = static_cast<std::size_t>(random.between(3, 20));
}

// Short histories, so that they are compacted often, and small quotas.
void draw_history(const Options& options, Plan& plan) {
  Prng random(~options.seed * 4 + 3);
  const auto chance = [&](std::int64_t percent) { return random.between(1, 100) <= percent; };
  node::HistoryLimits& history = plan.limits.history;
  if (chance(50)) history.keep_time = milliseconds(random.between(500, 8'000));
  if (chance(30)) history.keep_revisions = static_cast<std::uint64_t>(random.between(1, 60));
  if (chance(30)) history.keep_bytes = static_cast<std::uint64_t>(random.between(1'000, 60'000));
  // So few that a range is read in several turns.
  if (chance(30)) {
    plan.limits.range_first_visits = static_cast<std::size_t>(random.between(1, 8));
    plan.limits.range_visits_per_turn = static_cast<std::size_t>(random.between(1, 3));
  }
  if (chance(25)) history.store_bytes = static_cast<std::uint64_t>(random.between(10'000, 90'000));
  // Such a store is often at its quota with nothing left to compact.
  if (history.store_bytes <= 90'000 && chance(50)) {
    history.keep_revisions = 1;
    history.store_bytes /= 10;
  }
}

// Slow, but fast enough that a store of many small chunks is transferred in a second or two.
void draw_slow_follower(const Options& options, Plan& plan) {
  Prng random(~options.seed * 4 + 2);
  if (random.between(1, 100) > 25 || plan.servers == 1 || plan.limits.snapshot_chunk_bytes < 1'000)
    return;
  // One entry at a time, and no next one before the disk has it, is slower than the load.
  const bool is_stepwise =
      plan.raft.max_append_bytes <= 300 && plan.raft.max_inflight_messages <= 4;
  if (random.between(0, 1) == 0 && !is_stepwise)
    plan.slow_disk = std::min(milliseconds(random.between(5, 20)), plan.raft.election_timeout / 5);
  else plan.slow_link = random.between(300'000, 800'000);
}

}  // namespace

std::string_view name_of(FaultKind kind) {
  return kNames[static_cast<std::size_t>(kind)];
}

std::optional<FaultKind> fault_kind(std::string_view name) {
  const auto at = std::find(kNames.begin(), kNames.end(), name);
  if (at == kNames.end()) return std::nullopt;
  return static_cast<FaultKind>(at - kNames.begin());
}

void draw_tokens(const Options& options, Plan& plan) {
  Prng random(~options.seed * 8 + 5);
  plan.tokens = random.between(1, 100) <= 25;
  plan.disables_tokens = plan.tokens && random.between(1, 100) <= 40;
}

std::string arguments_of(const Options& options) {
  std::string out = fmt::format("--seed {}", options.seed);
  if (options.servers) out += fmt::format(" --servers {}", *options.servers);
  if (options.clients) out += fmt::format(" --clients {}", *options.clients);
  if (options.seconds) out += fmt::format(" --seconds {}", *options.seconds);
  std::string without;
  for (std::size_t i = 0; i < kFaultKinds; ++i) {
    if (!options.leaves_out(static_cast<FaultKind>(i))) continue;
    if (!without.empty()) without += ',';
    without += kNames[i];
  }
  if (!without.empty()) out += " --without " + without;
  if (options.flips) out += " --flips";
  if (options.plant) out += " --plant";
  return out;
}

Plan make_plan(const Options& options) {
  Prng random(options.seed * 2 + 1);
  const auto between = [&](std::int64_t low, std::int64_t high) {
    return random.between(low, high);
  };
  const auto chance = [&](std::int64_t percent) { return random.between(1, 100) <= percent; };
  Plan plan;
  plan.servers = kSizes[static_cast<std::size_t>(between(0, 7))];
  if (options.servers) plan.servers = *options.servers;
  plan.clients =
      std::min(static_cast<std::size_t>(between(1, 6)), options.clients.value_or(SIZE_MAX));
  plan.faults = seconds(between(10, 30));
  if (options.seconds)
    plan.faults = seconds(std::min(plan.faults.ns / seconds(1).ns, *options.seconds));
  plan.fault_gap_max = milliseconds(between(1'500, 5'500));

  // Each world has only some kinds: faults that always occur together hide those that occur alone.
  for (std::size_t i = 0; i < kFaultKinds; ++i)
    if (!drawn_apart(static_cast<FaultKind>(i)) && chance(55)) plan.kinds |= 1u << i;
  if (!chance(20)) plan.kinds &= ~(1u << static_cast<unsigned>(FaultKind::churn));
  if (!chance(40)) plan.kinds &= ~(1u << static_cast<unsigned>(FaultKind::core));
  // If clocks jump, leases and the age of stale reads are not checked.
  if (!chance(50)) plan.kinds &= ~(1u << static_cast<unsigned>(FaultKind::jump));
  if (!options.flips) plan.kinds &= ~(1u << static_cast<unsigned>(FaultKind::flip));
  draw_bounds(options, plan);

  plan.in_order = chance(60);
  plan.delay_max = microseconds(between(200, 5'000));
  plan.disk_max = microseconds(between(200, 10'000));
  plan.client_gap_max = milliseconds(between(80, 2'000));

  draw_members(options, plan);
  draw_copies_and_levels(options, plan);
  const std::int64_t slowest = draw_clocks(random, plan);
  plan.wal = small_wal();
  const bool often = chance(40);
  plan.limits.snapshot_entries =
      static_cast<std::uint64_t>(often ? between(5, 100) : between(100, 800));
  // So few that the commits of one turn are sometimes applied in several turns.
  if (often) plan.limits.entries_per_turn = 1 + plan.limits.snapshot_entries % 5;
  plan.limits.snapshot_bytes =
      static_cast<std::uint64_t>(often ? between(2'000, 40'000) : between(40'000, 300'000));
  plan.limits.snapshot_chunk_bytes =
      static_cast<std::uint32_t>(chance(20) ? between(200, 600) : between(1'000, 8'000));
  plan.raft.log_tail_entries = static_cast<std::size_t>(chance(25) ? 0 : between(0, 20));
  // One entry per message: a leader that fails has then often sent only half of its entries.
  if (chance(40)) plan.raft.max_append_bytes = static_cast<std::size_t>(between(1, 300));
  if (chance(30)) plan.raft.max_inflight_messages = static_cast<std::size_t>(between(1, 4));
  if (chance(30)) plan.raft.bulk_bytes = static_cast<std::size_t>(between(50, 2'000));
  // If elections are faster than leases end, only promises protect leases (thesis 6.4.1).
  const std::int64_t quick = chance(25) ? between(30, 90) : chance(30) ? between(150, 400) : 150;
  const std::int64_t timeout = draw_hang(random, options, plan) ? std::max(quick, 150l) : quick;
  plan.raft.election_timeout = milliseconds(timeout);
  plan.raft.heartbeat_interval = plan.raft.election_timeout / 3;
  draw_founding(random, plan);
  const Duration longest = milliseconds(std::max<std::int64_t>(timeout, 150)) * 2;
  plan.settle = (longest * kSettleTimeouts + plan.raft.found_after) / slowest * kMillion;
  // Several servers may have to notice their older copies, set them aside and be taken in again.
  if (plan.has(FaultKind::copies)) plan.settle = plan.settle * 2;
  draw_replies(options, plan);
  draw_history(options, plan);
  draw_slow_follower(options, plan);
  draw_tokens(options, plan);
  return plan;
}

}  // namespace vesper::sim
