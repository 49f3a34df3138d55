// The OpenAPI document and the table of endpoints name the same paths and methods.
#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <string>
#include <string_view>

#include "api/endpoint.hpp"
#include "api/openapi.hpp"
#include "json/document.hpp"

namespace test_openapi {

using namespace vesper;
using namespace vesper::api;

namespace {

using Routes = std::set<std::pair<std::string, std::string>>;  // path and method

// The path without the name of its parameter.
std::string anonymous(std::string_view path) {
  return std::string(path.substr(0, path.find('{'))) +
         (path.find('{') == std::string_view::npos ? "" : "{}");
}

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return result;
}

Routes served() {
  Routes routes;
  for (const Endpoint& row : endpoints()) {
    if (row.path == "*") continue;  // OPTIONS *: not a path, so OpenAPI has no form for it
    std::string path(row.path);
    if (row.match == Match::prefix) path += "{}";
    std::string_view methods = row.methods;
    while (!methods.empty()) {
      const std::size_t comma = std::min(methods.find(", "), methods.size());
      routes.emplace(path, lower(methods.substr(0, comma)));
      methods.remove_prefix(std::min(comma + 2, methods.size()));
    }
  }
  return routes;
}

Routes described(const json::Document& document) {
  Routes routes;
  for (const auto& [path, item] : document.root().find("paths"))
    for (const auto& member : item)
      if (member.name != "parameters") routes.emplace(anonymous(path), member.name);
  return routes;
}

}  // namespace

TEST_CASE("the document describes exactly the paths and methods that are served") {
  json::Document document;
  REQUIRE_FALSE(document.parse(kOpenApiDocument));
  const Routes is = described(document), ought = served();
  for (const auto& [path, method] : ought)
    CHECK_MESSAGE(is.contains({path, method}), "not described: " << method << " " << path);
  for (const auto& [path, method] : is)
    CHECK_MESSAGE(ought.contains({path, method}), "not served: " << method << " " << path);
}

TEST_CASE("the document is one line and has the version of this build") {
  json::Document document;
  REQUIRE_FALSE(document.parse(kOpenApiDocument));
  CHECK(document.root().find("info").find("version").string() == VESPER_VERSION);
  CHECK(kOpenApiDocument.find('\n') == kOpenApiDocument.size() - 1);
}

}  // namespace test_openapi
