// The API's settings, fixed at startup. Plain values; the command line (app/syntax_node.cpp,
// app/server_command.cpp) has validated them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "api/audit.hpp"
#include "base/host_port.hpp"
#include "base/time.hpp"
#include "node/housekeeping.hpp"

namespace vesper::api {

struct Settings {
  // This server's position in `list`. Nothing: it joins a cluster, and `list` is empty.
  std::optional<std::uint32_t> id = 0;
  std::vector<HostPort> list;            // the first servers
  HostPort address;                      // at which the others reach this server
  std::vector<std::string> allow_hosts;  // allowed in addition to those in `list`; "*": any
  Duration request_timeout;              // for requests without ?timeout=

  // Limits, in bytes unless the name says otherwise. /status shows all of them.
  std::size_t max_value = 0;
  std::size_t max_connections = 0;
  std::size_t inflight_bytes = 0;
  // Numbers in the whole cluster: a node refuses to add more when it serves the request.
  std::size_t max_leases = 0;
  std::size_t max_locks = 0;  // that are held, elections included
  std::uint64_t snapshot_bytes = 0;
  std::uint64_t snapshot_entries = 0;
  std::uint64_t log_tail_bytes = 0;
  std::uint64_t log_tail_entries = 0;
  node::HistoryLimits history;  // while this server leads
  std::size_t max_watchers = 0;
  std::size_t max_watch_filters = 0;  // of one watch
  std::size_t max_waiters = 0;        // requests that wait for a change or a lock

  AuditScope audit = AuditScope::acts;  // what the audit log holds, if there is one
};

// The shortest and longest ?timeout=.
inline constexpr Duration kMinTimeout = milliseconds(10);
inline constexpr Duration kMaxTimeout = seconds(60);

}  // namespace vesper::api
