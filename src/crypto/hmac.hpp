// HMAC-SHA256, and a comparison in constant time, so that a secret cannot be guessed byte by byte.
#pragma once

#include <array>
#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>

namespace vesper::crypto {

inline constexpr std::size_t kDigestBytes = 32;
using Digest = std::array<char, kDigestBytes>;

inline std::string_view view_of(const Digest& digest) {
  return {digest.data(), digest.size()};
}

std::string hex_of(const Digest& digest);  // 64 lower-case hex digits

// HMAC-SHA256 (RFC 2104) under one key. Only OpenSSL's memory holds the key.
class Hmac {
 public:
  explicit Hmac(std::string_view key);  // requires at least one byte
  ~Hmac();
  Hmac(const Hmac&) = delete;
  Hmac& operator=(const Hmac&) = delete;

  // The HMAC of the concatenated parts.
  Digest of(std::initializer_list<std::string_view> parts);

 private:
  struct Implementation;
  Implementation* implementation_;
};

// The time depends only on the sizes.
bool equal_in_constant_time(std::string_view a, std::string_view b);

}  // namespace vesper::crypto
