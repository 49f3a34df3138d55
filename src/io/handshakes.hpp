// Limits the TLS handshakes that are computed in one turn. A handshake costs about as much as a
// hundred requests, so that a storm of new connections could delay heartbeats and other clients.
#pragma once

#include <cstddef>
#include <deque>

namespace vesper::io {

class Stream;

class Handshakes {
 public:
  Handshakes() = default;
  Handshakes(const Handshakes&) = delete;
  Handshakes& operator=(const Handshakes&) = delete;

  // Returns false if this turn has no room for another step of a handshake. The stream then waits.
  bool take();
  void wait(Stream& stream) { waiting_.push_back(&stream); }
  void leave(Stream& stream);
  // Call once per turn. Streams that have waited longest go on first.
  void begin_turn();
  bool busy() const { return !waiting_.empty(); }

 private:
  static constexpr std::size_t kMaxTaken = 8;  // steps in one turn; up to a millisecond each

  std::size_t taken_ = 0;
  std::deque<Stream*> waiting_;
};

}  // namespace vesper::io
