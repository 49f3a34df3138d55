// Parses the list of a cluster's servers (ip_list.txt): one http://host:port or https://host:port
// per line. Only read_cluster_file() and read_file() touch the disk.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "http/host_port.hpp"

namespace vesper::app {

using http::HostPort;
using http::is_unspecified;
using http::parse_host_port;

struct ClusterFile {
  std::string name;               // as the user gave it; used in errors
  std::vector<HostPort> servers;  // a server's id is its index here; 1 to raft::kMaxServers entries
  std::size_t last_line = 0;      // line number of the last server, from 1
  std::size_t first_mixed = 0;    // the first line with another scheme than the first; 0: none

  // The error of a list that mixes http and https.
  std::optional<Error> refuse_mixed() const;
  // Returns the server with this id. The error names the file and the valid ids.
  Result<HostPort> find(std::uint64_t id) const;
};

// One server per line, with its scheme in front. Tolerates surrounding spaces, a trailing '/', CRLF
// and a byte order mark. Skips blank lines and lines that begin with '#'. The error reads
// `name:line: what was found, what was expected`.
Result<ClusterFile> parse_cluster_file(std::string_view text, std::string_view name);
// Rejects files above 1 MiB.
Result<ClusterFile> read_cluster_file(const std::string& path);

// Reads a whole file, or standard input if the path is "-". More than `limit` bytes are an error.
Result<std::string> read_file(const std::string& path, std::size_t limit);

}  // namespace vesper::app
