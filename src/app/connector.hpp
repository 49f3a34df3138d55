// Resolves the name of a server and connects to one of its addresses, under a deadline. If the
// server's address is https://, the connection speaks TLS.
#pragma once

#include <sys/types.h>

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "app/cluster_file.hpp"
#include "app/name_lookup.hpp"
#include "base/time.hpp"
#include "crypto/tls.hpp"

namespace vesper::app {

// Reads CLOCK_BOOTTIME: time in which the machine sleeps counts.
Instant monotonic_now();
void sleep_until(Instant when);
// Whether a send or receive that failed with this errno is to be tried again.
bool would_block(int code);

class Connector {
 public:
  enum class State : std::uint8_t { connecting, connected, failed };

  Connector() = default;
  ~Connector();
  Connector(const Connector&) = delete;
  Connector& operator=(const Connector&) = delete;

  // The connection must be established within `connect_within` of the name's resolution, and by
  // `finish_by`. So must the handshake of TLS, counted from the connection. Call only once.
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
  // True if something listens there: TCP has connected, even if the handshake of TLS then failed.
  bool was_accepted() const { return was_accepted_; }

  // Once connected: like send() and recv(), with -1 and errno. After a -1 of send() with EAGAIN,
  // call it again with the same bytes. Room below kLeastRoom makes receive() miss bytes.
  static constexpr std::size_t kLeastRoom = std::size_t{64} << 10;
  ssize_t send(std::string_view bytes);
  ssize_t receive(std::span<char> room);
  // Why send() or receive() has failed with this errno, for people.
  std::string why(int code) const;
  // True if the server has ended the handshake of TLS: it has acted on nothing that was sent.
  bool was_refused() const { return tls_ && tls_->was_refused(); }

 private:
  bool is_resolving() const { return lookup_.fd() >= 0; }
  void on_resolved();
  void connect_next();
  void check_connected();
  void connected();
  void shake_hands();
  ssize_t receive_sealed(std::span<char> room);
  // Returns false if the kernel has no room, or the connection has failed (errno).
  bool send_sealed();
  void fail(std::string detail);

  State state_ = State::connecting;
  HostPort server_;
  Duration connect_within_;
  Instant finish_by_;
  Instant connect_by_;
  NameLookup lookup_;
  std::size_t next_address_ = 0;
  int fd_ = -1;
  std::string detail_;
  bool was_accepted_ = false;

  std::optional<crypto::TlsSession> tls_;
  std::string early_;        // plain text that came with the end of the handshake
  std::size_t sealing_ = 0;  // bytes of send() that are encrypted, but not with the kernel yet
};

}  // namespace vesper::app
