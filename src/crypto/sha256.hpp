// SHA-256, and the secrets of tokens, of which only a hash is stored.
#pragma once

#include <string>
#include <string_view>

#include "crypto/hmac.hpp"

namespace vesper::crypto {

Digest sha256(std::string_view bytes);

// A new secret of 256 random bits: "vsp_" and 43 characters of base64url (RFC 4648 §5), which need
// no escape in a URL, a header or a shell. The prefix lets scanners find secrets that were
// published by mistake.
std::string make_secret();

}  // namespace vesper::crypto
