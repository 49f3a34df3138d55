// The parsed command line. parse_options() prints help and usage errors and has no other effect.
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
  std::optional<Duration> timeout;       // empty: the command's default
  std::optional<OutputFormat> output;    // empty: the command's default
  bool curl = false;                     // print the curl command in place of sending the request

  Duration time_limit() const { return timeout.value_or(seconds(5)); }
};

// Where a command takes the bytes that it sends from. Exactly one member is set.
struct InputOptions {
  std::optional<std::string> text;  // "-": standard input
  std::optional<std::string> file;
};

struct ClientOptions {
  std::string address;  // not parsed yet
  std::string key;
  std::optional<std::string> value;
  Duration timeout = seconds(5);
  bool curl = false;
};

struct GetOptions {
  ClusterOptions cluster;
  std::string key;
  std::string query;  // the read options, percent-encoded; may be empty
};

struct PutOptions {
  ClusterOptions cluster;
  std::string key;
  InputOptions value;
};

struct DeleteOptions {
  ClusterOptions cluster;
  std::string key;
};

// Deletes every key with this prefix. Empty: all keys.
struct DeletePrefixOptions {
  ClusterOptions cluster;
  std::string prefix;
};

struct IncrementOptions {
  ClusterOptions cluster;
  std::string key;
  std::string by;  // a signed 64-bit number, in decimal
};

struct AppendOptions {
  ClusterOptions cluster;
  std::string key;
  InputOptions suffix;
};

struct HistoryOptions {
  ClusterOptions cluster;
  std::string key;
  std::optional<std::uint64_t> limit;
  std::string query;  // the read options, percent-encoded; may be empty
};

struct RestoreOptions {
  ClusterOptions cluster;
  std::string key;
  std::uint64_t revision = 0;
};

struct ListOptions {
  enum class Content : std::uint8_t { by_format, keys, count };
  ClusterOptions cluster;
  std::string range;                     // prefix, or start and end, as parameters; may be empty
  std::string query;                     // the read options, percent-encoded; may be empty
  Content content = Content::by_format;  // by_format: values only if the format shows them
  std::optional<std::uint64_t> limit;    // of keys and folded prefixes
  bool reverse = false;
  bool ends_with_nul = false;  // raw: a NUL after each key in place of a newline
  std::optional<std::string> separator;
};

struct TxnOptions {
  ClusterOptions cluster;
  std::string file;  // "-": standard input
};

struct CompactOptions {
  ClusterOptions cluster;
  std::uint64_t revision = 0;
};

struct ExportOptions {
  ClusterOptions cluster;
  std::string prefix;
  std::optional<std::uint64_t> revision;
};

struct ImportOptions {
  ClusterOptions cluster;
  std::string file;  // "-": standard input
  std::uint64_t from_line = 1;
};

struct StatusOptions {
  ClusterOptions cluster;
};

struct TransferOptions {
  ClusterOptions cluster;
  std::optional<std::uint64_t> to;  // a member's id, not checked yet
};

struct CompletionOptions {
  enum class Shell : std::uint8_t { bash, zsh, fish };
  Shell shell = Shell::bash;
};

// Prints the manual page in roff.
struct ManualOptions {};

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
  std::optional<std::uint64_t> keep_history_bytes, keep_revisions, store_bytes;
  std::optional<Duration> keep_history;
  std::optional<Duration> request_timeout, header_timeout, body_timeout, idle_timeout;
  std::optional<Duration> election_timeout, heartbeat, max_lease, found_after;
};

// parse_options() has printed help, a version or a usage error; the process should exit.
struct ExitNow {
  int code = 0;
};

using Options =
    std::variant<ExitNow, ServerOptions, ClientOptions, GetOptions, PutOptions, DeleteOptions,
                 DeletePrefixOptions, IncrementOptions, AppendOptions, HistoryOptions,
                 RestoreOptions, ListOptions, TxnOptions, CompactOptions, ExportOptions,
                 ImportOptions, StatusOptions, TransferOptions, CompletionOptions, ManualOptions>;

// Flags may precede or follow the command, and "--" ends them. Arguments after client's address are
// never flags. --help and --version print to stdout and exit with 0. A usage error prints to
// stderr, with a hint, and exits with 2.
Options parse_options(int argc, const char* const* argv);

}  // namespace vesper::app
