// The state machine of an Exchange, and the poll() loop that runs several.
#include "app/http_client.hpp"

#include <fmt/core.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "app/credential.hpp"
#include "http/serializer.hpp"

namespace vesper::app {
namespace {

constexpr std::size_t kReadStep = Connector::kLeastRoom;

}  // namespace

std::string make_request(const HostPort& server, std::string_view method, std::string_view target,
                         const std::optional<std::string>& body, std::string_view idempotency_key) {
  std::string out;
  out.reserve(256 + target.size() + (body ? body->size() : 0));
  http::begin_request(out, method, target, server.authority());
  http::append_field(out, "User-Agent", "vesper/" VESPER_VERSION);
  http::append_field(out, "Connection", "close");
  append_authorization(out);
  if (!idempotency_key.empty()) http::append_field(out, "Idempotency-Key", idempotency_key);
  if (body) http::append_field(out, "Content-Length", body->size());
  http::end_head(out);
  if (body) out += *body;
  return out;
}

Exchange::Exchange(const HostPort& server, std::string request, Duration connect_within,
                   Instant finish_by)
    : server_(server),
      request_(std::move(request)),
      connect_within_(connect_within),
      finish_by_(finish_by) {}

void Exchange::finish(End end, std::string detail) {
  end_ = end;
  detail_ = std::move(detail);
  was_accepted_ = connector_->was_accepted();
  connector_.reset();
}

void Exchange::start() {
  connector_.emplace();
  connector_->start(server_, connect_within_, finish_by_);
  check_connector();
}

void Exchange::check_connector() {
  if (connector_->state() == Connector::State::failed)
    finish(End::not_connected, connector_->detail());
}

short Exchange::wanted_events() const {
  if (!is_connected()) return connector_->wanted_events();
  return can_send_ && !sent() ? POLLIN | POLLOUT : POLLIN;
}

void Exchange::on_ready(short events) {
  if (!is_connected()) {
    connector_->on_ready();
    check_connector();
    if (end_ != End::none || !is_connected()) return;
  }
  if (can_send_ && !sent()) send_some();
  // Read even while the request is still being sent: a refusal may come early.
  if (end_ == End::none && (events & (POLLIN | POLLHUP | POLLERR)) != 0) receive_some();
}

void Exchange::on_deadline() {
  if (is_connected()) return finish(End::broken, "no answer in time");
  connector_->on_deadline();
  check_connector();
}

void Exchange::send_some() {
  while (!sent()) {
    const ssize_t wrote = connector_->send(std::string_view(request_).substr(sent_));
    if (wrote >= 0) {
      sent_ += static_cast<std::size_t>(wrote);
      continue;
    }
    if (errno == EINTR) continue;
    // The server has stopped reading. It may have answered before; receive_some() finds that answer
    // or the end of the connection.
    if (!would_block(errno)) can_send_ = false;
    return;
  }
}

void Exchange::receive_some() {
  char buffer[kReadStep];
  const ssize_t got = connector_->receive(buffer);
  if (got < 0) {
    if (!would_block(errno))
      finish(connector_->was_refused() ? End::not_connected : End::broken, connector_->why(errno));
    return;
  }
  if (got > 0) {
    read_reply({buffer, static_cast<std::size_t>(got)});
    return;
  }
  if (parser_.finish() == http::Step::message_end && reply_.status >= 200) finish(End::reply, "");
  else finish(End::broken, "the connection was closed before the answer was complete");
}

void Exchange::read_reply(std::string_view bytes) {
  while (end_ == End::none) {
    std::size_t consumed = 0;
    const http::Step step = parser_.parse(bytes, consumed);
    bytes.remove_prefix(consumed);
    switch (step) {
      case http::Step::need_more: return;
      case http::Step::head: reply_.status = parser_.response().status; break;
      case http::Step::body:
        if (parser_.body().size() > kMaxReply - reply_.body.size())
          finish(End::bad_reply, fmt::format("the answer has more than {} bytes", kMaxReply));
        else reply_.body.append(parser_.body());
        break;
      case http::Step::message_end:
        // RFC 9110 §15.2: interim replies precede the final one.
        if (reply_.status >= 200) finish(End::reply, "");
        break;
      case http::Step::error:
        finish(End::bad_reply, fmt::format("the answer is not HTTP: {}", parser_.error().detail));
        break;
    }
  }
}

// One turn of the loop after the other.
class ExchangeLoop {
 public:
  explicit ExchangeLoop(std::span<const std::unique_ptr<Exchange>> exchanges)
      : exchanges_(exchanges) {}

  // Returns false if all have finished.
  bool prepare() {
    polled_.clear();
    waiting_.clear();
    for (const auto& exchange : exchanges_) {
      if (exchange->end_ == Exchange::End::none && !exchange->connector_) exchange->start();
      if (exchange->end_ != Exchange::End::none) continue;
      waiting_.push_back(exchange.get());
      polled_.push_back({exchange->connector_->fd(), exchange->wanted_events(), 0});
    }
    return !waiting_.empty();
  }

  // Waits until something happens, `fd` is readable (-1: none) or `until` has come. Returns whether
  // `fd` is readable.
  bool turn(int fd, Instant until) {
    for (const Exchange* exchange : waiting_) until = std::min(until, exchange->deadline());
    polled_.push_back({fd, POLLIN, 0});
    const std::int64_t left = (until - monotonic_now()).ns;
    // Round up, so that the deadline has passed when poll() returns without an event. poll() does
    // not count time in which the machine sleeps.
    const std::int64_t ms = std::clamp<std::int64_t>((left + 999'999) / 1'000'000, 0, 1000);
    poll(polled_.data(), polled_.size(), static_cast<int>(ms));
    const Instant now = monotonic_now();
    for (std::size_t i = 0; i < waiting_.size(); ++i) {
      Exchange& exchange = *waiting_[i];
      // Data that has arrived counts, even if the deadline has passed.
      if (polled_[i].revents != 0) exchange.on_ready(polled_[i].revents);
      if (exchange.end_ == Exchange::End::none && now >= exchange.deadline())
        exchange.on_deadline();
    }
    return polled_.back().revents != 0;
  }

 private:
  std::span<const std::unique_ptr<Exchange>> exchanges_;
  std::vector<Exchange*> waiting_;
  std::vector<pollfd> polled_;
};

void run(std::span<const std::unique_ptr<Exchange>> exchanges) {
  ExchangeLoop loop(exchanges);
  while (loop.prepare()) loop.turn(-1, kNever);
}

Woken run_until(std::span<const std::unique_ptr<Exchange>> exchanges, int fd, Instant until) {
  ExchangeLoop loop(exchanges);
  while (true) {
    if (!loop.prepare() && !exchanges.empty()) return Woken::finished;
    if (monotonic_now() >= until) return Woken::due;
    if (loop.turn(fd, until)) return Woken::readable;
  }
}

}  // namespace vesper::app
