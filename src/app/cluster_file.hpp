// ip_list.txt: the servers of a cluster, one http://host:port a line. Text in, addresses or an
// error with file and line out; only read_cluster_file touches the disk.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace vesper::app {

// Where a server listens. Two that mean the same host and port in other spellings (case, a dot at
// the end, the forms of IPv6) are equal.
struct HostPort {
  std::string host;        // lower case, IPv6 in its canonical form and without brackets; not empty
  std::uint16_t port = 0;  // 1 to 65535
  bool is_ipv6 = false;

  bool operator==(const HostPort&) const = default;
  std::string authority() const;  // host:port or [v6]:port
  std::string url() const;        // http://host:port
};

// "host:port", "1.2.3.4:port" or "[v6]:port" and nothing else. The error says what was wrong
// ("port 0"), not where it stood.
Result<HostPort> parse_host_port(std::string_view text);

struct ClusterFile {
  std::string name;               // as the user gave it, for errors
  std::vector<HostPort> servers;  // the id of a server is its place here; 1 to raft::kMaxServers
  std::size_t last_line = 0;      // where the last of them stands, from 1

  // The server with that id, or an error that names the file and the ids there are.
  Result<HostPort> find(std::uint64_t id) const;
};

// One server a line, "http://" in front; spaces around it, a trailing '/', CRLF and a byte order
// mark are forgiven; blank lines and lines that begin with '#' are not counted. The error reads
// `name:line: what was found, what was expected`.
Result<ClusterFile> parse_cluster_file(std::string_view text, std::string_view name);
// Files above 1 MiB are refused.
Result<ClusterFile> read_cluster_file(const std::string& path);

// All bytes of a file, or of standard input where the path is "-". More than `limit` is an error.
Result<std::string> read_file(const std::string& path, std::size_t limit);

}  // namespace vesper::app
