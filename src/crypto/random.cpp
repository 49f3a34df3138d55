#include "crypto/random.hpp"

#include <sys/random.h>

#include "base/assert.hpp"

namespace vesper::crypto {

std::uint64_t random64() {
  std::uint64_t bits = 0;
  VESPER_ASSERT(::getrandom(&bits, sizeof bits, 0) == sizeof bits);
  return bits;
}

std::uint64_t random_id() {
  std::uint64_t id = 0;
  while (id == 0) id = random64();
  return id;
}

Id128 random128() {
  return Id128{random64(), random64()};
}

}  // namespace vesper::crypto
