// The credentials in a request's head: Authorization with the scheme Bearer, or Basic with the
// token as the password (curl -u). Who the secret belongs to is decided in access.hpp.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "http/message.hpp"

namespace vesper::api {

inline constexpr std::string_view kAuthorization = "Authorization";
inline constexpr std::size_t kMaxSecret = 512;  // bytes

struct Credentials {
  enum class Kind : std::uint8_t { missing, malformed, secret };
  Kind kind = Kind::missing;
  std::string secret;  // 1 to kMaxSecret bytes of visible ASCII
  // malformed: what is wrong, for people. Static text; never a part of what was sent.
  std::string_view wrong;
};

Credentials read_credentials(const http::Fields& fields);

}  // namespace vesper::api
