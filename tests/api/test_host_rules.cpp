// Which Host and which Origin are taken.
#include <doctest/doctest.h>

#include <string>

#include "api/host_rules.hpp"
#include "http/parser.hpp"

namespace test_host_rules {

using namespace vesper;
using namespace vesper::api;

namespace {

bool crosses(const std::string& fields) {
  const std::string text = "PUT / HTTP/1.1\r\nHost: one.example:5000\r\n" + fields + "\r\n";
  http::Parser parser(http::Parser::Kind::request);
  std::size_t consumed = 0;
  REQUIRE(parser.parse(text, consumed) == http::Step::head);
  return cross_origin(parser.request());
}

}  // namespace

TEST_CASE("an allowed host is an address, a name without dots, or a name of the server") {
  Settings settings;
  settings.list = {{"one.example", 5000}};
  settings.allow_hosts = {"proxy.example."};
  for (const char* host : {"127.0.0.1:5000", "[::1]:5000", "localhost", "ONE.example:1",
                           "one.example.:5000", "proxy.example"})
    CHECK(host_allowed(settings, host));
  for (const char* host : {"two.example", "evil.one.example", "127.0.0.1.example", ""})
    CHECK(!host_allowed(settings, host));
  settings.allow_hosts = {"*"};
  CHECK(host_allowed(settings, "two.example"));
}

TEST_CASE("a page may write to its own origin only") {
  CHECK(!crosses(""));
  CHECK(!crosses("Origin: http://one.example:5000\r\n"));
  CHECK(!crosses("Sec-Fetch-Site: same-origin\r\n"));
  CHECK(!crosses("Sec-Fetch-Site: none\r\n"));
  CHECK(crosses("Origin: http://one.example\r\n"));
  CHECK(crosses("Origin: http://two.example:5000\r\n"));
  CHECK(crosses("Origin: null\r\n"));
  CHECK(crosses("Sec-Fetch-Site: cross-site\r\n"));
}

}  // namespace test_host_rules
