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

namespace vesper::app {

Instant monotonic_now() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return {std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec};
}

void sleep_until(Instant when) {
  timespec until{};
  until.tv_sec = when.ns / 1'000'000'000;
  until.tv_nsec = when.ns % 1'000'000'000;
  while (clock_nanosleep(CLOCK_BOOTTIME, TIMER_ABSTIME, &until, nullptr) == EINTR) continue;
}

Connector::~Connector() {
  if (fd_ >= 0) close(fd_);
}

void Connector::start(const HostPort& server, Duration connect_within, Instant finish_by) {
  connect_within_ = connect_within;
  finish_by_ = finish_by;
  connect_by_ = finish_by;
  lookup_.start(server.host, server.port);
  if (!is_resolving()) on_resolved();
}

short Connector::wanted_events() const {
  return is_resolving() ? POLLIN : POLLIN | POLLOUT;
}

void Connector::on_ready() {
  if (!is_resolving()) return check_connected();
  lookup_.on_readable();
  if (!is_resolving()) on_resolved();
}

void Connector::on_deadline() {
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
      state_ = State::connected;
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
  if (code == 0) state_ = State::connected;
  else if (next_address_ < lookup_.addresses().size()) connect_next();
  else fail(std::strerror(code));
}

void Connector::fail(std::string detail) {
  state_ = State::failed;
  detail_ = std::move(detail);
  lookup_.stop();
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

}  // namespace vesper::app
