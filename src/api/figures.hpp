// What /status and /metrics tell about the parts of the server that the API does not know: the
// disk, the connections and the peers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

namespace vesper::api {

struct DiskFigures {
  std::uint64_t frames = 0;      // written to the log
  std::uint64_t seals = 0;       // empty ones among them
  std::uint64_t bytes = 0;       // written to the log
  std::size_t segments = 0;      // files
  std::uint64_t file_bytes = 0;  // of all of them
  std::size_t queued_bytes = 0;  // that wait for the disk
  bool is_full = false;
};

struct TrafficFigures {
  std::size_t connections = 0;
  std::size_t peer_links_up = 0;
  std::uint64_t client_bytes_in = 0, client_bytes_out = 0;
  std::uint64_t peer_bytes_in = 0, peer_bytes_out = 0;
  std::uint64_t peer_messages_dropped = 0;
};

// Asked only when a page is written that shows them.
class Figures {
 public:
  // Nothing until the log has been read.
  virtual std::optional<DiskFigures> disk() const = 0;
  virtual TrafficFigures traffic() const = 0;

 protected:
  ~Figures() = default;
};

}  // namespace vesper::api
