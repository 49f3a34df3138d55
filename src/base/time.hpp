// Instants and durations of monotonic time, in nanoseconds. There is no clock here: the parts
// without I/O take the time as an argument.
#pragma once

#include <compare>
#include <cstdint>
#include <limits>

namespace vesper {

struct Duration {
  std::int64_t ns = 0;

  constexpr auto operator<=>(const Duration&) const = default;
  constexpr Duration operator+(Duration d) const { return {ns + d.ns}; }
  constexpr Duration operator-(Duration d) const { return {ns - d.ns}; }
  constexpr Duration operator*(std::int64_t n) const { return {ns * n}; }
  constexpr Duration operator/(std::int64_t n) const { return {ns / n}; }
  constexpr std::int64_t ms() const { return ns / 1'000'000; }
};

constexpr Duration nanoseconds(std::int64_t n) {
  return {n};
}
constexpr Duration microseconds(std::int64_t n) {
  return {n * 1'000};
}
constexpr Duration milliseconds(std::int64_t n) {
  return {n * 1'000'000};
}
constexpr Duration seconds(std::int64_t n) {
  return {n * 1'000'000'000};
}

// A reading of one process's monotonic clock (CLOCK_BOOTTIME, or the simulator's). Readings of
// different processes are not comparable.
struct Instant {
  std::int64_t ns = 0;

  constexpr auto operator<=>(const Instant&) const = default;
  constexpr Instant operator+(Duration d) const { return {ns + d.ns}; }
  constexpr Instant operator-(Duration d) const { return {ns - d.ns}; }
  constexpr Duration operator-(Instant t) const { return {ns - t.ns}; }
};

// Later than every reading: "no deadline".
inline constexpr Instant kNever{std::numeric_limits<std::int64_t>::max()};

}  // namespace vesper
