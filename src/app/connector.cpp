#include "app/connector.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <utility>

#include "app/client_tls.hpp"

namespace vesper::app {
namespace {

constexpr std::size_t kMostSealed = 64 * 1024;

}  // namespace

Instant monotonic_now() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return {std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec};
}

bool would_block(int code) {
  return code == EAGAIN || code == EWOULDBLOCK || code == EINTR;
}

void sleep_until(Instant when) {
  timespec until{};
  until.tv_sec = when.ns / 1'000'000'000;
  until.tv_nsec = when.ns % 1'000'000'000;
  while (clock_nanosleep(CLOCK_BOOTTIME, TIMER_ABSTIME, &until, nullptr) == EINTR) continue;
}

Connector::~Connector() {
  if (fd_ < 0) return;
  if (tls_ && sealing_ == 0) {
    tls_->end();
    send_sealed();
  }
  close(fd_);
}

void Connector::start(const HostPort& server, Duration connect_within, Instant finish_by) {
  server_ = server;
  connect_within_ = connect_within;
  finish_by_ = finish_by;
  connect_by_ = finish_by;
  lookup_.start(server.host, server.port);
  if (!is_resolving()) on_resolved();
}

short Connector::wanted_events() const {
  if (is_resolving()) return POLLIN;
  return tls_ && tls_->output().empty() ? POLLIN : POLLIN | POLLOUT;
}

void Connector::on_ready() {
  if (tls_) return shake_hands();
  if (!is_resolving()) return check_connected();
  lookup_.on_readable();
  if (!is_resolving()) on_resolved();
}

void Connector::on_deadline() {
  if (tls_) return fail("TLS: no answer to the handshake in time");
  fail(is_resolving() ? "the name was not resolved in time" : "could not connect in time");
}

void Connector::on_resolved() {
  if (lookup_.addresses().empty()) return fail(lookup_.error());
  connect_by_ = std::min(finish_by_, monotonic_now() + connect_within_);
  connect_next();
}

// Tries the next address of the name ("localhost", for example, has two).
void Connector::connect_next() {
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
      connected();
      return;
    }
    code = errno;
    if (code == EINPROGRESS) return;
  }
  fail(std::strerror(code));
}

void Connector::check_connected() {
  int code = 0;
  socklen_t size = sizeof(code);
  if (getsockopt(fd_, SOL_SOCKET, SO_ERROR, &code, &size) != 0) code = errno;
  if (code == 0) connected();
  else if (next_address_ < lookup_.addresses().size()) connect_next();
  else fail(std::strerror(code));
}

void Connector::connected() {
  was_accepted_ = true;
  if (server_.scheme == Scheme::http) {
    state_ = State::connected;
    return;
  }
  if (!client_tls()) return fail(client_tls().error().what);
  connect_by_ = std::min(finish_by_, monotonic_now() + connect_within_);
  tls_.emplace(crypto::TlsSession::dial(*client_tls(), server_.host));
  tls_->start();
  shake_hands();
}

void Connector::shake_hands() {
  std::string room(kLeastRoom, '\0');
  const ssize_t got = receive_sealed(room);
  if (got > 0) early_.assign(room, 0, static_cast<std::size_t>(got));
  if (got == 0) return fail("TLS: the server has ended the connection");
  if (got < 0 && errno != EAGAIN) return fail(why(errno));
  if (!send_sealed() && errno != EAGAIN) return fail(why(errno));
  if (tls_->state() == crypto::TlsSession::State::open && tls_->output().empty())
    state_ = State::connected;
}

ssize_t Connector::send(std::string_view bytes) {
  if (!tls_) return ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (tls_->state() == crypto::TlsSession::State::failed) {
    errno = EPROTO;
    return -1;
  }
  if (sealing_ == 0) {
    sealing_ = std::min(bytes.size(), kMostSealed);
    tls_->write(bytes.substr(0, sealing_));
  }
  if (!send_sealed()) return -1;
  return static_cast<ssize_t>(std::exchange(sealing_, 0));
}

ssize_t Connector::receive(std::span<char> room) {
  if (!tls_) return ::recv(fd_, room.data(), room.size(), 0);
  if (early_.empty()) return receive_sealed(room);
  const std::size_t size = early_.copy(room.data(), room.size());
  early_.erase(0, size);
  return static_cast<ssize_t>(size);
}

bool Connector::send_sealed() {
  std::string& out = tls_->output();
  while (!out.empty()) {
    const ssize_t wrote = ::send(fd_, out.data(), out.size(), MSG_NOSIGNAL);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return false;
    out.erase(0, static_cast<std::size_t>(wrote));
  }
  return true;
}

// Reads no more from the socket than what `room` can hold as plain text.
ssize_t Connector::receive_sealed(std::span<char> room) {
  using Tls = crypto::TlsSession;
  while (true) {
    char sealed[kLeastRoom - 2 * Tls::kMaxRecord];
    const ssize_t got = ::recv(fd_, sealed, sizeof sealed, 0);
    if (got < 0) return -1;
    std::size_t size = 0;
    tls_->feed({sealed, static_cast<std::size_t>(got)});
    while (const std::size_t plain = tls_->read(room.subspan(size))) size += plain;
    tls_->feed({});
    if (size > 0) return static_cast<ssize_t>(size);
    if (tls_->state() == Tls::State::ended) return 0;
    if (tls_->state() == Tls::State::failed || got == 0) {
      send_sealed();  // the alert
      errno = EPROTO;
      return -1;
    }
    if (state_ == State::connecting) send_sealed();
  }
}

std::string Connector::why(int code) const {
  if (!tls_ || code != EPROTO) return std::strerror(code);
  const bool has_failed = tls_->state() == crypto::TlsSession::State::failed;
  return "TLS: " + (has_failed ? tls_->error() : std::string("the connection was cut off"));
}

void Connector::fail(std::string detail) {
  state_ = State::failed;
  detail_ = std::move(detail);
  lookup_.stop();
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

}  // namespace vesper::app
