// What the connections of one server may use together. A connection asks before it takes more, and
// waits if there is no room.
#pragma once

#include <cstddef>

namespace vesper::server {

class Budget {
 public:
  // In bytes: of request bodies that are being read, and of output that clients have not taken.
  Budget(std::size_t max_body, std::size_t max_output)
      : max_body_(max_body), max_output_(max_output) {}

  // What a turn takes in is bounded: what clients can offer at once keeps a leader busy for longer
  // than an election timeout, and its heartbeats wait for the turn to end.
  bool turn_has_room() const { return taken_ < kMaxTaken; }
  void take_request() { ++taken_; }
  void begin_turn() { taken_ = 0; }

  bool body_has_room() const { return body_ < max_body_; }
  void add_body(std::size_t bytes) { body_ += bytes; }
  void release_body(std::size_t bytes) { body_ -= bytes; }

  bool output_has_room() const { return output_ < max_output_; }
  // One connection's output was `before` bytes when last reported, and is `after` now.
  void report_output(std::size_t before, std::size_t after) { output_ += after - before; }

 private:
  static constexpr std::size_t kMaxTaken = 1024;  // requests in one turn

  const std::size_t max_body_, max_output_;
  std::size_t taken_ = 0;
  std::size_t body_ = 0;
  std::size_t output_ = 0;
};

}  // namespace vesper::server
