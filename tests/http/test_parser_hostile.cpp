// Requests that are refused, most of them because two readers could understand them differently,
// and the limits.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "http/splits.hpp"

using namespace vesper::http;
using namespace std::string_view_literals;

namespace {

constexpr std::string_view kMalformed = "400 malformed; ";

// Whole requests, or what comes before the refusal. Some byte of a line is wrong wherever it
// stands.
constexpr Row kRefused[] = {
    {"two spaces before the target", "GET  / HTTP/1.1\r\nHost: h\r\n\r\n", kMalformed},
    {"two spaces before the version", "GET /  HTTP/1.1\r\nHost: h\r\n\r\n", kMalformed},
    {"a tab for a space", "GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n", kMalformed},
    {"a space at the line's end", "GET / HTTP/1.1 \r\nHost: h\r\n\r\n", kMalformed},
    {"a space at the line's start", " GET / HTTP/1.1\r\nHost: h\r\n\r\n", kMalformed},
    {"a space in the target", "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", kMalformed},
    {"no target", "GET HTTP/1.1\r\nHost: h\r\n\r\n", kMalformed},
    {"HTTP/0.9", "GET /\r\n", kMalformed},
    {"a version in lower case", "GET / http/1.1\r\nHost: h\r\n\r\n", kMalformed},
    {"a version of two digits", "GET / HTTP/1.10\r\nHost: h\r\n\r\n", kMalformed},
    {"a version without a minor", "GET / HTTP/1\r\nHost: h\r\n\r\n", kMalformed},
    {"another protocol", "GET / RTSP/1.0\r\nHost: h\r\n\r\n", kMalformed},
    {"HTTP/1.2", "GET / HTTP/1.2\r\nHost: h\r\n\r\n", "505 http_version; "},
    {"HTTP/0.9 spelled out", "GET / HTTP/0.9\r\nHost: h\r\n\r\n", "505 http_version; "},
    {"HTTP/2 of another form", "GET / HTTP/2 \r\nHost: h\r\n\r\n", "505 http_version; "},
    {"HTTP/1.2 of another form", "GET / HTTP/1.23\r\nHost: h\r\n\r\n", "505 http_version; "},
    {"TLS", "\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"sv, kMalformed},
    {"an empty method", "/ HTTP/1.1\r\nHost: h\r\n\r\n", kMalformed},
    {"a method that is no token", "G@T / HTTP/1.1\r\nHost: h\r\n\r\n", kMalformed},
    {"a method longer than any",
     "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOPQRSTUVWXYZ / HTTP/1.1\r\nHost: h\r\n\r\n",
     "501 not_implemented; "},
    {"two empty lines first", "\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", kMalformed},
    {"a bare LF first", "\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", kMalformed},
    {"a bare CR first", "\rGET / HTTP/1.1\r\nHost: h\r\n\r\n", kMalformed},
    {"a bare CR behind the empty line", "\r\n\rGET / HTTP/1.1\r\nHost: h\r\n\r\n", kMalformed},

    {"a fragment", "GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n", kMalformed},
    {"a byte above ASCII in the target", "GET /\xc3\xa4 HTTP/1.1\r\nHost: h\r\n\r\n", kMalformed},
    {"DEL in the target", "GET /\x7f HTTP/1.1\r\nHost: h\r\n\r\n", kMalformed},
    {"NUL in the target", "GET /\0 HTTP/1.1\r\nHost: h\r\n\r\n"sv, kMalformed},
    {"a tab in the target", "GET /\t HTTP/1.1\r\nHost: h\r\n\r\n", kMalformed},
    {"a relative target", "GET kv/a HTTP/1.1\r\nHost: h\r\n\r\n", kMalformed},
    {"an authority as target", "GET h:80 HTTP/1.1\r\nHost: h\r\n\r\n", kMalformed},
    {"** with OPTIONS", "OPTIONS ** HTTP/1.1\r\nHost: h\r\n\r\n", kMalformed},
    {"another scheme", "GET https://h/ HTTP/1.1\r\nHost: h\r\n\r\n", kMalformed},

    {"a bare LF behind the request line", "GET / HTTP/1.1\nHost: h\r\n\r\n", kMalformed},
    {"a bare LF behind a field", "GET / HTTP/1.1\r\nHost: h\n\r\n", kMalformed},
    {"a bare LF for the empty line", "GET / HTTP/1.1\r\nHost: h\r\n\n", kMalformed},
    {"bare LFs alone", "GET / HTTP/1.1\nHost: h\n\n", kMalformed},
    {"a bare CR behind a field", "GET / HTTP/1.1\r\nHost: h\rA: b\r\n\r\n", kMalformed},
    {"a bare CR for a line", "GET / HTTP/1.1\r\nHost: h\r\n\rA: b\r\n\r\n", kMalformed},
    {"a bare CR for the empty line", "GET / HTTP/1.1\r\nHost: h\r\n\rZ", kMalformed},
    {"bare CRs alone", "GET / HTTP/1.1\rHost: h\r\r", kMalformed},
    {"a bare CR in the request line", "GET /\r HTTP/1.1\r\nHost: h\r\n\r\n", kMalformed},
    {"CR CR LF", "GET / HTTP/1.1\r\nHost: h\r\r\n\r\n", kMalformed},
    {"a name that is a CR", "GET / HTTP/1.1\r\nHost: h\r\n\r: b\r\n\r\n", kMalformed},
    {"a folded field", "GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n c\r\n\r\n", kMalformed},
    {"a field folded with a tab", "GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n\tc\r\n\r\n", kMalformed},
    {"a folded first field", "GET / HTTP/1.1\r\n Host: h\r\n\r\n", kMalformed},
    {"a line of spaces", "GET / HTTP/1.1\r\nHost: h\r\n \r\n\r\n", kMalformed},
    {"a space before the colon", "GET / HTTP/1.1\r\nHost : h\r\n\r\n", kMalformed},
    {"a tab before the colon", "GET / HTTP/1.1\r\nHost\t: h\r\n\r\n", kMalformed},
    {"a space in a name", "GET / HTTP/1.1\r\nHost: h\r\nA B: c\r\n\r\n", kMalformed},
    {"an empty name", "GET / HTTP/1.1\r\nHost: h\r\n: c\r\n\r\n", kMalformed},
    {"no colon", "GET / HTTP/1.1\r\nHost: h\r\nA\r\n\r\n", kMalformed},
    {"a byte above ASCII in a name", "GET / HTTP/1.1\r\nHost: h\r\n\xc3\xa4: b\r\n\r\n",
     kMalformed},
    {"a quote in a name", "GET / HTTP/1.1\r\nHost: h\r\n\"a\": b\r\n\r\n", kMalformed},
    {"NUL in a name", "GET / HTTP/1.1\r\nHost: h\r\nA\0: b\r\n\r\n"sv, kMalformed},
    {"NUL in a value", "GET / HTTP/1.1\r\nHost: h\r\nA: b\0\r\n\r\n"sv, kMalformed},
    {"DEL in a value", "GET / HTTP/1.1\r\nHost: h\r\nA: b\x7f\r\n\r\n", kMalformed},
    {"ESC in a value", "GET / HTTP/1.1\r\nHost: h\r\nA: \x1b[0m\r\n\r\n", kMalformed},
    {"a vertical tab in a value", "GET / HTTP/1.1\r\nHost: h\r\nA: b\vc\r\n\r\n", kMalformed},
};

// Lines that are well formed and mean nothing, alone or together: judged when all of them are
// there.
constexpr Row kRefusedHeads[] = {
    {"* with GET", "GET * HTTP/1.1\r\nHost: h\r\n\r\n", kMalformed},
    {"HTTP/2's preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505 http_version; "},
    {"an absolute target without a host", "GET http:///a HTTP/1.1\r\nHost: h\r\n\r\n", kMalformed},
    {"a user in the target", "GET http://u@h/ HTTP/1.1\r\nHost: h\r\n\r\n", kMalformed},
    {"CONNECT to a path", "CONNECT /a HTTP/1.1\r\nHost: h\r\n\r\n", kMalformed},
    {"no Host", "GET / HTTP/1.1\r\nA: b\r\n\r\n", kMalformed},
    {"no field at all", "GET / HTTP/1.1\r\n\r\n", kMalformed},
    {"no Host with an absolute target", "GET http://h/ HTTP/1.1\r\n\r\n", kMalformed},
    {"two Hosts", "GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", kMalformed},
    {"two Hosts in HTTP/1.0", "GET / HTTP/1.0\r\nHost: h\r\nhost: i\r\n\r\n", kMalformed},
    {"an empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", kMalformed},
    {"a Host that is a list", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", kMalformed},
    {"a Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", kMalformed},
    {"a Host with a user", "GET / HTTP/1.1\r\nHost: u@h\r\n\r\n", kMalformed},
    {"a Host with a bad port", "GET / HTTP/1.1\r\nHost: h:65536\r\n\r\n", kMalformed},

    {"Content-Length and Transfer-Encoding",
     "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
     kMalformed},
    {"Transfer-Encoding and Content-Length",
     "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n",
     kMalformed},
    {"two lengths that differ",
     "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", kMalformed},
    {"two equal lengths",
     "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\ncontent-length: 5\r\n\r\n", kMalformed},
    {"a list of lengths", "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 5, 5\r\n\r\n", kMalformed},
    {"a length with a plus", "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: +5\r\n\r\n", kMalformed},
    {"a negative length", "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: -5\r\n\r\n", kMalformed},
    {"a hexadecimal length", "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 0x5\r\n\r\n",
     kMalformed},
    {"a length with a leading zero", "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 05\r\n\r\n",
     kMalformed},
    {"a length with a fraction", "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 5.0\r\n\r\n",
     kMalformed},
    {"a length with a space in it", "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 5 5\r\n\r\n",
     kMalformed},
    {"an empty length", "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n\r\n", kMalformed},
    {"a length that is no number", "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: five\r\n\r\n",
     kMalformed},
    {"a length above 64 bits",
     "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 18446744073709551616\r\n\r\n", kMalformed},
    {"chunks in HTTP/1.0", "PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", kMalformed},
    {"an empty coding first", "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: ,chunked\r\n\r\n",
     kMalformed},
    {"an empty coding last", "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked,\r\n\r\n",
     kMalformed},
    {"no coding", "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding:\r\n\r\n", kMalformed},
    {"chunked twice", "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, chunked\r\n\r\n",
     kMalformed},
    {"chunked on two lines",
     "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: "
     "chunked\r\n\r\n",
     kMalformed},
    {"chunked before another",
     "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", kMalformed},
    {"chunked with a parameter",
     "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked;q=1\r\n\r\n", kMalformed},
    {"chunked in quotes", "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \"chunked\"\r\n\r\n",
     kMalformed},
    {"chunked with a vertical tab",
     "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \vchunked\r\n\r\n", kMalformed},
    {"another coding", "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n",
     "501 not_implemented; "},
    {"another coding before chunked",
     "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
     "501 not_implemented; "},
    {"another coding on a line before chunked",
     "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n",
     "501 not_implemented; "},
    {"a coding that only looks like chunked",
     "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n", "501 not_implemented; "},
    {"identity", "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: identity\r\n\r\n",
     "501 not_implemented; "},
};

// What comes behind this head.
constexpr std::string_view kChunkedHead =
    "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
constexpr Row kRefusedChunks[] = {
    {"a size that is no number", "g\r\n", "400 malformed; "},
    {"an empty size", "\r\n", "400 malformed; "},
    {"a size with 0x", "0x5\r\nhello", "400 malformed; "},
    {"a negative size", "-1\r\n", "400 malformed; "},
    {"a size with a plus", "+5\r\nhello", "400 malformed; "},
    {"a space before a size", " 5\r\nhello", "400 malformed; "},
    {"a space behind a size", "5 \r\nhello", "400 malformed; "},
    {"a tab behind a size", "5\t\r\nhello", "400 malformed; "},
    {"a bare LF behind a size", "5\nhello", "400 malformed; "},
    {"a bare CR behind a size", "5\rhello", "400 malformed; "},
    {"CR CR LF behind a size", "5\r\r\nhello", "400 malformed; "},
    {"a space and no extension behind it", "5 \r\nhello", "400 malformed; "},
    {"an extension before a size", ";a=b\r\n", "400 malformed; "},
    {"an empty extension", "5;\r\nhello", "400 malformed; "},
    {"an empty extension before another", "5;;a\r\nhello", "400 malformed; "},
    {"an extension without a name", "5;=b\r\nhello", "400 malformed; "},
    {"an extension with an empty value", "5;a=\r\nhello", "400 malformed; "},
    {"an extension with two values", "5;a=b=c\r\nhello", "400 malformed; "},
    {"an extension of two words", "5;a b\r\nhello", "400 malformed; "},
    {"a space behind an extension", "5;a=b \r\nhello", "400 malformed; "},
    {"a text behind a quoted value", "5;a=\"b\"c\r\nhello", "400 malformed; "},
    {"a quoted value that is not closed", "5;a=\"b\r\nhello", "400 malformed; "},
    {"a quoted value over a line end", "5;a=\"\r\nhello\r\n0\r\n\r\n\"\r\n", "400 malformed; "},
    {"a line end that is quoted", "5;a=\"\\\r\n\"\r\nhello", "400 malformed; "},
    {"a bare LF behind an extension", "5;a\nhello", "400 malformed; "},
    {"a bare CR behind an extension", "5;a\rhello", "400 malformed; "},
    {"a bare CR in an extension", "5;a=b\rc\r\nhello", "400 malformed; "},
    {"NUL in an extension", "5;a\0\r\nhello"sv, "400 malformed; "},
    {"NUL in a quoted value", "5;a=\"\0\"\r\nhello"sv, "400 malformed; "},
    {"DEL in a quoted value", "5;a=\"\x7f\"\r\nhello", "400 malformed; "},
    {"a byte above ASCII in an extension", "5;\xc3\xa4\r\nhello", "400 malformed; "},
    {"a size of seventeen digits", "00000000000000005\r\nhello", "400 malformed; "},
    {"a chunk longer than its size", "3\r\nhello\r\n0\r\n\r\n", "[hel] 400 malformed; "},
    {"a chunk shorter than its size", "7\r\nhello\r\n0\r\n\r\n", "[hello\r\n] 400 malformed; "},
    {"a bare LF behind a chunk", "5\r\nhello\n0\r\n\r\n", "[hello] 400 malformed; "},
    {"a bare CR behind a chunk", "5\r\nhello\r0\r\n\r\n", "[hello] 400 malformed; "},
    {"a trailer without a colon", "0\r\nA\r\n\r\n", "400 malformed; "},
    {"a trailer without a name", "0\r\n: b\r\n\r\n", "400 malformed; "},
    {"a request in place of a trailer", "0\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
     "400 malformed; "},
    {"a space before a trailer's colon", "0\r\nA : b\r\n\r\n", "400 malformed; "},
    {"a folded trailer", "0\r\nA: b\r\n c\r\n\r\n", "400 malformed; "},
    {"a folded first trailer", "0\r\n A: b\r\n\r\n", "400 malformed; "},
    {"a bare LF behind a trailer", "0\r\nA: b\n\r\n", "400 malformed; "},
    {"a bare CR behind a trailer", "0\r\nA: b\rC: d\r\n\r\n", "400 malformed; "},
    {"a bare LF behind the trailers", "0\r\nA: b\r\n\n", "400 malformed; "},
    {"a bare CR behind the trailers", "0\r\nA: b\r\n\rG", "400 malformed; "},
    {"NUL in a trailer", "0\r\nA: \0\r\n\r\n"sv, "400 malformed; "},
    {"DEL in a trailer", "0\r\nA: \x7f\r\n\r\n", "400 malformed; "},
    {"a bare LF at the end", "0\r\n\n", "400 malformed; "},
    {"a bare CR at the end", "0\r\n\rG", "400 malformed; "},
    {"nothing at the end", "0\r\n", "400 malformed; "},
};

std::string request_with(std::string_view target, std::string_view fields) {
  std::string request = "GET ";
  request += target;
  request += " HTTP/1.1\r\nHost: h\r\n";
  request += fields;
  return request + "\r\n";
}

std::string outcome(std::string_view input, Limits limits = {}) {
  return outcome_of_all_splits(Parser::Kind::request, input, limits);
}

}  // namespace

// Whether some end of a good request makes a good request of what has come. The ends are all that
// such requests have.
bool can_be_completed(std::string_view begin) {
  static const std::vector<std::string> kEnds = [] {
    std::vector<std::string> ends;
    for (const std::string_view whole :
         {"ABCDEFGHIJKLMNOPQRSTUVWXYZ / HTTP/1.1\r\nHost: h\r\n\r\n"sv,
          "GET http://h/ HTTP/1.0\r\nA: b\r\n\r\n"sv, "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"sv,
          "CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n"sv, "\r\nA / HTTP/1.1\r\nHost: h\r\n\r\n"sv,
          "fillerb\r\n5;a=\"b\\c\"\r\nhello\r\n0\r\nA: b\r\n\r\n"sv, "0\r\n\r\n0\r\n\r\n"sv,
          "\r\nabc\r\n0\r\n\r\n"sv, "\r\nabcdefg\r\n0\r\n\r\n"sv, "\"\r\nhello\r\n0\r\n\r\n"sv,
          "=b\r\nhello\r\n0\r\n\r\n"sv, ";a\r\nhello\r\n0\r\n\r\n"sv})
      for (std::size_t at = 0; at < whole.size(); ++at) ends.emplace_back(whole.substr(at));
    return ends;
  }();
  return std::any_of(kEnds.begin(), kEnds.end(), [&](const std::string& end) {
    Tracer tracer(Parser::Kind::request);
    tracer.feed(begin);
    tracer.feed(end);
    return tracer.brief().ends_with(" end; ");
  });
}

void check_nothing_is_waited_for_in_vain(std::string_view begin, std::string_view input) {
  const std::string whole = std::string(begin) + std::string(input);
  for (std::size_t cut = begin.size() + 1; cut <= whole.size(); ++cut) {
    CAPTURE(cut);
    const std::string_view some = std::string_view(whole).substr(0, cut);
    Tracer tracer(Parser::Kind::request);
    tracer.feed(some);
    if (!tracer.failed()) CHECK(can_be_completed(some));
  }
}

TEST_CASE("an ambiguous request is refused with the same error, however its bytes are split") {
  check_table(Parser::Kind::request, kRefused);
  check_table(Parser::Kind::request, kRefusedHeads);
}

TEST_CASE("a line is refused at the first byte that makes it invalid") {
  for (const Row& row : kRefused) {
    CAPTURE(row.name);
    check_nothing_is_waited_for_in_vain("", row.input);
  }
  for (const Row& row : kRefusedChunks) {
    CAPTURE(row.name);
    check_nothing_is_waited_for_in_vain(kChunkedHead, row.input);
  }
}

TEST_CASE("the parser reads chunks strictly") {
  CHECK(outcome(std::string(kChunkedHead) + "10000000000000005\r\nhello") ==
        "PUT / @h chunked 400 malformed; ");
  for (const Row& row : kRefusedChunks) {
    CAPTURE(row.name);
    CHECK(outcome(std::string(kChunkedHead) + std::string(row.input)) ==
          "PUT / @h chunked " + std::string(row.expected));
  }
}

TEST_CASE("the parser reads nothing after a refused request") {
  Tracer tracer(Parser::Kind::request);
  tracer.feed("GET / HTTP/1.1\r\n\r\n");
  tracer.feed("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  CHECK(tracer.brief() == "400 malformed; ");
  std::size_t consumed = 0;
  CHECK(tracer.parser().parse("GET / HTTP/1.1\r\nHost: h\r\n\r\n", consumed) == Step::error);
  CHECK(tracer.parser().finish() == Step::error);
}

TEST_CASE("a protocol other than HTTP is refused at its first byte") {
  for (const auto input : {"\x16"sv, "\0"sv, "{"sv, " "sv, "\n"sv, "\x80"sv}) {
    Parser parser(Parser::Kind::request);
    std::size_t consumed = 0;
    CHECK(parser.parse(input, consumed) == Step::error);
  }
}

TEST_CASE("a target above the limit is refused before its end arrives") {
  const Limits limits{.max_target = 50, .max_header_bytes = 512, .max_header_fields = 10};
  const std::string longest = "/" + std::string(49, 'a');
  CHECK(outcome(request_with(longest, ""), limits) == "GET " + longest + " @h end; ");
  CHECK(outcome(request_with(longest + "a", ""), limits) == "414 uri_too_long; ");
  CHECK(outcome("GET /" + std::string(200, 'a'), limits) == "414 uri_too_long; ");
  Tracer tracer(Parser::Kind::request, limits);
  tracer.feed("GET /" + std::string(200, 'a'));
  CHECK(tracer.parser().error().limit == 50);
}

TEST_CASE("header fields above the limits are refused before their end arrives") {
  const Limits limits{.max_target = 50, .max_header_bytes = 100, .max_header_fields = 5};
  // "Host: h\r\n" has 9 bytes, "A: " and the line end 5.
  CHECK(outcome(request_with("/", "A: " + std::string(86, 'b') + "\r\n"), limits) ==
        "GET / @h end; ");
  CHECK(outcome(request_with("/", "A: " + std::string(87, 'b') + "\r\n"), limits) ==
        "431 headers_too_large; ");
  CHECK(outcome(request_with("/", "A: " + std::string(88, 'b') + "\r\n"), limits) ==
        "431 headers_too_large; ");
  CHECK(outcome(request_with("/", "A: " + std::string(300, 'b')), limits) ==
        "431 headers_too_large; ");
  CHECK(outcome(request_with("/", std::string(300, 'b')), limits) == "431 headers_too_large; ");
  CHECK(outcome(request_with("/", "A:1\r\nB:2\r\nC:3\r\nD:4\r\n"), limits) == "GET / @h end; ");
  CHECK(outcome(request_with("/", "A:1\r\nB:2\r\nC:3\r\nD:4\r\nE:5\r\n"), limits) ==
        "431 headers_too_large; ");
}

TEST_CASE("chunk extensions are limited, but may grow by the number of bytes in the chunks") {
  const Limits limits{.max_target = 50, .max_header_bytes = 100, .max_header_fields = 10};
  const auto chunks = [&](std::string_view input) {
    const std::string head = "PUT / @h chunked ";
    const std::string brief = outcome(std::string(kChunkedHead) + std::string(input), limits);
    REQUIRE(brief.starts_with(head));
    return brief.substr(head.size());
  };
  const std::string name(99, 'a');
  CHECK(chunks("0;" + name + "\r\n\r\n") == "end; ");
  CHECK(chunks("0;" + name + "a\r\n\r\n") == "431 headers_too_large; ");
  CHECK(chunks("0;" + name + std::string(300, 'a')) == "431 headers_too_large; ");
  CHECK(chunks("0;a=\"" + std::string(300, ' ')) == "431 headers_too_large; ");
  CHECK(chunks("0 " + std::string(300, ' ')) == "431 headers_too_large; ");
  // Many small chunks with an extension each: CVE-2024-22019 is of this kind.
  std::string small;
  for (int i = 0; i < 300; ++i) small += "1;ab\r\nx\r\n";
  CHECK(chunks(small) == "[" + std::string(49, 'x') + "] 431 headers_too_large; ");
  // A signature for each chunk, as some clients send them, is no more than the chunk.
  std::string signed_chunks, data;
  for (int i = 0; i < 20; ++i) {
    signed_chunks +=
        "40;signature=" + std::string(50, 'f') + "\r\n" + std::string(64, 'x') + "\r\n";
    data += std::string(64, 'x');
  }
  CHECK(chunks(signed_chunks + "0\r\n\r\n") == "[" + data + "] end; ");
}

TEST_CASE("trailer fields have the limits of header fields") {
  const Limits limits{.max_target = 50, .max_header_bytes = 100, .max_header_fields = 5};
  const auto trailers = [&](const std::string& fields) {
    return outcome(std::string(kChunkedHead) + "0;a\r\n" + fields, limits);
  };
  const std::string good = "PUT / @h chunked end; ";
  const std::string refused = "PUT / @h chunked 431 headers_too_large; ";
  CHECK(trailers("A: " + std::string(95, 'b') + "\r\n\r\n") == good);
  CHECK(trailers("A: " + std::string(96, 'b') + "\r\n\r\n") == refused);
  CHECK(trailers("A: " + std::string(300, 'b')) == refused);
  CHECK(trailers("A: " + std::string(50, 'b') + "\r\nA: " + std::string(50, 'b')) == refused);
  CHECK(trailers("A:1\r\nB:2\r\nC:3\r\nD:4\r\nE:5\r\n\r\n") == good);
  CHECK(trailers("A:1\r\nB:2\r\nC:3\r\nD:4\r\nE:5\r\nF:6\r\n\r\n") == refused);
}

TEST_CASE("the default limits match docs/http-api.md") {
  const auto brief = [](const std::string& input) {
    Tracer tracer(Parser::Kind::request);
    for (std::size_t at = 0; at < input.size(); at += 1000)
      tracer.feed(std::string_view(input).substr(at, 1000));
    return tracer.brief();
  };
  const std::string target = "/" + std::string(32 * 1024 - 1, 'a');
  CHECK(brief(request_with(target, "")) == "GET " + target + " @h end; ");
  CHECK(brief(request_with(target + "a", "")) == "414 uri_too_long; ");
  const std::string value(16 * 1024 - 9 - 5, 'a');
  CHECK(brief(request_with("/", "A: " + value + "\r\n")) == "GET / @h end; ");
  CHECK(brief(request_with("/", "A: " + value + "a\r\n")) == "431 headers_too_large; ");
  std::string fields;
  for (int i = 0; i < 99; ++i) fields += "A: b\r\n";
  CHECK(brief(request_with("/", fields)) == "GET / @h end; ");
  CHECK(brief(request_with("/", fields + "A: b\r\n")) == "431 headers_too_large; ");
}

TEST_CASE("the parser reports a length of up to 64 bits and does not wait for the body") {
  Tracer tracer(Parser::Kind::request);
  tracer.feed("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 18446744073709551615\r\n\r\nx");
  CHECK(tracer.brief() == "PUT / @h len=18446744073709551615 [x");
}
