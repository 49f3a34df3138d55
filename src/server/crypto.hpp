// Keyed proofs and random bits. The only user of OpenSSL.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "base/ids.hpp"

namespace vesper::server {

inline constexpr std::size_t kDigestBytes = 32;
using Digest = std::array<char, kDigestBytes>;

inline std::string_view view_of(const Digest& digest) {
  return {digest.data(), digest.size()};
}

// HMAC-SHA256 (RFC 2104) under one key. The key is kept in OpenSSL's memory only.
class Hmac {
 public:
  explicit Hmac(std::string_view key);  // requires a key of at least one byte
  ~Hmac();
  Hmac(const Hmac&) = delete;
  Hmac& operator=(const Hmac&) = delete;

  // Over the parts, one behind the other.
  Digest of(std::initializer_list<std::string_view> parts);

 private:
  struct Implementation;
  Implementation* implementation_;
};

// In time that depends on the sizes only.
bool equal_in_constant_time(std::string_view a, std::string_view b);

// From the kernel; blocks only before its generator is ready, early at boot.
std::uint64_t random64();
Id128 random128();

}  // namespace vesper::server
