// What /status and /metrics report about parts of the server that the API does not know: the disk,
// the connections and the peers. server::Server implements it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "node/peer_rules.hpp"

namespace vesper::api {

struct DiskFigures {
  std::uint64_t frames = 0;      // written to the log
  std::uint64_t seals = 0;       // how many of the frames are empty
  std::uint64_t bytes = 0;       // written to the log
  std::size_t segments = 0;      // number of files
  std::uint64_t file_bytes = 0;  // total size of the files
  std::size_t queued_bytes = 0;  // waiting for the disk
  bool is_full = false;
};

struct TrafficFigures {
  std::size_t connections = 0;
  std::size_t peer_links_up = 0;
  std::uint64_t client_bytes_in = 0, client_bytes_out = 0;
  std::uint64_t peer_bytes_in = 0, peer_bytes_out = 0;
  std::uint64_t peer_messages_dropped = 0;
};

// Queried only when a page that shows the figures is rendered.
class Figures {
 public:
  // Nothing until the log has been recovered.
  virtual std::optional<DiskFigures> disk() const = 0;
  virtual TrafficFigures traffic() const = 0;
  // The URL under which this server reaches the member. Empty if it keeps no links to it.
  virtual std::string address_of(raft::ServerId) const { return {}; }

 protected:
  ~Figures() = default;
};

}  // namespace vesper::api
