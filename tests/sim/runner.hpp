// Runs worlds in processes of their own, several at a time, so that an assertion that ends one is a
// failure with a seed like any other; and makes a failing world smaller.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "sim/plan.hpp"
#include "sim/tally.hpp"

namespace vesper::sim {

struct Report {
  std::uint64_t seed = 0;
  std::string failure;  // empty: none
  Tally tally;
  Duration lasted;  // of the world's time
  std::uint64_t trace_hash = 0;

  bool failed() const { return !failure.empty(); }
};

// Worlds of the seeds first, first + 1, ..., `count` of them; `done` is called as they end, with
// `jobs` above 1 in any order. It says whether to go on.
void run_worlds(const Options& options, std::uint64_t first, std::uint64_t count, std::size_t jobs,
                const std::function<bool(const Report&)>& done);

// Leaves out what can be left out while something still goes wrong: kinds of faults, clients, time,
// servers. Bounded in time.
Options shrink(Options failing);

}  // namespace vesper::sim
