// The cluster's clock, as the store sees it: the stamps of the entries that it applies.
#pragma once

#include <cstdint>
#include <limits>

#include "base/ids.hpp"
#include "base/time.hpp"

namespace vesper::kv {

// The stamp of a log entry: nanoseconds of the cluster's clock, from 0. Never falls.
using LogTime = StrongId<struct LogTimeTag, std::int64_t>;

// Later than every stamp: what lasts until this instant never ends.
inline constexpr LogTime kEndOfLogTime{std::numeric_limits<std::int64_t>::max()};

// `after` later than `now`, or kEndOfLogTime if that lies beyond it. `after` must not be negative.
constexpr LogTime later(LogTime now, Duration after) {
  return now.value > kEndOfLogTime.value - after.ns ? kEndOfLogTime : LogTime{now.value + after.ns};
}
// What is left from `now` to `deadline`; 0 if it has passed.
constexpr Duration left_until(LogTime deadline, LogTime now) {
  return deadline <= now ? Duration{} : Duration{deadline.value - now.value};
}

}  // namespace vesper::kv
