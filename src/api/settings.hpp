// What the API is told about its server when it starts. Values only; the command line has checked
// them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/host_port.hpp"
#include "base/time.hpp"

namespace vesper::api {

struct Settings {
  std::uint32_t id = 0;                  // this server's place in `list`
  std::vector<HostPort> list;            // of all servers
  std::vector<std::string> allow_hosts;  // beside the list's; "*": any
  Duration request_timeout;              // without ?timeout=

  // Limits, in bytes unless their names say something else. /status shows all of them.
  std::size_t max_value = 0;
  std::size_t max_connections = 0;
  std::size_t inflight_bytes = 0;
  std::uint64_t snapshot_bytes = 0;
  std::uint64_t snapshot_entries = 0;
  std::uint64_t log_tail_bytes = 0;
  std::uint64_t log_tail_entries = 0;
};

// The shortest and longest ?timeout=.
inline constexpr Duration kMinTimeout = milliseconds(10);
inline constexpr Duration kMaxTimeout = seconds(60);

}  // namespace vesper::api
