// A request whose body, or whose reply, is too large for memory: both pass through in parts, at the
// pace of the slower side.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "app/cluster_file.hpp"
#include "base/time.hpp"

namespace vesper::app {

// Where the request's body comes from, and where the reply's goes.
class StreamHandler {
 public:
  enum class Supply : std::uint8_t {
    part,  // there may be more
    wait,  // nothing now; there may be more when input_fd() is readable
    end,   // nothing more
  };

  virtual ~StreamHandler() = default;
  // Appends the next part of the request's body. Not called for a request without one.
  virtual Supply supply(std::string& out) = 0;
  virtual int input_fd() const = 0;
  // `revision` is the reply's Vesper-Revision; 0: it has none.
  virtual void take_head(int status, std::uint64_t revision) = 0;
  // Takes the next part of the reply's body. False ends the exchange.
  virtual bool take_body(std::string_view part) = 0;
};

struct StreamRequest {
  std::string_view method;
  std::string_view target;
  std::string_view content_type;  // of the body, which is sent in chunks; empty: there is no body
};

struct StreamTimes {
  Duration connect_within;
  // How long the server may take neither to accept nor to send anything. Time in which the handler
  // works or waits for input does not count.
  Duration idle;
};

struct StreamEnd {
  enum class Kind : std::uint8_t {
    complete,       // the reply has ended as HTTP demands it
    stopped,        // by the handler
    not_connected,  // nothing was sent
    broken,         // the connection ended or stalled before the end of the reply
    bad_reply,      // the reply is not HTTP
  };
  Kind kind = Kind::complete;
  std::string detail;  // unless complete or stopped: why, for people
};

StreamEnd run_stream(const HostPort& server, const StreamRequest& request, const StreamTimes& times,
                     StreamHandler& handler);

}  // namespace vesper::app
