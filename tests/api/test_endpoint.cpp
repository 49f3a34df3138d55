// The endpoint table: paths, methods, and the slots that metrics are counted in.
#include <doctest/doctest.h>

#include <iterator>
#include <set>
#include <string_view>

#include "api/endpoint.hpp"

namespace test_endpoint {

using namespace vesper::api;

TEST_CASE("a path finds its row, byte for byte or by its prefix") {
  const EndpointTable table(endpoints());
  REQUIRE(table.find("/status") != nullptr);
  CHECK(table.find("/status")->label == "status");
  CHECK(table.find("/kv/a/b")->label == "kv");
  CHECK(table.find("/kv/")->label == "kv");
  CHECK(table.find("/kv")->label == "range");
  CHECK(table.find("/ui/")->label == "ui");
  CHECK(table.find("/ui")->label == "ui");
  CHECK(table.find("/cluster/transfer")->label == "transfer");
  for (const char* path : {"", "/kvs", "/Status", "/status/", "/statu", "/raft", "//"})
    CHECK(table.find(path) == nullptr);
}

TEST_CASE("each row has a metrics slot, and rows with one label share a slot") {
  const EndpointTable table(endpoints());
  const char* labels[] = {"none",     "request", "kv",    "range",    "txn",       "lease",
                          "leases",   "lock",    "locks", "election", "elections", "watch",
                          "trace",    "status",  "livez", "readyz",   "metrics",   "figures",
                          "root",     "openapi", "ui",    "compact",  "cluster",   "members",
                          "transfer", "chaos",   "auth",  "token",    "tokens"};
  REQUIRE(table.slots() == std::size(labels));
  for (std::size_t slot = 0; slot < table.slots(); ++slot)
    CHECK(table.label_of(slot) == labels[slot]);
  CHECK(table.slot_of(nullptr) == 0);
  CHECK(table.slot_of(table.find("/")) == table.slot_of(table.find("*")));
  for (const Endpoint& row : endpoints()) CHECK(table.label_of(table.slot_of(&row)) == row.label);
}

TEST_CASE("what needs which right") {
  const std::pair<std::string_view, Access> rows[] = {{"/request", Access::content},
                                                      {"/kv/", Access::content},
                                                      {"/kv", Access::content},
                                                      {"/txn", Access::content},
                                                      {"/leases/", Access::content},
                                                      {"/leases", Access::content},
                                                      {"/locks/", Access::content},
                                                      {"/locks", Access::content},
                                                      {"/elections/", Access::content},
                                                      {"/elections", Access::content},
                                                      {"/watch", Access::content},
                                                      {"/trace", Access::token},
                                                      {"/status", Access::token},
                                                      {"/livez", Access::open},
                                                      {"/readyz", Access::open},
                                                      {"/metrics", Access::metrics},
                                                      {"/figures", Access::metrics},
                                                      {"/", Access::token},
                                                      {"/openapi.json", Access::token},
                                                      {"/ui/", Access::page},
                                                      {"/ui", Access::page},
                                                      {"/favicon.ico", Access::page},
                                                      {"/compact", Access::admin},
                                                      {"/cluster", Access::token},
                                                      {"/cluster/members", Access::admin},
                                                      {"/cluster/transfer", Access::admin},
                                                      {"/chaos", Access::admin},
                                                      {"/auth/enable", Access::admin},
                                                      {"/auth/disable", Access::admin},
                                                      {"/auth/tokens/", Access::admin},
                                                      {"/auth/tokens", Access::admin},
                                                      {"*", Access::token}};
  REQUIRE(endpoints().size() == std::size(rows));
  for (std::size_t i = 0; i < std::size(rows); ++i) {
    CHECK(endpoints()[i].path == rows[i].first);
    CHECK(endpoints()[i].access == rows[i].second);
  }
}

TEST_CASE("requests of monitors and of the page are no load, nor those that wait on purpose") {
  std::set<std::string_view> idle;
  for (const Endpoint& row : endpoints()) {
    CHECK(row.is_load == is_load(row.label));  // rows with one label are counted together
    if (!row.is_load) idle.insert(row.label);
  }
  const std::set<std::string_view> expected = {
      "lock",    "election", "watch", "trace",   "status", "livez",   "readyz",
      "metrics", "figures",  "root",  "openapi", "ui",     "cluster", "chaos"};
  CHECK(idle == expected);
  CHECK(!is_load("none"));
}

TEST_CASE("each row is complete") {
  std::set<std::string_view> paths;
  for (const Endpoint& row : endpoints()) {
    CHECK(paths.insert(row.path).second);
    CHECK((row.check != nullptr));
    CHECK((row.render != nullptr));
    CHECK((row.run != nullptr) == (row.needs == Needs::node));
    CHECK((row.open == nullptr || row.methods.find("POST") != std::string_view::npos));
    CHECK((row.read_path != nullptr) == (row.match == Match::prefix));
    CHECK(row.methods.ends_with("OPTIONS"));
  }
}

}  // namespace test_endpoint
