// What /status, /metrics and /figures report about parts of the server that the API does not know:
// the disk, the connections and the peers. server::Server implements it.
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

struct TlsFigures {
  std::int64_t expires_at = 0;   // of the own certificate, in seconds since 1970
  std::int64_t days_left = 0;    // until then; negative: it has expired
  std::string why_not_reloaded;  // why changed files are not in use; empty: they are
};

// Queried only when a page that shows the figures is rendered, and for each sample.
class Figures {
 public:
  // Nothing until the log has been recovered.
  virtual std::optional<DiskFigures> disk() const = 0;
  virtual TrafficFigures traffic() const = 0;
  // Nothing if this server's port does not speak TLS.
  virtual std::optional<TlsFigures> tls() const { return std::nullopt; }
  // Lines of the audit log that were dropped. Nothing if there is no audit log.
  virtual std::optional<std::uint64_t> audit_lines_dropped() const { return std::nullopt; }
  // The URL under which this server reaches the member. Empty if it keeps no links to it.
  virtual std::string address_of(raft::ServerId) const { return {}; }

 protected:
  ~Figures() = default;
};

}  // namespace vesper::api
