// GET /watch: which requests are accepted, and how a stream is written, whatever room it gets.
#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

#include "api/watch.hpp"
#include "api/watch_events.hpp"
#include "ask.hpp"
#include "node/watches.hpp"

namespace test_watch {

using namespace vesper;
using namespace vesper::api;
using Kinds = node::WatchFilter::Kinds;
using Next = BodyStream::Next;

namespace {

Asked watch(const std::string& query, const std::string& fields = {}) {
  return ask("GET /watch" + query, fields);
}

WatchRequest request_of(const std::string& query, const std::string& fields = {}) {
  const Asked asked = watch(query, fields);
  CAPTURE(query);
  CAPTURE(asked.answer.body);
  REQUIRE(asked.answer.status == 200);
  return std::get<WatchRequest>(asked.exchange.request);
}

void check_watch_refused(const std::string& query, std::string_view parameter) {
  check_refused("GET /watch" + query, parameter);
}

// A keyspace with its watches, and what they write.
struct House {
  NoFigures figures;
  Context context{settings(), figures, Instant{1}};
  kv::Keyspace keyspace;
  node::RangeWaits waits;
  node::Watches watches{waits, 100};

  House() { watches.set_store(keyspace); }
  void commit(std::vector<kv::VersionRef> versions) {
    std::uint64_t at = keyspace.end_of_events();
    keyspace.commit(std::move(versions));
    for (; at < keyspace.end_of_events(); ++at) waits.tell(*keyspace.event(at));
  }
  kv::VersionRef put(const std::string& key, const std::string& value, std::uint32_t place = 1,
                     kv::Space space = kv::Space::keys) const {
    kv::VersionFields fields;
    fields.revision = keyspace.revision() + 1;
    const kv::Version* present = keyspace.find(space, key);
    fields.create_revision = present == nullptr ? fields.revision : present->create_revision();
    fields.version = present == nullptr ? 1 : present->version() + 1;
    fields.place = place;
    fields.space = space;
    return kv::Version::make(key, std::string_view(value), fields);
  }
  kv::VersionRef removal(const std::string& key, std::uint32_t place, bool expired,
                         kv::Space space = kv::Space::keys) const {
    kv::VersionFields fields;
    fields.revision = keyspace.revision() + 1;
    fields.place = place;
    fields.tombstone = true;
    fields.expired = expired;
    fields.space = space;
    return kv::Version::make(key, std::string_view(), fields);
  }
  std::unique_ptr<WatchEvents> open(node::WatchRequest request, WatchForm form) {
    return std::make_unique<WatchEvents>(
        context, watches.open(node::Ticket{1, 1}, std::move(request), Instant{1}), form);
  }
};

node::WatchRequest everything(std::optional<node::WatchId> since = node::WatchId{1, 0}) {
  return {.filter = {{{kv::Space::keys, kv::KeyRange::all()},
                      {kv::Space::locks, kv::KeyRange::all()},
                      {kv::Space::elections, kv::KeyRange::all()}},
                     Kinds::all},
          .since = since,
          .prev = kv::Prev::include};
}

// Everything up to where the stream waits or ends, `room` bytes at a time.
std::string read(WatchEvents& events, std::size_t room) {
  std::string text;
  for (int calls = 0; calls < 10'000'000; ++calls) {
    std::string piece;
    const Next next = events.next(room, piece);
    REQUIRE(piece.size() <= room);
    text += piece;
    if (next == Next::waiting || next == Next::finished) return text;
    REQUIRE((next == Next::bytes || next == Next::later));
    REQUIRE((next != Next::bytes || !piece.empty()));
  }
  FAIL("endless");
  return text;
}

}  // namespace

TEST_CASE("parameters of a watch") {
  CHECK(request_of("").watch.filter.ranges() ==
        std::vector<node::SpaceRange>{{kv::Space::keys, kv::KeyRange::all()}});
  const auto many = request_of("?key=b&prefix=x/&key=a&election=e&lock=l").watch;
  CHECK(many.filter.ranges() ==
        std::vector<node::SpaceRange>{{kv::Space::keys, kv::KeyRange::of_key("a")},
                                      {kv::Space::keys, kv::KeyRange::of_key("b")},
                                      {kv::Space::keys, kv::KeyRange::of_prefix("x/")},
                                      {kv::Space::locks, kv::KeyRange::of_key("l")},
                                      {kv::Space::elections, kv::KeyRange::of_key("e")}});
  CHECK_FALSE(many.since);
  CHECK(request_of("?since=7").watch.since == node::WatchId{7, 0});
  CHECK(request_of("?since=0").watch.since == node::WatchId{0, 0});
  CHECK(request_of("?since=7.2").watch.since == node::WatchId{7, 2});
  CHECK(request_of("?initial").watch.begin == node::WatchRequest::Begin::with_state);
  CHECK(request_of("?initial=0&since=3").watch.begin == node::WatchRequest::Begin::with_events);
  CHECK(request_of("?prev").watch.prev == kv::Prev::include);
  CHECK(request_of("?events=put").watch.filter.kinds() == Kinds::puts);
  CHECK(request_of("?events=delete").watch.filter.kinds() == Kinds::deletes);
  for (const char* query :
       {"?since=-1", "?since=", "?since=7.", "?since=7.0", "?since=.1", "?since=07", "?since=7.2.1",
        "?since=9007199254740992", "?since=7.2147483648", "?since=x", "?since"})
    check_watch_refused(query, "since");
  check_watch_refused("?initial=2", "initial");
  check_watch_refused("?initial&since=1", "initial");
  check_watch_refused("?events=all", "events");
  check_watch_refused("?format=json", "format");
  check_watch_refused("?key=", "key");
  check_watch_refused("?lock=", "lock");
  check_watch_refused("?lock=a&lock=b", "lock");
  check_watch_refused("?election=a&election=a", "election");
  check_watch_refused("?election=" + std::string(4097, 'e'), "election");
  check_watch_refused("?start=a", "start");
  check_watch_refused("?prev&prev", "prev");
  check_watch_refused("?key=1&key=2&key=3&key=4&key=5&key=6&key=7", "key");
}

TEST_CASE("Last-Event-ID is stronger than since and initial") {
  const std::string seven = "Last-Event-ID: 7.2\r\n";
  CHECK(request_of("", seven).watch.since == node::WatchId{7, 2});
  CHECK(request_of("?since=3", seven).watch.since == node::WatchId{7, 2});
  const auto request = request_of("?initial", seven).watch;
  CHECK(request.since == node::WatchId{7, 2});
  CHECK(request.begin == node::WatchRequest::Begin::with_events);
  for (const char* value : {"", "x", "7.", "7.0", "-7", "7 8", "99999999999999999999"})
    CHECK(says(watch("", std::string("Last-Event-ID: ") + value + "\r\n"), 400, "invalid_field"));
  CHECK(says(watch("", seven + seven), 400, "invalid_field"));
}

TEST_CASE("the form of a watch") {
  const std::string lines = "Accept: application/x-ndjson\r\n";
  const std::string both = "Accept: application/x-ndjson;q=0.5, text/event-stream\r\n";
  CHECK(request_of("").form == WatchForm::events);
  CHECK(request_of("", lines).form == WatchForm::lines);
  CHECK(request_of("", both).form == WatchForm::events);
  CHECK(request_of("?format=sse", lines).form == WatchForm::events);
  CHECK(request_of("?format=ndjson").form == WatchForm::lines);
  CHECK(watch("", lines).text.find("\r\nVary: Accept\r\n") != std::string::npos);
  CHECK(watch("?format=sse").text.find("\r\nVary:") == std::string::npos);
  CHECK(watch("").text.find("\r\nContent-Type: text/event-stream\r\n") != std::string::npos);
  CHECK(watch("?format=ndjson").answer.content_type == kNdjson);
  CHECK(says(ask("HEAD /watch"), 405, "method_not_allowed"));
}

TEST_CASE("a node that is still reading its log accepts a watch, which then waits") {
  const NoFigures figures;
  Context context(settings(), figures, Instant{1});
  WatchEvents events(context, node::Ticket{1, 1}, everything(), WatchForm::events);
  std::string text;
  CHECK(events.next(1000, text) == Next::waiting);
  CHECK(text == ": keep-alive\n\n");
  CHECK(events.cut(BodyStream::Why::shutting_down, text) == BodyStream::Cut::complete);
  CHECK(text.find("\"code\":\"shutting_down\"") != std::string::npos);
}

TEST_CASE("events and lines, whatever room they get") {
  House house;
  house.commit({house.put("k\n", "v\xff"), house.put("l", "", 2, kv::Space::locks),
                house.put("e", "me", 3, kv::Space::elections)});
  house.commit({house.removal("k\n", 1, true), house.removal("e", 2, false, kv::Space::elections)});
  const std::string events =
      "event: put\nid: 2.1\ndata: {\"type\":\"put\",\"key\":\"k\\n\",\"value_base64\":\"dv8=\","
      "\"revision\":2,\"create_revision\":2,\"version\":1,\"more\":true}\n\n"
      "event: held\nid: 2.2\ndata: {\"type\":\"held\",\"lock\":\"l\",\"token\":2,\"revision\":2,"
      "\"more\":true}\n\n"
      "event: held\nid: 2\ndata: "
      "{\"type\":\"held\",\"election\":\"e\",\"token\":2,\"value\":\"me\","
      "\"revision\":2}\n\n"
      "event: delete\nid: 3.1\ndata: {\"type\":\"delete\",\"key\":\"k\\n\",\"revision\":3,"
      "\"cause\":\"expired\",\"prev\":{\"key\":\"k\\n\",\"value_base64\":\"dv8=\",\"revision\":2,"
      "\"create_revision\":2,\"version\":1},\"more\":true}\n\n"
      "event: free\nid: 3\ndata: {\"type\":\"free\",\"election\":\"e\",\"revision\":3,\"prev\":"
      "{\"election\":\"e\",\"token\":2,\"value\":\"me\",\"revision\":2}}\n\n";
  for (const std::size_t room : {1u, 7u, 64u, 65536u})
    CHECK(read(*house.open(everything(), WatchForm::events), room) == events);
  const std::string lines = read(*house.open(everything(), WatchForm::lines), 1000);
  CHECK(
      lines.starts_with("{\"type\":\"put\",\"key\":\"k\\n\",\"value_base64\":\"dv8=\",\"revision\":"
                        "2,\"create_revision\":2,\"version\":1,\"part\":1,\"more\":true}\n{"));
  CHECK(lines.ends_with("\"revision\":2}}\n"));
}

TEST_CASE("a stream of events that has nothing to say yet shows once that it has begun") {
  House house;
  for (const std::size_t room : {1u, 64u}) {
    const auto events = house.open(everything(), WatchForm::events);
    CHECK(read(*events, room) == ": keep-alive\n\n");
    CHECK(read(*events, room).empty());
  }
  CHECK(read(*house.open(everything(), WatchForm::lines), 64).empty());
}

TEST_CASE("marks, and the end of a stream") {
  House house;
  house.commit({house.put("k", "1")});
  house.commit({house.put("k", "2")});
  house.keyspace.compact(3);
  const std::string state =
      "{\"type\":\"put\",\"key\":\"k\",\"value\":\"2\",\"revision\":3,\"create_revision\":2,"
      "\"version\":2}";
  CHECK(read(*house.open(everything(), WatchForm::events), 100) ==
        "event: reset\ndata: {\"revision\":3}\n\nevent: put\ndata: " + state +
            "\n\nevent: synced\nid: 3\ndata: {\"revision\":3}\n\n");
  const auto lines = house.open(everything(std::nullopt), WatchForm::lines);
  CHECK(read(*lines, 100) == "{\"type\":\"progress\",\"revision\":3}\n");
  const auto events = house.open(everything(std::nullopt), WatchForm::events);
  CHECK(read(*events, 100) == ": keep-alive\nid: 3\n\n");
  house.watches.set_stale(true);
  CHECK(read(*events, 100) == "event: stale\ndata: {\"revision\":3}\n\n");
  CHECK(read(*lines, 100) == "{\"type\":\"stale\",\"revision\":3}\n");
  house.watches.set_stale(false);
  CHECK(read(*events, 100) == "event: fresh\ndata: {\"revision\":3}\n\n");
  house.commit({house.put("k", "3")});
  house.commit({house.put("k", "4")});
  house.keyspace.compact(5);
  const std::string closed = read(*events, 100);
  CHECK(closed.starts_with("event: closed\ndata: {\"code\":\"too_slow\",\"detail\":"));
  std::string more;
  CHECK(events->next(100, more) == Next::finished);
  CHECK(more.empty());
  CHECK(lines->cut(BodyStream::Why::shutting_down, more) == BodyStream::Cut::complete);
  CHECK(more.starts_with("{\"type\":\"closed\",\"code\":\"shutting_down\""));
}

TEST_CASE("a long value is written in parts, and its stream holds only one of them") {
  House house;
  std::string value;
  for (int i = 0; i < 40'000; ++i) value += "\xc3\xa9\"" + std::to_string(i);
  house.commit({house.put("k", value)});
  house.commit({house.put("k", value + "\xff")});
  const std::string whole = read(*house.open(everything(), WatchForm::lines), 65536);
  for (const std::size_t room : {13u, 4096u})
    CHECK(read(*house.open(everything(), WatchForm::lines), room) == whole);
  CHECK(whole.find("\"prev\":{\"key\":\"k\",\"value\":\"\xc3\xa9\\\"0") != std::string::npos);
  CHECK(whole.find("\"value_base64\":\"") != std::string::npos);
  const auto stream = house.open(everything(), WatchForm::lines);
  std::string piece;
  while (piece.size() < 1000) REQUIRE(stream->next(1000, piece) != Next::finished);
  std::string rest;
  CHECK(stream->cut(BodyStream::Why::shutting_down, rest) ==
        BodyStream::Cut::truncated);  // a client must not take it for whole
}

}  // namespace test_watch
