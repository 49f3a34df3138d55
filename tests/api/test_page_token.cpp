// The tokens of ?next=: what was encoded comes back, and nothing else is taken.
#include <doctest/doctest.h>

#include <string>

#include "api/page_token.hpp"
#include "http/grammar.hpp"
#include "kv/item.hpp"

namespace test_page_token {

using namespace vesper;
using namespace vesper::api;

namespace {

constexpr PageScope kScope{{0x0123456789abcdef, 0xfedcba9876543210}, 42};

PageToken token_of(std::string resume) {
  return {.revision = 17, .count = 1'000'000, .resume = std::move(resume)};
}

bool is_taken(std::string_view text, const PageScope& scope = kScope) {
  return decode_page_token(text, scope).ok();
}

}  // namespace

TEST_CASE("a token comes back, whatever its bytes, and needs no encoding in a URL") {
  std::string every;
  for (int byte = 0; byte < 256; ++byte) every += static_cast<char>(byte);
  for (const std::string& resume :
       {std::string("a"), std::string(1, '\0'), std::string("ab"), std::string("abc"), every,
        std::string(kv::kMaxKey + 1, '\xff')}) {
    const std::string text = encode_page_token(token_of(resume), kScope);
    for (const char c : text) CHECK(http::is_unreserved(c));
    const auto decoded = decode_page_token(text, kScope);
    REQUIRE(decoded.ok());
    CHECK((decoded.value() == token_of(resume)));
  }
}

TEST_CASE(
    "a token of another cluster or of other parameters is refused, and the error says which") {
  const std::string text = encode_page_token(token_of("key"), kScope);
  const auto error = [&](const PageScope& scope) {
    const auto decoded = decode_page_token(text, scope);
    REQUIRE(!decoded.ok());
    return decoded.error().what;
  };
  CHECK(error({kScope.cluster, 43}).find("other parameters") != std::string::npos);
  CHECK(error({{kScope.cluster.high, 1}, 42}).find("another cluster") != std::string::npos);
  CHECK(error({{1, kScope.cluster.low}, 42}).find("another cluster") != std::string::npos);
}

TEST_CASE("a token that was changed, cut or extended is refused") {
  const std::string text = encode_page_token(token_of("some/key"), kScope);
  REQUIRE(is_taken(text));
  for (std::size_t at = 0; at < text.size(); ++at) {
    for (const char c : {'A', 'z', '-', '_', '+', '/', '=', ' ', '\0', '\x80'}) {
      if (text[at] == c) continue;
      std::string changed = text;
      changed[at] = c;
      CHECK_FALSE(is_taken(changed));
    }
    CHECK_FALSE(is_taken(text.substr(0, at)));
    CHECK_FALSE(is_taken(text.substr(at + 1)));
    CHECK_FALSE(is_taken(text.substr(0, at) + text.substr(at + 1)));
  }
  for (const char* added : {"A", "AA", "AAA", "AAAA", "="}) CHECK_FALSE(is_taken(text + added));
  for (const char* other : {"", "A", "next", "1", "AAAAAAAAAAA"}) CHECK_FALSE(is_taken(other));
}

TEST_CASE("a token with impossible content is refused even if its checksum fits") {
  CHECK_FALSE(is_taken(encode_page_token(token_of(""), kScope)));
  CHECK_FALSE(is_taken(encode_page_token(token_of(std::string(kv::kMaxKey + 2, 'k')), kScope)));
  PageToken token = token_of("a");
  token.revision = 0;
  CHECK_FALSE(is_taken(encode_page_token(token, kScope)));
}

}  // namespace test_page_token
