// What the server counts for /metrics, in addition to the node's own counters. Plain integers,
// because everything is counted on the loop's thread. metrics_page.hpp renders them.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "base/time.hpp"

namespace vesper::api {

class Histogram {
 public:
  static constexpr std::array<std::int64_t, 16> kBoundsUs = {
      100,    250,     500,     1'000,   2'500,     5'000,     10'000,    25'000,
      50'000, 100'000, 250'000, 500'000, 1'000'000, 2'500'000, 5'000'000, 10'000'000};

  void observe(Duration duration) {
    const std::int64_t us = duration.ns / 1'000;
    std::size_t bucket = 0;
    while (bucket < kBoundsUs.size() && us > kBoundsUs[bucket]) ++bucket;
    ++buckets_[bucket];
    sum_ns_ += duration.ns;
  }
  // How many observations fell into each bucket: up to kBoundsUs[i] but above the bound before. The
  // last bucket has no bound.
  const std::array<std::uint64_t, kBoundsUs.size() + 1>& buckets() const { return buckets_; }
  Histogram& operator+=(const Histogram& other) {
    for (std::size_t i = 0; i < buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
    sum_ns_ += other.sum_ns_;
    return *this;
  }
  bool empty() const { return sum_ns_ == 0; }
  double sum_seconds() const { return static_cast<double>(sum_ns_) / 1e9; }

 private:
  std::array<std::uint64_t, kBoundsUs.size() + 1> buckets_{};
  std::int64_t sum_ns_ = 0;
};

// A maximum that expires: the longest duration of the last 30 to 60 seconds.
class Longest {
 public:
  void observe(Instant now, Duration duration) {
    turn_over(now);
    current_ = std::max(current_, duration);
  }
  Duration at(Instant now) {
    turn_over(now);
    return std::max(current_, before_);
  }

 private:
  static constexpr Duration kWindow = seconds(30);
  void turn_over(Instant now) {
    if (now - began_ < kWindow) return;
    before_ = now - began_ < kWindow * 2 ? current_ : Duration{};
    current_ = Duration{};
    began_ = now;
  }
  Instant began_;
  Duration current_, before_;
};

struct Metrics {
  explicit Metrics(std::size_t slots) : latency(slots) {}

  // A slot is an EndpointTable slot.
  std::map<std::pair<std::size_t, int>, std::uint64_t> requests;  // by slot and status
  std::vector<Histogram> latency;  // by slot; from the request's head to its answer
  Histogram fsync;
  Histogram turn;  // of the loop: from the poll's return to the next poll
  Longest longest_turn;
  std::uint64_t connections_accepted = 0;
  std::uint64_t connections_refused = 0;      // above the limit
  std::uint64_t handshakes_failed = 0;        // of TLS
  std::uint64_t bytes_in = 0, bytes_out = 0;  // of closed connections
};

}  // namespace vesper::api
