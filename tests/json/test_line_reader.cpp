// The lines of an import. What the reader accepts is compared with the document reader, and each
// text is also read in parts.
#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <vector>

#include "base/prng.hpp"
#include "json/document.hpp"
#include "json/line_reader.hpp"
#include "json/request.hpp"
#include "json/text.hpp"
#include "json/writer.hpp"

using namespace vesper;
using json::LineReader;
using Step = LineReader::Step;
using Code = json::Problem::Code;

namespace {

constexpr std::size_t kMaxValue = 64;

// A text of lines, as far as the first error.
struct Read {
  struct Line {
    std::uint64_t number = 0;
    std::string key, value;
    bool json = false;
    bool operator==(const Line&) const = default;
  };
  std::vector<Line> lines;
  std::uint64_t blank = 0;
  std::optional<json::Problem> problem;
  std::uint64_t failed_line = 0;
};

// Reads in parts of up to `step` bytes.
Read read(std::string_view text, std::size_t step = std::string_view::npos) {
  LineReader reader(kMaxValue);
  Read found;
  const auto take = [&](Step what) {
    switch (what) {
      case Step::need_more: return;
      case Step::blank: ++found.blank; return;
      case Step::line:
        found.lines.push_back(
            {reader.number(), reader.line().key, reader.line().value, reader.line().json});
        return;
      case Step::error:
        found.problem = reader.problem();
        found.failed_line = reader.number();
        return;
    }
  };
  while (!text.empty() && !found.problem) {
    std::string_view part = text.substr(0, step);
    text.remove_prefix(part.size());
    while (!part.empty() && !found.problem) {
      std::size_t consumed = 0;
      take(reader.read(part, consumed));
      part.remove_prefix(consumed);
    }
  }
  if (!found.problem) take(reader.finish());
  return found;
}

// The same, and the parts do not matter.
Read read_anyhow(std::string_view text) {
  const Read whole = read(text);
  for (const std::size_t step : {1u, 2u, 3u, 7u}) {
    const Read parts = read(text, step);
    CHECK((parts.lines == whole.lines));
    CHECK(parts.blank == whole.blank);
    CHECK(parts.failed_line == whole.failed_line);
    REQUIRE(parts.problem.has_value() == whole.problem.has_value());
    if (whole.problem) {
      CHECK(parts.problem->code == whole.problem->code);
      CHECK(parts.problem->field == whole.problem->field);
    }
  }
  return whole;
}

Read::Line one(std::string_view text) {
  const Read found = read_anyhow(text);
  REQUIRE_MESSAGE(!found.problem, std::string(text) << ": " << found.problem->detail);
  REQUIRE(found.lines.size() == 1);
  return found.lines.front();
}

json::Problem refused(std::string_view text) {
  const Read found = read_anyhow(text);
  REQUIRE_MESSAGE(found.problem, std::string(text));
  CHECK(found.lines.empty());
  CHECK(found.failed_line == 1);
  CHECK(found.problem->detail.starts_with("line 1, byte "));
  return *found.problem;
}

std::uint64_t below(Prng& prng, std::uint64_t bound) {
  return prng.next() % bound;
}

// What document.hpp makes of the line: the line, or nothing.
std::optional<Read::Line> by_document(std::string_view text) {
  json::Document document;
  if (document.parse(text)) return std::nullopt;
  if (document.root().kind() != json::Kind::object) return std::nullopt;
  Read::Line line;
  bool key = false, value = false;
  for (const auto& [name, member] : document.root()) {
    if (name == "json") {
      if (!member.boolean()) return std::nullopt;
      line.json = *member.boolean();
      continue;
    }
    const auto string = member.string();
    if (!string) return std::nullopt;
    std::string bytes(*string);
    if (name == "key_base64" || name == "value_base64") {
      auto decoded = json::decode_base64(bytes);
      if (!decoded) return std::nullopt;
      bytes = *decoded;
    }
    const bool is_key = name == "key" || name == "key_base64";
    if (!is_key && name != "value" && name != "value_base64") return std::nullopt;
    if (is_key ? key : value) return std::nullopt;
    (is_key ? key : value) = true;
    (is_key ? line.key : line.value) = bytes;
  }
  if (!key || !value || line.key.empty() || line.value.size() > kMaxValue) return std::nullopt;
  if (line.json) {
    std::string compact;
    if (json::compact(line.value, compact)) return std::nullopt;
    line.value = compact;
  }
  line.number = 1;
  return line;
}

void same_as_document(const std::string& text) {
  const Read found = read_anyhow(text);
  const auto expected = by_document(text);
  INFO(text);
  if (!expected) {
    CHECK((found.lines.empty() && (found.problem || found.blank == 1)));
    return;
  }
  REQUIRE(!found.problem);
  REQUIRE(found.lines.size() == 1);
  CHECK((found.lines.front() == *expected));
}

}  // namespace

TEST_CASE("a line has a key and a value, as text or base64, in any order") {
  CHECK((one(R"({"key":"a","value":"b"})") == Read::Line{1, "a", "b", false}));
  CHECK((one(" \t{ \"value\" : \"b\" ,\r\"key\":\"a\" } \r\n") == Read::Line{1, "a", "b", false}));
  CHECK((one(R"({"key_base64":"/wA=","value_base64":""})") ==
         Read::Line{1, std::string("\xff\0", 2), "", false}));
  CHECK((one(R"({"json":false,"value":"","key":"\u0000"})") ==
         Read::Line{1, std::string(1, '\0'), "", false}));
  CHECK((one(R"({"key":"\ud83d\ude00\u20ac\u00e4\"\\\/\b\f\n\r\t","value":"x"})") ==
         Read::Line{1, "\xf0\x9f\x98\x80\xe2\x82\xac\xc3\xa4\"\\/\b\f\n\r\t", "x", false}));
}

TEST_CASE("a value marked as JSON is kept in compact form") {
  CHECK((one(R"({"key":"a","value":" { \"b\" : [ 1.50 , null ] } ","json":true})") ==
         Read::Line{1, "a", R"({"b":[1.50,null]})", true}));
  CHECK((one(R"({"json":true,"key":"a","value_base64":"MQ=="})") == Read::Line{1, "a", "1", true}));
  for (const char* text :
       {R"({"key":"a","value":"","json":true})", R"({"key":"a","value":"{","json":true})",
        R"({"key":"a","value":"1 2","json":true})",
        R"({"key":"a","value_base64":"/w==","json":true})"}) {
    const auto problem = refused(text);
    CHECK(problem.code == Code::invalid_field);
    CHECK(problem.field == "value");
  }
}

TEST_CASE("lines are counted, blank ones too, and the last one needs no line feed") {
  const Read found = read_anyhow(
      "{\"key\":\"a\",\"value\":\"1\"}\r\n\n "
      "\t\n{\"key\":\"b\",\"value\":\"2\"}\n{\"key\":\"c\",\"value\":"
      "\"3\"}");
  REQUIRE(!found.problem);
  CHECK(found.blank == 2);
  CHECK((found.lines == std::vector<Read::Line>{
                            {1, "a", "1", false}, {4, "b", "2", false}, {5, "c", "3", false}}));
  CHECK(read_anyhow("").lines.empty());
  CHECK(read_anyhow("\n\n").blank == 2);
  CHECK(read_anyhow(" ").blank == 1);
}

TEST_CASE("an error names its line, and the lines before it count") {
  const Read found = read_anyhow(
      "{\"key\":\"a\",\"value\":\"1\"}\n\n{\"key\":\"b\"}\n{\"key\":\"c\",\"value\":\"3\"}\n");
  CHECK(found.lines.size() == 1);
  REQUIRE(found.problem);
  CHECK(found.failed_line == 3);
  CHECK(found.problem->code == Code::invalid_field);
  CHECK(found.problem->field == "value");
  CHECK(found.problem->detail == "line 3, byte 11: `value`: missing");
}

TEST_CASE("a wrong member is named") {
  const std::pair<const char*, const char*> cases[] = {
      {R"({})", "key"},
      {R"({"value":"b"})", "key"},
      {R"({"key":"a"})", "value"},
      {R"({"key":"a","value":"b","x":1})", "x"},
      {R"({"key":"a","value":"b","revision":7})", "revision"},
      {R"({"key":"a","value":"b","":1})", ""},
      {R"({"key":1,"value":"b"})", "key"},
      {R"({"key":null,"value":"b"})", "key"},
      {R"({"key":"a","value":{}})", "value"},
      {R"({"key":"a","value":["b"]})", "value"},
      {R"({"key":"a","value":true})", "value"},
      {R"({"key":"a","value":-1})", "value"},
      {R"({"key":"a","value":"b","json":"true"})", "json"},
      {R"({"key":"a","value":"b","json":null})", "json"},
      {R"({"key":"a","value":"b","json":1})", "json"},
      {R"({"key":"a","key":"a","value":"b"})", "key"},
      {R"({"key":"a","key_base64":"YQ==","value":"b"})", "key_base64"},
      {R"({"key":"a","value":"b","value_base64":"YQ=="})", "value_base64"},
      {R"({"key":"a","value":"b","json":true,"json":true})", "json"},
      {R"({"key_base64":"YQ","value":"b"})", "key_base64"},
      {R"({"key":"a","value_base64":"YQ==YQ=="})", "value_base64"},
      {R"({"key":"a","value_base64":"YR=="})", "value_base64"},
      {R"({"key":"a","value_base64":"Y\nQ=="})", "value_base64"},
      {R"({"key":"a","value_base64":"-_-_"})", "value_base64"},
  };
  for (const auto& each : cases) {
    const auto& text = each.first;
    const auto& field = each.second;
    INFO(text);
    const auto problem = refused(text);
    CHECK(problem.code == Code::invalid_field);
    CHECK(problem.field == field);
    CHECK_FALSE(by_document(text));
  }
  CHECK(refused("{\"" + std::string(5000, 'x') + "\":1}").field.size() < 100);
}

TEST_CASE("what is no JSON object is malformed") {
  for (const char* text : {"x",
                           "[]",
                           "1",
                           "\"a\"",
                           "null",
                           "true",
                           "{",
                           "{\"",
                           "{\"key",
                           "{\"key\"",
                           "{\"key\":",
                           "{\"key\":\"a",
                           "{\"key\":\"a\"",
                           "{\"key\":\"a\",",
                           "{\"key\":\"a\",}",
                           "{,}",
                           "{key:1}",
                           "{'key':1}",
                           "{\"key\" \"a\"}",
                           "{\"key\":\"a\" \"value\":\"b\"}",
                           "{\"key\":\"a\",\"value\":\"b\"}}",
                           "{\"key\":\"a\",\"value\":\"b\"}{\"key\":\"a\",\"value\":\"b\"}",
                           "{\"key\":\"a\",\"value\":\"b\"},",
                           "{\"key\":\"a\",\"json\":t rue}",
                           "{\"key\":\"a\",\"json\":truex}",
                           "{\"key\":\"a\",\"json\":tru\"}",
                           "{\"key\":\"a\",\"json\":trfalse}",
                           "{\"key\":\"a\tb\"}",
                           "{\"key\":\"\\x\"}",
                           "{\"key\":\"\\u12g4\"}",
                           "{\"key\":\"\\ud800\"}",
                           "{\"key\":\"\\ud800x\"}",
                           "{\"key\":\"\\ud800\\n\"}",
                           "{\"key\":\"\\ud800\\ud800\"}",
                           "{\"key\":\"\\udc00\"}",
                           "{\"key\":\"\xff\"}",
                           "{\"key\":\"\xe2\x82\"}",
                           "{\"key\":\"\xe2\x82\\n\xac\"}",
                           "{\"key\":\"\xed\xa0\x80\"}",
                           "{\"\xff\":1}",
                           "\xef\xbb\xbf{\"key\":\"a\",\"value\":\"b\"}",
                           "{\"key\":/**/\"a\",\"value\":\"b\"}"}) {
    INFO(text);
    CHECK(refused(text).code == Code::malformed);
    CHECK_FALSE(by_document(text));
  }
  CHECK(refused(std::string("{\"key\":\"a\0b\"}", 13)).code == Code::malformed);
  CHECK(refused(std::string("\0", 1)).code == Code::malformed);
}

TEST_CASE("sizes are bounded while a line arrives") {
  const auto line = [](const std::string& key, const std::string& value) {
    return "{\"key\":\"" + key + "\",\"value\":\"" + value + "\"}";
  };
  CHECK(one(line(std::string(json::kMaxKey, 'k'), std::string(kMaxValue, 'v'))).key.size() == 4096);
  auto problem = refused(line("k", std::string(kMaxValue + 1, 'v')));
  CHECK(problem.code == Code::value_too_large);
  CHECK(problem.limit == kMaxValue);
  CHECK(problem.field == "value");
  problem = refused(line(std::string(json::kMaxKey + 1, 'k'), ""));
  CHECK(problem.code == Code::invalid_key);
  CHECK(problem.limit == json::kMaxKey);
  CHECK(refused(line("", "")).code == Code::invalid_key);
  CHECK(refused(R"({"key_base64":"","value":""})").code == Code::invalid_key);
  std::string escapes;
  for (std::size_t i = 0; i < kMaxValue; ++i) escapes += "\\u0001";
  CHECK(one(line("k", escapes)).value == std::string(kMaxValue, '\x01'));
  problem = refused(std::string(1u << 20, ' '));
  CHECK(problem.code == Code::malformed);
  CHECK(problem.limit != 0);

  // An endless value is refused before much of it is held.
  LineReader reader(kMaxValue);
  std::size_t consumed = 0;
  REQUIRE(reader.read("{\"key\":\"k\",\"value\":\"", consumed) == Step::need_more);
  std::size_t fed = 0;
  for (Step step = Step::need_more; step == Step::need_more; fed += 16)
    step = reader.read("0123456789abcdef", consumed);
  CHECK(fed <= kMaxValue + 16);
  CHECK(reader.held() <= kMaxValue + 32);
}

TEST_CASE("lines made at random are read as the document reader reads them") {
  Prng prng(7);
  const std::string pieces[] = {"{",
                                "}",
                                "\"",
                                ":",
                                ",",
                                "key",
                                "value",
                                "_base64",
                                "json",
                                "true",
                                "false",
                                "\\u00",
                                "\\",
                                "e4",
                                "\xc3\xa4",
                                "YQ==",
                                "\\ud83d",
                                "\\ude00",
                                " ",
                                "1",
                                "[",
                                "\"key\":\"a\"",
                                "\"value\":\"b\"",
                                "\"json\":true",
                                "\"value_base64\":\"MTI=\""};
  for (int round = 0; round < 20'000; ++round) {
    std::string text;
    const std::uint64_t count = below(prng, 6) + 1;
    const bool whole = below(prng, 2) == 0;
    if (whole) text = "{";
    for (std::uint64_t i = 0; i < count; ++i) {
      if (whole && i != 0 && below(prng, 4) != 0) text += ",";
      text += pieces[below(prng, std::size(pieces))];
    }
    if (whole) text += "}";
    if (text.find_first_not_of(' ') == std::string::npos) continue;
    same_as_document(text);
  }
}

TEST_CASE("what the writer writes is read as the same bytes") {
  Prng prng(3);
  for (int round = 0; round < 2000; ++round) {
    std::string key, value;
    for (std::uint64_t i = below(prng, 20) + 1; i > 0; --i)
      key += static_cast<char>(below(prng, below(prng, 2) == 0 ? 128 : 256));
    for (std::uint64_t i = below(prng, kMaxValue); i > 0; --i)
      value += static_cast<char>(below(prng, below(prng, 2) == 0 ? 128 : 256));
    std::string text;
    json::Writer w(text);
    w.begin_object();
    w.bytes_member("key", key);
    w.bytes_member("value", value);
    w.end_object();
    CHECK((one(text) == Read::Line{1, key, value, false}));
  }
}
