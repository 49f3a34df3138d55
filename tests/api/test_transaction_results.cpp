// The replies to POST /txn: what each operation's result looks like, and which member a refusal
// names.
#include <doctest/doctest.h>

#include <memory>
#include <string>

#include "api/transaction_json.hpp"

namespace test_transaction_results {

using namespace vesper;
using namespace vesper::api;

namespace {

kv::VersionRef version(std::string_view key, std::string_view value,
                       const kv::VersionFields& fields = {5, 4, 2}) {
  return kv::Version::make(key, value, fields);
}

// A transaction from its JSON.
kv::Transaction transaction(const std::string& body) {
  kv::Transaction read;
  REQUIRE_FALSE(read_transaction(body, 100, read));
  return read;
}

// The reply to a transaction with this one operation, without what surrounds the result.
std::string rendered(const std::string& operation, kv::OperationResult result) {
  const kv::Transaction one = transaction(R"({"then":[)" + operation + "]}");
  std::string text;
  json::Writer json(text);
  append_result(json, result, one.then[0], {9, kv::LogTime{1}});
  return text;
}

}  // namespace

TEST_CASE("the result of a put is the reply to a PUT") {
  const std::string put = R"({"put":{"key":"a","value":"1","prev":true}})";
  CHECK(rendered(put, kv::PutResult{9, 4, 3, {}, {}}) ==
        R"({"key":"a","revision":9,"create_revision":4,"version":3})");
  CHECK(rendered(put, kv::PutResult{9, 4, 3, {}, version("a", "0")}) ==
        R"({"key":"a","revision":9,"create_revision":4,"version":3,"prev":)"
        R"({"key":"a","value":"0","revision":5,"create_revision":4,"version":2}})");
  CHECK(rendered(R"({"put":{"key_base64":"/w==","value":""}})", kv::PutResult{9, 9, 1, {}, {}}) ==
        R"({"key_base64":"/w==","revision":9,"create_revision":9,"version":1})");
}

TEST_CASE("the result of an atomic operation has the new value") {
  CHECK(rendered(R"({"increment":{"key":"n"}})", kv::PutResult{9, 4, 3, version("n", "42"), {}}) ==
        R"({"key":"n","value":"42","revision":9,"create_revision":4,"version":3})");
  kv::VersionFields json{9, 4, 3};
  json.json = true;
  CHECK(rendered(R"({"max":{"key":"n","value":42}})",
                 kv::PutResult{9, 4, 3, version("n", "42", json), {}}) ==
        R"({"key":"n","value":"42","json":true,"revision":9,"create_revision":4,"version":3})");
  CHECK(rendered(R"({"append":{"key":"l","value_base64":"/w=="}})",
                 kv::PutResult{9, 9, 1, version("l", "\xff"), {}}) ==
        R"({"key":"l","value_base64":"/w==","revision":9,"create_revision":9,"version":1})");
}

TEST_CASE("a restore writes or deletes") {
  const std::string restore = R"({"restore":{"key":"f","revision":3}})";
  CHECK(rendered(restore, kv::PutResult{9, 4, 3, version("f", "x"), {}}) ==
        R"({"key":"f","value":"x","revision":9,"create_revision":4,"version":3})");
  CHECK(rendered(restore, kv::DeleteResult{1, {}}) == R"({"deleted":1,"revision":9})");
}

TEST_CASE("the result of a delete shows what was there, as an object for a key") {
  const std::string old = R"({"key":"a","value":"0","revision":5,"create_revision":4,"version":2})";
  CHECK(rendered(R"({"delete":{"key":"a"}})", kv::DeleteResult{1, {}}) ==
        R"({"deleted":1,"revision":9})");
  CHECK(
      rendered(R"({"delete":{"key":"a","prev":true}})", kv::DeleteResult{1, {version("a", "0")}}) ==
      R"({"deleted":1,"revision":9,"prev":)" + old + "}");
  CHECK(rendered(R"({"delete":{"key":"a","prev":true}})", kv::DeleteResult{0, {}}) ==
        R"({"deleted":0,"revision":9})");
  CHECK(rendered(R"({"delete":{"prefix":"a","prev":true}})",
                 kv::DeleteResult{1, {version("a", "0")}}) ==
        R"({"deleted":1,"revision":9,"prev":[)" + old + "]}");
  CHECK(rendered(R"({"delete":{"prefix":"a","prev":true}})", kv::DeleteResult{0, {}}) ==
        R"({"deleted":0,"revision":9,"prev":[]})");
  CHECK(rendered(R"({"delete":{"prefix":"a"}})", kv::DeleteResult{3, {}}) ==
        R"({"deleted":3,"revision":9})");
}

TEST_CASE("the result of a get says whether the key exists") {
  CHECK(rendered(R"({"get":{"key":"a"}})", kv::GetResult{version("a", "1")}) ==
        R"({"key":"a","value":"1","revision":5,"create_revision":4,"version":2})");
  CHECK(rendered(R"({"get":{"key":"a"}})", kv::GetResult{}) == R"({"key":"a","exists":false})");
  CHECK(rendered(R"({"get":{"key_base64":"/w=="}})", kv::GetResult{}) ==
        R"({"key_base64":"/w==","exists":false})");
}

TEST_CASE("the result of a range has what the query asks for") {
  kv::RangeResult range;
  range.kvs = {version("a", "1"), version("b", "2")};
  range.count = 2;
  CHECK(rendered(R"({"get":{"prefix":""}})", range) ==
        R"({"kvs":[{"key":"a","value":"1","revision":5,"create_revision":4,"version":2},)"
        R"({"key":"b","value":"2","revision":5,"create_revision":4,"version":2}],"count":2})");
  range.kvs.pop_back();
  range.more = true;
  range.content = kv::Content::keys;
  CHECK(
      rendered(R"({"get":{"prefix":"","keys_only":true,"limit":1}})", range) ==
      R"({"kvs":[{"key":"a","revision":5,"create_revision":4,"version":2}],"count":2,"more":true})");
  range = {};
  range.count = 7;
  range.content = kv::Content::count;
  CHECK(rendered(R"({"get":{"prefix":"","count_only":true}})", range) == R"({"count":7})");
  range = {};
  CHECK(rendered(R"({"get":{"prefix":"x"}})", range) == R"({"kvs":[],"count":0})");
  CHECK(rendered(R"({"get":{"prefix":"","separator":"/"}})", range) ==
        R"({"kvs":[],"prefixes":[],"count":0})");
}

TEST_CASE("a reply has one result for each operation of the branch that ran") {
  const kv::Transaction asked = transaction(
      R"({"then":[{"get":{"key":"a"}},{"txn":{"then":[],"else":[{"get":{"key":"b"}}]}}],"else":[]})");
  kv::TransactionResult inner, outer;
  inner.results.emplace_back(kv::GetResult{});
  outer.succeeded = true;
  outer.results.emplace_back(kv::GetResult{});
  outer.results.emplace_back(std::move(inner));
  std::string text;
  json::Writer json(text);
  append_reply(json, outer, asked, {9, kv::LogTime{1}});
  CHECK(text == R"({"succeeded":true,"revision":9,"results":[{"key":"a","exists":false},)"
                R"({"succeeded":false,"results":[{"key":"b","exists":false}]}]})");
  text.clear();
  json::Writer again(text);
  append_reply(again, kv::TransactionResult{}, asked, {9, kv::LogTime{1}});
  CHECK(text == R"({"succeeded":false,"revision":9,"results":[]})");
}

TEST_CASE("a refusal names the member at fault") {
  using Kind = kv::WriteResult::Kind;
  using Branch = kv::WriteResult::Step::Branch;
  const kv::Transaction asked = transaction(
      R"({"if":[{"prefix":"a","version":1}],"then":[{"put":{"key":"a","value":""}},
          {"txn":{"then":[],"else":[{"increment":{"key":"n"}},{"append":{"key":"l","value":"x"}},
                                    {"restore":{"key":"f","revision":3}}]}},
          {"get":{"prefix":"a","revision":9}},{"delete":{"prefix":"a"}},{"delete":{"key":"b"}},
          {"put":{"key_base64":"/w==","keep_value":true}}]})");
  const auto field = [&](Kind kind, std::vector<kv::WriteResult::Step> path) {
    kv::WriteResult refused;
    refused.kind = kind;
    refused.path = std::move(path);
    return field_of(refused, asked);
  };
  CHECK(field(Kind::conflicting_operations, {{Branch::then, 0}}) == "then[0].put.key");
  CHECK(field(Kind::conflicting_operations, {{Branch::then, 4}}) == "then[4].delete.key");
  CHECK(field(Kind::conflicting_operations, {{Branch::then, 3}}) == "then[3].delete");
  CHECK(field(Kind::key_not_found, {{Branch::then, 5}}) == "then[5].put.key_base64");
  CHECK(field(Kind::not_an_integer, {{Branch::then, 1}, {Branch::otherwise, 0}}) ==
        "then[1].txn.else[0].increment.key");
  CHECK(field(Kind::out_of_range, {{Branch::then, 1}, {Branch::otherwise, 0}}) ==
        "then[1].txn.else[0].increment.by");
  CHECK(field(Kind::value_too_large, {{Branch::then, 1}, {Branch::otherwise, 1}}) ==
        "then[1].txn.else[1].append");
  CHECK(field(Kind::compacted, {{Branch::then, 1}, {Branch::otherwise, 2}}) ==
        "then[1].txn.else[2].restore.revision");
  CHECK(field(Kind::future_revision, {{Branch::then, 2}}) == "then[2].get.revision");
  CHECK(field(Kind::range_too_large, {{Branch::compare, 0}}) == "if[0]");
  CHECK(field(Kind::reply_too_large, {{Branch::then, 1}}) == "then[1].txn");
  CHECK(field(Kind::key_reused, {}).empty());
}

}  // namespace test_transaction_results
