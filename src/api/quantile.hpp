// Quantiles of a histogram: its observations are known by the bucket that they fell into only.
#pragma once

#include <cmath>
#include <optional>
#include <span>

namespace vesper::api {

struct Bucket {
  double bound = 0;  // no observation is above it; infinity: the last bucket
  double count = 0;  // observations that are not above the bound, so never less than before
};

// The q-quantile (0 to 1), interpolated within its bucket. In the last bucket, which has no bound,
// it is the bound before. Nothing if there was no observation. The buckets are in the order of
// their bounds.
inline std::optional<double> quantile(double q, std::span<const Bucket> buckets) {
  const double total = buckets.empty() ? 0 : buckets.back().count;
  if (!(total > 0)) return std::nullopt;
  double low = 0, below = 0;
  for (const auto& [bound, count] : buckets) {
    if (count >= q * total && count > below)
      return std::isinf(bound) ? low : low + (bound - low) * (q * total - below) / (count - below);
    if (!std::isinf(bound)) low = bound;
    below = count > below ? count : below;
  }
  return low;
}

}  // namespace vesper::api
