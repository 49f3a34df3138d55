#include "crypto/random.hpp"

#include <sys/random.h>

#include "base/assert.hpp"

namespace vesper::crypto {

std::uint64_t random64() {
  std::uint64_t bits = 0;
  VESPER_ASSERT(::getrandom(&bits, sizeof bits, 0) == sizeof bits);
  return bits;
}

Id128 random128() {
  return Id128{random64(), random64()};
}

}  // namespace vesper::crypto
