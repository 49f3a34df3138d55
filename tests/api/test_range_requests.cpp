// What requests to /kv accept: every parameter with good and bad values, and the pairs that exclude
// each other.
#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

#include "api/range.hpp"
#include "ask.hpp"

namespace test_range_requests {

using namespace vesper;
using namespace vesper::api;

namespace {

RangeRequest get(const std::string& query, const std::string& fields = {}) {
  return request_of<RangeRequest>("GET /kv" + query, fields);
}

RangeDeleteRequest delete_of(const std::string& query) {
  return request_of<RangeDeleteRequest>("DELETE /kv" + query);
}

// A request with a body, as far as its head.
Asked post(const std::string& line, const std::string& fields) {
  return ask(line, fields,
             [](Context& context, HttpExchange& exchange) { open_stream(context, exchange); });
}

std::string key_of(std::size_t size) {
  return std::string(size, 'k');
}

const std::string kNdjsonType = "Content-Type: application/x-ndjson\r\n";
const std::string kAcceptLines = "Accept: application/x-ndjson\r\n";

}  // namespace

TEST_CASE("a range is a prefix, or what lies between start and end, or all keys") {
  CHECK((get("").query.range == kv::KeyRange::all()));
  CHECK((get("?prefix=").query.range == kv::KeyRange::all()));
  CHECK((get("?prefix=a/").query.range == kv::KeyRange::of_prefix("a/")));
  CHECK(get("?prefix=a/").query.prefix_size == 2);
  CHECK((get("?prefix=%ff+%2B%00").query.range ==
         kv::KeyRange::of_prefix(std::string("\xff +\0", 4))));
  CHECK((get("?start=a").query.range == kv::KeyRange{"a", ""}));
  CHECK((get("?end=b").query.range == kv::KeyRange{"", "b"}));
  CHECK((get("?end=b&start=a").query.range == kv::KeyRange{"a", "b"}));
  CHECK(get("?start=a").query.prefix_size == 0);
  CHECK((get("?prefix=" + key_of(4096)).query.range.start == key_of(4096)));
  CHECK((get("?start=a&end=" + key_of(4096)).query.range.end == key_of(4096)));
  for (const std::string method : {"GET", "DELETE"}) {
    check_refused(method + " /kv?prefix=" + key_of(4097), "prefix");
    check_refused(method + " /kv?start=" + key_of(4097), "start");
    check_refused(method + " /kv?end=" + key_of(4097), "end");
    check_refused(method + " /kv?start=", "start");
    check_refused(method + " /kv?start", "start");
    check_refused(method + " /kv?start=a&end=", "end");
    check_refused(method + " /kv?start=b&end=a", "end");
    check_refused(method + " /kv?start=a&end=a", "end");
    check_refused(method + " /kv?start=%ff&end=a", "end");
    check_refused(method + " /kv?prefix=a&start=b", "start");
    check_refused(method + " /kv?prefix=&end=b", "end");
    check_refused(method + " /kv?prefix=a&prefix=b", "prefix");
    check_refused(method + " /kv?key=a", "key");
  }
}

TEST_CASE("a read has a limit that depends on its form") {
  CHECK(get("").query.limit == 1000);
  CHECK(get("?limit=1").query.limit == 1);
  CHECK(get("?limit=10000").query.limit == 10'000);
  CHECK(get("?format=ndjson").query.limit == 0);
  CHECK(get("?format=ndjson&limit=9007199254740991").query.limit == (std::uint64_t{1} << 53) - 1);
  CHECK(get("?limit=20000", kAcceptLines).query.limit == 20'000);
  check_refused("GET /kv?limit=10001", "limit");
  check_refused("GET /kv?format=json&limit=10001", "limit");
  for (const std::string value :
       {"", "=", "=0", "=-1", "=1.0", "=01", "=%2B1", "=1e3", "=NaN", "=true", "=9007199254740992",
        "=9223372036854775808", "=18446744073709551615", "=18446744073709551616", "=%00"})
    for (const std::string format : {"json", "ndjson"})
      check_refused("GET /kv?format=" + format + "&limit" + value, "limit");
}

TEST_CASE("a read has an order, a content, a separator and a revision") {
  const RangeRequest plain = get("?prefix=a");
  CHECK(plain.query.order == kv::Order::ascending);
  CHECK(plain.query.content == kv::Content::values);
  CHECK(plain.query.separator.empty());
  CHECK(plain.query.revision == 0);
  CHECK(plain.next.empty());
  const RangeRequest all =
      get("?prefix=a&reverse&keys_only&separator=%2F%2F&revision=7&consistency=stale&"
          "max_staleness=1s&timeout=10ms");
  CHECK(all.query.order == kv::Order::descending);
  CHECK(all.query.content == kv::Content::keys);
  CHECK(all.query.separator == "//");
  CHECK(all.query.revision == 7);
  CHECK(all.options.level == node::ReadLevel::stale);
  CHECK(all.options.min_revision == 7);
  CHECK(get("?revision=7").options.min_revision == 0);
  CHECK(get("?reverse=0&keys_only=false").query.order == kv::Order::ascending);
  check_refused("GET /kv?separator=", "separator");
  check_refused("GET /kv?separator", "separator");
  check_refused("GET /kv?separator=" + key_of(4097), "separator");
  for (const std::string flag : {"reverse", "keys_only", "count_only"})
    for (const std::string value : {"2", "yes", "TRUE", "null", "%00"})
      check_refused("GET /kv?" + flag + "=" + value, flag);
  for (const std::string value : {"", "0", "-1", "1.5", "9007199254740992", "x"})
    check_refused("GET /kv?revision=" + value, "revision");
  check_refused("GET /kv?next=", "next");
  check_refused("GET /kv?max_staleness=1s", "max_staleness");
  for (const std::string name : {"history", "raw", "wait", "since", "prev", "all", "ttl", "Limit"})
    check_refused("GET /kv?" + name, name);
}

TEST_CASE("a count excludes what chooses among keys") {
  CHECK(get("?count_only&prefix=a&revision=3").query.content == kv::Content::count);
  CHECK(get("?count_only&format=json").form == RangeRequest::Form::page);
  CHECK(get("?count_only", kAcceptLines).form == RangeRequest::Form::page);
  check_refused("GET /kv?count_only&keys_only", "keys_only");
  check_refused("GET /kv?limit=1&count_only", "limit");
  check_refused("GET /kv?count_only&reverse", "reverse");
  check_refused("GET /kv?count_only&separator=/", "separator");
  check_refused("GET /kv?count_only&next=x", "next");
  check_refused("GET /kv?count_only&format=ndjson", "format");
}

TEST_CASE("the form is that of the parameter, or else what Accept prefers") {
  using Form = RangeRequest::Form;
  const auto form = [](const std::string& query, const std::string& accept) {
    return get(query, accept.empty() ? "" : "Accept: " + accept + "\r\n").form;
  };
  CHECK(form("", "") == Form::page);
  CHECK(form("?format=json", "application/x-ndjson") == Form::page);
  CHECK(form("?format=ndjson", "application/json") == Form::lines);
  CHECK(form("", "application/x-ndjson") == Form::lines);
  CHECK(form("", "Application/X-NDJSON, */*") == Form::lines);
  CHECK(form("", "application/json;q=0.5, application/x-ndjson;q=0.6") == Form::lines);
  for (const char* accept :
       {"*/*", "application/*", "text/html", "application/json", "application/x-ndjson;q=0",
        "application/json, application/x-ndjson", "application/x-ndjson;q=0.9, application/json"})
    CHECK(form("", accept) == Form::page);
  CHECK(get("").accept_decides);
  CHECK(get("", kAcceptLines).accept_decides);
  CHECK_FALSE(get("?format=json").accept_decides);
  CHECK_FALSE(get("?format=ndjson").accept_decides);
  CHECK_FALSE(get("?count_only").accept_decides);
  for (const std::string value : {"", "JSON", "xml", "sse", "ndjson2"})
    check_refused("GET /kv?format=" + value, "format");
  check_refused("GET /kv?format=ndjson&next=x", "next");
}

TEST_CASE("HEAD gets the head of a page and not that of a stream") {
  CHECK(is_accepted(ask("HEAD /kv?prefix=a")));
  const Asked lines = ask("HEAD /kv?format=ndjson");
  CHECK(says(lines, 405, "method_not_allowed"));
  CHECK(lines.answer.allow == "GET, DELETE, POST, OPTIONS");
  const Asked asked = ask("HEAD /kv", kAcceptLines);
  CHECK(std::get<RangeRequest>(asked.exchange.request).form == RangeRequest::Form::page);
  CHECK(says(ask("PUT /kv", "Content-Length: 0\r\n"), 405, "method_not_allowed"));
}

TEST_CASE("a delete of a range names the range, or says that it means all keys") {
  CHECK((delete_of("?prefix=a").range == kv::KeyRange::of_prefix("a")));
  CHECK((delete_of("?start=a&end=c").range == kv::KeyRange{"a", "c"}));
  CHECK((delete_of("?end=c").range == kv::KeyRange{"", "c"}));
  CHECK((delete_of("?all").range == kv::KeyRange::all()));
  CHECK((delete_of("?all&prefix=").range == kv::KeyRange::all()));
  CHECK((delete_of("?all=0&prefix=a").range == kv::KeyRange::of_prefix("a")));
  CHECK(delete_of("?prefix=a").prev == kv::Prev::omit);
  CHECK(delete_of("?prefix=a&prev").prev == kv::Prev::include);
  CHECK(delete_of("?prefix=a&fence=n:17").fence->token == 17);
  check_refused("DELETE /kv?prefix=a&fence=n", "fence");
  check_refused("GET /kv?prefix=a&fence=n:17", "fence");
  for (const std::string query : {"", "?prefix=", "?all=0", "?all=false&prefix=", "?prev"})
    check_refused("DELETE /kv" + query, "prefix");
  check_refused("DELETE /kv?all&prefix=a", "all");
  check_refused("DELETE /kv?all&start=a", "all");
  check_refused("DELETE /kv?all=2", "all");
  for (const std::string name : {"limit", "revision", "reverse", "consistency", "format", "ttl"})
    check_refused("DELETE /kv?prefix=a&" + name + "=1", name);
}

TEST_CASE("requests to /kv take no conditions, and a delete takes an Idempotency-Key") {
  for (const std::string line : {"GET /kv", "DELETE /kv?prefix=a"})
    for (const std::string field : {"If-Match: *\r\n", "If-None-Match: \"7\"\r\n"})
      CHECK(says(ask(line, field), 400, "invalid_field"));
  CHECK(request_of<RangeDeleteRequest>("DELETE /kv?prefix=a", "Idempotency-Key: k\r\n")
            .idempotency_key == "k");
  CHECK(says(ask("DELETE /kv?prefix=a", "Idempotency-Key: \r\n"), 400, "invalid_field"));
}

TEST_CASE("an import needs its Content-Type and a length, and takes no key and no condition") {
  const std::string length = "Content-Length: 5\r\n";
  const std::string chunked = "Transfer-Encoding: chunked\r\n";
  CHECK(is_accepted(post("POST /kv", kNdjsonType + length)));
  CHECK(is_accepted(post("POST /kv?timeout=1s", kNdjsonType + chunked)));
  CHECK(is_accepted(post("POST /kv", kNdjsonType + "Content-Length: 1000000000000\r\n")));
  CHECK(is_accepted(post("POST /kv?fence=n:17", kNdjsonType + length)));
  CHECK(says(post("POST /kv?fence=17", kNdjsonType + length), 400, "invalid_parameter"));
  CHECK(is_accepted(
      post("POST /kv", "Content-Type: Application/X-Ndjson; charset=utf-8\r\n" + length)));
  for (const std::string type : {"", "Content-Type: application/json\r\n",
                                 "Content-Type: application/x-www-form-urlencoded\r\n",
                                 "Content-Type: multipart/form-data; boundary=x\r\n",
                                 "Content-Type: text/x-ndjson\r\n", "Content-Type:\r\n"})
    CHECK(says(post("POST /kv", type + length), 415, "unsupported_media_type"));
  CHECK(says(post("POST /kv", kNdjsonType), 411, "length_required"));
  CHECK(says(post("POST /kv", kNdjsonType + length + "Content-Encoding: gzip\r\n"), 415,
             "unsupported_encoding"));
  CHECK(says(post("POST /kv", kNdjsonType + length + "Content-Range: bytes 0-4/5\r\n"), 400,
             "invalid_field"));
  CHECK(says(post("POST /kv", kNdjsonType + length + "Expect: a-miracle\r\n"), 417,
             "expectation_failed"));
  for (const std::string field : {"Idempotency-Key: k", "If-Match: *", "If-None-Match: *"}) {
    const Asked asked = post("POST /kv", kNdjsonType + length + field + "\r\n");
    CHECK(says(asked, 400, "invalid_field"));
    const std::string name = field.substr(0, field.find(':'));
    CHECK(asked.answer.body.find("\"field\":\"" + name + "\"") != std::string::npos);
  }
  for (const std::string name : {"prefix", "from_line", "limit", "all", "prev"})
    CHECK(says(post("POST /kv?" + name + "=1", kNdjsonType + length), 400, "invalid_parameter"));
}

}  // namespace test_range_requests
