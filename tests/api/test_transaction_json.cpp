// The JSON of POST /txn: what the reader accepts, and which member it blames for anything else.
#include <doctest/doctest.h>

#include <string>
#include <string_view>

#include "api/transaction_json.hpp"
#include "kv/item.hpp"

namespace test_transaction_json {

using namespace vesper;
using namespace vesper::api;

namespace {

constexpr std::size_t kMaxValue = 100;

kv::Transaction accepted(const std::string& body) {
  kv::Transaction transaction;
  const auto problem = read_transaction(body, kMaxValue, transaction);
  REQUIRE_MESSAGE(!problem, body.substr(0, 200) << ": " << problem->detail);
  return transaction;
}

Problem refused(const std::string& body) {
  kv::Transaction transaction;
  auto problem = read_transaction(body, kMaxValue, transaction);
  REQUIRE_MESSAGE(problem, body.substr(0, 200));
  return std::move(*problem);
}

// A transaction with this one operation or compare.
std::string then(const std::string& operation) {
  return R"({"then":[)" + operation + "]}";
}
std::string if_(const std::string& compare) {
  return R"({"if":[)" + compare + R"(],"then":[]})";
}

template <typename Operation>
Operation only(const std::string& operation) {
  kv::Transaction transaction = accepted(then(operation));
  REQUIRE(transaction.then.size() == 1);
  REQUIRE(std::holds_alternative<Operation>(transaction.then[0]));
  return std::move(std::get<Operation>(transaction.then[0]));
}

kv::Compare only_compare(const std::string& compare) {
  kv::Transaction transaction = accepted(if_(compare));
  REQUIRE(transaction.compares.size() == 1);
  return std::move(transaction.compares[0]);
}

// A transaction with `depth` more inside, each in the `then` of the one before.
std::string nested(std::size_t depth) {
  std::string body = R"({"then":[]})";
  for (std::size_t i = 0; i < depth; ++i) body = then(R"({"txn":)" + body + "}");
  return body;
}

std::string repeated(std::string_view element, std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text.append(i == 0 ? "" : ",").append(element);
  return text;
}

struct Bad {
  std::string body;
  std::string_view field;
};

void check_all(const std::vector<Bad>& table) {
  for (const Bad& bad : table) {
    CAPTURE(bad.body);
    const Problem problem = refused(bad.body);
    CHECK(problem.status == 400);
    CHECK(problem.code == "invalid_field");
    CHECK(problem.field == bad.field);
    CHECK(problem.detail.find("`" + std::string(bad.field) + "` ") == 0);
  }
}

}  // namespace

TEST_CASE("a body that is not a JSON object is malformed") {
  for (const char* body :
       {"", " ", "{", "[", "nul", "{\"then\":[}", "{\"then\":[]}x", "{\"then\":[],}", "{then:[]}",
        "{\"then\":[NaN]}", "{\"then\":[1e]}", "{\"then\":[01]}", "{\"then\":[\"\\ud800\"]}",
        "{\"then\":[\"\xff\"]}", "{\"then\":[\"a\nb\"]}"}) {
    CAPTURE(body);
    CHECK(refused(body).code == "malformed");
    CHECK(refused(body).field.empty());
  }
  CHECK(refused(std::string("{\"then\":[]}\0", 12)).code == "malformed");
  CHECK(refused(std::string(65, '[') + std::string(65, ']')).limit == 64u);
  for (const char* body : {"null", "true", "7", "\"then\"", "[]", "[{\"then\":[]}]"}) {
    CAPTURE(body);
    CHECK(refused(body).code == "invalid_field");
    CHECK(refused(body).field.empty());
  }
}

TEST_CASE("the members of a transaction are checked") {
  check_all({
      {"{}", "then"},
      {R"({"if":[]})", "then"},
      {R"({"then":[],"therefore":[]})", "therefore"},
      {R"({"then":[],"then":[]})", "then"},
      {R"({"then":null})", "then"},
      {R"({"then":{}})", "then"},
      {R"({"then":"put"})", "then"},
      {R"({"then":[],"else":{}})", "else"},
      {R"({"then":[],"else":false})", "else"},
      {R"({"then":[],"if":{}})", "if"},
      {R"({"then":[],"if":null})", "if"},
      {R"({"then":[],"":1})", "\"\""},
      {R"({"then":[],"if":[1]})", "if[0]"},
      {R"({"then":[null]})", "then[0]"},
      {R"({"then":["put"]})", "then[0]"},
      {R"({"then":[[]]})", "then[0]"},
      {R"({"then":[{}]})", "then[0]"},
      {R"({"then":[{"put":{"key":"a","value":""}},{}]})", "then[1]"},
      {R"({"then":[],"else":[{}]})", "else[0]"},
      {R"({"then":[{"post":{}}]})", "then[0].post"},
      {R"({"then":[{"put":{"key":"a","value":""},"get":{"key":"a"}}]})", "then[0].get"},
      {R"({"then":[{"put":[]}]})", "then[0].put"},
      {R"({"then":[{"get":"a"}]})", "then[0].get"},
      {R"({"then":[{"delete":null}]})", "then[0].delete"},
      {R"({"then":[{"txn":[]}]})", "then[0].txn"},
      {R"({"then":[{"txn":{}}]})", "then[0].txn.then"},
      {R"({"then":[{"txn":{"then":[],"x":1}}]})", "then[0].txn.x"},
      {R"({"then":[{"get":{"key":"a"}},{"txn":{"if":[{"key":"a","version":1},{}],"then":[]}}]})",
       "then[1].txn.if[1].key"},
      {R"({"then":[],"else":[{"txn":{"then":[],"else":[{"txn":{"then":[{"put":{"key":1}}]}}]}}]})",
       "else[0].txn.else[0].txn.then[0].put.key"},
  });
}

TEST_CASE("keys, values and their base64 forms are checked") {
  const std::string long_key(kv::kMaxKey + 1, 'k');
  check_all({
      {then(R"({"put":{"value":"1"}})"), "then[0].put.key"},
      {then(R"({"put":{"key":"a"}})"), "then[0].put.value"},
      {then(R"({"put":{"key":"a","value":1}})"), "then[0].put.value"},
      {then(R"({"put":{"key":"a","value":null}})"), "then[0].put.value"},
      {then(R"({"put":{"key":"a","value":true}})"), "then[0].put.value"},
      {then(R"({"put":{"key":"a","value":{}}})"), "then[0].put.value"},
      {then(R"({"put":{"key":7,"value":""}})"), "then[0].put.key"},
      {then(R"({"put":{"key":["a"],"value":""}})"), "then[0].put.key"},
      {then(R"({"put":{"key":"","value":""}})"), "then[0].put.key"},
      {then(R"({"put":{"key":")" + long_key + R"(","value":""}})"), "then[0].put.key"},
      {then(R"({"put":{"key_base64":"","value":""}})"), "then[0].put.key_base64"},
      {then(R"({"put":{"key_base64":"YQ","value":""}})"), "then[0].put.key_base64"},
      {then(R"({"put":{"key_base64":"YQ=","value":""}})"), "then[0].put.key_base64"},
      {then(R"({"put":{"key_base64":"YR==","value":""}})"), "then[0].put.key_base64"},
      {then(R"({"put":{"key_base64":"Y Q==","value":""}})"), "then[0].put.key_base64"},
      {then(R"({"put":{"key_base64":"_w==","value":""}})"), "then[0].put.key_base64"},
      {then(R"({"put":{"key_base64":1,"value":""}})"), "then[0].put.key_base64"},
      {then(R"({"put":{"key":"a","key_base64":"YQ==","value":""}})"), "then[0].put.key_base64"},
      {then(R"({"put":{"key":"a","value":"","value_base64":""}})"), "then[0].put.value_base64"},
      {then(R"({"put":{"key":"a","value_base64":"*"}})"), "then[0].put.value_base64"},
      {then(R"({"put":{"key":"a","value":"","value":""}})"), "then[0].put.value"},
      {then(R"({"put":{"key":"a","\u006bey":"b","value":""}})"), "then[0].put.key"},
  });
  CHECK(refused(then(R"({"get":{"key":""}})")).limit == kv::kMaxKey);
  CHECK(refused(then(R"({"get":{"key":")" + long_key + "\"}}")).limit == kv::kMaxKey);
}

TEST_CASE("a value above the limit is too large") {
  const std::string large(kMaxValue + 1, 'v');
  for (const auto& [operation, field] : std::vector<std::pair<std::string, std::string>>{
           {R"({"put":{"key":"a","value":")" + large + "\"}}", "then[0].put.value"},
           {R"({"append":{"key":"a","value":")" + large + "\"}}", "then[0].append.value"},
           {R"({"put":{"key":"a","json":true,"value":"[)" + repeated("1", 51) + "]\"}}",
            "then[0].put.value"}}) {
    const Problem problem = refused(then(operation));
    CHECK(problem.status == 413);
    CHECK(problem.code == "value_too_large");
    CHECK(problem.field == field);
    CHECK(problem.limit == kMaxValue);
  }
  CHECK(refused(if_(R"({"key":"a","value":")" + large + "\"}")).field == "if[0].value");
  // What counts is what is stored: JSON becomes compact first.
  const auto put =
      only<kv::Put>(R"({"put":{"key":"a","json":true,"value":"[)" + repeated(" 1", 49) + R"(]"}})");
  CHECK(put.value.size() == 99);
}

TEST_CASE("the members of a put are checked") {
  check_all({
      {then(R"({"put":{"key":"a","value":"","ttl":5}})"), "then[0].put.ttl"},
      {then(R"({"put":{"key":"a","value":"","ttl":null}})"), "then[0].put.ttl"},
      {then(R"({"put":{"key":"a","value":"","ttl":"5"}})"), "then[0].put.ttl"},
      {then(R"({"put":{"key":"a","value":"","ttl":"0s"}})"), "then[0].put.ttl"},
      {then(R"({"put":{"key":"a","value":"","ttl":"-1s"}})"), "then[0].put.ttl"},
      {then(R"({"put":{"key":"a","value":"","ttl":"1ns"}})"), "then[0].put.ttl"},
      {then(R"({"put":{"key":"a","value":"","ttl":"3651d"}})"), "then[0].put.ttl"},
      {then(R"({"put":{"key":"a","value":"","lease":0}})"), "then[0].put.lease"},
      {then(R"({"put":{"key":"a","value":"","lease":-1}})"), "then[0].put.lease"},
      {then(R"({"put":{"key":"a","value":"","lease":"x"}})"), "then[0].put.lease"},
      {then(R"({"put":{"key":"a","value":"","lease":null}})"), "then[0].put.lease"},
      {then(R"({"put":{"key":"a","value":"","lease":"18446744073709551616"}})"),
       "then[0].put.lease"},
      {then(R"({"put":{"key":"a","value":"","lease":7,"ttl":"1s"}})"), "then[0].put.ttl"},
      {then(R"({"put":{"key":"a","value":"","keep_ttl":true,"ttl":"1s"}})"),
       "then[0].put.keep_ttl"},
      {then(R"({"put":{"key":"a","value":"","lease":"7","keep_ttl":true}})"),
       "then[0].put.keep_ttl"},
      {then(R"({"put":{"key":"a","value":"","prev":1}})"), "then[0].put.prev"},
      {then(R"({"put":{"key":"a","value":"","prev":"true"}})"), "then[0].put.prev"},
      {then(R"({"put":{"key":"a","value":"","keep_ttl":null}})"), "then[0].put.keep_ttl"},
      {then(R"({"put":{"key":"a","value":"","json":0}})"), "then[0].put.json"},
      {then(R"({"put":{"key":"a","value":"{","json":true}})"), "then[0].put.value"},
      {then(R"({"put":{"key":"a","value":"","json":true}})"), "then[0].put.value"},
      {then(R"({"put":{"key":"a","value":"1 2","json":true}})"), "then[0].put.value"},
      {then(R"({"put":{"key":"a","value_base64":"/w==","json":true}})"),
       "then[0].put.value_base64"},
      {then(R"({"put":{"key":"a","json":true}})"), "then[0].put.value"},
      {then(R"({"put":{"key":"a","keep_value":1}})"), "then[0].put.keep_value"},
      {then(R"({"put":{"key":"a","keep_value":false}})"), "then[0].put.value"},
      {then(R"({"put":{"key":"a","value":"","keep_value":true}})"), "then[0].put.value"},
      {then(R"({"put":{"key":"a","value_base64":"","keep_value":true}})"),
       "then[0].put.value_base64"},
      {then(R"({"put":{"key":"a","json":true,"keep_value":true}})"), "then[0].put.json"},
      {then(R"({"put":{"prefix":"a","value":""}})"), "then[0].put.prefix"},
  });
  const std::string name(500, 'n');
  const Problem problem = refused(then(R"({"put":{")" + name + R"(":1}})"));
  CHECK(problem.field == "then[0].put." + name.substr(0, 80) + "...");
}

TEST_CASE("the members of a get are checked") {
  check_all({
      {then(R"({"get":{}})"), "then[0].get.key"},
      {then(R"({"get":{"limit":1}})"), "then[0].get.key"},
      {then(R"({"get":{"key":"a","prefix":"b"}})"), "then[0].get.prefix"},
      {then(R"({"get":{"prefix_base64":"","key_base64":"YQ=="}})"), "then[0].get.prefix_base64"},
      {then(R"({"get":{"key":"a","start":"b"}})"), "then[0].get.start"},
      {then(R"({"get":{"key":"a","end":"b"}})"), "then[0].get.end"},
      {then(R"({"get":{"prefix":"a","start":"b","end":"c"}})"), "then[0].get.start"},
      {then(R"({"get":{"prefix":"a","end_base64":""}})"), "then[0].get.end_base64"},
      {then(R"({"get":{"start":"b","start_base64":""}})"), "then[0].get.start_base64"},
      {then(R"({"get":{"start":"b","end":"a"}})"), "then[0].get.end"},
      {then(R"({"get":{"start_base64":"/w==","end":"a"}})"), "then[0].get.end"},
      {then(R"({"get":{"prefix":1}})"), "then[0].get.prefix"},
      {then(R"({"get":{"prefix":")" + std::string(4097, 'p') + "\"}}"), "then[0].get.prefix"},
      {then(R"({"get":{"end":")" + std::string(4097, 'p') + "\"}}"), "then[0].get.end"},
      {then(R"({"get":{"key":"a","limit":1}})"), "then[0].get.limit"},
      {then(R"({"get":{"key":"a","keys_only":false}})"), "then[0].get.keys_only"},
      {then(R"({"get":{"key":"a","separator":"/"}})"), "then[0].get.separator"},
      {then(R"({"get":{"prefix":"a","limit":0}})"), "then[0].get.limit"},
      {then(R"({"get":{"prefix":"a","limit":10001}})"), "then[0].get.limit"},
      {then(R"({"get":{"prefix":"a","limit":-1}})"), "then[0].get.limit"},
      {then(R"({"get":{"prefix":"a","limit":1.5}})"), "then[0].get.limit"},
      {then(R"({"get":{"prefix":"a","limit":1e2}})"), "then[0].get.limit"},
      {then(R"({"get":{"prefix":"a","limit":"ten"}})"), "then[0].get.limit"},
      {then(R"({"get":{"prefix":"a","limit":true}})"), "then[0].get.limit"},
      {then(R"({"get":{"prefix":"a","limit":18446744073709551617}})"), "then[0].get.limit"},
      {then(R"({"get":{"prefix":"a","reverse":1}})"), "then[0].get.reverse"},
      {then(R"({"get":{"prefix":"a","keys_only":true,"count_only":true}})"),
       "then[0].get.keys_only"},
      {then(R"({"get":{"prefix":"a","limit":1,"count_only":true}})"), "then[0].get.limit"},
      {then(R"({"get":{"prefix":"a","count_only":true,"reverse":true}})"), "then[0].get.reverse"},
      {then(R"({"get":{"prefix":"a","separator":"/","count_only":true}})"),
       "then[0].get.separator"},
      {then(R"({"get":{"start":"a","end":"a"}})"), "then[0].get.end"},
      {then(R"({"get":{"start":"","end":"a"}})"), "then[0].get.start"},
      {then(R"({"get":{"start":"a","end":""}})"), "then[0].get.end"},
      {then(R"({"get":{"prefix":"a","separator":""}})"), "then[0].get.separator"},
      {then(R"({"get":{"prefix":"a","separator":1}})"), "then[0].get.separator"},
      {then(R"({"get":{"prefix":"a","separator":")" + std::string(4097, '/') + "\"}}"),
       "then[0].get.separator"},
      {then(R"({"get":{"prefix":"a","revision":0}})"), "then[0].get.revision"},
      {then(R"({"get":{"key":"a","revision":0}})"), "then[0].get.revision"},
      {then(R"({"get":{"key":"a","revision":-1}})"), "then[0].get.revision"},
      {then(R"({"get":{"key":"a","revision":"0x1"}})"), "then[0].get.revision"},
      {then(R"({"get":{"key":"a","revision":" 1"}})"), "then[0].get.revision"},
      {then(R"({"get":{"key":"a","revision":"01"}})"), "then[0].get.revision"},
      {then(R"({"get":{"key":"a","revision":9223372036854775808}})"), "then[0].get.revision"},
      {then(R"({"get":{"key":"a","revision":null}})"), "then[0].get.revision"},
      {then(R"({"get":{"key":"a","prev":true}})"), "then[0].get.prev"},
  });
}

TEST_CASE("the members of a delete are checked") {
  check_all({
      {then(R"({"delete":{}})"), "then[0].delete.key"},
      {then(R"({"delete":{"all":false}})"), "then[0].delete.key"},
      {then(R"({"delete":{"key":""}})"), "then[0].delete.key"},
      {then(R"({"delete":{"prefix":""}})"), "then[0].delete.prefix"},
      {then(R"({"delete":{"prefix_base64":""}})"), "then[0].delete.prefix_base64"},
      {then(R"({"delete":{"start":""}})"), "then[0].delete.start"},
      {then(R"({"delete":{"end":""}})"), "then[0].delete.end"},
      {then(R"({"delete":{"start":"","end":""}})"), "then[0].delete.start"},
      {then(R"({"delete":{"key":"a","all":true}})"), "then[0].delete.all"},
      {then(R"({"delete":{"prefix":"a","all":true}})"), "then[0].delete.all"},
      {then(R"({"delete":{"prefix":"","all":1}})"), "then[0].delete.all"},
      {then(R"({"delete":{"start":"b","end":"a"}})"), "then[0].delete.end"},
      {then(R"({"delete":{"key":"a","prev":0}})"), "then[0].delete.prev"},
      {then(R"({"delete":{"key":"a","limit":1}})"), "then[0].delete.limit"},
      {then(R"({"delete":{"key":"a","key":"b"}})"), "then[0].delete.key"},
  });
}

TEST_CASE("the members of the atomic operations are checked") {
  check_all({
      {then(R"({"increment":{}})"), "then[0].increment.key"},
      {then(R"({"increment":{"key":"n","by":1.0}})"), "then[0].increment.by"},
      {then(R"({"increment":{"key":"n","by":1e3}})"), "then[0].increment.by"},
      {then(R"({"increment":{"key":"n","by":-0}})"), "then[0].increment.by"},
      {then(R"({"increment":{"key":"n","by":"+1"}})"), "then[0].increment.by"},
      {then(R"({"increment":{"key":"n","by":"NaN"}})"), "then[0].increment.by"},
      {then(R"({"increment":{"key":"n","by":""}})"), "then[0].increment.by"},
      {then(R"({"increment":{"key":"n","by":null}})"), "then[0].increment.by"},
      {then(R"({"increment":{"key":"n","by":9223372036854775808}})"), "then[0].increment.by"},
      {then(R"({"increment":{"key":"n","by":"-9223372036854775809"}})"), "then[0].increment.by"},
      {then(R"({"increment":{"key":"n","value":"1"}})"), "then[0].increment.value"},
      {then(R"({"increment":{"prefix":"n"}})"), "then[0].increment.prefix"},
      {then(R"({"append":{"key":"l"}})"), "then[0].append.value"},
      {then(R"({"append":{"value":"x"}})"), "then[0].append.key"},
      {then(R"({"append":{"key":"l","value":5}})"), "then[0].append.value"},
      {then(R"({"append":{"key":"l","value":"x","json":true}})"), "then[0].append.json"},
      {then(R"({"min":{"key":"n"}})"), "then[0].min.value"},
      {then(R"({"min":{"value":1}})"), "then[0].min.key"},
      {then(R"({"min":{"key":"n","value":"one"}})"), "then[0].min.value"},
      {then(R"({"max":{"key":"n","value":18446744073709551616}})"), "then[0].max.value"},
      {then(R"({"max":{"key":"n","value":0.5}})"), "then[0].max.value"},
      {then(R"({"max":{"key":"n","by":5}})"), "then[0].max.by"},
      {then(R"({"restore":{"key":"a"}})"), "then[0].restore.revision"},
      {then(R"({"restore":{"revision":2}})"), "then[0].restore.key"},
      {then(R"({"restore":{"key":"a","revision":0}})"), "then[0].restore.revision"},
      {then(R"({"restore":{"key":"a","revision":18446744073709551616}})"),
       "then[0].restore.revision"},
      {then(R"({"restore":{"prefix":"a","revision":2}})"), "then[0].restore.prefix"},
  });
}

TEST_CASE("the members of a compare are checked") {
  check_all({
      {if_("{}"), "if[0].key"},
      {if_(R"({"version":1})"), "if[0].key"},
      {if_(R"({"key":"a"})"), "if[0]"},
      {if_(R"({"key":"a","op":"="})"), "if[0]"},
      {if_(R"({"key":"a","version":1,"revision":1})"), "if[0].version"},
      {if_(R"({"key":"a","value":"","value_base64":""})"), "if[0].value_base64"},
      {if_(R"({"key":"a","exists":true,"value":""})"), "if[0].value"},
      {if_(R"({"key":"a","prefix":"a","version":1})"), "if[0].prefix"},
      {if_(R"({"key":"","version":1})"), "if[0].key"},
      {if_(R"({"start":"b","end":"a","version":1})"), "if[0].end"},
      {if_(R"({"key":"a","version":-1})"), "if[0].version"},
      {if_(R"({"key":"a","version":1.0})"), "if[0].version"},
      {if_(R"({"key":"a","version":"one"})"), "if[0].version"},
      {if_(R"({"key":"a","version":true})"), "if[0].version"},
      {if_(R"({"key":"a","version":null})"), "if[0].version"},
      {if_(R"({"key":"a","revision":18446744073709551616})"), "if[0].revision"},
      {if_(R"({"key":"a","create_revision":"18446744073709551616"})"), "if[0].create_revision"},
      {if_(R"({"key":"a","lease":[]})"), "if[0].lease"},
      {if_(R"({"key":"a","exists":1})"), "if[0].exists"},
      {if_(R"({"key":"a","exists":"true"})"), "if[0].exists"},
      {if_(R"({"key":"a","value":7})"), "if[0].value"},
      {if_(R"({"key":"a","value":null})"), "if[0].value"},
      {if_(R"({"key":"a","version":1,"op":"=="})"), "if[0].op"},
      {if_(R"({"key":"a","version":1,"op":"<="})"), "if[0].op"},
      {if_(R"({"key":"a","version":1,"op":""})"), "if[0].op"},
      {if_(R"({"key":"a","version":1,"op":1})"), "if[0].op"},
      {if_(R"({"key":"a","version":1,"op":null})"), "if[0].op"},
      {if_(R"({"lock":"n"})"), "if[0].token"},
      {if_(R"({"lock":"n","token":0})"), "if[0].token"},
      {if_(R"({"lock":"n","token":-1})"), "if[0].token"},
      {if_(R"({"lock":"n","token":"x"})"), "if[0].token"},
      {if_(R"({"lock":"n","token":9007199254740992})"), "if[0].token"},
      {if_(R"({"lock":"n","token":17,"op":"="})"), "if[0].op"},
      {if_(R"({"lock":"n","token":17,"key":"a"})"), "if[0].key"},
      {if_(R"({"lock":"n","lock_base64":"YQ==","token":17})"), "if[0].lock_base64"},
      {if_(R"({"lock":"","token":17})"), "if[0].lock"},
      {if_(R"({"lock":7,"token":17})"), "if[0].lock"},
      {if_(R"({"lock_base64":"YQ","token":17})"), "if[0].lock_base64"},
      {if_(R"({"token":17})"), "if[0].token"},
      {if_(R"({"key":"a","token":17})"), "if[0].token"},
      {if_(R"({"key":"a","mod_revision":1})"), "if[0].mod_revision"},
  });
}

TEST_CASE("compares, operations and depth are bounded over all nested transactions") {
  const std::string get = R"({"get":{"key":"a"}})", compare = R"({"key":"a","version":1})";
  CHECK(accepted(then(repeated(get, 4096))).then.size() == 4096);
  Problem problem = refused(then(repeated(get, 4097)));
  CHECK(problem.field == "then[4096]");
  CHECK(problem.limit == 4096u);
  // A nested transaction is an operation, too, and the branch that will not run counts.
  accepted(R"({"then":[{"txn":{"then":[)" + repeated(get, 2000) + "],\"else\":[" +
           repeated(get, 2000) + "]}}],\"else\":[" + repeated(get, 95) + "]}");
  problem = refused(R"({"then":[{"txn":{"then":[)" + repeated(get, 2000) + "],\"else\":[" +
                    repeated(get, 2000) + "]}}],\"else\":[" + repeated(get, 96) + "]}");
  CHECK(problem.field == "else[95]");
  CHECK(problem.limit == 4096u);

  CHECK(accepted(if_(repeated(compare, 4096))).compares.size() == 4096);
  problem = refused(if_(repeated(compare, 4097)));
  CHECK(problem.field == "if[4096]");
  CHECK(problem.limit == 4096u);
  problem = refused(R"({"if":[)" + repeated(compare, 4000) + R"(],"then":[{"txn":{"if":[)" +
                    repeated(compare, 97) + R"(],"then":[]}}]})");
  CHECK(problem.field == "then[0].txn.if[96]");

  accepted(nested(8));
  problem = refused(nested(9));
  CHECK(problem.code == "invalid_field");
  CHECK(problem.limit == 8u);
  CHECK(problem.field ==
        "then[0].txn.then[0].txn.then[0].txn.then[0].txn.then[0].txn.then[0].txn.then[0].txn."
        "then[0].txn.then[0].txn");
}

TEST_CASE("a transaction has its branches in order") {
  const kv::Transaction transaction =
      accepted(R"( {"else":[{"get":{"key":"c"}}],"then":[{"put":{"key":"a","value":"1"}},
          {"txn":{"if":[{"key":"x","version":"2","op":">"}],"then":[],
                  "else":[{"get":{"key":"d"}}]}}],
          "if":[{"key":"a","revision":7}]} )");
  REQUIRE(transaction.compares.size() == 1);
  CHECK(transaction.compares[0].range == kv::KeyRange::of_key("a"));
  CHECK(transaction.compares[0].number == 7);
  REQUIRE(transaction.then.size() == 2);
  CHECK(std::get<kv::Put>(transaction.then[0]).key.view() == "a");
  const auto& inner = *std::get<kv::Nested>(transaction.then[1]).transaction;
  CHECK(inner.compares[0].op == kv::Compare::Op::greater);
  CHECK(inner.compares[0].number == 2);
  CHECK(inner.then.empty());
  CHECK(std::get<kv::Get>(inner.otherwise[0]).key.view() == "d");
  CHECK(std::get<kv::Get>(transaction.otherwise[0]).key.view() == "c");
}

TEST_CASE("a compare has one target, one quantity and an operator") {
  using Target = kv::Compare::Target;
  using Op = kv::Compare::Op;
  struct Good {
    std::string body;
    kv::KeyRange range;
    Target target;
    Op op;
    std::uint64_t number = 0;
    std::string_view value = {};
  };
  const kv::KeyRange a = kv::KeyRange::of_key("a");
  const std::vector<Good> table = {
      {R"({"key":"a","revision":0})", a, Target::revision, Op::equal, 0},
      {R"({"key_base64":"YQ==","create_revision":"3"})", a, Target::create_revision, Op::equal, 3},
      {R"({"key":"a","version":1,"op":"="})", a, Target::version, Op::equal, 1},
      {R"({"key":"a","lease":"18446744073709551615","op":"!="})", a, Target::lease, Op::not_equal,
       UINT64_MAX},
      {R"({"key":"a","revision":18446744073709551615,"op":"<"})", a, Target::revision, Op::less,
       UINT64_MAX},
      {R"({"key":"a","exists":true})", a, Target::exists, Op::equal, 1},
      {R"({"key":"a","exists":false})", a, Target::exists, Op::equal, 0},
      {R"({"key":"a","value":"x","op":">"})", a, Target::value, Op::greater, 0, "x"},
      {R"({"key":"a","value_base64":"/w=="})", a, Target::value, Op::equal, 0, "\xff"},
      {R"({"key":"a","value":""})", a, Target::value, Op::equal},
      {R"({"key":"a","lease":7})", a, Target::lease, Op::equal, 7},
      {R"({"lock":"a","token":17})", a, Target::lock, Op::equal, 17},
      {R"({"lock_base64":"YQ==","token":"9007199254740991"})", a, Target::lock, Op::equal,
       9007199254740991u},
      {R"({"prefix":"d/","version":1})", {"d/", "d0"}, Target::version, Op::equal, 1},
      {R"({"prefix":"","exists":false})", {}, Target::exists, Op::equal, 0},
      {R"({"start":"b","version":1})", {"b", ""}, Target::version, Op::equal, 1},
      {R"({"end":"c","version":1})", {"", "c"}, Target::version, Op::equal, 1},
      {R"({"start_base64":"Yg==","end":"c","version":1})",
       {"b", "c"},
       Target::version,
       Op::equal,
       1},
  };
  for (const Good& good : table) {
    CAPTURE(good.body);
    const kv::Compare compare = only_compare(good.body);
    CHECK(compare.range == good.range);
    CHECK(compare.target == good.target);
    CHECK(compare.op == good.op);
    CHECK(compare.number == good.number);
    CHECK(compare.value.view() == good.value);
  }
}

TEST_CASE("a put has a value, or keeps the present one") {
  auto put = only<kv::Put>(R"({"put":{"key":"a","value":"1"}})");
  CHECK(put.key.view() == "a");
  CHECK(put.value.view() == "1");
  CHECK_FALSE(put.json);
  CHECK_FALSE(put.keep_value);
  CHECK_FALSE(put.keep_lease);
  CHECK(put.prev == kv::Prev::omit);
  put = only<kv::Put>(
      R"({"put":{"key_base64":"AP8=","value_base64":"AA==","prev":true,"keep_ttl":true}})");
  CHECK(put.key.view() == std::string_view("\0\xff", 2));
  CHECK(put.value.view() == std::string_view("\0", 1));
  CHECK(put.keep_lease);
  CHECK(put.prev == kv::Prev::include);
  put = only<kv::Put>(R"({"put":{"key":"a","value":"","ttl":"500ms","keep_ttl":false}})");
  CHECK(put.ttl == milliseconds(500));
  CHECK(put.lease == 0);
  for (const std::string id : {"18446744073709551615", "\"18446744073709551615\""})
    CHECK(only<kv::Put>(R"({"put":{"key":"a","value":"","lease":)" + id + "}}").lease ==
          UINT64_MAX);
  put = only<kv::Put>(R"({"put":{"key":"a","keep_value":true,"ttl":"1s"}})");
  CHECK(put.ttl == seconds(1));
  CHECK(put.keep_value);
  put = only<kv::Put>(R"({"put":{"key":"a","keep_value":true,"prev":true}})");
  CHECK(put.keep_value);
  CHECK(put.value.empty());
  put = only<kv::Put>(R"({"put":{"key":"a","value":" {\"x\" : 1.0} ","json":true}})");
  CHECK(put.json);
  CHECK(put.value.view() == R"({"x":1.0})");
  put = only<kv::Put>(R"({"put":{"key":"a","value":"{","json":false,"keep_value":false}})");
  CHECK(put.value.view() == "{");
}

TEST_CASE("a get reads a key or a range") {
  const auto get = only<kv::Get>(R"({"get":{"key":"a","revision":"9007199254740991"}})");
  CHECK(get.key.view() == "a");
  CHECK(get.revision == 9007199254740991);
  CHECK(only<kv::Get>(R"({"get":{"key":"a"}})").revision == 0);

  auto query = only<kv::GetRange>(R"({"get":{"prefix":""}})").query;
  CHECK(query.range == kv::KeyRange::all());
  CHECK(query.revision == 0);
  CHECK(query.limit == 1000);
  CHECK(query.order == kv::Order::ascending);
  CHECK(query.content == kv::Content::values);
  CHECK(query.separator.empty());
  query = only<kv::GetRange>(
              R"({"get":{"prefix":"d/","limit":10000,"reverse":true,"keys_only":true,
                         "separator":"/","revision":5}})")
              .query;
  CHECK(query.range == kv::KeyRange::of_prefix("d/"));
  CHECK(query.revision == 5);
  CHECK(query.limit == 10000);
  CHECK(query.order == kv::Order::descending);
  CHECK(query.content == kv::Content::keys);
  CHECK(query.separator == "/");
  CHECK(query.prefix_size == 2);
  query = only<kv::GetRange>(R"({"get":{"start":"a","end":"b","count_only":true}})").query;
  CHECK(query.range == kv::KeyRange{"a", "b"});
  CHECK(query.content == kv::Content::count);
}

TEST_CASE("a delete removes a key or a range, and all keys only if it says so") {
  CHECK(only<kv::Delete>(R"({"delete":{"key":"a"}})").range == kv::KeyRange::of_key("a"));
  CHECK(only<kv::Delete>(R"({"delete":{"prefix":"e/","prev":true}})").prev == kv::Prev::include);
  CHECK(only<kv::Delete>(R"({"delete":{"start":"e"}})").range == kv::KeyRange{"e", ""});
  CHECK(only<kv::Delete>(R"({"delete":{"end":"e"}})").range == kv::KeyRange{"", "e"});
  for (const char* body : {R"({"delete":{"all":true}})", R"({"delete":{"prefix":"","all":true}})"})
    CHECK(only<kv::Delete>(body).range == kv::KeyRange::all());
}

TEST_CASE("the atomic operations have their operands") {
  using Kind = kv::Modify::Kind;
  auto modify = only<kv::Modify>(R"({"increment":{"key":"n"}})");
  CHECK(modify.kind == Kind::increment);
  CHECK(modify.key.view() == "n");
  CHECK(modify.operand == 1);
  CHECK(only<kv::Modify>(R"({"increment":{"key":"n","by":-5}})").operand == -5);
  CHECK(only<kv::Modify>(R"({"increment":{"key":"n","by":"-9223372036854775808"}})").operand ==
        INT64_MIN);
  CHECK(only<kv::Modify>(R"({"increment":{"key":"n","by":0}})").operand == 0);
  modify = only<kv::Modify>(R"({"min":{"key":"n","value":9223372036854775807}})");
  CHECK(modify.kind == Kind::min);
  CHECK(modify.operand == INT64_MAX);
  modify = only<kv::Modify>(R"({"max":{"key":"n","value":"7"}})");
  CHECK(modify.kind == Kind::max);
  CHECK(modify.operand == 7);
  modify = only<kv::Modify>(R"({"append":{"key":"l","value_base64":"AA=="}})");
  CHECK(modify.kind == Kind::append);
  CHECK(modify.suffix.size() == 1);
  const auto restore = only<kv::Restore>(R"({"restore":{"key":"f","revision":3}})");
  CHECK(restore.key.view() == "f");
  CHECK(restore.revision == 3);
}

}  // namespace test_transaction_json
