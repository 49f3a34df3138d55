// The body of /request. Every text is also read cut short at every byte, which must never be taken.
#include <doctest/doctest.h>

#include <vector>

#include "json/request.hpp"

using namespace vesper;
using json::RequestKind;
using Code = json::Problem::Code;

namespace {

std::string put_of(std::string_view value) {
  return R"({"type":"put","payload":{"key":"k","value":)" + std::string(value) + "}}";
}

json::Request taken(std::string_view body, RequestKind kind = RequestKind::put) {
  json::Request request;
  const auto problem = json::read_request(body, kind, request);
  REQUIRE_MESSAGE(!problem, std::string(body.substr(0, 80)) << ": " << problem->detail);
  return request;
}

json::Problem refused(std::string_view body, RequestKind kind = RequestKind::put) {
  json::Request request;
  const auto problem = json::read_request(body, kind, request);
  REQUIRE_MESSAGE(problem, std::string(body.substr(0, 80)));
  CHECK(problem->offset <= body.size());
  CHECK_MESSAGE(problem->detail.rfind("byte " + std::to_string(problem->offset) + ":", 0) == 0,
                problem->detail);
  return *problem;
}

void comes_back(std::string_view value, std::string_view stored) {
  const json::Request request = taken(put_of(value));
  CHECK(request.key == "k");
  CHECK(request.value_is_json);
  CHECK(request.value == stored);
}
void comes_back(std::string_view value) {
  comes_back(value, value);
}

}  // namespace

TEST_CASE("the request reader accepts the bodies that the seed's client sends") {
  const auto put = taken(R"({"type": "put", "payload": {"key": "name", "value": "Kyle Chard"}})");
  CHECK(put.key == "name");
  CHECK(put.value == "Kyle Chard");
  CHECK_FALSE(put.value_is_json);
  const auto get = taken(R"({"type": "get", "payload": {"key": "name"}})", RequestKind::get);
  CHECK(get.key == "name");
  CHECK(get.value.empty());
}

TEST_CASE("the type and unknown members are ignored, wherever they appear") {
  const auto request = taken(
      R"({"x":[{"key":1,"value":2,"payload":3}],"type":7,"type":{"payload":[]},"payload":{"a":{"key":[],)"
      R"("value":{"value":1}},"a":"key","value":"v","b":[["key"]],"key":"k"},"z":{"key":"n","value":"m"}})");
  CHECK(request.key == "k");
  CHECK(request.value == "v");
  CHECK_FALSE(request.value_is_json);
}

TEST_CASE("buffers are reused, and their old content is gone") {
  json::Request request;
  REQUIRE_FALSE(json::read_request(put_of("[1]"), RequestKind::put, request));
  REQUIRE_FALSE(json::read_request(put_of("\"\""), RequestKind::put, request));
  CHECK(request.value.empty());
  CHECK_FALSE(request.value_is_json);
  REQUIRE_FALSE(json::read_request(put_of("[1]"), RequestKind::get, request));
  CHECK(request.value.empty());
  CHECK_FALSE(request.value_is_json);
}

TEST_CASE("a string is stored as its bytes, with escapes resolved and NUL included") {
  const auto request = taken(put_of(R"("a\u0000b\n\"\\\/\u20ac\ud83d\ude00é")"));
  CHECK_FALSE(request.value_is_json);
  CHECK(request.value == std::string("a\0b\n\"\\/\xe2\x82\xac\xf0\x9f\x98\x80\xc3\xa9", 16));
  CHECK(taken(put_of("\"-5\"")).value == "-5");
}

TEST_CASE("numbers come back digit for digit") {
  for (const char* number : {"0", "-0", "-0.0", "1.50", "1e999999", "1E+5", "1e-999999",
                             "123456789012345678901234567890", "-9223372036854775809",
                             "3.14159265358979323846264338327950288", "2e00"})
    comes_back(number);
  const std::string digits(100'000, '7');
  comes_back(digits);
  comes_back("0." + digits + "e" + digits);
  comes_back("[" + digits + ",-" + digits + "]");
}

TEST_CASE("other values come back unchanged and in order, with duplicates, without white space") {
  comes_back("null");
  comes_back("true");
  comes_back("false");
  comes_back("[]");
  comes_back("{}");
  comes_back(R"({"b":1,"a":2,"b":1,"key":"x","value":{"payload":[]},"value":0})");
  comes_back(" [ 1 ,\t{ \"a\" :\r\n\"x y\" } , [ ] ] ", R"([1,{"a":"x y"},[]])");
  comes_back(R"(["\u0041\u0000\/\ud83d\ude00"])", "[\"A\\u0000/\xf0\x9f\x98\x80\"]");
  comes_back(R"({"\u0041\n":"5e1e"})", R"({"A\n":"5e1e"})");
}

TEST_CASE("an invalid JSON number is refused") {
  for (const char* number :
       {"01",    "00",    "-",   "+1",    "1.",   ".5",  "1e",       "1e+",
        "1e5e6", "1.5.6", "1-2", "--1",   "0x10", "NaN", "Infinity", "-Infinity",
        "1_000", "1 2",   "-01", "1e5.5", "Nan",  "inf"}) {
    CAPTURE(number);
    CHECK(refused(put_of(number)).code == Code::malformed);
    CHECK(refused(put_of("[" + std::string(number) + "]")).code == Code::malformed);
  }
}

TEST_CASE("a lone surrogate is refused wherever it is") {
  for (const char* text : {R"("\ud800")", R"("\udc00")", R"("a\udfffb")", R"("\ud800x")",
                           R"("\ud800\u0041")", R"("\ud800\ud800")", R"("\ude00\ud83d")"}) {
    CAPTURE(text);
    CHECK(refused(put_of(text)).code == Code::malformed);
    CHECK(refused(put_of("{" + std::string(text) + ":1}")).code == Code::malformed);
    CHECK(refused("{" + std::string(text) + R"(:1,"payload":{"key":"k","value":"v"}})").code ==
          Code::malformed);
    CHECK(refused(R"({"type":)" + std::string(text) + R"(,"payload":{"key":"k","value":"v"}})")
              .code == Code::malformed);
    CHECK(refused(R"({"payload":{"key":)" + std::string(text) + R"(,"value":"v"}})").code ==
          Code::malformed);
  }
  CHECK(taken(put_of("\"\xed\x9f\xbf\xee\x80\x80\"")).value == "\xed\x9f\xbf\xee\x80\x80");
}

TEST_CASE("invalid UTF-8 and raw control characters are refused") {
  for (const char* text : {"\"\xff\"", "\"\xc0\x80\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"",
                           "\"\xe2\x82\"", "\"\x80\"", "\xc3\xa9", "\"\n\"", "\"\x1f\"", "\x01"}) {
    CAPTURE(text);
    CHECK(refused(put_of(text)).code == Code::malformed);
  }
}

TEST_CASE("text that ends in the middle of a character is not read past its end") {
  for (const char* tail :
       {"\"\xc3", "\"\xe2\x82", "\"\xf0\x9f\x98", "\"\\", "\"\\u12", "\"\\ud83d\\"}) {
    const std::string exact = R"({"payload":)" + std::string(tail);
    // An allocation of just these bytes, so that a sanitizer sees a read behind them.
    const std::vector<char> bytes(exact.begin(), exact.end());
    CHECK(refused({bytes.data(), bytes.size()}).code == Code::malformed);
  }
}

TEST_CASE("every proper prefix of a valid body is refused") {
  const std::string body =
      R"({"type":"put","payload":{"key":"k\u00e9","value":{"a":[-1.5e3,true,null,"é\ud83d\ude00"]}}})";
  taken(body);
  for (std::size_t size = 0; size < body.size(); ++size)
    CHECK(refused(std::string_view(body).substr(0, size)).code == Code::malformed);
}

TEST_CASE("a byte order mark, NUL bytes and trailing bytes are refused") {
  const std::string good = put_of("1");
  CHECK(refused("\xef\xbb\xbf" + good).detail.find("byte order mark") != std::string::npos);
  for (const std::string& tail : {std::string("x"), std::string("{}"), std::string("\0", 1),
                                  std::string("\n\0", 2), std::string(","), std::string("1")}) {
    const auto problem = refused(good + tail);
    CHECK(problem.code == Code::malformed);
    CHECK(problem.offset >= good.size());
  }
  CHECK(refused(std::string("\0", 1) + good).code == Code::malformed);
  CHECK(refused(put_of(std::string("\"a\0b\"", 5))).detail.find("NUL") != std::string::npos);
  CHECK(refused(put_of("1 // c")).code == Code::malformed);
  CHECK(refused(put_of("[1,]")).code == Code::malformed);
  CHECK(refused(put_of("{'a':1}")).code == Code::malformed);
  taken(" \t\r\n" + good + " \t\r\n");
}

TEST_CASE("nesting ends at 64, and deeply nested input uses no stack") {
  const auto nested = [](std::size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  comes_back(nested(62));
  CHECK(refused(put_of(nested(63))).limit == 64);
  CHECK(refused(R"({"x":)" + nested(64) + "}").limit == 64);
  const auto bomb = refused(std::string(8u << 20, '['));
  CHECK(bomb.code == Code::malformed);
  std::string objects;
  for (int i = 0; i < 1'000'000; ++i) objects += "{\"a\":";
  CHECK(refused(objects).limit == 64);
  CHECK(refused(put_of(objects)).limit == 64);
}

TEST_CASE("a key is a string of 1 to 4096 bytes") {
  const auto with_key = [](const std::string& key) {
    return R"({"payload":{"key":)" + key + R"(,"value":"v"}})";
  };
  CHECK(taken(with_key("\"" + std::string(4096, 'x') + "\"")).key.size() == 4096);
  const auto long_key = refused(with_key("\"" + std::string(4097, 'x') + "\""));
  CHECK(long_key.code == Code::invalid_key);
  CHECK(long_key.limit == 4096);
  CHECK(refused(with_key("\"\"")).code == Code::invalid_key);
  for (const char* other : {"1", "null", "true", "[]", "{}", "[\"k\"]", "{\"key\":\"k\"}"}) {
    const auto problem = refused(with_key(other));
    CHECK(problem.code == Code::invalid_field);
    CHECK(problem.field == "payload.key");
  }
}

TEST_CASE("the error about a missing, repeated or mistyped member names it") {
  const auto field_of = [](std::string_view body, RequestKind kind = RequestKind::put) {
    const auto problem = refused(body, kind);
    CHECK(problem.code == Code::invalid_field);
    CHECK(problem.detail.find(problem.field) != std::string::npos);
    return problem.field;
  };
  CHECK(field_of("{}") == "payload");
  CHECK(field_of(R"({"payload":{}})") == "payload.key");
  CHECK(field_of(R"({"payload":{}})", RequestKind::get) == "payload.key");
  CHECK(field_of(R"({"payload":{"key":"k"}})") == "payload.value");
  CHECK(field_of(R"({"payload":{"key":"k","x":{"value":1}}})") == "payload.value");
  CHECK(field_of(R"({"payload":{"key":"k","value":1,"value":1}})") == "payload.value");
  CHECK(field_of(R"({"payload":{"key":"k","key":"k","value":1}})") == "payload.key");
  CHECK(field_of(R"({"payload":{"key":"k","value":1},"payload":{}})") == "payload");
  CHECK(field_of(R"({"payload":{"key":"k","value":1},"p\u0061yload":{}})") == "payload");
  for (const char* other : {"1", "null", "\"key\"", "[]", "[{\"key\":\"k\"}]", "true"})
    CHECK(field_of(R"({"payload":)" + std::string(other) + "}") == "payload");
}

TEST_CASE("a body that is not an object is malformed") {
  for (const char* body :
       {"", " ", "1", "null", "\"x\"", "[]", "[{}]", "true", "key=value", "{", "}"}) {
    CAPTURE(body);
    CHECK(refused(body).code == Code::malformed);
  }
  CHECK(refused(std::string((16u << 20) + 1, ' ')).limit == 16u << 20);
}
