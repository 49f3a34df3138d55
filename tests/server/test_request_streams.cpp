// Requests that are carried out while their body arrives, over real sockets of the loopback:
// bounded memory beside a sender that is faster, answers that begin before the body ends, and
// errors.
#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "api/checks.hpp"
#include "house.hpp"

using namespace vesper;
using namespace vesper::server;
using api::BodyStream;
using api::RequestStream;
using server::test::House;
using server::test::kGetWord;
using server::test::responses;

namespace {

// What the request of the test endpoint does, and what became of it.
struct Script {
  std::size_t room = SIZE_MAX;         // how much it takes
  std::size_t fail_after = SIZE_MAX;   // bytes; then it is over
  std::size_t begin_after = SIZE_MAX;  // bytes; then the answer begins
  std::size_t work_each = 0;           // units of work for each byte

  std::string taken;
  std::string answer;  // that waits to be sent
  bool ended = false;
  bool unposted = false;
  bool alive = false;
  std::size_t largest_part = 0;
  std::string aborted;  // the code
  api::HttpExchange* exchange = nullptr;
};
Script script;

class Taker final : public RequestStream {
 public:
  explicit Taker(api::HttpExchange& exchange) {
    script.alive = true;
    script.exchange = &exchange;
  }
  ~Taker() override { script.alive = false; }

  std::size_t take(std::string_view bytes, std::size_t& work) override {
    script.largest_part = std::max(script.largest_part, bytes.size());
    std::size_t size = 0;
    for (; size < bytes.size() && has_room() && work > 0; ++size) {
      script.taken += bytes[size];
      work -= std::min(work, script.work_each);
      if (script.taken.size() == script.fail_after) abort({.status = 400, .code = "malformed"});
    }
    if (script.taken.size() >= script.begin_after && !script.exchange->answered()) begin();
    return size;
  }
  void end() override {
    script.ended = true;
    script.answer += "end";
    begin();
  }
  void abort(api::Problem problem) override {
    if (script.ended || is_over()) return;
    script.aborted = problem.code;
    script.answer += "error";
    if (!script.exchange->answered()) script.exchange->outcome = std::move(problem);
  }
  void on_reply(std::uint32_t part, node::ClientReply) override {
    script.answer += "part" + std::to_string(part);
    begin();
  }
  bool has_room() const override { return !is_over() && script.taken.size() < script.room; }
  bool is_over() const override { return !script.aborted.empty(); }
  bool is_posted() const override { return false; }
  bool has_unposted() const override { return script.unposted; }
  std::size_t held() const override { return 0; }
  std::unique_ptr<BodyStream> answer() override;

 private:
  void begin() {
    if (!script.exchange->answered()) script.exchange->outcome = api::Local{};
  }
};

class Taken final : public BodyStream {
 public:
  Next next(std::size_t room, std::string& out) override {
    const std::size_t size = std::min(room, script.answer.size());
    out.append(script.answer, 0, size);
    script.answer.erase(0, size);
    if (script.answer.empty() && !script.aborted.empty()) return Next::failed;
    if (script.answer.empty() && script.ended && !script.unposted) return Next::finished;
    return size != 0 ? Next::bytes : Next::waiting;
  }
  Cut cut(Why, std::string&) override { return Cut::truncated; }
};

std::unique_ptr<BodyStream> Taker::answer() {
  return std::make_unique<Taken>();
}

std::optional<api::Problem> check_take(const api::Context&, const http::RequestHead& head,
                                       const api::Query&, api::HttpExchange& exchange) {
  if (head.fields.find("Refuse") != nullptr) return api::malformed("refused");
  exchange.keep_body = exchange.streams_body = true;
  return std::nullopt;
}

std::unique_ptr<RequestStream> open_take(api::Context&, api::HttpExchange& exchange) {
  return std::make_unique<Taker>(exchange);
}

void render_take(api::Context&, const api::HttpExchange& exchange, api::Answer& answer) {
  answer.content_type = "text/plain";
  answer.stream = exchange.stream->answer();
}

constexpr api::Endpoint kRows[] = {
    {.path = "/take",
     .methods = "POST",
     .label = "take",
     .check = check_take,
     .open = open_take,
     .render = render_take},
    server::test::kWordRow,
};

// The endpoints, for a test with a new script.
std::span<const api::Endpoint> fresh_rows() {
  script = Script{};
  return kRows;
}

std::string post_of(std::size_t size, const std::string& fields = {}) {
  return "POST /take HTTP/1.1\r\nHost: localhost\r\n" + fields +
         "Content-Length: " + std::to_string(size) + "\r\n\r\n";
}
const std::string kChunked =
    "POST /take HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";

std::string letters(std::size_t size) {
  std::string text;
  for (std::size_t at = 0; at < size; ++at) text += static_cast<char>('a' + at % 23);
  return text;
}

constexpr std::size_t kLarge = 32u << 20;  // more than the buffers of both sockets hold

}  // namespace

TEST_CASE("a body is taken as it arrives, and the next request follows it") {
  for (const bool chunked : {false, true}) {
    House house(fresh_rows());
    house.read();
    const std::string body = letters(300'000);
    if (chunked)
      house.send(kChunked + "7\r\n" + body.substr(0, 7) + "\r\n493D9\r\n" + body.substr(7) +
                 "\r\n0\r\n\r\n");
    else house.send(post_of(body.size()) + body);
    house.send(kGetWord);
    REQUIRE(house.waits_for_answer("word"));
    CHECK((script.taken == body));
    const auto found = responses(house.received);
    REQUIRE(found.size() == 2);
    CHECK(found[0].complete);
    CHECK(found[0].body == "end");
    CHECK(!script.alive);
    CHECK(!house.ended);
  }
}

TEST_CASE("a body of no bytes ends at once") {
  House house(fresh_rows());
  house.read();
  house.send(post_of(0));
  REQUIRE(house.waits_for_answer("0\r\n\r\n"));
  CHECK(script.taken.empty());
  CHECK(responses(house.received)[0].body == "end");
}

TEST_CASE("the answer begins before the body ends") {
  House house(fresh_rows());
  script.begin_after = 10;
  script.answer = "first";
  house.read();
  house.send(post_of(20) + letters(10));
  REQUIRE(house.until([&] { return house.received.find("first") != std::string::npos; }));
  house.listener().reply({script.exchange->ticket.connection, script.exchange->ticket.request, 7},
                         node::Refusal::timeout);
  REQUIRE(house.until([&] { return house.received.find("part7") != std::string::npos; }));
  house.send(letters(10));
  REQUIRE(house.waits_for_answer("0\r\n\r\n"));
  CHECK(responses(house.received)[0].body == "firstpart7end");
}

TEST_CASE("a sender that is faster than the request waits, and memory stays bounded") {
  House house(fresh_rows());
  script.room = 1000;
  house.read();
  const std::string body = letters(kLarge);
  house.send(post_of(body.size()) + body);
  REQUIRE(house.until([&] { return script.taken.size() == 1000; }));
  house.pass(milliseconds(200));
  const std::uint64_t in = house.listener().traffic().bytes_in;
  CHECK(in < 1u << 20);
  house.pass(milliseconds(50));
  CHECK(house.listener().traffic().bytes_in == in);
  CHECK(script.taken.size() == 1000);
  script.room = SIZE_MAX;
  house.listener().reply(script.exchange->ticket, node::Refusal::timeout);
  REQUIRE(house.waits_for_answer("0\r\n\r\n"));
  CHECK((script.taken == body));
}

TEST_CASE("the work of a turn is bounded, and the rest follows in later turns") {
  House house(fresh_rows());
  script.work_each = 10;
  house.read();
  house.send(post_of(5000) + letters(5000));
  const std::size_t before = house.turns;
  REQUIRE(house.waits_for_answer("0\r\n\r\n"));
  CHECK(house.turns - before >= 20);
  CHECK(script.taken == letters(5000));
}

TEST_CASE("an error before the answer is a plain problem, and the rest of the body is dropped") {
  for (const bool large : {false, true}) {
    House house(fresh_rows());
    script.fail_after = 100;
    house.read();
    const std::string body = letters(large ? 20u << 20 : 4u << 20);
    house.send(post_of(body.size()) + body + kGetWord);
    // After a short rest, the connection goes on.
    if (large) REQUIRE(house.until([&] { return house.ended; }));
    else REQUIRE(house.waits_for_answer("word"));
    CHECK(!house.failed);
    const auto found = responses(house.received);
    REQUIRE(found.size() == (large ? 1 : 2));
    CHECK(found[0].status == 400);
    CHECK(found[0].complete);
    CHECK((house.received.find("Connection: close") != std::string::npos) == large);
    CHECK(script.taken.size() == 100);
    CHECK(!script.alive);
  }
}

TEST_CASE("an error in a body of unknown length drops a part of the rest") {
  House house(fresh_rows());
  script.fail_after = 100;
  house.read();
  house.send(kChunked);
  const std::string chunk = "100000\r\n" + letters(1u << 20) + "\r\n";
  for (int i = 0; i < 40 && !house.ended; ++i) {
    house.send(chunk);
    house.pass(milliseconds(10));
  }
  REQUIRE(house.until([&] { return house.ended; }));
  CHECK(!house.failed);
  CHECK(responses(house.received)[0].status == 400);
  CHECK(responses(house.received)[0].complete);
}

TEST_CASE("an error after the answer has begun ends it without the last chunk") {
  House house(fresh_rows());
  script.begin_after = 50;
  script.fail_after = 100'000;
  script.answer = "first";
  house.read();
  house.send(post_of(kLarge) + letters(60));
  REQUIRE(house.until([&] { return house.received.find("first") != std::string::npos; }));
  house.send(letters(200'000));
  REQUIRE(house.until([&] { return house.ended; }));
  CHECK(!house.failed);
  const auto found = responses(house.received);
  REQUIRE(found.size() == 1);
  CHECK(found[0].status == 200);
  CHECK(found[0].body == "firsterror");
  CHECK(!found[0].complete);
}

TEST_CASE("a refused head drops the body without the request") {
  House house(fresh_rows());
  house.read();
  house.send(post_of(1000, "Refuse: 1\r\n") + letters(1000) + kGetWord);
  REQUIRE(house.waits_for_answer("word"));
  CHECK(script.taken.empty());
  CHECK(responses(house.received)[0].status == 400);
}

TEST_CASE("a framing error inside of the body aborts the request") {
  House house(fresh_rows());
  house.read();
  house.send(kChunked + "5\r\nabcde\r\nxyz\r\n");
  REQUIRE(house.until([&] { return house.ended; }));
  CHECK(script.taken == "abcde");
  CHECK(script.aborted == "malformed");
  CHECK(responses(house.received)[0].status == 400);
}

TEST_CASE("a sender that stops sending is timed out") {
  House house(fresh_rows(), [](Options& options) { options.body_timeout = milliseconds(300); });
  script.begin_after = 5;
  house.read();
  house.send(post_of(100) + letters(10));
  REQUIRE(house.until([&] { return house.ended; }));
  CHECK(script.aborted == "request_timeout");
  CHECK(responses(house.received)[0].body == "error");
  CHECK(!responses(house.received)[0].complete);
}

TEST_CASE("a sender that has to wait is not timed out") {
  House house(fresh_rows(), [](Options& options) { options.body_timeout = milliseconds(300); });
  script.room = 5;
  house.read();
  house.send(post_of(100) + letters(100));
  house.pass(milliseconds(2500));
  CHECK(!house.ended);
  script.room = SIZE_MAX;
  house.listener().reply(script.exchange->ticket, node::Refusal::timeout);
  REQUIRE(house.waits_for_answer("0\r\n\r\n"));
  CHECK(script.taken == letters(100));
}

TEST_CASE("a client that hangs up ends its request, whatever its state") {
  for (const std::size_t room : {5u, 1000u}) {
    for (const std::size_t begin_after : {2u, 1000u}) {
      House house(fresh_rows());
      script.room = room;
      script.begin_after = begin_after;
      house.read();
      house.send(post_of(100) + letters(50));
      REQUIRE(house.until([&] { return script.taken.size() >= 5; }));
      CHECK(script.alive);
      house.hang_up();
      if (room == 5) {  // nothing is read from the socket until there is room
        script.room = 1000;
        house.pass(milliseconds(20));
        house.listener().reply(script.exchange->ticket, node::Refusal::timeout);
      }
      CHECK(house.until([&] { return !script.alive; }));
      CHECK(house.until([&] { return house.listener().empty(); }));
    }
  }
}

TEST_CASE("a client that closes its half after the body still gets the answer") {
  House house(fresh_rows());
  house.read();
  script.room = 5;
  script.begin_after = 2;
  house.send(post_of(100) + letters(100));
  house.half_close();
  REQUIRE(house.until([&] { return script.taken.size() == 5; }));
  house.pass(milliseconds(50));
  script.room = 1000;
  house.listener().reply(script.exchange->ticket, node::Refusal::timeout);
  REQUIRE(house.until([&] { return house.ended; }));
  const auto found = responses(house.received);
  REQUIRE(found.size() == 1);
  CHECK(found[0].complete);
  CHECK(found[0].body == "part0end");
}

TEST_CASE("a shutdown aborts a request whose body is still arriving") {
  for (const std::size_t begin_after : {2u, 1000u}) {
    House house(fresh_rows());
    script.begin_after = begin_after;
    house.read();
    house.send(post_of(100) + letters(50));
    REQUIRE(house.until([&] { return script.taken.size() == 50; }));
    house.context().set_shutting_down();
    house.listener().begin_shutdown();
    CHECK(script.aborted == "shutting_down");
    REQUIRE(house.until([&] { return house.ended; }));
    const auto found = responses(house.received);
    REQUIRE(found.size() == 1);
    CHECK(found[0].complete == (begin_after == 1000));
    CHECK(!script.alive);
  }
}

TEST_CASE("the next request waits until everything of this one is posted") {
  House house(fresh_rows());
  house.read();
  script.unposted = true;
  house.send(post_of(10) + letters(10) + kGetWord);
  REQUIRE(house.until([&] { return house.received.find("end") != std::string::npos; }));
  house.pass(milliseconds(50));
  CHECK(responses(house.received).size() == 1);
  script.unposted = false;
  house.listener().reply(script.exchange->ticket, node::Refusal::timeout);
  REQUIRE(house.waits_for_answer("word"));
}

TEST_CASE("a client that is asked to continue sends its body then") {
  House house(fresh_rows());
  house.read();
  house.send(post_of(10, "Expect: 100-continue\r\n"));
  REQUIRE(house.waits_for_answer("HTTP/1.1 100 Continue\r\n\r\n"));
  house.send(letters(10));
  REQUIRE(house.waits_for_answer("0\r\n\r\n"));
  CHECK(script.taken == letters(10));
}
