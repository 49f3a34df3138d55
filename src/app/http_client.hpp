// A single HTTP request over a connection of its own, or several such exchanges at once, with POSIX
// sockets, poll() and a deadline. Retries and the meaning of replies are in call.hpp.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "app/cluster_file.hpp"
#include "app/connector.hpp"
#include "base/time.hpp"
#include "http/parser.hpp"

namespace vesper::app {

struct Reply {
  int status = 0;    // 200 to 599; interim replies are skipped
  std::string body;  // at most kMaxReply bytes
};

// JSON escaping may take six bytes for each byte of an 8 MiB value.
inline constexpr std::size_t kMaxReply = std::size_t{64} << 20;

// One connection, which goes through connecting, sending and receiving until it is finished. It
// sends "Connection: close" and is not reused.
class Exchange {
 public:
  enum class End {
    none,           // not finished
    reply,          // reply() is complete
    not_connected,  // not resolved, refused, unreachable or timed out: nothing was sent
    broken,         // the connection or the time ended before a complete reply
    bad_reply,      // the answer is not HTTP, or is too large
  };

  // The connection must be established within `connect_within` of the name's resolution. Everything
  // must be finished by `finish_by`.
  Exchange(const HostPort& server, std::string request, Duration connect_within, Instant finish_by);
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  End end() const { return end_; }
  const Reply& reply() const { return reply_; }
  const std::string& detail() const { return detail_; }  // without a reply: why, for people
  // True if the kernel has taken the whole request. From then on the server may act on it.
  bool sent() const { return sent_ == request_.size(); }
  // True if something listens there, whatever came of the request.
  bool was_accepted() const { return was_accepted_; }
  const HostPort& server() const { return server_; }

 private:
  friend class ExchangeLoop;

  void start();
  void check_connector();
  void send_some();
  void receive_some();
  void read_reply(std::string_view bytes);
  void finish(End end, std::string detail);
  bool is_connected() const { return connector_->state() == Connector::State::connected; }
  Instant deadline() const { return is_connected() ? finish_by_ : connector_->deadline(); }
  void on_ready(short events);
  void on_deadline();
  short wanted_events() const;

  HostPort server_;
  std::string request_;
  const Duration connect_within_;
  Instant finish_by_;
  std::optional<Connector> connector_;  // from the first turn to the end
  bool can_send_ = true;  // false: the server takes no more data, but may have answered
  std::size_t sent_ = 0;
  bool was_accepted_ = false;
  http::Parser parser_{http::Parser::Kind::response};
  Reply reply_;
  End end_ = End::none;
  std::string detail_;
};

// Runs all exchanges until each has finished, at its deadline at the latest.
void run(std::span<const std::unique_ptr<Exchange>> exchanges);

// The same, but returns also when `fd` is readable, or at `until`. Call it again to go on. Without
// exchanges it only waits.
enum class Woken : std::uint8_t { finished, readable, due };
Woken run_until(std::span<const std::unique_ptr<Exchange>> exchanges, int fd, Instant until);

// Serializes a request that asks to close the connection. Without a body there is no
// Content-Length. An empty key is left out.
std::string make_request(const HostPort& server, std::string_view method, std::string_view target,
                         const std::optional<std::string>& body = {},
                         std::string_view idempotency_key = {});

}  // namespace vesper::app
