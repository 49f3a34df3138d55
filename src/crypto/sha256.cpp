#include "crypto/sha256.hpp"

#include <openssl/evp.h>

#include <array>
#include <cstring>
#include <memory>

#include "base/assert.hpp"
#include "crypto/random.hpp"

namespace vesper::crypto {
namespace {

// Looking the algorithm up costs more than a short hash.
struct Sha256 {
  std::unique_ptr<EVP_MD, decltype(&EVP_MD_free)> algorithm{
      EVP_MD_fetch(nullptr, "SHA256", nullptr), &EVP_MD_free};
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context{EVP_MD_CTX_new(),
                                                                  &EVP_MD_CTX_free};
};

}  // namespace

Digest sha256(std::string_view bytes) {
  static const Sha256 kSha256;
  VESPER_ASSERT(kSha256.algorithm != nullptr && kSha256.context != nullptr);
  EVP_MD_CTX* const context = kSha256.context.get();
  Digest digest;
  unsigned size = 0;
  const bool done =
      EVP_DigestInit_ex2(context, kSha256.algorithm.get(), nullptr) == 1 &&
      EVP_DigestUpdate(context, bytes.data(), bytes.size()) == 1 &&
      EVP_DigestFinal_ex(context, reinterpret_cast<unsigned char*>(digest.data()), &size) == 1;
  VESPER_ASSERT(done && size == digest.size());
  return digest;
}

std::string make_secret() {
  static constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::array<std::uint64_t, 4> words{random64(), random64(), random64(), random64()};
  std::array<unsigned char, sizeof words> bytes{};
  std::memcpy(bytes.data(), words.data(), bytes.size());
  std::string secret = "vsp_";
  std::uint32_t bits = 0;
  int have = 0;
  for (const unsigned char byte : bytes) {
    bits = bits << 8 | byte;
    for (have += 8; have >= 6; have -= 6) secret += kDigits[bits >> (have - 6) & 63];
  }
  if (have > 0) secret += kDigits[bits << (6 - have) & 63];
  return secret;
}

}  // namespace vesper::crypto
