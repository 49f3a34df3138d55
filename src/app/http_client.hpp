// One HTTP request over one connection, and several of those at once: POSIX sockets and poll()
// under a deadline. No retries and no meaning of replies in here (call.hpp has the rules).
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "app/cluster_file.hpp"
#include "app/name_lookup.hpp"
#include "base/time.hpp"
#include "http/parser.hpp"

namespace vesper::app {

// CLOCK_MONOTONIC.
Instant monotonic_now();
void sleep_until(Instant when);

struct Reply {
  int status = 0;    // 200 to 599: interim replies are passed over
  std::string body;  // at most kMaxReply bytes
};

// A value of 8 MiB may need six bytes of JSON for each of its own.
inline constexpr std::size_t kMaxReply = std::size_t{64} << 20;

// A connection that goes through connecting, sending and receiving until it is finished. It sends
// "Connection: close" and is not used again.
class Exchange {
 public:
  enum class End {
    none,           // not finished
    reply,          // reply() is whole
    not_connected,  // refused, no such host, no way there, or no answer in time: nothing was sent
    broken,         // the connection ended, or the time did, before a whole reply
    bad_reply,      // what came is no HTTP, or too large
  };

  // A connection has to stand within `connect_within` of when the name was resolved, and everything
  // is over at `finish_by`.
  Exchange(const HostPort& server, std::string request, Duration connect_within, Instant finish_by);
  ~Exchange();
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  End end() const { return end_; }
  const Reply& reply() const { return reply_; }
  const std::string& detail() const { return detail_; }  // of an end that is no reply, for people
  // Whether all of the request was handed to the kernel: from then on the server may act on it.
  bool sent() const { return sent_ == request_.size(); }
  const HostPort& server() const { return server_; }

 private:
  friend void run(std::span<const std::unique_ptr<Exchange>> exchanges);

  void start();
  void on_resolved();
  void connect_next();
  void check_connected();
  void send_some();
  void receive_some();
  void read_reply(std::string_view bytes);
  void finish(End end, std::string detail);
  Instant deadline() const { return connected_ ? finish_by_ : connect_by_; }
  void on_ready(short events);
  void on_deadline();
  int polled_fd() const { return is_resolving() ? lookup_.fd() : fd_; }
  short wanted_events() const;
  bool is_resolving() const { return lookup_.fd() >= 0; }

  HostPort server_;
  std::string request_;
  const Duration connect_within_;
  Instant finish_by_;
  Instant connect_by_;
  NameLookup lookup_;
  std::size_t next_address_ = 0;
  int fd_ = -1;
  bool connected_ = false;
  bool can_send_ = true;  // false: the other side takes no more, but may have answered
  std::size_t sent_ = 0;
  http::Parser parser_{http::Parser::Kind::response};
  Reply reply_;
  End end_ = End::none;
  std::string detail_;
};

// Runs all of them until each is finished, at their deadlines at the latest.
void run(std::span<const std::unique_ptr<Exchange>> exchanges);

// The bytes of a request without a connection of its own to keep. An empty key is none.
std::string make_request(const HostPort& server, std::string_view method, std::string_view target,
                         bool has_body, std::string_view body,
                         std::string_view idempotency_key = {});

}  // namespace vesper::app
