// The body of an answer that is produced while the client takes it. The connection asks for more
// whenever its socket can take more, so that a slow reader slows its producer down and no queue
// grows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace vesper::api {

// The connection owns the stream and destroys it as soon as it has ended, failed, or lost its
// client. A client that ends its half of the connection counts as lost.
class BodyStream {
 public:
  enum class Next : std::uint8_t {
    bytes,     // at least one byte was appended; ask again
    waiting,   // nothing more now: when there is, the producer calls ClientListener::resume() with
               // the request's ticket
    finished,  // complete, with what was appended in this call
    failed,    // it will never be complete; the client sees the connection break
  };
  // What a client has that was cut off when the server shuts down.
  enum class Cut : std::uint8_t { complete, truncated };

  virtual ~BodyStream() = default;

  // Appends up to `room` bytes to `out`. `room` is at least 1.
  virtual Next next(std::size_t room, std::string& out) = 0;
  // An event stream is complete wherever it ends; a backup is not.
  virtual Cut when_cut() const = 0;
};

}  // namespace vesper::api
