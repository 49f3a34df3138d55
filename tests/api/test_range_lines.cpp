// A range as a stream of lines: it has the same content whatever room it gets, bounded memory, and
// bounded work in each call.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "api/range_lines.hpp"
#include "api/render.hpp"
#include "kv/command.hpp"
#include "kv/store.hpp"

namespace test_range_lines {

using namespace vesper;
using namespace vesper::api;
using Next = BodyStream::Next;

namespace {

void write(kv::Store& store, const std::string& command) {
  REQUIRE(store.apply(SharedBytes::copy_of(command), kv::LogTime{}, 1).ok());
}

void put(kv::Store& store, const std::string& key, const std::string& value,
         kv::ValueForm form = kv::ValueForm::bytes) {
  write(store, kv::encode_put(key, value, form, {}));
}

kv::RangeQuery query_of(const kv::Store& store, const std::string& prefix = {}) {
  kv::RangeQuery query;
  query.range = kv::KeyRange::of_prefix(prefix);
  query.revision = store.revision();
  query.prefix_size = prefix.size();
  return query;
}

constexpr kv::LogTime kNow{1'000'000'000};

struct Read {
  std::string text;
  std::size_t calls = 0, laters = 0;
};

// Reads to the end, with `room` bytes in each call.
Read read(kv::Store& store, const kv::RangeQuery& query, std::size_t room) {
  kv::RangeStream range(store.keyspace(), query);
  RangeLines lines(range, query, kNow);
  Read read;
  while (true) {
    std::string piece;
    const Next next = lines.next(room, piece);
    CHECK(piece.size() <= room);
    CHECK((next != Next::bytes || !piece.empty()));
    read.text += piece;
    ++read.calls;
    if (next == Next::later) ++read.laters;
    if (next == Next::finished) return read;
    REQUIRE((next == Next::bytes || next == Next::later));
  }
}

// The same text, whatever the room.
std::string text_of(kv::Store& store, const kv::RangeQuery& query) {
  const std::string text = read(store, query, 1u << 16).text;
  for (const std::size_t room : {1u, 7u, 100u, 5000u})
    CHECK((read(store, query, room).text == text));
  return text;
}

std::string line_of(const kv::Store& store, const std::string& key) {
  std::string out;
  json::Writer json(out);
  append_version(json, *store.find(key), kv::Content::values, kNow);
  return out + '\n';
}

std::string name(int number) {
  std::string text = std::to_string(number);
  return std::string(6 - text.size(), '0') + text;
}

}  // namespace

TEST_CASE("each key is a line, in the order of the query") {
  kv::Store store;
  CHECK(text_of(store, query_of(store)).empty());
  for (const char* key : {"b", "a", "c/1", "c/2", "\xff"}) put(store, key, "v");
  put(store, "j", R"({"x":1})", kv::ValueForm::json);
  write(store, kv::encode_remove("b", {}));
  kv::RangeQuery query = query_of(store);
  CHECK(text_of(store, query) == line_of(store, "a") + line_of(store, "c/1") +
                                     line_of(store, "c/2") + line_of(store, "j") +
                                     line_of(store, "\xff"));
  query.order = kv::Order::descending;
  query.limit = 2;
  CHECK(text_of(store, query) == line_of(store, "\xff") + line_of(store, "j"));
  query.content = kv::Content::keys;
  query.limit = 1;
  CHECK(text_of(store, query) ==
        "{\"key_base64\":\"/w==\",\"revision\":6,\"create_revision\":6,\"version\":1}\n");
}

TEST_CASE("prefixes stand among the keys, in their order") {
  kv::Store store;
  for (const char* key : {"a", "b/1", "b/2", "c", "d/e/1", "\xff/1"}) put(store, key, "v");
  kv::RangeQuery query = query_of(store);
  query.separator = "/";
  const std::string a = line_of(store, "a"), c = line_of(store, "c");
  const std::string b = "{\"prefix\":\"b/\"}\n", d = "{\"prefix\":\"d/\"}\n";
  const std::string last = "{\"prefix_base64\":\"/y8=\"}\n";
  CHECK(text_of(store, query) == a + b + c + d + last);
  query.order = kv::Order::descending;
  CHECK(text_of(store, query) == last + d + c + b + a);
}

TEST_CASE("a long value is written in parts, and the line is the same") {
  kv::Store store;
  std::string text;
  while (text.size() < 100'000)
    text += "ASCII, \xc3\xa4, \xe2\x82\xac, \xf0\x9f\x98\x80 and \"\n\x01";
  for (std::size_t cut = 0; cut < 5; ++cut)  // the parts end inside of characters
    put(store, "text" + std::to_string(cut), std::string(cut, 'x') + text);
  put(store, "bytes", std::string(50'000, '\xff'));
  put(store, "late", std::string(70'000, 'x') + '\xff');
  put(store, "cut", std::string(70'000, 'x') + '\xe2');
  put(store, "edge", std::string(16u << 10, 'e'));
  put(store, "beyond", std::string((16u << 10) + 1, 'e'));
  put(store, "json", '"' + std::string(40'000, 'j') + '"', kv::ValueForm::json);
  put(store, "small", "x");
  std::string expected;
  for (const char* key : {"beyond", "bytes", "cut", "edge", "json", "late", "small", "text0",
                          "text1", "text2", "text3", "text4"})
    expected += line_of(store, key);
  const kv::RangeQuery query = query_of(store);
  CHECK((read(store, query, 1u << 16).text == expected));
  CHECK((read(store, query, 1000).text == expected));
  CHECK((read(store, query, 4096).text == expected));
}

TEST_CASE("the stream shows one revision while writes go on") {
  kv::Store store;
  for (int i = 0; i < 3000; ++i) put(store, name(i), "old");
  const kv::RangeQuery query = query_of(store);
  const std::string expected = read(store, query, 1u << 16).text;
  kv::RangeStream range(store.keyspace(), query);
  RangeLines lines(range, query, kNow);
  std::string text;
  for (int i = 0;; ++i) {
    const Next next = lines.next(4096, text);
    if (next == Next::finished) break;
    put(store, name(i * 37 % 3000), "new");
    write(store, kv::encode_remove(name(i * 53 % 3000), {}));
    put(store, name(i * 37 % 3000) + "x", "new");
  }
  CHECK((text == expected));
}

TEST_CASE("a call does a bounded amount of work, and says that there is more") {
  kv::Store store;
  for (int i = 0; i < 30'000; ++i) put(store, name(i), "v");
  kv::RangeQuery query = query_of(store);
  for (int i = 0; i < 30'000; ++i)
    if (i % 10'000 != 0) write(store, kv::encode_remove(name(i), {}));
  // Nearly everything that a read of the present would pass was deleted.
  query.revision = store.revision();
  put(store, "other", "v");
  const Read sparse = read(store, query, 1u << 16);
  CHECK(std::count(sparse.text.begin(), sparse.text.end(), '\n') == 3);
  CHECK(sparse.laters >= 5);
  CHECK(sparse.laters <= 12);
}

TEST_CASE("a shutdown ends the stream with an error line, after whole lines") {
  kv::Store store;
  for (int i = 0; i < 100; ++i) put(store, name(i), "v");
  const kv::RangeQuery query = query_of(store);
  const std::string whole = read(store, query, 1u << 16).text;
  for (const std::size_t room : {1u, 50u, 500u, 1u << 16}) {
    kv::RangeStream range(store.keyspace(), query);
    RangeLines lines(range, query, kNow);
    std::string text, last;
    lines.next(room, text);
    CHECK(lines.cut(BodyStream::Why::shutting_down, last) == BodyStream::Cut::truncated);
    text += last;
    const std::size_t error = text.find("{\"error\":{");
    REQUIRE(error != std::string::npos);
    CHECK(whole.starts_with(text.substr(0, error)));
    CHECK((error == 0 || text[error - 1] == '\n'));
    CHECK(text.find("\"code\":\"shutting_down\"") != std::string::npos);
    CHECK(text.ends_with("}}\n"));
  }
}

}  // namespace test_range_lines
