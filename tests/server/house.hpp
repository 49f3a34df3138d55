// A listener with the endpoints of a test, and one client of it, over real sockets of the loopback.
#pragma once

#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/answer.hpp"
#include "api/checks.hpp"
#include "api/endpoint.hpp"
#include "http/parser.hpp"
#include "server/client_listener.hpp"
#include "server/refusal_format.hpp"
#include "support/loop_until.hpp"
#include "support/loopback.hpp"

namespace vesper::server::test {

class NoFigures final : public api::Figures {
 public:
  std::optional<api::DiskFigures> disk() const override { return std::nullopt; }
  api::TrafficFigures traffic() const override { return {}; }
};

// An endpoint beside the one under test, with a short answer.
inline void render_word(api::Context&, const api::HttpExchange&, api::Answer& answer) {
  answer.content_type = "text/plain";
  answer.body = "word";
}
inline constexpr api::Endpoint kWordRow = {.path = "/word",
                                           .methods = "GET",
                                           .label = "word",
                                           .check = api::check_no_parameter,
                                           .render = render_word};
inline const std::string kGetWord = "GET /word HTTP/1.1\r\nHost: localhost\r\n\r\n";

// A listener with the test's endpoints, and one client of it. Both live on the test's thread.
class House {
 public:
  // `change` may change the options.
  explicit House(
      std::span<const api::Endpoint> rows,
      const std::function<void(Options&)>& change = [](Options&) {})
      : options_(options(change)), context_(settings(), figures_, loop_.now(), rows) {
    loop_.set_events({io::Delegate<bool>::to<&House::busy>(this),
                      io::Delegate<void, io::Deadline>::to<&House::on_turn>(this),
                      {},
                      {}});
    REQUIRE(listener_.listen({vesper::test::loopback(port_)}).ok());
    listener_.open();
    client_->set_events({io::Delegate<void, std::string_view>::to<&House::on_bytes>(this),
                         io::Delegate<void>::to<&House::on_ended>(this),
                         io::Delegate<void, int>::to<&House::on_failed>(this),
                         {}});
    client_->connect(vesper::test::loopback(port_),
                     io::Delegate<void, int>::to<&House::on_connected>(this));
    until([&] { return connected_; });
  }
  ~House() {
    client_.reset();
    listener_.begin_drain();
    until([&] { return listener_.empty(); }, seconds(1));
  }

  void send(std::string_view text) {
    client_->text() += text;
    client_->flush();
  }
  void read() { client_->read_start(); }
  void hang_up() { client_->close(); }
  void half_close() { client_->finish(); }

  // Runs the loop until it holds. False: it did not within `patience`.
  bool until(std::function<bool()> holds, Duration patience = seconds(10)) {
    return until_.run(std::move(holds), patience);
  }
  void pass(Duration time) {
    until([] { return false; }, time);
  }
  bool waits_for_answer(std::string_view end) {
    return until([this, end] { return received.ends_with(end) || ended; });
  }

  ClientListener& listener() { return listener_; }
  api::Context& context() { return context_; }

  std::string received;
  bool ended = false, failed = false;
  std::size_t turns = 0;

 private:
  bool busy() { return listener_.busy(); }
  void on_turn(io::Deadline) {
    context_.set_now(loop_.now());
    listener_.flush();
    ++turns;
    until_.end_turn();
  }
  void on_bytes(std::string_view bytes) { received += bytes; }
  void on_ended() { ended = true; }
  void on_failed(int) { ended = failed = true; }
  void on_connected(int code) {
    CHECK(code == 0);
    connected_ = true;
  }
  Options options(const std::function<void(Options&)>& change) const {
    Options made;
    made.list = {{"127.0.0.1", port_}};
    made.address = made.list[0];
    change(made);
    return made;
  }
  api::Settings settings() const {
    api::Settings made;
    made.list = options_.list;
    made.address = options_.address;
    return made;
  }
  peer::Settings peers() const {
    peer::Settings made;
    made.list = options_.list;
    made.address = options_.address;
    return made;
  }

  const std::uint16_t port_ = vesper::test::free_port();
  const Options options_;
  NoFigures figures_;
  io::Loop loop_;
  api::Context context_;
  ProblemFormat format_{context_};
  io::TlsBudget tls_budget_;
  peer::Peers peers_{loop_, peers(), format_};
  const crypto::TlsContext plain_;
  ClientListener listener_{loop_, options_, context_, peers_, plain_, tls_budget_};
  vesper::test::LoopUntil until_{loop_};
  std::unique_ptr<io::Stream> client_ = std::make_unique<io::Stream>(loop_);
  bool connected_ = false;
};

struct Response {
  int status = 0;
  http::BodyFraming framing = http::BodyFraming::none;
  std::string body;
  bool complete = false;
};

// The responses in what was received; the last one may be incomplete.
inline std::vector<Response> responses(std::string_view bytes) {
  http::Parser parser(http::Parser::Kind::response);
  std::vector<Response> found;
  while (true) {
    std::size_t consumed = 0;
    const http::Step step = parser.parse(bytes, consumed);
    bytes.remove_prefix(consumed);
    if (step == http::Step::need_more) break;
    if (step == http::Step::error) FAIL(std::string(parser.error().detail));
    if (step == http::Step::head)
      found.push_back({parser.response().status, parser.response().framing, "", false});
    if (step == http::Step::body) found.back().body += parser.body();
    if (step == http::Step::message_end) found.back().complete = true;
  }
  return found;
}

}  // namespace vesper::server::test
