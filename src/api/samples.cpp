#include "api/samples.hpp"

#include <cmath>
#include <limits>
#include <utility>

#include "api/quantile.hpp"

namespace vesper::api {
namespace {

std::uint64_t total_of(const Histogram& histogram) {
  std::uint64_t total = 0;
  for (const std::uint64_t count : histogram.buckets()) total += count;
  return total;
}

std::optional<Quantiles> quantiles_between(const Histogram& before, const Histogram& now) {
  std::array<Bucket, Histogram::kBoundsUs.size() + 1> buckets;
  double count = 0;
  for (std::size_t i = 0; i < buckets.size(); ++i) {
    count += static_cast<double>(now.buckets()[i] - before.buckets()[i]);
    buckets[i] = {i < Histogram::kBoundsUs.size() ? static_cast<double>(Histogram::kBoundsUs[i])
                                                  : std::numeric_limits<double>::infinity(),
                  count};
  }
  const auto p50 = quantile(0.5, buckets), p99 = quantile(0.99, buckets);
  if (!p50) return std::nullopt;
  return Quantiles{static_cast<std::uint32_t>(std::lround(*p50)),
                   static_cast<std::uint32_t>(std::lround(*p99))};
}

Sample difference(const Totals& before, const Totals& now) {
  Sample sample;
  sample.requests = total_of(now.requests) - total_of(before.requests);
  sample.reads = now.reads - before.reads;
  sample.entries_applied = now.entries_applied - before.entries_applied;
  sample.leader_changes = now.leader_changes - before.leader_changes;
  sample.elections = now.elections - before.elections;
  sample.latency = quantiles_between(before.requests, now.requests);
  sample.fsync = quantiles_between(before.fsync, now.fsync);
  return sample;
}

}  // namespace

void Samples::take(Instant now, const Totals& totals, const Sizes& sizes) {
  due_ = now + kEvery;
  const std::int64_t at_ms = now.ns / 1'000'000;
  const auto before = std::exchange(before_, Before{at_ms, totals});
  if (!before) return;
  Sample sample = difference(before->totals, totals);
  sample.at_ms = at_ms;
  sample.covers_ms = at_ms - before->at_ms;
  sample.sizes = sizes;
  if (ring_.size() < kMax) {
    ring_.reserve(kMax);
    ring_.push_back(sample);
  } else {
    ring_[std::exchange(oldest_, (oldest_ + 1) % kMax)] = sample;
  }
}

}  // namespace vesper::api
