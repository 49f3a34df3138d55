// The only user of xxHash.
#include "base/checksum.hpp"

#include <xxhash.h>

#include "base/assert.hpp"

namespace vesper {

std::uint64_t checksum64(std::string_view bytes, std::uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

Id128 checksum128(std::string_view bytes, std::uint64_t seed) {
  const XXH128_hash_t hash = XXH3_128bits_withSeed(bytes.data(), bytes.size(), seed);
  return Id128{hash.high64, hash.low64};
}

Checksum64::Checksum64(std::uint64_t seed) : state_(XXH3_createState()) {
  VESPER_ASSERT(state_ != nullptr);
  XXH3_64bits_reset_withSeed(static_cast<XXH3_state_t*>(state_), seed);
}

Checksum64::~Checksum64() {
  XXH3_freeState(static_cast<XXH3_state_t*>(state_));
}

void Checksum64::add(std::string_view bytes) {
  XXH3_64bits_update(static_cast<XXH3_state_t*>(state_), bytes.data(), bytes.size());
}

std::uint64_t Checksum64::digest() const {
  return XXH3_64bits_digest(static_cast<XXH3_state_t*>(state_));
}

Checksum128::Checksum128(std::uint64_t seed) : state_(XXH3_createState()) {
  VESPER_ASSERT(state_ != nullptr);
  reset(seed);
}

Checksum128::~Checksum128() {
  XXH3_freeState(static_cast<XXH3_state_t*>(state_));
}

void Checksum128::reset(std::uint64_t seed) {
  XXH3_128bits_reset_withSeed(static_cast<XXH3_state_t*>(state_), seed);
}

void Checksum128::add(std::string_view bytes) {
  XXH3_128bits_update(static_cast<XXH3_state_t*>(state_), bytes.data(), bytes.size());
}

Id128 Checksum128::digest() const {
  const XXH128_hash_t hash = XXH3_128bits_digest(static_cast<XXH3_state_t*>(state_));
  return Id128{hash.high64, hash.low64};
}

}  // namespace vesper
