#include <doctest/doctest.h>

#include "json/document.hpp"

using namespace vesper;

namespace {

json::Problem refused(std::string_view text, const json::Document::Limits& limits = {}) {
  json::Document document;
  const auto problem = document.parse(text, limits);
  REQUIRE_MESSAGE(problem, std::string(text.substr(0, 60)));
  CHECK_FALSE(document.root().exists());
  if (problem->code == json::Problem::Code::malformed)
    CHECK(problem->detail.rfind("byte " + std::to_string(problem->offset) + ": ", 0) == 0);
  return *problem;
}

}  // namespace

TEST_CASE("a document returns its members and nothing else") {
  json::Document document;
  REQUIRE_FALSE(document.parse(
      R"( {"id":7,"leader":null,"up":true,"name":"a\u20acb","list":[1,{"x":[]},"s"],"f":1.0,"n":-1} )"));
  const json::Value root = document.root();
  CHECK(root.kind() == json::Kind::object);
  CHECK(root.find("id").uint64() == 7);
  CHECK(root.find("leader").kind() == json::Kind::null);
  CHECK(root.find("up").boolean() == true);
  CHECK(root.find("name").string() ==
        "a\xe2\x82\xac"
        "b");
  CHECK(root.find("f").number() == "1.0");
  CHECK_FALSE(root.find("f").uint64());
  CHECK_FALSE(root.find("n").uint64());
  CHECK_FALSE(root.find("id").string());
  CHECK_FALSE(root.find("nobody").exists());
  CHECK_FALSE(root.find("id").find("x").exists());
  std::string kinds;
  for (const auto& element : root.find("list"))
    kinds += std::to_string(static_cast<int>(element.value.kind()));
  CHECK(kinds == "364");
  std::string names;
  for (const auto& member : root) names += std::string(member.name) + ",";
  CHECK(names == "id,leader,up,name,list,f,n,");
  for (const auto& member : root.find("id")) FAIL(std::string(member.name));
  for (const auto& member : json::Value()) FAIL(std::string(member.name));
}

TEST_CASE("a number beyond 64 bits is no uint64, but keeps its digits") {
  json::Document document;
  REQUIRE_FALSE(document.parse("[18446744073709551615,18446744073709551616]"));
  auto at = document.root().begin();
  CHECK((*at).value.uint64() == 18446744073709551615u);
  ++at;
  CHECK_FALSE((*at).value.uint64());
  CHECK((*at).value.number() == "18446744073709551616");
}

TEST_CASE("the error about a repeated member names its path") {
  CHECK(refused(R"({"a":1,"a":2})").field == "a");
  CHECK(refused(R"({"if":[],"then":[1,{"put":{}},[],{"put":{"k":1,"ttl":1,"x":{},"ttl":2}}]})")
            .field == "then[3].put.ttl");
  CHECK(refused(R"([[{"a":{},"\u0061":{}}]])").field == "[0][0].a");
  CHECK(refused(R"({"a":1,"a":2})").code == json::Problem::Code::invalid_field);
  CHECK(refused(R"({"a":{"":1,"":2}})").field == R"(a."")");
  // The problem is short, however long the name is.
  const std::string name(1000, 'n');
  const std::string twins = "{\"" + name + "\":1,\"" + name + "\":2}";
  CHECK(refused(twins).field == name.substr(0, 80) + "...");
  CHECK(refused("{\"" + name + "\":" + twins + "}").field.size() == 2 * 83 + 1);
}

TEST_CASE("depth, values and bytes are limited") {
  json::Document document;
  CHECK_FALSE(document.parse(std::string(64, '[') + std::string(64, ']')));
  const auto deep = refused(std::string(65, '[') + std::string(65, ']'));
  CHECK(deep.code == json::Problem::Code::malformed);
  CHECK(deep.limit == 64);
  json::Document::Limits limits;
  limits.values = 4;
  CHECK_FALSE(document.parse("[1,2,3]", limits));
  CHECK(refused("[1,2,3,4]", limits).limit == 4);
  limits.bytes = 7;
  CHECK_FALSE(document.parse("[1,2,3]", limits));
  CHECK(refused("[1,2,3 ]", limits).limit == 7);
}

TEST_CASE("400,000 members of one object are checked for duplicates without comparing all pairs") {
  std::string text = "{";
  for (int i = 0; i < 400'000; ++i) text += "\"" + std::to_string(i) + "\":0,";
  text += "\"399999\":0}";
  CHECK(refused(text).field == "399999");
}
