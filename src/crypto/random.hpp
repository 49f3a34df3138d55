// Random bits from the kernel, for identities and nonces. Consensus and tests use base/prng.hpp.
#pragma once

#include <cstdint>

#include "base/ids.hpp"

namespace vesper::crypto {

// Blocks only until the kernel's generator is ready, which happens early at boot.
std::uint64_t random64();
std::uint64_t random_id();  // never 0, because 0 means "none"
Id128 random128();

}  // namespace vesper::crypto
