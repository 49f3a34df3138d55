#include <doctest/doctest.h>

#include "base/bytes.hpp"

using namespace vesper;

TEST_CASE("integers are written little-endian on every machine") {
  std::string out;
  ByteWriter w(out);
  w.u8(1);
  w.u16(0x0203);
  w.u32(0x04050607);
  w.u64(0x08090a0b0c0d0e0f);
  CHECK(out == std::string("\x01\x03\x02\x07\x06\x05\x04\x0f\x0e\x0d\x0c\x0b\x0a\x09\x08", 15));
}

TEST_CASE("a read past the end returns zero and makes every later read fail") {
  ByteReader r(std::string_view("\x01\x02\x03", 3));
  CHECK(r.u16() == 0x0201);
  CHECK(r.u32() == 0);
  CHECK_FALSE(r.ok());
  CHECK(r.u8() == 0);
  CHECK_FALSE(r.ok());
}

TEST_CASE("a length above its limit is refused before the bytes are read") {
  std::string out;
  ByteWriter(out).string("hello");
  ByteReader good(out);
  CHECK(good.string(5) == "hello");
  CHECK(good.at_end());
  ByteReader bad(out);
  CHECK(bad.string(4).empty());
  CHECK_FALSE(bad.ok());
}

TEST_CASE("slices share one buffer and outlive the whole") {
  SharedBytes part;
  {
    const auto whole = SharedBytes::copy_of("key=value");
    part = whole.slice(4, 5);
    CHECK(part.data() == whole.data() + 4);
  }
  CHECK(part.view() == "value");
  const SharedBytes copy = part;
  part = SharedBytes();
  CHECK(copy.view() == "value");
  CHECK(copy.slice(5, 0).empty());
}

TEST_CASE("user input is escaped before it is shown") {
  CHECK(escaped("a\r\n\x1b[31m\xff\\") == "a\\x0d\\n\\x1b[31m\\xff\\\\");
  CHECK(escaped("abcdef", 3) == "abc...");
}
