#include <doctest/doctest.h>

#include "http/target.hpp"

using namespace vesper::http;
using namespace std::string_view_literals;

namespace {

std::string decoded(std::string_view text) {
  std::string out = "=";
  return percent_decode(text, out) ? out : out + "bad";
}

// "name=value;name;" of a query, or the error.
std::string read(std::string_view query) {
  std::vector<QueryParameter> parameters;
  const QueryOutcome outcome = parse_query(query, parameters);
  switch (outcome.error) {
    case QueryError::none: break;
    case QueryError::bad_percent: return "bad " + outcome.name;
    case QueryError::empty_name: return "empty";
    case QueryError::repeated: return "repeated " + outcome.name;
    case QueryError::too_many: return "too many";
  }
  std::string text;
  for (const QueryParameter& parameter : parameters) {
    text += parameter.name;
    if (parameter.has_value) text += "=" + parameter.value;
    text += ";";
  }
  return text;
}

std::string host_of(std::string_view text) {
  const auto authority = parse_authority(text);
  if (!authority) return "none";
  std::string host(authority->host);
  if (authority->is_ipv6) host += " v6";
  if (authority->port) (host += ' ') += std::to_string(*authority->port);
  return host;
}

}  // namespace

TEST_CASE("a path is decoded once, a plus stays a plus, and NUL is a byte") {
  CHECK(decoded("") == "=");
  CHECK(decoded("a+b") == "=a+b");
  CHECK(decoded("%2F/%2f%20%C3%a4") == "=/// \xc3\xa4");
  CHECK(decoded("%252F") == "=%2F");
  CHECK(decoded("a%00b") == "=a\0b"sv);
}

TEST_CASE("an invalid percent sign is an error and does not change the output") {
  for (const auto text : {"%", "%4", "a%4", "%4g", "%g4", "%%41", "%+1", "%-1", "% 1", "abc%"}) {
    CAPTURE(text);
    CHECK(decoded(text) == "=bad");
  }
}

TEST_CASE("any bytes come back from their encoding") {
  std::string all;
  for (int c = 0; c < 256; ++c) all += static_cast<char>(c);
  for (const auto encode : {percent_encode_path, percent_encode_query}) {
    std::string encoded;
    encode(all, encoded);
    for (const char c : encoded) CHECK((c > 0x20 && c < 0x7f && c != '?' && c != '#'));
    CHECK(decoded(encoded) == "=" + all);
  }
  std::string out;
  percent_encode_path("a/b ~\xff", out);
  CHECK(out == "a/b%20~%FF");
  out.clear();
  percent_encode_query("a/b+c&d=e", out);
  CHECK(out == "a%2Fb%2Bc%26d%3De");
  CHECK(read(out) == "a/b+c&d=e;");
}

TEST_CASE("a target is split at its first question mark") {
  CHECK(split_target("/a?b?c").path == "/a");
  CHECK(split_target("/a?b?c").query == "b?c");
  CHECK(split_target("/a?").has_query);
  CHECK_FALSE(split_target("/a%3Fb").has_query);
}

TEST_CASE("a query is read in the form encoding, in its order") {
  CHECK(read("") == "");
  CHECK(read("raw") == "raw;");
  CHECK(read("raw=") == "raw=;");
  CHECK(read("b=1&a=2") == "b=1;a=2;");
  CHECK(read("a=x+y%20z%2Bw") == "a=x y z+w;");
  CHECK(read("a+b%3D=c=d") == "a b==c=d;");
  CHECK(read("a=%26") == "a=&;");
}

TEST_CASE("an ambiguous query is refused") {
  CHECK(read("a=%") == "bad a=%");
  CHECK(read("%zz=1") == "bad %zz=1");
  CHECK(read("b&a=1&%61=1") == "repeated a");
  for (const auto query : {"&", "a&", "&a", "a&&b", "=1", "="}) {
    CAPTURE(query);
    CHECK(read(query) == "empty");
  }
  std::string many = "p0";
  for (std::size_t i = 1; i < kMaxQueryParameters; ++i) many += "&p" + std::to_string(i);
  CHECK(read(many).ends_with("p63;"));
  CHECK(read(many + "&x") == "too many");
}

TEST_CASE("an authority is a host with an optional port") {
  CHECK(host_of("localhost") == "localhost");
  CHECK(host_of("a-b.c_d~:80") == "a-b.c_d~ 80");
  CHECK(host_of("127.0.0.1:5000") == "127.0.0.1 5000");
  CHECK(host_of("[::1]") == "::1 v6");
  CHECK(host_of("[::ffff:1.2.3.4]:65535") == "::ffff:1.2.3.4 v6 65535");
  CHECK(host_of("h:") == "h");
  for (const auto text :
       {"", ":80", "[]", "[::1", "::1", "[::1]80", "[fe80::1%25eth0]", "h:65536", "h:080", "h:-1",
        "h:a", "h:80:80", "u@h", "h/", "h h", "a,b", "h%41", "h\\", "\xc3\xa4"}) {
    CAPTURE(text);
    CHECK(host_of(text) == "none");
  }
}
