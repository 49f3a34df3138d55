#include <doctest/doctest.h>

#include "json/request.hpp"
#include "json/text.hpp"
#include "json/writer.hpp"

using namespace vesper;

TEST_CASE("commas stand between values and nowhere else") {
  std::string out = ">";
  json::Writer w(out);
  w.begin_object();
  w.key("a");
  w.begin_array();
  w.end_array();
  w.key("b");
  w.begin_array();
  w.number(1);
  w.signed_number(-2);
  w.boolean(true);
  w.boolean(false);
  w.null();
  w.begin_object();
  w.end_object();
  w.raw("1.50");
  w.end_array();
  w.key("c");
  w.string("x");
  w.end_object();
  CHECK(out == R"(>{"a":[],"b":[1,-2,true,false,null,{},1.50],"c":"x"})");
}

TEST_CASE("the writer escapes what RFC 8259 section 7 requires, and nothing else") {
  std::string out;
  json::Writer(out).string(std::string("\0\x01\b\t\n\f\r\x1f \"\\/\x7f", 13) + "\xe2\x82\xac");
  CHECK(out == "\"\\u0000\\u0001\\b\\t\\n\\f\\r\\u001f \\\"\\\\/\x7f\xe2\x82\xac\"");
}

TEST_CASE("every string of ASCII survives writing and reading") {
  std::string all;
  for (int c = 0; c < 0x80; ++c) all.push_back(static_cast<char>(c));
  std::string body = R"({"payload":{"key":"k","value":)";
  json::Writer(body).string(all);
  body += "}}";
  json::Request request;
  REQUIRE_FALSE(json::read_request(body, json::RequestKind::put, request));
  CHECK(request.value == all);
}

TEST_CASE("bytes that are not UTF-8 become a member with another name") {
  std::string out;
  json::Writer w(out);
  w.begin_object();
  w.bytes_member("key", "a");
  w.bytes_member("value", "\xff\xfe");
  w.key("n");
  w.number(18446744073709551615u);
  w.end_object();
  CHECK(out == R"({"key":"a","value_base64":"//4=","n":18446744073709551615})");
}

TEST_CASE("a member of bytes is the same text whatever its size and content") {
  // A naive writer of the same form.
  const auto expected = [](const std::string& bytes) {
    std::string out = "{\"v";
    if (!json::is_utf8(bytes)) {
      out += "_base64\":\"";
      json::append_base64(out, bytes);
    } else {
      out += "\":\"";
      for (const char c : bytes) {
        if (c == '"' || c == '\\') out += '\\', out += c;
        else if (c == '\n') out += "\\n";
        else if (c == '\x01') out += "\\u0001";
        else out += c;
      }
    }
    return out + "\",\"n\":1}";
  };
  const std::string pieces[] = {
      "x", "\"", "\\", "\n", "\x01", "\x7f", "\xc3\xa4", "\xf0\x9f\x98\x80", "\xff", "\xe2\x82"};
  for (std::size_t before = 0; before < 20; ++before) {
    for (const std::string& first : pieces) {
      for (const std::string& second : pieces) {
        const std::string bytes =
            std::string(before, 'a') + first + "bc" + second + std::string(before / 2, 'd');
        std::string out;
        json::Writer w(out);
        w.begin_object();
        w.bytes_member("v", bytes);
        w.member("n", 1u);
        w.end_object();
        CHECK(out == expected(bytes));
      }
    }
  }
}

TEST_CASE("a name that is no literal is escaped") {
  std::string out;
  json::Writer w(out);
  w.begin_object();
  w.key(std::string_view("a\"b"));
  w.number(1);
  w.key(std::string_view("c"));
  w.number(2);
  w.end_object();
  CHECK(out == "{\"a\\\"b\":1,\"c\":2}");
}

TEST_CASE("a member is written as its name and its value, of any kind") {
  std::string out;
  json::Writer w(out);
  w.begin_object();
  w.member("text", "x");
  w.member("view", std::string_view("y\""));
  w.member("string", std::string("z"));
  w.member("number", std::uint64_t{7});
  w.member("flag", true);
  w.begin_object("inner");
  w.member("count", 0u);
  w.end_object();
  w.member("last", false);
  w.end_object();
  CHECK(
      out ==
      R"({"text":"x","view":"y\"","string":"z","number":7,"flag":true,"inner":{"count":0},"last":false})");
}
