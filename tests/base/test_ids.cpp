#include <doctest/doctest.h>

#include "base/checksum.hpp"
#include "base/ids.hpp"

using namespace vesper;

TEST_CASE("hex is written and parsed, and only its exact length is accepted") {
  CHECK(to_hex(std::uint64_t{0x1f}) == "000000000000001f");
  CHECK(parse_hex64("000000000000001F") == 0x1f);
  CHECK_FALSE(parse_hex64("1f"));
  CHECK_FALSE(parse_hex64("00000000000000-1"));
  const Id128 id{0x0123456789abcdef, 0xfedcba9876543210};
  CHECK(to_hex(id) == "0123456789abcdeffedcba9876543210");
  CHECK(parse_hex128(to_hex(id)) == id);
}

TEST_CASE("the streamed checksum equals the checksum of the whole") {
  Checksum64 parts(7);
  parts.add("hello ");
  parts.add("world");
  CHECK(parts.digest() == checksum64("hello world", 7));
  CHECK(checksum64("hello world", 8) != checksum64("hello world", 7));
}
