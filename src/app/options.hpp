// The command line as data. The only user of CLI11; prints help and usage errors, does nothing
// else.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/time.hpp"

namespace vesper::app {

enum class OutputFormat : std::uint8_t { raw, table, json };

// What every command that talks to a cluster takes.
struct ClusterOptions {
  std::optional<std::string> endpoints;  // --endpoints, unread
  Duration timeout = seconds(5);
  std::optional<OutputFormat> output;  // empty: the command's own default
};

struct ClientOptions {
  std::string address;  // unread
  std::string key;
  std::optional<std::string> value;
  Duration timeout = seconds(5);
};

struct GetOptions {
  ClusterOptions cluster;
  std::string key;
  std::string query;  // the read level, encoded; may be empty
};

struct PutOptions {
  ClusterOptions cluster;
  std::string key;
  std::optional<std::string> value;  // "-": standard input. Exactly one of value and file is there
  std::optional<std::string> file;
};

struct DeleteOptions {
  ClusterOptions cluster;
  std::string key;
};

struct StatusOptions {
  ClusterOptions cluster;
};

struct TransferOptions {
  ClusterOptions cluster;
  std::optional<std::uint64_t> to;  // a member's id, not checked
};

struct ServerOptions {
  std::uint64_t id = 0;  // place in the list, not checked yet
  std::string list_file;
  std::optional<std::string> data_dir;  // default: vesper-data/<id> beside the list
  std::optional<std::string> listen;    // HOST:PORT, unread; default: the node's line of the list
  std::vector<std::string> allow_hosts;
  std::optional<std::string> peer_key_file;
  bool insecure_peers = false;
  std::string log_level = "info";  // debug, info, warn or error
  // Limits and timeouts; empty: the server's own default.
  std::optional<std::uint64_t> max_connections, max_value, max_inflight;
  std::optional<std::uint64_t> snapshot_bytes, snapshot_entries, log_tail_bytes, log_tail_entries;
  std::optional<Duration> request_timeout, header_timeout, body_timeout, idle_timeout;
  std::optional<Duration> election_timeout, heartbeat, max_lease, found_after;
};

// The command was answered by parse_options() itself, or could not be understood.
struct ExitNow {
  int code = 0;
};

using Options = std::variant<ExitNow, ServerOptions, ClientOptions, GetOptions, PutOptions,
                             DeleteOptions, StatusOptions, TransferOptions>;

// Flags may stand before or after the command; "--" ends them; what follows client's address is
// never a flag. --help and --version go to stdout and exit with 0; an error goes to stderr, with a
// hint, and exits with 2.
Options parse_options(int argc, const char* const* argv);

}  // namespace vesper::app
