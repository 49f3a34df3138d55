// libFuzzer: the field Authorization is read without a fault. A secret is within its bounds, and
// the same secret comes out of each form that it can be sent in. What is refused is not repeated.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "api/credentials.hpp"
#include "json/text.hpp"

using namespace vesper;
using api::Credentials;

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

Credentials read(std::string_view value) {
  http::Fields fields;
  fields.add({"Authorization", value});
  return api::read_credentials(fields);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const Credentials credentials = read(text);
  require(credentials.kind != Credentials::Kind::missing);
  if (credentials.kind == Credentials::Kind::malformed) {
    require(credentials.secret.empty() && !credentials.wrong.empty());
    return 0;
  }
  const std::string& secret = credentials.secret;
  require(!secret.empty() && secret.size() <= api::kMaxSecret);
  require(std::all_of(secret.begin(), secret.end(), [](char c) { return c > ' ' && c < 0x7f; }));
  require(read("Bearer " + secret).secret == secret);
  std::string basic = "Basic ";
  json::append_base64(basic, "user:" + secret);
  require(read(basic).secret == secret);
  return 0;
}
