// Limits the work of TLS that the clients of a listener cause in one turn. A handshake costs about
// as much as a hundred requests, and records that hold a byte each cost as much as full ones: a
// storm of either could delay heartbeats and other clients.
#pragma once

#include <cstddef>
#include <deque>

namespace vesper::io {

class Stream;

class TlsBudget {
 public:
  TlsBudget() = default;
  TlsBudget(const TlsBudget&) = delete;
  TlsBudget& operator=(const TlsBudget&) = delete;

  // Returns false if this turn has no room for another step of a handshake. The stream then waits.
  bool take_handshake();
  // Whether this turn has room for more records. If not, the stream waits with what it has read.
  bool has_records() const { return records_ < kMaxRecords; }
  void add_records(std::size_t count) { records_ += count; }

  void wait(Stream& stream) { waiting_.push_back(&stream); }
  void leave(Stream& stream);
  // Call once per turn. Streams that have waited longest go on first.
  void begin_turn();
  bool busy() const { return !waiting_.empty(); }

 private:
  static constexpr std::size_t kMaxHandshakes = 8;  // steps in one turn; up to a millisecond each
  static constexpr std::size_t kMaxRecords = 2048;  // in one turn; a microsecond or two each

  bool has_room() const { return handshakes_ < kMaxHandshakes && has_records(); }

  std::size_t handshakes_ = 0, records_ = 0;
  std::deque<Stream*> waiting_;
};

}  // namespace vesper::io
