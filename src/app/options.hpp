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

// TLS of a client. Files in PEM form; empty: not given.
struct TlsFlags {
  std::string cacert, cert, key;
  bool insecure = false;  // believe any server
};

// Options of every command that talks to a cluster.
struct ClusterOptions {
  std::optional<std::string> endpoints;   // --endpoints, not parsed yet
  std::optional<Duration> timeout;        // empty: the command's default
  std::optional<OutputFormat> output;     // empty: the command's default
  bool curl = false;                      // print the curl command in place of sending the request
  std::optional<std::string> token_file;  // "-": standard input; empty: VESPER_TOKEN
  TlsFlags tls;

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
  TlsFlags tls;
  std::optional<std::string> token_file;  // as in ClusterOptions
};

struct GetOptions {
  ClusterOptions cluster;
  std::string key;
  std::string query;  // the read options, percent-encoded; may be empty
};

// `query` of these holds parameters of the request, percent-encoded. It may be empty.
struct PutOptions {
  ClusterOptions cluster;
  std::string key;
  InputOptions value;
  std::string query;
};

struct DeleteOptions {
  ClusterOptions cluster;
  std::string key;
  std::string query;
};

// Deletes every key with this prefix. Empty: all keys.
struct DeletePrefixOptions {
  ClusterOptions cluster;
  std::string prefix;
  std::string query;
};

struct IncrementOptions {
  ClusterOptions cluster;
  std::string key;
  std::string by;  // a signed 64-bit number, in decimal
  std::string query;
};

struct AppendOptions {
  ClusterOptions cluster;
  std::string key;
  InputOptions suffix;
  std::string query;
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
  static constexpr std::uint64_t kMaxPage = 10'000;  // the largest ?limit= that a server accepts

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
  std::string query;
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

struct TopOptions {
  static constexpr Duration kLeastInterval = milliseconds(100);
  static constexpr Duration kMostInterval = seconds(60);
  ClusterOptions cluster;  // endpoints and timeout only
  Duration interval = seconds(1);
  bool once = false;  // print it once, as text
};

struct TransferOptions {
  ClusterOptions cluster;
  std::optional<std::uint64_t> to;  // a member's id, not checked yet
};

struct ClusterStatusOptions {
  ClusterOptions cluster;
};

struct MembersOptions {
  ClusterOptions cluster;
  std::string body;   // of POST /cluster/members
  std::string query;  // percent-encoded; may be empty
  Duration wait;      // for promotions; part of `query`, too
};

struct AuthOptions {
  enum class Action : std::uint8_t { enable, disable, add, list, revoke };
  ClusterOptions cluster;
  Action action = Action::enable;
  std::string name;  // of the token that is added or revoked
  std::string body;  // of POST /auth/tokens
};

struct WatchOptions {
  ClusterOptions cluster;
  std::string query;                 // what to watch, percent-encoded
  std::optional<std::string> since;  // the id of an event, such as 7 or 7.2
  bool initial = false;              // begin with the present state
  std::vector<std::string> exec;     // the program to run for each event; empty: print it
};

struct LeaseOptions {
  enum class Action : std::uint8_t { grant, renew, keep, get, end, list };
  ClusterOptions cluster;
  Action action = Action::grant;
  Duration ttl;          // of a grant
  std::uint64_t id = 0;  // except of a grant and a list
};

// `vesper lock` and `vesper elect`.
struct LockOptions {
  enum class Kind : std::uint8_t { lock, election };
  enum class Action : std::uint8_t { acquire, renew, release, list };
  ClusterOptions cluster;
  Kind kind = Kind::lock;
  Action action = Action::acquire;
  std::string name;                  // of a list: a prefix
  std::optional<std::string> value;  // of an election
  Duration ttl = seconds(15);        // the server's default, too
  std::optional<Duration> wait;      // 0: not at all; empty: as long as it takes
  std::uint64_t token = 0;           // to renew or to release
  std::vector<std::string> program;  // to run while the lock is held; may be empty
};

// Offline: makes the best of these data directories the start of a new cluster.
struct RecoverOptions {
  std::vector<std::string> directories;
  bool yes = false;         // without a confirmation
  bool reset_root = false;  // only makes a new root token, at the next start
  TlsFlags tls;             // to ask whether members still run
  std::optional<std::string> token_file;
};

// A cluster of child processes on this machine.
struct DevOptions {
  static constexpr std::uint64_t kDefaultNodes = 5;
  static constexpr std::uint64_t kMaxNodes = 9;
  std::optional<std::uint64_t> nodes;  // 1 to kMaxNodes; empty: kDefaultNodes, or as the list says
  std::optional<std::string> dir;      // empty: a temporary directory
  std::optional<std::uint16_t> port;   // of node 0; those of the others follow. Empty: free ones
  bool tls = false;                    // a new cluster speaks TLS
};

// Certificates for a cluster.
struct PkiOptions {
  enum class Action : std::uint8_t {
    init,  // a new authority, nodes and a client
    add,   // further nodes
  };
  Action action = Action::init;
  std::string directory;
  std::vector<std::string> hosts;  // not checked yet; at least one
};

struct CompletionOptions {
  enum class Shell : std::uint8_t { bash, zsh, fish };
  Shell shell = Shell::bash;
};

// Prints the manual page in roff.
struct ManualOptions {};

struct ServerOptions {
  // Either an id and a list, or what --join and --address say. Not checked yet.
  std::optional<std::uint64_t> id;  // index in the list
  std::string list_file;
  std::string join;     // URLs of members, comma-separated
  std::string address;  // a URL: where the others reach this node
  // Default: vesper-data/<id> beside the list file. Needed with --join.
  std::optional<std::string> data_dir;
  // HOST:PORT, not parsed yet; default: the node's own address in the list.
  std::optional<std::string> listen;
  std::vector<std::string> allow_hosts;
  std::optional<std::string> peer_key_file;
  bool insecure_peers = false;
  bool insecure_clients = false;
  std::string tls_cert, tls_key, tls_ca, tls_client_ca;  // files; empty: not given
  bool allow_mixed = false;
  bool discard_state = false;
  bool chaos = false;
  std::optional<std::string> audit_log;
  bool audit_writes = false;
  std::string log_level = "info";  // debug, info, warn or error
  // Limits and timeouts. Empty: the server's default.
  std::optional<std::uint64_t> max_connections, max_value, max_inflight;
  std::optional<std::uint64_t> max_leases, max_locks;
  std::optional<std::uint64_t> snapshot_bytes, snapshot_entries, log_tail_bytes, log_tail_entries;
  std::optional<std::uint64_t> keep_history_bytes, keep_revisions, store_bytes;
  std::optional<std::uint64_t> max_watchers, max_watch_filters, max_waiters;
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
                 ImportOptions, WatchOptions, LeaseOptions, LockOptions, StatusOptions, TopOptions,
                 TransferOptions, ClusterStatusOptions, MembersOptions, AuthOptions, RecoverOptions,
                 DevOptions, PkiOptions, CompletionOptions, ManualOptions>;

// Flags may precede or follow the command, and "--" ends them. Arguments after client's address are
// never flags. --help and --version print to stdout and exit with 0. A usage error prints to
// stderr, with a hint, and exits with 2.
Options parse_options(int argc, const char* const* argv);

}  // namespace vesper::app
