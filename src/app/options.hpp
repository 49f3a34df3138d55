// The parsed command line. The .cpp file is the only user of CLI11. It prints help and usage errors
// and has no other effect.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/time.hpp"

namespace vesper::app {

enum class OutputFormat : std::uint8_t { raw, table, json };

// Options of every command that talks to a cluster.
struct ClusterOptions {
  std::optional<std::string> endpoints;  // --endpoints, not parsed yet
  Duration timeout = seconds(5);
  std::optional<OutputFormat> output;  // empty: the command's default
};

struct ClientOptions {
  std::string address;  // not parsed yet
  std::string key;
  std::optional<std::string> value;
  Duration timeout = seconds(5);
};

struct GetOptions {
  ClusterOptions cluster;
  std::string key;
  std::string query;  // the read options, percent-encoded; may be empty
};

struct PutOptions {
  ClusterOptions cluster;
  std::string key;
  std::optional<std::string> value;  // "-": standard input. Exactly one of value and file is set
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
  std::optional<std::uint64_t> to;  // a member's id, not checked yet
};

struct ServerOptions {
  std::uint64_t id = 0;  // index in the list, not checked yet
  std::string list_file;
  std::optional<std::string> data_dir;  // default: vesper-data/<id> beside the list file
  // HOST:PORT, not parsed yet; default: the node's own address in the list.
  std::optional<std::string> listen;
  std::vector<std::string> allow_hosts;
  std::optional<std::string> peer_key_file;
  bool insecure_peers = false;
  std::string log_level = "info";  // debug, info, warn or error
  // Limits and timeouts. Empty: the server's default.
  std::optional<std::uint64_t> max_connections, max_value, max_inflight;
  std::optional<std::uint64_t> snapshot_bytes, snapshot_entries, log_tail_bytes, log_tail_entries;
  std::optional<Duration> request_timeout, header_timeout, body_timeout, idle_timeout;
  std::optional<Duration> election_timeout, heartbeat, max_lease, found_after;
};

// parse_options() has printed help, a version or a usage error; the process should exit.
struct ExitNow {
  int code = 0;
};

using Options = std::variant<ExitNow, ServerOptions, ClientOptions, GetOptions, PutOptions,
                             DeleteOptions, StatusOptions, TransferOptions>;

// Flags may precede or follow the command, and "--" ends them. Arguments after client's address are
// never flags. --help and --version print to stdout and exit with 0. A usage error prints to
// stderr, with a hint, and exits with 2.
Options parse_options(int argc, const char* const* argv);

}  // namespace vesper::app
