// Resolves the name of a server and connects to one of its addresses, under a deadline.
#pragma once

#include <string>

#include "app/cluster_file.hpp"
#include "app/name_lookup.hpp"
#include "base/time.hpp"

namespace vesper::app {

// Reads CLOCK_BOOTTIME: time in which the machine sleeps counts.
Instant monotonic_now();
void sleep_until(Instant when);

class Connector {
 public:
  enum class State : std::uint8_t { connecting, connected, failed };

  Connector() = default;
  ~Connector();
  Connector(const Connector&) = delete;
  Connector& operator=(const Connector&) = delete;

  // The connection must be established within `connect_within` of the name's resolution, and by
  // `finish_by`. Call only once.
  void start(const HostPort& server, Duration connect_within, Instant finish_by);

  // Connecting: call on_ready() when poll() reports something of fd(), and on_deadline() when the
  // deadline has passed. Connected: a non-blocking socket, which is closed with this object.
  State state() const { return state_; }
  int fd() const { return is_resolving() ? lookup_.fd() : fd_; }
  short wanted_events() const;
  Instant deadline() const { return connect_by_; }
  void on_ready();
  void on_deadline();

  const std::string& detail() const { return detail_; }  // failed: why, for people

 private:
  bool is_resolving() const { return lookup_.fd() >= 0; }
  void on_resolved();
  void connect_next();
  void check_connected();
  void fail(std::string detail);

  State state_ = State::connecting;
  Duration connect_within_;
  Instant finish_by_;
  Instant connect_by_;
  NameLookup lookup_;
  std::size_t next_address_ = 0;
  int fd_ = -1;
  std::string detail_;
};

}  // namespace vesper::app
