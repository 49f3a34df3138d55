// Answers that are streams, over real sockets of the loopback: bounded memory beside a reader that
// does not read, an end as soon as the client is gone, producers that wait, and the two forms of
// HTTP/1.1 and HTTP/1.0.
#include <doctest/doctest.h>

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "api/checks.hpp"
#include "house.hpp"

using namespace vesper;
using namespace vesper::server;
using api::BodyStream;
using server::test::House;
using server::test::kGetWord;
using server::test::responses;

namespace {

// What the stream of the test endpoint does, and what became of it.
struct Script {
  std::size_t size = 0;         // bytes in all
  std::size_t pause_after = 0;  // then it waits until it is resumed; 0: it never waits
  std::size_t each_turn = 0;    // bytes in one turn; 0: as much as there is room for
  BodyStream::Next end = BodyStream::Next::finished;
  BodyStream::Cut cut = BodyStream::Cut::complete;
  bool may_stay_unread = false;

  std::size_t calls = 0;
  std::size_t produced = 0;
  std::size_t largest_room = 0;
  bool paused = false;
  bool alive = false;
  node::Ticket ticket;
};
Script script;

char byte_at(std::size_t at) {
  return static_cast<char>('a' + at % 23);
}

class Letters final : public BodyStream {
 public:
  Letters() { script.alive = true; }
  ~Letters() override { script.alive = false; }

  Next next(std::size_t room, std::string& out) override {
    script.largest_room = std::max(script.largest_room, room);
    std::size_t stop = script.size;
    if (script.pause_after != 0 && !resumed_) stop = std::min(stop, script.pause_after);
    if (script.each_turn != 0) stop = std::min(stop, script.produced + script.each_turn);
    for (; room > 0 && script.produced < stop; --room) out += byte_at(script.produced++);
    ++script.calls;
    if (script.produced == script.size) return script.end;
    if (script.each_turn != 0) return Next::later;
    if (script.produced < stop) return Next::bytes;
    script.paused = resumed_ = true;  // asked again only when it was resumed
    return Next::waiting;
  }
  Cut cut(Why, std::string& out) override {
    out += "end";
    return script.cut;
  }
  bool may_stay_unread() const override { return script.may_stay_unread; }

 private:
  bool resumed_ = false;
};

void render_letters(api::Context&, const api::HttpExchange& exchange, api::Answer& answer) {
  script.ticket = exchange.ticket;
  answer.content_type = "text/plain";
  answer.stream = std::make_unique<Letters>();
}

constexpr api::Endpoint kRows[] = {
    {.path = "/letters",
     .methods = "GET, HEAD",
     .label = "letters",
     .check = api::check_no_parameter,
     .render = render_letters},
    server::test::kWordRow,
};

// The endpoints, for a test with a new script.
std::span<const api::Endpoint> fresh_rows() {
  script = Script{};
  return kRows;
}

std::string letters(std::size_t size) {
  std::string text;
  for (std::size_t at = 0; at < size; ++at) text += byte_at(at);
  return text;
}

constexpr std::string_view kGet = "GET /letters HTTP/1.1\r\nHost: localhost\r\n\r\n";
constexpr std::size_t kLarge = 32u << 20;  // more than the buffers of both sockets hold
constexpr std::size_t kWindow = 64u << 10;

}  // namespace

TEST_CASE("a stream is chunked in HTTP/1.1, and pipelined requests wait for its end") {
  House house(fresh_rows());
  script.size = 300'000;
  house.read();
  house.send(kGet);
  house.send(kGetWord);
  REQUIRE(house.waits_for_answer("word"));
  const auto found = responses(house.received);
  REQUIRE(found.size() == 2);
  CHECK(found[0].status == 200);
  CHECK(found[0].framing == http::BodyFraming::chunked);
  CHECK(found[0].complete);
  CHECK(found[0].body == letters(script.size));
  CHECK(found[1].body == "word");
  CHECK(script.largest_room <= kWindow);
  CHECK(!script.alive);
  CHECK(!house.ended);
}

TEST_CASE("a stream of no bytes is an empty body") {
  House house(fresh_rows());
  house.read();
  house.send(kGet);
  REQUIRE(house.waits_for_answer("\r\n0\r\n\r\n"));
  const auto found = responses(house.received);
  REQUIRE(found.size() == 1);
  CHECK(found[0].complete);
  CHECK(found[0].body.empty());
}

TEST_CASE("in HTTP/1.0 the end of the connection ends the stream") {
  House house(fresh_rows());
  script.size = 100'000;
  house.read();
  house.send("GET /letters HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  REQUIRE(house.until([&] { return house.ended; }));
  CHECK(!house.failed);
  CHECK(house.received.find("Transfer-Encoding") == std::string::npos);
  CHECK(house.received.find("Content-Length") == std::string::npos);
  CHECK(house.received.find("\r\nConnection: close\r\n") != std::string::npos);
  CHECK(house.received.substr(house.received.find("\r\n\r\n") + 4) == letters(script.size));
}

TEST_CASE("HEAD gets the head of a stream and no byte of it") {
  House house(fresh_rows());
  script.size = 100'000;
  house.read();
  house.send("HEAD /letters HTTP/1.1\r\nHost: localhost\r\n\r\n");
  house.send(kGetWord);
  REQUIRE(house.waits_for_answer("word"));
  CHECK(house.received.find("\r\nTransfer-Encoding: chunked\r\n") != std::string::npos);
  CHECK(script.produced == 0);
  CHECK(!script.alive);
}

TEST_CASE(
    "a client that does not read buffers no more than the window, and gets everything later") {
  House house(fresh_rows());
  script.size = kLarge;
  house.send(kGet);
  const auto produced_nothing_for = [&](Duration time) {
    const std::size_t before = script.produced;
    house.pass(time);
    return script.produced == before;
  };
  REQUIRE(house.until([&] { return script.produced > kWindow; }));
  for (int i = 0; i < 50 && !produced_nothing_for(milliseconds(100)); ++i) {
  }
  REQUIRE(script.produced < script.size);
  // Heads and chunk lines are among what the kernel has taken.
  CHECK(script.produced <= house.listener().traffic().bytes_out + kWindow);
  CHECK(script.alive);
  house.read();
  REQUIRE(house.waits_for_answer("\r\n0\r\n\r\n"));
  const auto found = responses(house.received);
  REQUIRE(found.size() == 1);
  CHECK(found[0].complete);
  CHECK((found[0].body == letters(script.size)));
}

TEST_CASE("a client that hangs up ends its stream at once, even while the stream is paused") {
  for (const bool half : {false, true}) {
    House house(fresh_rows());
    script.size = 1000;
    script.pause_after = 10;
    house.read();
    house.send(kGet);
    REQUIRE(house.until([&] { return script.paused; }));
    CHECK(script.alive);
    if (half) house.half_close();
    else house.hang_up();
    CHECK(house.until([&] { return !script.alive; }));
    CHECK(house.until([&] { return house.listener().empty(); }));
    house.listener().resume(script.ticket);  // it comes too late and is harmless
    house.pass(milliseconds(10));
    CHECK(script.produced == 10);
  }
}

TEST_CASE("a client that hangs up while it does not read ends its stream") {
  House house(fresh_rows());
  script.size = kLarge;
  house.send(kGet);
  REQUIRE(house.until([&] { return script.produced > kWindow; }));
  house.pass(milliseconds(100));
  house.hang_up();
  CHECK(house.until([&] { return !script.alive; }));
}

TEST_CASE("a paused producer is asked again when it is resumed, and not before") {
  House house(fresh_rows());
  script.size = 1000;
  script.pause_after = 10;
  house.read();
  house.send(kGet);
  REQUIRE(house.until([&] { return script.paused; }));
  house.pass(milliseconds(20));
  CHECK(script.produced == 10);
  CHECK(!house.listener().busy());
  CHECK(responses(house.received)[0].body == letters(10));
  house.listener().resume({script.ticket.connection, script.ticket.request + 1});
  house.pass(milliseconds(20));
  CHECK(script.produced == 10);
  house.listener().resume(script.ticket);
  REQUIRE(house.waits_for_answer("\r\n0\r\n\r\n"));
  CHECK(responses(house.received)[0].body == letters(1000));
}

TEST_CASE("a producer that has done the work of its turn is asked again in the next one") {
  House house(fresh_rows());
  script.size = 1000;
  script.each_turn = 10;
  house.read();
  house.send(kGet);
  house.send(kGetWord);
  const std::size_t before = house.turns;
  REQUIRE(house.waits_for_answer("word"));
  CHECK(script.calls == 100);
  CHECK(house.turns - before >= 99);
  CHECK(responses(house.received)[0].body == letters(1000));
}

TEST_CASE("a failed stream leaves a body that the client can recognize as incomplete") {
  House house(fresh_rows());
  script.size = 1000;
  script.end = BodyStream::Next::failed;
  house.read();
  house.send(kGet);
  REQUIRE(house.until([&] { return house.ended; }));
  CHECK(!house.failed);
  const auto found = responses(house.received);
  REQUIRE(found.size() == 1);
  CHECK(!found[0].complete);
  CHECK(found[0].body == letters(1000));  // the last line of NDJSON says what went wrong
  CHECK(!script.alive);
}

TEST_CASE("in HTTP/1.0 a failed stream ends with a reset") {
  House house(fresh_rows());
  script.size = 1000;
  script.end = BodyStream::Next::failed;
  house.read();
  house.send("GET /letters HTTP/1.0\r\n\r\n");
  REQUIRE(house.until([&] { return house.ended; }));
  CHECK(house.failed);
}

TEST_CASE("a shutdown ends a complete stream with its last chunk, and any other without it") {
  for (const auto cut : {BodyStream::Cut::complete, BodyStream::Cut::truncated}) {
    House house(fresh_rows());
    script.size = 1000;
    script.pause_after = 10;
    script.cut = cut;
    house.read();
    house.send(kGet);
    REQUIRE(house.until([&] { return script.paused && !house.received.empty(); }));
    house.context().set_shutting_down();
    house.listener().begin_shutdown();
    CHECK(!script.alive);
    REQUIRE(house.until([&] { return house.ended; }));
    const auto found = responses(house.received);
    REQUIRE(found.size() == 1);
    CHECK(found[0].complete == (cut == BodyStream::Cut::complete));
    CHECK(found[0].body == letters(10) + "end");
    CHECK(house.listener().settled());
  }
}

TEST_CASE("a client that does not read is cut off, unless its stream may stay unread") {
  const auto change = [](Options& options) { options.write_timeout = milliseconds(100); };
  House house(fresh_rows(), change);
  script.size = kLarge;
  SUBCASE("any stream") {
    house.send(kGet);
    CHECK(house.until([&] { return script.produced > 0 && !script.alive; }));
    CHECK(script.produced < kLarge);
  }
  SUBCASE("one that may stay unread goes on when its client reads again") {
    script.may_stay_unread = true;
    house.send(kGet);
    house.pass(seconds(3));  // the listener looks once a second
    CHECK(script.alive);
    house.read();
    REQUIRE(house.waits_for_answer("\r\n0\r\n\r\n"));
    const auto found = responses(house.received);
    REQUIRE(found.size() == 1);
    CHECK((found[0].body == letters(script.size)));
  }
  SUBCASE("one that may not any more") {
    script.may_stay_unread = true;
    house.send(kGet);
    house.pass(seconds(2));
    CHECK(script.alive);
    script.may_stay_unread = false;
    CHECK(house.until([&] { return !script.alive; }));
  }
}

TEST_CASE("a stream may not stay unread while the output of all clients has little room") {
  House house(fresh_rows(), [](Options& options) {
    options.write_timeout = milliseconds(100);
    options.max_output_bytes = kWindow;
  });
  script.size = kLarge;
  script.may_stay_unread = true;
  house.send(kGet);
  CHECK(house.until([&] { return script.produced > 0 && !script.alive; }));
}
