// Sums of digests modulo 2^128. The digest of a set does not depend on the order of its elements,
// and adding or removing one element does not touch the others.
#pragma once

#include "base/ids.hpp"

namespace vesper::kv {

constexpr Id128 plus(Id128 a, Id128 b) {
  const std::uint64_t low = a.low + b.low;
  return {a.high + b.high + (low < a.low ? 1 : 0), low};
}

constexpr Id128 minus(Id128 a, Id128 b) {
  return {a.high - b.high - (a.low < b.low ? 1 : 0), a.low - b.low};
}

}  // namespace vesper::kv
