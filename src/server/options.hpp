// What a server is told when it starts: the command line's flags, checked. No parsing in here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/host_port.hpp"
#include "base/time.hpp"
#include "raft/types.hpp"

namespace vesper::server {

struct Options {
  std::uint32_t id = 0;        // this node's line in `list`, from 0
  std::vector<HostPort> list;  // all nodes, in the order of the file
  std::string data_dir;
  std::optional<HostPort> listen;        // else the node's own line
  std::vector<std::string> allow_hosts;  // beside the list's; "*": any

  std::size_t max_connections = 10'000;  // of clients
  std::size_t max_value = 8u << 20;      // bytes; at most kv::kMaxValue
  std::size_t inflight_bytes = 64u << 20;
  std::size_t max_body_bytes = 256u << 20;    // of all requests that are being read
  std::size_t max_output_bytes = 256u << 20;  // of all replies that clients have not taken

  // When snapshots are taken, and what of the log is kept in memory behind one (docs/snapshots.md).
  std::uint64_t snapshot_bytes = 64u << 20;
  std::uint64_t snapshot_entries = 1'000'000;
  std::uint64_t log_tail_bytes = 16u << 20;
  std::uint64_t log_tail_entries = 10'000;

  Duration request_timeout = seconds(5);  // without ?timeout=
  Duration header_timeout = seconds(10);
  Duration body_timeout = seconds(30);  // without progress
  Duration idle_timeout = seconds(120);
  Duration write_timeout = seconds(30);  // without progress
  Duration linger_timeout = seconds(5);
  Duration shutdown_timeout = milliseconds(800);

  Duration election_timeout = milliseconds(150);  // drawn from [this, 2 * this]
  Duration heartbeat = milliseconds(50);
  Duration max_lease = raft::kMaxLease;  // that this node asks for when it leads; 0: none
  // A majority of a new list waits so long for servers that say nothing before it founds a cluster.
  Duration found_after = seconds(5);

  std::string peer_key;  // the key file's content; empty: no key
  bool insecure_peers = false;
};

}  // namespace vesper::server
