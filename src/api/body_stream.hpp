// The body of an answer that is produced while it is sent. The connection asks for more bytes only
// when its socket has room, so a slow reader throttles the producer and no queue grows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace vesper::api {

// The connection owns the stream. It destroys the stream as soon as it has finished, failed, or
// lost its client. A client that closes its sending half counts as lost. The exchange that the
// stream answers outlives it.
class BodyStream {
 public:
  enum class Next : std::uint8_t {
    bytes,     // at least one byte was appended; ask again
    later,     // the work of this turn is done; ask again in the next one
    waiting,   // no bytes for now; the producer calls ClientListener::resume() with
               // the request's ticket
    finished,  // complete, including what was appended in this call
    failed,    // cannot be completed; after what was appended, the connection is broken off so that
               // the client notices
  };
  // Why a stream is cut off.
  enum class Why : std::uint8_t { shutting_down, unauthorized };
  // How the client should see a stream that is cut off.
  enum class Cut : std::uint8_t { complete, truncated };

  virtual ~BodyStream() = default;

  // Appends up to `room` bytes to `out`. Requires `room` >= 1.
  virtual Next next(std::size_t room, std::string& out) = 0;
  // The stream ends early. May append a last piece. An event stream, for example, is complete
  // wherever it ends. A backup is not.
  virtual Cut cut(Why why, std::string& out) = 0;
  // True while the stream holds nothing for a client that does not read. Then the client may leave
  // it unread for as long as it likes; otherwise a connection without progress is closed.
  virtual bool may_stay_unread() const { return false; }
};

}  // namespace vesper::api
