// A seeded generator for timeouts and simulated worlds. Not for secrets: use crypto/random.hpp.
#pragma once

#include <cstdint>

#include "base/assert.hpp"

namespace vesper {

// splitmix64 (Steele, Lea, Flood 2014): one word of state, passes BigCrush, has no bad seed.
class Prng {
 public:
  explicit Prng(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

  // Uniform in [low, high]. Requires low <= high. The modulo bias is below 2^-32 for the ranges
  // used here.
  std::int64_t between(std::int64_t low, std::int64_t high) {
    VESPER_ASSERT(low <= high);
    const auto span = static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low) + 1;
    if (span == 0) return static_cast<std::int64_t>(next());
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(low) + next() % span);
  }

 private:
  std::uint64_t state_;
};

}  // namespace vesper
