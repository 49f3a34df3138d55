// What the node did and held in the last 15 minutes: one sample every two seconds, in a ring of
// fixed size. GET /figures (recent_figures.hpp) shows it, and the page draws it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "api/metrics.hpp"
#include "base/time.hpp"

namespace vesper::api {

// Counts since the process started.
struct Totals {
  Histogram requests;  // of load; see is_load() in endpoint.hpp
  Histogram fsync;
  std::uint64_t reads = 0, entries_applied = 0, leader_changes = 0, elections = 0;
};

struct Sizes {
  std::uint64_t store = 0, history = 0, log = 0, log_files = 0, snapshot = 0;  // bytes
};

struct Quantiles {
  std::uint32_t p50_us = 0, p99_us = 0;
};

// What happened between two instants, and the sizes at the second one.
struct Sample {
  std::int64_t at_ms = 0;      // of the node's monotonic clock
  std::int64_t covers_ms = 0;  // until at_ms
  std::uint64_t requests = 0, reads = 0, entries_applied = 0, leader_changes = 0, elections = 0;
  std::optional<Quantiles> latency, fsync;  // nothing: there was no request, no write to the log
  Sizes sizes;
};

class Samples {
 public:
  static constexpr Duration kEvery = seconds(2);
  static constexpr std::size_t kMax = 15 * 60 / 2;

  // When to take the next sample. A busy loop may be late for it: then the sample covers more.
  Instant due() const { return due_; }
  // The first call only sets what the next one is compared with.
  void take(Instant now, const Totals& totals, const Sizes& sizes);
  // Calls visit(const Sample&) for each sample after `since_ms`, the oldest first.
  template <typename Visit>
  void each_since(std::int64_t since_ms, const Visit& visit) const {
    for (std::size_t i = 0; i < ring_.size(); ++i) {
      const Sample& sample = ring_[(oldest_ + i) % ring_.size()];
      if (sample.at_ms > since_ms) visit(sample);
    }
  }

 private:
  struct Before {
    std::int64_t at_ms = 0;
    Totals totals;
  };

  Instant due_;
  std::optional<Before> before_;
  std::vector<Sample> ring_;
  std::size_t oldest_ = 0;
};

}  // namespace vesper::api
