// HMAC-SHA256 against the vectors of RFC 4231, and the comparison of digests.
#include <doctest/doctest.h>

#include <string>

#include "crypto/hmac.hpp"
#include "crypto/random.hpp"

using namespace vesper;
using namespace vesper::crypto;

TEST_CASE("the HMAC matches the vectors of RFC 4231") {
  Hmac first(std::string(20, '\x0b'));
  CHECK(hex_of(first.of({"Hi There"})) ==
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  Hmac second("Jefe");
  CHECK(hex_of(second.of({"what do ya want for nothing?"})) ==
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST_CASE("the parts of a message are concatenated, and the key stays for the next message") {
  Hmac hmac("key");
  const Digest whole = hmac.of({"one two"});
  CHECK(hmac.of({"one", " ", "two", ""}) == whole);
  CHECK(hmac.of({"one two"}) == whole);
  CHECK(Hmac("another key").of({"one two"}) != whole);
}

TEST_CASE("a comparison in constant time agrees with the usual one") {
  CHECK(equal_in_constant_time("", ""));
  CHECK(equal_in_constant_time("abc", "abc"));
  CHECK(!equal_in_constant_time("abc", "abd"));
  CHECK(!equal_in_constant_time("abc", "abcd"));
  for (std::size_t size = 1; size < 40; ++size) {
    const std::string text(size, 'x');
    CHECK(equal_in_constant_time(text, std::string(text)));
    for (std::size_t at = 0; at < size; ++at) {
      std::string other = text;
      other[at] ^= 1;
      CHECK_FALSE(equal_in_constant_time(text, other));
    }
  }
}

TEST_CASE("random identities differ") {
  CHECK(random128() != random128());
  CHECK(random64() != random64());
}
