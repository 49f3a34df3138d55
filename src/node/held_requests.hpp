// Requests that have not begun, because an earlier request of their connection may wait for other
// clients: one that asks for a lock, or a long poll. A later request of the connection begins when
// that one is answered. Requests that wait for a leader or the log are in client_queues.hpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <variant>
#include <vector>

#include "node/ports.hpp"

namespace vesper::node {

class HeldRequests {
 public:
  using Request = std::variant<ClientWrite, ClientRead>;

  // `max_bytes` counts the commands of writes. One write is held whatever its size.
  HeldRequests(std::size_t max_requests, std::size_t max_bytes)
      : max_requests_(max_requests), max_bytes_(max_bytes) {}

  // Requests of this ticket's connection are held until the ticket is answered. Requires that
  // holds() is false, or that next() has just returned this request.
  void hold_after(const Ticket& ticket);
  // True if the next request of the connection must be added here.
  bool holds(std::uint64_t connection) const { return lines_.contains(connection); }
  // Requires holds(). Returns false if there is no room; then `request` is not moved from. Its
  // deadlines do not run while it is held.
  [[nodiscard]] bool add(Request&& request, Instant now);
  // The request was answered.
  void answered(const Ticket& ticket);

  // True if next() returns a request.
  bool has_next() const { return !ready_.empty(); }
  // Returns a request that may begin now, the requests of a connection in order.
  std::optional<Request> next(Instant now);

  // The connection has closed: drops its requests. None of them has taken effect.
  void leave(std::uint64_t connection);
  // Removes all requests and returns their tickets.
  std::vector<Ticket> clear();

  std::size_t size() const { return size_; }    // number of requests
  std::size_t bytes() const { return bytes_; }  // of their commands

 private:
  struct Held {
    Request request;
    Instant since;
  };
  struct Line {
    std::optional<std::uint64_t> awaited;  // the request that is not answered yet
    std::deque<Held> requests;
  };
  using Lines = std::map<std::uint64_t, Line>;

  void forget(const Request& request);
  void settle(Lines::iterator line);

  const std::size_t max_requests_, max_bytes_;
  Lines lines_;  // by connection; only those that hold, or have something to begin
  std::set<std::uint64_t> ready_;  // the lines with requests that may begin
  std::size_t size_ = 0, bytes_ = 0;
};

}  // namespace vesper::node
