#include "api/credentials.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "http/grammar.hpp"
#include "json/text.hpp"

namespace vesper::api {
namespace {

Credentials malformed_credentials(std::string_view wrong) {
  return {Credentials::Kind::malformed, {}, wrong};
}

bool is_secret(std::string_view text) {
  return !text.empty() && text.size() <= kMaxSecret &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

}  // namespace

// RFC 9110 §11.4, RFC 6750 §2.1, RFC 7617 §2.
Credentials read_credentials(const http::Fields& fields) {
  const http::Field* field = fields.find(kAuthorization);
  if (field == nullptr) return {};
  if (fields.count(kAuthorization) > 1)
    return malformed_credentials("Authorization appears more than once");
  const std::string_view value = field->value;
  const std::string_view scheme = value.substr(0, value.find(' '));
  std::string_view rest = value.substr(scheme.size());
  rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
  if (http::equal_ignoring_case(scheme, "Bearer")) {
    if (!is_secret(rest)) return malformed_credentials("Bearer is not followed by a token");
    return {Credentials::Kind::secret, std::string(rest), {}};
  }
  if (!http::equal_ignoring_case(scheme, "Basic"))
    return malformed_credentials("Authorization must be \"Bearer TOKEN\", or Basic");
  std::optional<std::string> pair;
  if (rest.size() <= 2 * kMaxSecret) pair = json::decode_base64(rest);
  const std::size_t colon = pair ? pair->find(':') : std::string::npos;
  if (colon == std::string::npos || !is_secret(std::string_view(*pair).substr(colon + 1)))
    return malformed_credentials("Basic is not the base64 of \"USER:TOKEN\"");
  return {Credentials::Kind::secret, pair->substr(colon + 1), {}};
}

}  // namespace vesper::api
