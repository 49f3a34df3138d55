// Credentials: which forms are taken, and what a node that is closed until tokens exist serves.
// What tokens allow is tested over a server (tests/server/test_auth.py) and in
// tests/kv/test_access.cpp.
#include <doctest/doctest.h>

#include "api/credentials.hpp"
#include "ask.hpp"
#include "json/text.hpp"

using namespace vesper;
using namespace vesper::api;

namespace {

Credentials read(std::initializer_list<std::string_view> values) {
  http::Fields fields;
  for (const std::string_view value : values) fields.add({"authorization", value});
  return read_credentials(fields);
}

std::string basic(std::string_view pair) {
  std::string text = "Basic ";
  json::append_base64(text, pair);
  return text;
}

bool is_refused(std::initializer_list<std::string_view> values) {
  const Credentials credentials = read(values);
  return credentials.kind == Credentials::Kind::malformed && credentials.secret.empty() &&
         !credentials.wrong.empty();
}

// The status and code of a request to a node that is closed until tokens exist.
Asked ask_closed(const std::string& line, bool is_local) {
  const NoFigures figures;
  Context context(settings(), figures, Instant{1});
  context.close_until_auth();
  const std::string text = line + " HTTP/1.1\r\nHost: localhost\r\n\r\n";
  http::Parser parser(http::Parser::Kind::request);
  std::size_t consumed = 0;
  REQUIRE(parser.parse(text, consumed) == http::Step::head);
  Asked asked;
  asked.exchange.is_local = is_local;
  if (auto problem = validate(context, parser.request(), asked.exchange))
    asked.exchange.outcome = std::move(*problem);
  if (!asked.exchange.answered()) run(context, asked.exchange, {});
  render(context, asked.exchange, asked.answer);
  return asked;
}

}  // namespace

TEST_CASE("a token comes as Bearer, or as the password of Basic") {
  CHECK(read({}).kind == Credentials::Kind::missing);
  CHECK(read({"Bearer t"}).secret == "t");
  CHECK(read({"bEARER   t-_.~+/="}).secret == "t-_.~+/=");
  CHECK(read({basic("user:t")}).secret == "t");
  CHECK(read({basic(":a:b")}).secret == "a:b");
  CHECK(read({"Bearer " + std::string(kMaxSecret, 'x')}).secret.size() == kMaxSecret);
}

TEST_CASE("other credentials are refused, and are not repeated") {
  for (const std::string& value :
       {std::string(), std::string("Bearer"), std::string("Bearer "), std::string("Bearer a b"),
        std::string("Bearer \xc3\xa4"), std::string("t"), std::string("Digest t"), basic("t"),
        basic("user:"), basic("user:a b"), std::string("Basic %%%"), std::string("Basic dTp0IA"),
        "Bearer " + std::string(kMaxSecret + 1, 'x'), basic(":" + std::string(2000, 'x'))}) {
    CAPTURE(value);
    CHECK(is_refused({value}));
  }
  CHECK(is_refused({"Bearer t", "Bearer t"}));
}

TEST_CASE("a closed node serves the enabling of auth from its own machine, and what is open") {
  for (const bool is_local : {false, true}) {
    for (const char* line : {"GET /kv/a", "PUT /kv/a", "GET /status", "GET /metrics", "GET /",
                             "GET /watch", "POST /auth/tokens", "POST /auth/disable"}) {
      CAPTURE(line);
      const Asked asked = ask_closed(line, is_local);
      CHECK(says(asked, 401, "unauthorized"));
      CHECK(asked.answer.more_fields == "WWW-Authenticate: Bearer\r\n");
    }
    for (const char* line : {"GET /livez", "GET /ui/", "OPTIONS /kv/a"})
      CHECK(ask_closed(line, is_local).answer.status < 300);
  }
  CHECK(says(ask_closed("POST /auth/enable", false), 401, "unauthorized"));
  CHECK(is_accepted(ask_closed("POST /auth/enable", true)));
}
