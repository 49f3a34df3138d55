// Runs worlds in separate processes, several at a time, so that a failed assertion is a failure
// with a seed like any other. Also makes a failing world smaller.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "sim/plan.hpp"
#include "sim/tally.hpp"

namespace vesper::sim {

struct Report {
  std::uint64_t seed = 0;
  std::string failure;  // empty: the world passed
  Tally tally;
  Duration lasted;  // in the world's time
  std::uint64_t trace_hash = 0;

  bool failed() const { return !failure.empty(); }
};

// Runs `count` worlds with the seeds first, first + 1, ... and calls `done` as each ends, in any
// order if `jobs` is above 1. `done` returns whether to continue.
void run_worlds(const Options& options, std::uint64_t first, std::uint64_t count, std::size_t jobs,
                const std::function<bool(const Report&)>& done);

// Removes whatever can be removed while the world still fails: kinds of faults, clients, time,
// servers. Takes a bounded time.
Options shrink(Options failing);

}  // namespace vesper::sim
