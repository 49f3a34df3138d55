// Responses as the command line and the peers read them, and what the serializer writes.
#include <doctest/doctest.h>

#include "http/serializer.hpp"
#include "http/splits.hpp"

using namespace vesper::http;
using namespace std::string_view_literals;

namespace {

constexpr Row kResponses[] = {
    {"a body of known length", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
     "200 len=3 [abc] end; "},
    {"no phrase", "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", "200 end; "},
    {"no phrase and no space", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "200 end; "},
    {"chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
     "200 chunked [abc] end; "},
    {"a body up to the connection's end", "HTTP/1.1 200 OK\r\n\r\nabc\r\n\r\nd",
     "200 close until-close [abc\r\n\r\nd] end; "},
    {"an empty body up to the connection's end", "HTTP/1.1 200 OK\r\n\r\n",
     "200 close until-close end; "},
    {"HTTP/1.0", "HTTP/1.0 404 No\r\nContent-Length: 1\r\n\r\nx", "404 1.0 close len=1 [x] end; "},
    {"an interim response and its final one",
     "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 412 Precondition Failed\r\nContent-Length: 1\r\n\r\nx",
     "100 end; 412 len=1 [x] end; "},
    {"no body in 204 and 304, whatever the length",
     "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"
     "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
     "204 end; 304 end; 200 len=1 [x] end; "},
    {"nothing behind close is read",
     "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200 OK\r\n",
     "200 close len=1 [x] end; "},
    {"switching protocols",
     "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: vesper-raft/1\r\n\r\n",
     "101 up=vesper-raft/1 end; "},
    {"no HTTP", "SSH-2.0-OpenSSH\r\n", "400 malformed; "},
    {"another version", "HTTP/2.0 200 OK\r\n\r\n", "505 http_version; "},
    {"a status of two digits", "HTTP/1.1 20 OK\r\n\r\n", "400 malformed; "},
    {"a status of four digits", "HTTP/1.1 2000 OK\r\n\r\n", "400 malformed; "},
    {"a status that is none", "HTTP/1.1 099 OK\r\n\r\n", "400 malformed; "},
    {"cut off in its body", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
     "200 len=3 [ab] 400 malformed; "},
    {"cut off in its chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n",
     "200 chunked [a] 400 malformed; "},
    {"two framings", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
     "400 malformed; "},
};

}  // namespace

TEST_CASE("responses are read the same however their bytes arrive") {
  check_table(Parser::Kind::response, kResponses);
}

TEST_CASE("a reply to HEAD has no body, and an interim reply before it changes nothing") {
  CHECK(outcome_of_all_splits(Parser::Kind::response,
                              "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: "
                              "3\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
                              {}, true) == "100 end; 200 end; 200 len=1 [x] end; ");
}

TEST_CASE("the length of a status line is limited") {
  Tracer tracer(Parser::Kind::response);
  tracer.feed("HTTP/1.1 200 " + std::string(9000, 'a'));
  CHECK(tracer.brief() == "400 malformed; ");
}

TEST_CASE("a response is written as docs/http-api.md specifies") {
  std::string out = "before";
  append_continue(out);
  begin_response(out, 412);
  append_standard_fields(out, {"Sun, 06 Nov 1994 08:49:37 GMT", "3", "http://127.0.0.1:5001"});
  append_field(out, "Content-Length", std::uint64_t{18446744073709551615u});
  append_etag(out, 7);
  append_field(out, "Connection", "close");
  end_head(out);
  CHECK(out ==
        "beforeHTTP/1.1 100 Continue\r\n\r\n"
        "HTTP/1.1 412 Precondition Failed\r\n"
        "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
        "X-Content-Type-Options: nosniff\r\n"
        "Vesper-Node: 3\r\n"
        "Vesper-Leader: http://127.0.0.1:5001\r\n"
        "Content-Length: 18446744073709551615\r\n"
        "ETag: \"7\"\r\n"
        "Connection: close\r\n\r\n");
  out.clear();
  append_standard_fields(out, {"now", "0", ""});
  CHECK(out == "Date: now\r\nX-Content-Type-Options: nosniff\r\nVesper-Node: 0\r\n");
}

TEST_CASE("the parser reads what the serializer writes") {
  std::string out;
  begin_request(out, "PUT", "/kv/a%20b?timeout=1s", "127.0.0.1:5000");
  append_field(out, "Content-Length", std::uint64_t{2});
  end_head(out);
  out += "hi";
  CHECK(outcome_of_all_splits(Parser::Kind::request, out) ==
        "PUT /kv/a%20b?timeout=1s @127.0.0.1:5000 len=2 [hi] end; ");
  for (const int status : {100, 200, 204, 304, 400, 404, 405, 421, 431, 500, 503, 507}) {
    out.clear();
    begin_response(out, status);
    append_field(out, "Content-Length", std::uint64_t{0});
    end_head(out);
    CHECK(outcome_of_all_splits(Parser::Kind::response, out) == std::to_string(status) + " end; ");
    CHECK(status_phrase(status) != "Status");
  }
}

TEST_CASE("a chunked body is read back as it was written") {
  std::string out;
  begin_response(out, 200);
  append_field(out, "Transfer-Encoding", "chunked");
  end_head(out);
  append_chunk(out, "a");
  append_chunk(out, std::string(300, 'b'));
  append_last_chunk(out);
  CHECK(out.ends_with("\r\n\r\n1\r\na\r\n12c\r\n" + std::string(300, 'b') + "\r\n0\r\n\r\n"));
}
