// Sums of digests modulo 2^128. The digest of a set does not depend on the order of its elements,
// and adding or removing one element does not touch the others.
#pragma once

#include <cstdint>
#include <string>

#include "base/bytes.hpp"
#include "base/checksum.hpp"
#include "base/ids.hpp"

namespace vesper::kv {

constexpr Id128 plus(Id128 a, Id128 b) {
  const std::uint64_t low = a.low + b.low;
  return {a.high + b.high + (low < a.low ? 1 : 0), low};
}

constexpr Id128 minus(Id128 a, Id128 b) {
  return {a.high - b.high - (a.low < b.low ? 1 : 0), a.low - b.low};
}

// The digest of one element: of the bytes that write(ByteWriter&) writes. Elements of different
// kinds have different seeds.
template <typename Write>
Id128 digest_of_form(std::uint64_t seed, const Write& write) {
  std::string form;
  ByteWriter w(form);
  write(w);
  return checksum128(form, seed);
}

}  // namespace vesper::kv
