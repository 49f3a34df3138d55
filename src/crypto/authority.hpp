// Makes the certificates of a small private authority, for `vesper pki`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace vesper::crypto {

// A certificate and its private key (ECDSA P-256), as PEM texts.
struct Credential {
  std::string certificate, key;
};

enum class CertificateUse : std::uint8_t {
  server,  // and client, because servers dial each other
  client,
};

// A new authority that signs itself. Its name ends in random digits, so that log lines tell two
// authorities apart.
Credential make_authority();

// A certificate that `authority` signs. `name` is for people. `hosts` are names and IP addresses
// without brackets, in canonical form. An error means that the authority's texts cannot be used.
Result<Credential> issue(const Credential& authority, const std::string& name,
                         const std::vector<std::string>& hosts, CertificateUse use);

}  // namespace vesper::crypto
