// Requests that are served: what the parser makes of them, pipelining, upgrades, views and memory.
#include <doctest/doctest.h>

#include "http/splits.hpp"

using namespace vesper::http;
using namespace std::string_view_literals;

namespace {

constexpr Row kGood[] = {
    {"a plain GET", "GET /kv/a HTTP/1.1\r\nHost: h\r\n\r\n", "GET /kv/a @h end; "},
    {"the query is cut off, still encoded", "GET /kv/a%20?x=%31&y HTTP/1.1\r\nHost: h:5000\r\n\r\n",
     "GET /kv/a%20?x=%31&y @h:5000 end; "},
    {"an empty query is one", "GET /a? HTTP/1.1\r\nHost: h\r\n\r\n", "GET /a? @h end; "},
    {"a second ? belongs to the query", "GET /a?b?c HTTP/1.1\r\nHost: h\r\n\r\n",
     "GET /a?b?c @h end; "},
    {"slashes and dots stay", "GET //a/../b/. HTTP/1.1\r\nHost: h\r\n\r\n",
     "GET //a/../b/. @h end; "},
    {"what curl sends as it was typed", "GET /{a}|\"^`\\[<> HTTP/1.1\r\nHost: h\r\n\r\n",
     "GET /{a}|\"^`\\[<> @h end; "},
    {"a body of known length", "PUT /kv/a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
     "PUT /kv/a @h len=5 [hello] end; "},
    {"a body of length 0", "PUT /kv/a HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
     "PUT /kv/a @h len=0 end; "},
    {"no length and no chunks: no body", "PUT /kv/a HTTP/1.1\r\nHost: h\r\n\r\n",
     "PUT /kv/a @h end; "},
    {"a GET may have a body", "GET /request HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}",
     "GET /request @h len=2 [{}] end; "},
    {"spaces around a length", "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: \t 5 \r\n\r\nhello",
     "PUT /a @h len=5 [hello] end; "},
    {"chunks",
     "PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
     "5\r\nhello\r\n00a\r\n, world!!!\r\n0\r\n\r\n",
     "PUT /a @h chunked [hello, world!!!] end; "},
    {"chunked in any case, with spaces around it",
     "PUT /a HTTP/1.1\r\nHost: h\r\ntransfer-encoding:  Chunked \r\n\r\n1\r\nx\r\n0\r\n\r\n",
     "PUT /a @h chunked [x] end; "},
    {"no chunk but the last",
     "PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     "PUT /a @h chunked end; "},
    {"a chunk that looks like chunks",
     "PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
     "A\r\n\r\n0\r\n\r\n\r\nx\r\n0\r\n\r\n",
     "PUT /a @h chunked [\r\n0\r\n\r\n\r\nx] end; "},
    {"extensions of chunks are dropped (RFC 9112 7.1.1)",
     "PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
     "5;a\r\nhello\r\n1 ; b=c;d = \"e;\\\"\xc3\xa4\" ;f\r\n!\r\n0;g=h\r\n\r\n"
     "GET /2 HTTP/1.1\r\nHost: h\r\n\r\n",
     "PUT /a @h chunked [hello!] end; GET /2 @h end; "},
    {"trailer fields are dropped (RFC 9112 7.1.2)",
     "PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"
     "A: b\r\nC:\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n",
     "PUT /a @h chunked [x] end; GET /2 @h end; "},
    {"trailer fields change neither the body nor the connection",
     "PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"
     "Content-Length: 5\r\nTransfer-Encoding: gzip\r\nHost: i\r\nConnection: close\r\n\r\n"
     "GET /2 HTTP/1.1\r\nHost: h\r\n\r\n",
     "PUT /a @h chunked [x] end; GET /2 @h end; "},
    {"two requests in one",
     "GET /1 HTTP/1.1\r\nHost: h\r\n\r\nPUT /2 HTTP/1.1\r\nHost: i\r\nContent-Length: 1\r\n\r\nx"
     "GET /3 HTTP/1.1\r\nHost: j\r\n\r\n",
     "GET /1 @h end; PUT /2 @i len=1 [x] end; GET /3 @j end; "},
    {"a request behind chunks",
     "PUT /1 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"
     "GET /2 HTTP/1.1\r\nHost: h\r\n\r\n",
     "PUT /1 @h chunked [x] end; GET /2 @h end; "},
    {"one empty line before a request (RFC 9112 2.2)",
     "\r\nGET /1 HTTP/1.1\r\nHost: h\r\n\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n\r\n",
     "GET /1 @h end; GET /2 @h end; "},
    {"nothing behind Connection: close is read (RFC 9112 9.6)",
     "GET /1 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n",
     "GET /1 @h close end; "},
    {"close among others, in any case",
     "GET /1 HTTP/1.1\r\nHost: h\r\nConnection: x , CLOSE,\r\n\r\nbad", "GET /1 @h close end; "},
    {"close on a line of its own",
     "GET /1 HTTP/1.1\r\nHost: h\r\nConnection: close\r\nConnection: keep-alive\r\n\r\n",
     "GET /1 @h close end; "},
    {"closed is not close", "GET /1 HTTP/1.1\r\nHost: h\r\nConnection: closed\r\n\r\n",
     "GET /1 @h end; "},
    {"HTTP/1.0 needs no Host and closes", "GET /1 HTTP/1.0\r\n\r\nGET /2 HTTP/1.0\r\n\r\n",
     "GET /1 @ 1.0 close end; "},
    {"HTTP/1.0 stays where it asks for it",
     "PUT /1 HTTP/1.0\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\nx"
     "GET /2 HTTP/1.0\r\nConnection: x, keep-alive\r\n\r\nGET /3 HTTP/1.0\r\n\r\nbad",
     "PUT /1 @ 1.0 len=1 [x] end; GET /2 @ 1.0 end; GET /3 @ 1.0 close end; "},
    {"HTTP/1.0 that says both closes",
     "GET /1 HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\nbad", "GET /1 @ 1.0 close end; "},
    {"a Keep-Alive that Connection does not name is none",
     "GET /1 HTTP/1.0\r\nKeep-Alive: timeout=5\r\n\r\nbad", "GET /1 @ 1.0 close end; "},
    {"100-continue",
     "PUT /1 HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\nx",
     "PUT /1 @h len=1 100? [x] end; "},
    {"another expectation", "GET /1 HTTP/1.1\r\nHost: h\r\nExpect: tea\r\n\r\n",
     "GET /1 @h expect? end; "},
    {"two expectations",
     "GET /1 HTTP/1.1\r\nHost: h\r\nExpect: tea\r\nExpect: 100-continue\r\n\r\n",
     "GET /1 @h expect? end; "},
    {"HTTP/1.0 has no expectations (RFC 9110 10.1.1)",
     "GET /1 HTTP/1.0\r\nExpect: 100-continue\r\n\r\n", "GET /1 @ 1.0 close end; "},
    {"an upgrade is told and changes nothing",
     "GET /raft HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: vesper-raft/1\r\n\r\n"
     "GET /2 HTTP/1.1\r\nHost: h\r\n\r\n",
     "GET /raft @h up=vesper-raft/1 end; GET /2 @h end; "},
    {"h2c with a body stays HTTP/1.1",
     "PUT /1 HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
     "HTTP2-Settings: AAMAAABkAAQAAP__\r\nContent-Length: 1\r\n\r\nx"
     "GET /2 HTTP/1.1\r\nHost: h\r\n\r\n",
     "PUT /1 @h len=1 up=h2c [x] end; GET /2 @h end; "},
    {"Upgrade that Connection does not name is none",
     "GET /1 HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n", "GET /1 @h end; "},
    {"a method that nobody knows", "BREW /pot HTTP/1.1\r\nHost: h\r\n\r\n", "BREW /pot @h end; "},
    {"methods keep their case", "get /1 HTTP/1.1\r\nHost: h\r\n\r\n", "get /1 @h end; "},
    {"methods that llhttp treats in its own way",
     "PRI /1 HTTP/1.1\r\nHost: h\r\n\r\nSOURCE /2 HTTP/1.1\r\nHost: h\r\n\r\n"
     "DESCRIBE /3 HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx",
     "PRI /1 @h end; SOURCE /2 @h end; DESCRIBE /3 @h len=1 [x] end; "},
    {"CONNECT is an ordinary message",
     "CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n",
     "CONNECT  @h:80 end; GET /2 @h end; "},
    {"OPTIONS of the server", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS * @h end; "},
    {"an absolute target, whose host goes before Host (RFC 9112 3.2.2)",
     "GET HTTP://h:1/a?b HTTP/1.1\r\nHost: other\r\n\r\n", "GET /a?b @h:1 end; "},
    {"an absolute target without a path", "GET http://h HTTP/1.1\r\nHost: h\r\n\r\n",
     "GET / @h end; "},
    {"an absolute target with a query only", "GET http://h?a HTTP/1.1\r\nHost: h\r\n\r\n",
     "GET /?a @h end; "},
    {"an absolute target of OPTIONS (RFC 9112 3.2.4)",
     "OPTIONS http://[::1]:80 HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS * @[::1]:80 end; "},
    {"an address as Host", "GET / HTTP/1.1\r\nHost: [::1]:5000\r\n\r\n", "GET / @[::1]:5000 end; "},
    {"empty values, tabs, bytes above ASCII",
     "GET / HTTP/1.1\r\nHost:h\r\nA:\r\nB: \r\nC:\ta\tb\t\r\n!#$%&'*+-.^_`|~9: \xc3\xa4\r\n\r\n",
     "GET / @h end; "},
};

}  // namespace

TEST_CASE("requests are read the same however their bytes arrive") {
  check_table(Parser::Kind::request, kGood);
}

TEST_CASE("fields keep order, case and bytes, and lookups ignore case") {
  Parser parser(Parser::Kind::request);
  std::size_t consumed = 0;
  const auto input = "GET / HTTP/1.1\r\nhOsT: h\r\nA: 1 \r\na:\t2\r\nB:\r\nC: x\xff y\r\n\r\n"sv;
  REQUIRE(parser.parse(input, consumed) == Step::head);
  const Fields& fields = parser.request().fields;
  REQUIRE(fields.size() == 5);
  CHECK(fields[0].name == "hOsT");
  CHECK(fields[1].value == "1");
  CHECK(fields[2].name == "a");
  CHECK(fields[2].value == "2");
  CHECK(fields[3].value.empty());
  CHECK(fields[4].value == "x\xff y");
  CHECK(fields.count("a") == 2);
  CHECK(fields.find("A")->value == "1");
  CHECK(fields.find("HOST")->value == "h");
  CHECK(fields.find("D") == nullptr);
}

TEST_CASE("the parser stops exactly after the head, so that another protocol can follow it") {
  constexpr auto kHead =
      "GET /raft HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: vesper-raft/1\r\n\r\n"sv;
  for (std::size_t cut = 0; cut <= kHead.size(); ++cut) {
    CAPTURE(cut);
    const std::string input = std::string(kHead) + "\x16\0\0frames";
    Parser parser(Parser::Kind::request);
    std::size_t consumed = 0;
    std::size_t at = 0;
    Step step = parser.parse(std::string_view(input).substr(0, cut), consumed);
    at += consumed;
    if (step == Step::need_more) {
      step = parser.parse(std::string_view(input).substr(cut), consumed);
      at += consumed;
    }
    REQUIRE(step == Step::head);
    CHECK(at == kHead.size());
    CHECK(parser.request().upgrade == "vesper-raft/1");
  }
}

TEST_CASE("the head outlives its input until the next message begins") {
  Parser parser(Parser::Kind::request);
  std::size_t consumed = 0;
  {
    std::string input = "PUT /kv/a?b HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx";
    std::size_t at = 0;
    for (const Step expected : {Step::head, Step::body, Step::message_end}) {
      CHECK(parser.parse(std::string_view(input).substr(at), consumed) == expected);
      at += consumed;
    }
    CHECK(at == input.size());
    input.assign(input.size(), '?');
  }
  CHECK(parser.request().path == "/kv/a");
  CHECK(parser.request().query == "b");
  CHECK(parser.request().authority == "h");
  CHECK(parser.idle());
  CHECK(parser.parse("", consumed) == Step::need_more);
  CHECK(parser.parse("G", consumed) == Step::need_more);
  CHECK_FALSE(parser.idle());
  CHECK(parser.in_head());
}

TEST_CASE("a request shows nothing of an earlier request") {
  Tracer tracer(Parser::Kind::request);
  tracer.feed(
      "PUT http://x/a?b HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nConnection: upgrade\r\n"
      "Upgrade: u\r\nContent-Length: 1\r\n\r\nx");
  tracer.feed("GET /c HTTP/1.1\r\nHost: i\r\n\r\n");
  CHECK(tracer.brief() == "PUT /a?b @x len=1 100? up=u [x] end; GET /c @i end; ");
  CHECK(tracer.full().ends_with("\nHost=i\n/c\n"));
}

TEST_CASE("a trailer field never becomes a header field") {
  Parser parser(Parser::Kind::request);
  const auto input =
      "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
      "0\r\nIf-Match: \"1\"\r\n\r\n"sv;
  std::size_t at = 0;
  for (const Step expected : {Step::head, Step::message_end}) {
    std::size_t consumed = 0;
    REQUIRE(parser.parse(input.substr(at), consumed) == expected);
    CHECK(parser.request().fields.size() == 2);
    CHECK(parser.request().fields[1].value == "chunked");
    at += consumed;
  }
  CHECK(at == input.size());
}

TEST_CASE("the end of the connection is clean between messages only") {
  struct End {
    std::string_view input;
    Step expected;
  };
  constexpr End kEnds[] = {
      {"", Step::need_more},
      {"\r\n", Step::need_more},
      {"GET / HTTP/1.1\r\nHost: h\r\n\r\n", Step::need_more},
      {"GET / HTTP/1.1\r\nHost: h\r\n\r\n\r\n", Step::need_more},
      {"G", Step::error},
      {"GET / HTTP/1.1\r\nHost: h\r\n\r", Step::error},
      {"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nx", Step::error},
      {"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", Step::error},
      {"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n", Step::error},
      {"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0;a", Step::error},
  };
  for (const End& end : kEnds) {
    CAPTURE(end.input);
    Tracer tracer(Parser::Kind::request);
    tracer.feed(end.input);
    CHECK(tracer.parser().finish() == end.expected);
  }
}
