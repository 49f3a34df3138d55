#include "crypto/hmac.hpp"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "base/assert.hpp"

namespace vesper::crypto {

std::string hex_of(const Digest& digest) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const char c : digest) {
    text += kDigits[static_cast<unsigned char>(c) >> 4];
    text += kDigits[static_cast<unsigned char>(c) & 15];
  }
  return text;
}

struct Hmac::Implementation {
  EVP_MAC* mac;
  EVP_MAC_CTX* context;
};

Hmac::Hmac(std::string_view key) : implementation_(new Implementation{}) {
  VESPER_ASSERT(!key.empty());
  implementation_->mac = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
  VESPER_ASSERT(implementation_->mac != nullptr);
  implementation_->context = EVP_MAC_CTX_new(implementation_->mac);
  VESPER_ASSERT(implementation_->context != nullptr);
  char digest[] = "SHA256";
  const OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
      OSSL_PARAM_construct_end()};
  VESPER_ASSERT(EVP_MAC_init(implementation_->context,
                             reinterpret_cast<const unsigned char*>(key.data()), key.size(),
                             parameters) == 1);
}

Hmac::~Hmac() {
  EVP_MAC_CTX_free(implementation_->context);
  EVP_MAC_free(implementation_->mac);
  delete implementation_;
}

Digest Hmac::of(std::initializer_list<std::string_view> parts) {
  // A null key reuses the previous one.
  VESPER_ASSERT(EVP_MAC_init(implementation_->context, nullptr, 0, nullptr) == 1);
  for (const std::string_view part : parts)
    VESPER_ASSERT(EVP_MAC_update(implementation_->context,
                                 reinterpret_cast<const unsigned char*>(part.data()),
                                 part.size()) == 1);
  Digest digest;
  std::size_t size = 0;
  VESPER_ASSERT(EVP_MAC_final(implementation_->context,
                              reinterpret_cast<unsigned char*>(digest.data()), &size,
                              digest.size()) == 1);
  VESPER_ASSERT(size == digest.size());
  return digest;
}

bool equal_in_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace vesper::crypto
