#include <doctest/doctest.h>

#include "http/conditions.hpp"
#include "http/values.hpp"

using namespace vesper;
using namespace vesper::http;

namespace {

std::string date(std::int64_t unix_seconds) {
  std::string out;
  append_http_date(unix_seconds, out);
  return out;
}

// What a list of field lines says: "any", or "7 W8 of 3" (two of three tags can match), or "bad".
std::string tags(std::initializer_list<std::string_view> lines) {
  EntityTags found;
  for (const std::string_view line : lines)
    if (!add_entity_tags(line, found)) return "bad";
  CHECK(found.present == (lines.size() > 0));
  if (found.any) return "any";
  std::string text;
  for (const auto revision : found.strong) (text += std::to_string(revision)) += ' ';
  for (const auto revision : found.weak) ((text += 'W') += std::to_string(revision)) += ' ';
  return text + "of " + std::to_string(found.count);
}

}  // namespace

TEST_CASE("a number has one spelling") {
  CHECK(parse_decimal("0") == 0);
  CHECK(parse_decimal("18446744073709551615") == UINT64_MAX);
  for (const auto text : {"", "00", "01", "+1", "-1", " 1", "1 ", "1.0", "1e3", "0x1", "a",
                          "18446744073709551616", "99999999999999999999999"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_decimal(text));
  }
}

TEST_CASE("a size is a whole number of bytes, alone or with a binary unit") {
  CHECK(parse_size("0") == 0);
  CHECK(parse_size("65536") == 65536);
  CHECK(parse_size("2KiB") == 2048);
  CHECK(parse_size("64MiB") == 67'108'864);
  CHECK(parse_size("8GiB") == 8'589'934'592);
  CHECK(parse_size("16777215TiB") == 18'446'742'974'197'923'840u);
  CHECK(parse_size("18446744073709551615") == UINT64_MAX);
  for (const auto text :
       {"", "KiB", "-1", "+1", "1.5GiB", "01KiB", "1 KiB", " 1KiB", "1KiB ", "1kib", "1KB", "1K",
        "1B", "1PiB", "16777216TiB", "18446744073709551615KiB", "18446744073709551616"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_size(text));
  }
}

TEST_CASE("a duration is a whole number and a unit, up to ten years") {
  CHECK(parse_duration("1ms")->ms() == 1);
  CHECK(parse_duration("500ms")->ms() == 500);
  CHECK(parse_duration("10s")->ms() == 10'000);
  CHECK(parse_duration("5m")->ms() == 300'000);
  CHECK(parse_duration("2h")->ms() == 7'200'000);
  CHECK(parse_duration("7d")->ms() == 604'800'000);
  CHECK(parse_duration("3650d")->ms() == kMaxDurationMs);
  CHECK(parse_duration("315360000000ms")->ms() == kMaxDurationMs);
  for (const auto text : {"",
                          "s",
                          "10",
                          "0s",
                          "0ms",
                          "-1s",
                          "+1s",
                          "1.5s",
                          "01s",
                          "1 s",
                          " 1s",
                          "1s ",
                          "1S",
                          "1us",
                          "1w",
                          "1h30m",
                          "3651d",
                          "315360000001ms",
                          "18446744073709551615d",
                          "18446744073709551616ms"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_duration(text));
  }
}

TEST_CASE("a flag is set, unset or invalid") {
  for (const auto text : {"", "1", "true"}) CHECK(parse_flag(text) == true);
  for (const auto text : {"0", "false"}) CHECK(parse_flag(text) == false);
  for (const auto text : {"yes", "True", "2", " ", "no", "00"}) CHECK_FALSE(parse_flag(text));
}

TEST_CASE("a token is found in a list, as a whole and in any case") {
  CHECK(list_contains("close", "close"));
  CHECK(list_contains(" a ,\tCLOSE , b", "close"));
  CHECK_FALSE(list_contains("closed, enclose", "close"));
  CHECK_FALSE(list_contains("", "close"));
}

TEST_CASE("dates have the format of RFC 9110 5.6.7") {
  CHECK(date(784111777) == "Sun, 06 Nov 1994 08:49:37 GMT");
  CHECK(date(0) == "Thu, 01 Jan 1970 00:00:00 GMT");
  CHECK(date(-1) == "Wed, 31 Dec 1969 23:59:59 GMT");
  CHECK(date(951782400) == "Tue, 29 Feb 2000 00:00:00 GMT");
  CHECK(date(4107542400) == "Mon, 01 Mar 2100 00:00:00 GMT");
  CHECK(date(1709251199) == "Thu, 29 Feb 2024 23:59:59 GMT");
  CHECK(date(253402300799) == "Fri, 31 Dec 9999 23:59:59 GMT");
  DateCache cache;
  CHECK(cache.at(784111777) == "Sun, 06 Nov 1994 08:49:37 GMT");
  CHECK(cache.at(784111778) == "Sun, 06 Nov 1994 08:49:38 GMT");
  CHECK(cache.at(784111778) == "Sun, 06 Nov 1994 08:49:38 GMT");
}

TEST_CASE("entity tags that are revisions are kept, and others never match") {
  CHECK(tags({}) == "of 0");
  CHECK(tags({"*"}) == "any");
  CHECK(tags({" * "}) == "any");
  CHECK(tags({"\"7\""}) == "7 of 1");
  CHECK(tags({"7"}) == "7 of 1");
  CHECK(tags({"W/\"7\""}) == "W7 of 1");
  CHECK(tags({"\"7\", W/\"8\" ,9,\t\"10\""}) == "7 9 10 W8 of 4");
  CHECK(tags({"\"7\"", "8"}) == "7 8 of 2");
  CHECK(tags({",\"7\", ,"}) == "7 of 1");
  CHECK(tags({"\"18446744073709551615\""}) == "18446744073709551615 of 1");
  for (const auto text : {"\"abc\"", "\"007\"", "007", "\"\"", "\"0\"", "0", "\"+7\"", "\"*\"",
                          "\"a,b\"", "\"\xc3\xa4\"", "\"18446744073709551616\"", "W/\"07\""}) {
    CAPTURE(text);
    CHECK(tags({text}) == "of 1");
  }
}

TEST_CASE("an invalid list of entity tags is refused") {
  for (const auto text :
       {"",        ",",       " ",        "abc",      "\"7",      "7\"",      "\"7\"8", "7 8",
        "w/\"7\"", "W/7",     "W/",       "W /\"7\"", "*, \"7\"", "\"7\", *", "**",     "-7",
        "7.0",     "\"a b\"", "\"a\tb\"", "\"\x7f\"", "'7'",      "7a"}) {
    CAPTURE(text);
    CHECK(tags({text}) == "bad");
  }
  CHECK(tags({"*", "\"7\""}) == "bad");
  CHECK(tags({"\"7\"", "*"}) == "bad");
  CHECK(tags({"*", "*"}) == "bad");
  std::string many = "1";
  for (int i = 2; i <= 16; ++i) (many += ',') += std::to_string(i);
  CHECK(tags({many}).ends_with("of 16"));
  CHECK(tags({many + ",17"}) == "bad");
  CHECK(tags({many, "17"}) == "bad");
  const auto commas = std::string("7").append(1000, ',');
  CHECK(tags({commas}) == "bad");
}

TEST_CASE("a value is taken as it is, or is the content of an RFC 8941 string") {
  CHECK(unquote("abc") == "abc");
  CHECK(unquote("a\"b") == "a\"b");
  CHECK(unquote("") == "");
  CHECK(unquote("\"abc\"") == "abc");
  CHECK(unquote("\"\"") == "");
  CHECK(unquote("\"a b\"") == "a b");
  CHECK(unquote("\"a\\\"b\\\\c\"") == "a\"b\\c");
  for (const char* bad : {"\"", "\"abc", "\"abc\\\"", "\"abc\"d", "\"a\";b", "\"\\a\"", "\"\\",
                          "\"a\tb\"", "\"\x7f\"", "\"\xc3\xa9\""})
    CHECK_FALSE(unquote(bad));
}

TEST_CASE("a coding is accepted if Accept-Encoding names it, or everything, above weight 0") {
  const auto accepts = [](std::initializer_list<std::string_view> lists) {
    Fields fields;
    fields.add({"Accept", "gzip"});
    for (const std::string_view list : lists) fields.add({"accept-encoding", list});
    return accepts_coding(fields, "gzip");
  };
  for (const std::string_view list : {"gzip", "deflate, GZIP", "gzip;q=0.001", "br, *", "*;q=0.5"})
    CHECK_MESSAGE(accepts({list}), list);
  CHECK(accepts({"br", "gzip"}));
  CHECK_FALSE(accepts({}));
  for (const std::string_view list :
       {"", "br", "gzip;q=0", "gzip; q=0.000, *", "*;q=0", "identity", "gzipped"})
    CHECK_FALSE_MESSAGE(accepts({list}), list);
}

TEST_CASE("a media type has the weight that the Accept lists give it") {
  const auto weight = [](std::initializer_list<std::string_view> lists) {
    Fields fields;
    fields.add({"Content-Type", "a/b"});
    for (const std::string_view list : lists) fields.add({"accept", list});
    return accept_weight(fields, "a/b");
  };
  CHECK(weight({}) == std::nullopt);
  CHECK(weight({""}) == std::nullopt);
  CHECK(weight({"*/*"}) == std::nullopt);
  CHECK(weight({"a/*"}) == std::nullopt);
  CHECK(weight({"a/bc"}) == std::nullopt);
  CHECK(weight({"a/b"}) == 1000);
  CHECK(weight({"c/d, A/B"}) == 1000);
  CHECK(weight({"c/d", "a/b"}) == 1000);
  CHECK(weight({"a/b;q=0.5"}) == 500);
  CHECK(weight({"c/d;q=1,a/b ; level=1 ; Q=0.001 , */*"}) == 1);
  CHECK(weight({"a/b;q=0"}) == 0);
  CHECK(weight({"a/b;q=1."}) == 1000);
  CHECK(weight({"a/b;q=1.000"}) == 1000);
  for (const std::string_view bad : {"a/b;q=", "a/b;q=2", "a/b;q=1.001", "a/b;q=0.1234", "a/b;q=-1",
                                     "a/b;q=0,5", "a/b;q=.5", "a/b;q=0.x"})
    CHECK(weight({bad}).value_or(0) == 0);
}

TEST_CASE("a Content-Type names its media type in any case and with any parameters") {
  CHECK(is_media_type("application/x-ndjson", "application/x-ndjson"));
  CHECK(is_media_type("Application/X-NDJSON ; charset=utf-8", "application/x-ndjson"));
  for (const std::string_view other :
       {"", "application/json", "application/x-ndjsonx", "x;application/x-ndjson"})
    CHECK_FALSE(is_media_type(other, "application/x-ndjson"));
}
