// Limits on what all client connections of a server use together. A connection asks before it uses
// more, and waits if there is no room. ClientListener owns the budget.
#pragma once

#include <cstddef>

namespace vesper::server {

class Budget {
 public:
  // Both in bytes. `max_body`: request bodies being read. `max_output`: output that the kernel has
  // not taken.
  Budget(std::size_t max_body, std::size_t max_output)
      : max_body_(max_body), max_output_(max_output) {}

  // Limits the requests read in one turn. A burst from many clients could otherwise keep a leader
  // busy for longer than an election timeout, while its heartbeats wait for the turn to end.
  bool turn_has_room() const { return taken_ < kMaxTaken; }
  void take_request() { ++taken_; }
  void begin_turn() {
    taken_ = 0;
    stream_work_ = kMaxStreamWork;
  }
  // What is left of the turn for bodies that are handled as they arrive, in the unit of
  // api::RequestStream::take().
  std::size_t& stream_work() { return stream_work_; }

  bool body_has_room() const { return body_ < max_body_; }
  void add_body(std::size_t bytes) { body_ += bytes; }
  void release_body(std::size_t bytes) { body_ -= bytes; }

  bool output_has_room() const { return output_ < max_output_; }
  // More than half of it is used, so no client may leave its output unread for long.
  bool output_is_short() const { return output_ > max_output_ / 2; }
  // A connection's output was `before` bytes when it last reported, and is `after` bytes now.
  void report_output(std::size_t before, std::size_t after) { output_ += after - before; }

 private:
  static constexpr std::size_t kMaxTaken = 1024;       // requests in one turn
  static constexpr std::size_t kMaxStreamWork = 1000;  // in one turn

  const std::size_t max_body_, max_output_;
  std::size_t taken_ = 0;
  std::size_t stream_work_ = kMaxStreamWork;
  std::size_t body_ = 0;
  std::size_t output_ = 0;
};

}  // namespace vesper::server
