#include <doctest/doctest.h>

#include <algorithm>

#include "json/text.hpp"

using namespace vesper;

TEST_CASE("well-formed UTF-8 is exactly what RFC 3629 allows, at every alignment") {
  const std::string good[] = {"",
                              "a",
                              "12345678",
                              "\xc2\x80",
                              "\xdf\xbf",
                              "\xe0\xa0\x80",
                              "\xed\x9f\xbf",
                              "\xee\x80\x80",
                              "\xef\xbf\xbf",
                              "\xf0\x90\x80\x80",
                              "\xf4\x8f\xbf\xbf",
                              std::string("\0", 1)};
  const std::string bad[] = {
      "\x80",         "\xbf",         "\xc0\x80",         "\xc1\xbf",
      "\xc2",         "\xc2\x41",     "\xe0\x9f\xbf",     "\xe1\x80",
      "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80",
      "\xf5\x80\x80", "\xff",         "\xe2\x82\x41",     "\xf1\x80\x80\x41"};
  for (std::size_t before = 0; before < 10; ++before) {
    for (std::size_t after = 0; after < 10; ++after) {
      const std::string head(before, 'x');
      const std::string tail(after, 'y');
      for (const auto& text : good) CHECK(json::is_utf8(head + text + tail));
      for (const auto& text : bad) CHECK_FALSE(json::is_utf8(head + text + tail));
    }
  }
}

TEST_CASE("the search for what a string escapes finds each byte at each place") {
  const auto escaped = [](unsigned char c) { return c < 0x20 || c == '"' || c == '\\'; };
  for (std::size_t size = 0; size < 75; ++size) {
    const std::string clean(size, 'x');
    CHECK(json::unescaped_prefix(clean) == size);
    CHECK(json::plain_prefix(clean) == size);
    for (std::size_t at = 0; at < size; ++at) {
      for (int c = 0; c < 256; ++c) {
        std::string text = clean;
        text[at] = static_cast<char>(c);
        const auto byte = static_cast<unsigned char>(c);
        const std::size_t unescaped = escaped(byte) ? at : size;
        const std::size_t plain = escaped(byte) || byte >= 0x80 ? at : size;
        if (json::unescaped_prefix(text) != unescaped || json::plain_prefix(text) != plain)
          FAIL("byte ", c, " at ", at, " of ", size);
        // Of two such bytes, the first one counts.
        text.back() = '\n';
        if (at + 1 < size && (json::unescaped_prefix(text) != std::min(unescaped, size - 1) ||
                              json::plain_prefix(text) != std::min(plain, size - 1)))
          FAIL("byte ", c, " at ", at, " of ", size, " before a line feed");
      }
    }
  }
}

TEST_CASE("base64 encodes and decodes the examples of RFC 4648 section 10") {
  const std::pair<const char*, const char*> pairs[] = {{"", ""},
                                                       {"f", "Zg=="},
                                                       {"fo", "Zm8="},
                                                       {"foo", "Zm9v"},
                                                       {"foob", "Zm9vYg=="},
                                                       {"fooba", "Zm9vYmE="},
                                                       {"foobar", "Zm9vYmFy"},
                                                       {"\xff\xfe", "//4="}};
  for (const auto& [bytes, text] : pairs) {
    std::string out = "before";
    json::append_base64(out, bytes);
    CHECK(out == std::string("before") + text);
    CHECK(json::decode_base64(text) == bytes);
  }
  std::string all;
  for (int i = 0; i < 256; ++i) all.push_back(static_cast<char>(i));
  std::string text;
  json::append_base64(text, all);
  CHECK(json::decode_base64(text) == all);
}

TEST_CASE("base64 that is not in canonical form is refused") {
  for (const char* text : {"Zg", "Zg=", "Zh==", "Zm9=", "Zg==Zg==", "Z===", "====", "Zm 9v",
                           "Zm9v\n", "Zm-_", "=Zg=", "Zm9v="})
    CHECK_FALSE(json::decode_base64(text));
  CHECK_FALSE(json::decode_base64(std::string_view("Zm9\0", 4)));
}
