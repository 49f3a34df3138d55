#include "app/stream_client.hpp"

#include <fmt/core.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "app/connector.hpp"
#include "app/credential.hpp"
#include "http/parser.hpp"
#include "http/serializer.hpp"
#include "http/values.hpp"

namespace vesper::app {
namespace {

constexpr std::size_t kStreamStep = 256 * 1024;

int milliseconds_until(Instant deadline) {
  if (deadline == kNever) return -1;
  // Round up, so that the deadline has passed when poll() returns without an event.
  const std::int64_t ms = ((deadline - monotonic_now()).ns + 999'999) / 1'000'000;
  return static_cast<int>(std::clamp<std::int64_t>(ms, 0, 60'000));
}

class Stream {
 public:
  Stream(const HostPort& server, const StreamRequest& request, const StreamTimes& times,
         StreamHandler& handler)
      : server_(server), times_(times), handler_(handler) {
    http::begin_request(out_, request.method, request.target, server.authority());
    http::append_field(out_, "User-Agent", "vesper/" VESPER_VERSION);
    http::append_field(out_, "Connection", "close");
    append_authorization(out_);
    if (!request.content_type.empty()) {
      http::append_field(out_, "Content-Type", request.content_type);
      http::append_field(out_, "Transfer-Encoding", "chunked");
      supply_ = StreamHandler::Supply::part;
    }
    http::end_head(out_);
  }

  StreamEnd run() {
    connect();
    progressed();
    while (!ended_) {
      if (sent_ == out_.size()) refill();
      wait();
    }
    return std::move(end_);
  }

 private:
  using Supply = StreamHandler::Supply;
  using End = StreamEnd::Kind;

  void finish(End kind, std::string detail = {}) {
    if (ended_) return;
    ended_ = true;
    end_ = {kind, std::move(detail)};
  }

  void connect() {
    connector_.start(server_, times_.connect_within, kNever);
    while (connector_.state() == Connector::State::connecting) {
      pollfd polled{connector_.fd(), connector_.wanted_events(), 0};
      poll(&polled, 1, milliseconds_until(connector_.deadline()));
      if (polled.revents != 0) connector_.on_ready();
      else if (monotonic_now() >= connector_.deadline()) connector_.on_deadline();
    }
    if (connector_.state() == Connector::State::failed)
      finish(End::not_connected, connector_.detail());
  }

  void progressed() { idle_deadline_ = monotonic_now() + times_.idle; }

  bool is_sending() const { return can_send_ && sent_ < out_.size(); }
  bool waits_for_input() const { return !is_sending() && can_send_ && supply_ == Supply::wait; }

  // Everything so far was sent.
  void refill() {
    out_.clear();
    sent_ = 0;
    if (!can_send_ || supply_ == Supply::end) return;
    part_.clear();
    supply_ = handler_.supply(part_);
    if (!part_.empty()) http::append_chunk(out_, part_);
    if (supply_ == Supply::end) http::append_last_chunk(out_);
    progressed();
  }

  void wait() {
    if (can_send_ && out_.empty() && supply_ == Supply::part) return;
    pollfd polled[2] = {{connector_.fd(), POLLIN, 0}, {handler_.input_fd(), POLLIN, 0}};
    if (is_sending()) polled[0].events |= POLLOUT;
    const bool for_input = waits_for_input();
    // While the input has nothing, the server has nothing to do, either.
    const Instant deadline = for_input ? kNever : idle_deadline_;
    poll(polled, for_input ? 2 : 1, milliseconds_until(deadline));
    if ((polled[0].revents & POLLOUT) != 0) send_some();
    if ((polled[0].revents & ~POLLOUT) != 0) receive_some();
    if (monotonic_now() >= deadline) finish(End::broken, "no answer in time");
  }

  void send_some() {
    while (is_sending()) {
      const ssize_t wrote = connector_.send(std::string_view(out_).substr(sent_));
      if (wrote > 0) {
        sent_ += static_cast<std::size_t>(wrote);
        progressed();
        continue;
      }
      if (errno == EINTR) continue;
      // The server has stopped reading. It may have answered before; receive_some() finds that
      // answer or the end of the connection.
      if (!would_block(errno)) can_send_ = false;
      return;
    }
  }

  void receive_some() {
    buffer_.resize(kStreamStep);
    const ssize_t got = connector_.receive(buffer_);
    if (got < 0) {
      if (!would_block(errno))
        finish(connector_.was_refused() ? End::not_connected : End::broken, connector_.why(errno));
      return;
    }
    if (got == 0) {
      // Only an error may end with the connection: a stream that was cut would look complete.
      if (parser_.finish() == http::Step::message_end && status_ > 200) finish(End::complete);
      finish(End::broken, "the connection was closed before the answer was complete");
      return;
    }
    read_reply({buffer_.data(), static_cast<std::size_t>(got)});
    progressed();
  }

  void read_reply(std::string_view bytes) {
    while (!ended_) {
      std::size_t consumed = 0;
      const http::Step step = parser_.parse(bytes, consumed);
      bytes.remove_prefix(consumed);
      switch (step) {
        case http::Step::need_more: return;
        case http::Step::head: take_head(); break;
        case http::Step::body:
          if (!handler_.take_body(parser_.body())) finish(End::stopped);
          break;
        case http::Step::message_end:
          // RFC 9110 §15.2: interim replies precede the final one.
          if (status_ >= 200) finish(End::complete);
          break;
        case http::Step::error:
          finish(End::bad_reply, fmt::format("the answer is not HTTP: {}", parser_.error().detail));
          break;
      }
    }
  }

  void take_head() {
    status_ = parser_.response().status;
    if (status_ < 200) return;
    const http::Field* revision = parser_.response().fields.find("Vesper-Revision");
    handler_.take_head(status_,
                       revision == nullptr ? 0 : http::parse_decimal(revision->value).value_or(0));
  }

  const HostPort& server_;
  const StreamTimes times_;
  StreamHandler& handler_;
  Connector connector_;
  http::Parser parser_{http::Parser::Kind::response};
  int status_ = 0;
  std::string out_;  // being sent: the head, then a chunk
  std::size_t sent_ = 0;
  std::string part_;
  std::string buffer_;
  Supply supply_ = Supply::end;
  bool can_send_ = true;  // false: the server takes no more data, but may have answered
  Instant idle_deadline_;
  bool ended_ = false;
  StreamEnd end_;
};

}  // namespace

StreamEnd run_stream(const HostPort& server, const StreamRequest& request, const StreamTimes& times,
                     StreamHandler& handler) {
  return Stream(server, request, times, handler).run();
}

}  // namespace vesper::app
