// The state machine of an Exchange, and the poll() loop that runs several.
#include "app/http_client.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <vector>

#include "http/serializer.hpp"

namespace vesper::app {
namespace {

constexpr std::size_t kReadStep = 64 * 1024;

bool would_block(int code) {
  return code == EAGAIN || code == EWOULDBLOCK || code == EINTR;
}

}  // namespace

Instant monotonic_now() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return {std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec};
}

void sleep_until(Instant when) {
  timespec until{};
  until.tv_sec = when.ns / 1'000'000'000;
  until.tv_nsec = when.ns % 1'000'000'000;
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr) == EINTR) continue;
}

std::string make_request(const HostPort& server, std::string_view method, std::string_view target,
                         const std::optional<std::string>& body, std::string_view idempotency_key) {
  std::string out;
  out.reserve(256 + target.size() + (body ? body->size() : 0));
  http::begin_request(out, method, target, server.authority());
  http::append_field(out, "User-Agent", "vesper/" VESPER_VERSION);
  http::append_field(out, "Connection", "close");
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
      finish_by_(finish_by),
      connect_by_(finish_by) {}

Exchange::~Exchange() {
  if (fd_ >= 0) close(fd_);
}

void Exchange::finish(End end, std::string detail) {
  end_ = end;
  detail_ = std::move(detail);
  lookup_.stop();
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

void Exchange::start() {
  lookup_.start(server_.host, server_.port);
  if (!is_resolving()) on_resolved();
}

void Exchange::on_resolved() {
  if (lookup_.addresses().empty()) return finish(End::not_connected, lookup_.error());
  connect_by_ = std::min(finish_by_, monotonic_now() + connect_within_);
  connect_next();
}

// Tries the next address of the name ("localhost", for example, has two).
void Exchange::connect_next() {
  int code = ECONNREFUSED;
  while (next_address_ < lookup_.addresses().size()) {
    const NameLookup::Address& address = lookup_.addresses()[next_address_++];
    if (fd_ >= 0) close(fd_);
    fd_ = socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd_ < 0) {
      code = errno;
      continue;
    }
    const int one = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (connect(fd_, address.raw(), address.size) == 0) {
      connected_ = true;
      return;
    }
    code = errno;
    if (code == EINPROGRESS) return;
  }
  finish(End::not_connected, std::strerror(code));
}

void Exchange::check_connected() {
  int code = 0;
  socklen_t size = sizeof(code);
  if (getsockopt(fd_, SOL_SOCKET, SO_ERROR, &code, &size) != 0) code = errno;
  if (code == 0) {
    connected_ = true;
  } else if (next_address_ < lookup_.addresses().size()) {
    connect_next();
  } else {
    finish(End::not_connected, std::strerror(code));
  }
}

short Exchange::wanted_events() const {
  if (is_resolving()) return POLLIN;
  if (!connected_ || (can_send_ && !sent())) return POLLIN | POLLOUT;
  return POLLIN;
}

void Exchange::on_ready(short events) {
  if (is_resolving()) {
    lookup_.on_readable();
    if (!is_resolving()) on_resolved();
    return;
  }
  if (!connected_) {
    check_connected();
    if (!connected_) return;
  }
  if (can_send_ && !sent()) send_some();
  // Read even while the request is still being sent: a refusal may come early.
  if (end_ == End::none && (events & (POLLIN | POLLHUP | POLLERR)) != 0) receive_some();
}

void Exchange::on_deadline() {
  if (connected_) finish(End::broken, "no answer in time");
  else
    finish(End::not_connected,
           is_resolving() ? "the name was not resolved in time" : "could not connect in time");
}

void Exchange::send_some() {
  while (!sent()) {
    const ssize_t wrote = send(fd_, request_.data() + sent_, request_.size() - sent_, MSG_NOSIGNAL);
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
  const ssize_t got = recv(fd_, buffer, sizeof(buffer), 0);
  if (got < 0) {
    if (!would_block(errno)) finish(End::broken, std::strerror(errno));
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

void run(std::span<const std::unique_ptr<Exchange>> exchanges) {
  for (const auto& exchange : exchanges) exchange->start();
  std::vector<pollfd> polled;
  std::vector<Exchange*> waiting;
  while (true) {
    polled.clear();
    waiting.clear();
    Instant deadline = kNever;
    for (const auto& exchange : exchanges) {
      if (exchange->end_ != Exchange::End::none) continue;
      waiting.push_back(exchange.get());
      polled.push_back({exchange->polled_fd(), exchange->wanted_events(), 0});
      deadline = std::min(deadline, exchange->deadline());
    }
    if (waiting.empty()) return;
    const std::int64_t left = (deadline - monotonic_now()).ns;
    // Round up, so that the deadline has passed when poll() returns without an event.
    const std::int64_t ms = std::clamp<std::int64_t>((left + 999'999) / 1'000'000, 0, 60'000);
    poll(polled.data(), polled.size(), static_cast<int>(ms));
    const Instant now = monotonic_now();
    for (std::size_t i = 0; i < waiting.size(); ++i) {
      Exchange& exchange = *waiting[i];
      // Data that has arrived counts, even if the deadline has passed.
      if (polled[i].revents != 0) exchange.on_ready(polled[i].revents);
      if (exchange.end_ == Exchange::End::none && now >= exchange.deadline())
        exchange.on_deadline();
    }
  }
}

}  // namespace vesper::app
