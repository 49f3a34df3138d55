// The syntax of the commands that run a node or look at the cluster, and of the seed's client.
#include <fmt/core.h>

#include <iterator>

#include "app/command_list.hpp"
#include "base/bytes.hpp"
#include "http/values.hpp"

namespace vesper::app {
namespace {

// A limit or timeout of `server`. Exactly one of the member pointers is set.
struct Setting {
  const char* flag;
  const char* help;
  std::optional<std::uint64_t> ServerOptions::*number = nullptr;
  std::optional<std::uint64_t> ServerOptions::*size = nullptr;
  std::optional<Duration> ServerOptions::*duration = nullptr;

  const char* value_name() const {
    return number != nullptr ? "N" : size != nullptr ? "BYTES" : "DURATION";
  }
};
constexpr Setting kSettings[] = {
    {.flag = "--max-connections",
     .help = "most client connections (default 10000)",
     .number = &ServerOptions::max_connections},
    {.flag = "--max-value",
     .help = "largest value (default 8MiB, the upper limit)",
     .size = &ServerOptions::max_value},
    {.flag = "--max-inflight",
     .help = "most bytes of writes in flight (default 64MiB)",
     .size = &ServerOptions::max_inflight},
    {.flag = "--max-leases",
     .help = "most leases (default 100000)",
     .number = &ServerOptions::max_leases},
    {.flag = "--max-locks",
     .help = "most held locks and elections (default 100000)",
     .number = &ServerOptions::max_locks},
    {.flag = "--snapshot-bytes",
     .help = "take a snapshot each time the log passes a multiple of this (default 64MiB)",
     .size = &ServerOptions::snapshot_bytes},
    {.flag = "--snapshot-entries",
     .help = "the same, in entries (default 1000000)",
     .number = &ServerOptions::snapshot_entries},
    {.flag = "--keep-history",
     .help = "how long old versions stay readable (default 10m)",
     .duration = &ServerOptions::keep_history},
    {.flag = "--keep-history-bytes",
     .help = "most bytes of old versions (default 256MiB)",
     .size = &ServerOptions::keep_history_bytes},
    {.flag = "--keep-revisions",
     .help = "most revisions that stay readable (default: no bound)",
     .number = &ServerOptions::keep_revisions},
    {.flag = "--store-bytes",
     .help = "quota on keys, values and history (default 8GiB)",
     .size = &ServerOptions::store_bytes},
    {.flag = "--log-tail-bytes",
     .help = "bytes of log kept in memory when a snapshot cuts it (default 16MiB)",
     .size = &ServerOptions::log_tail_bytes},
    {.flag = "--log-tail-entries",
     .help = "the same, in entries (default 10000)",
     .number = &ServerOptions::log_tail_entries},
    {.flag = "--max-watchers",
     .help = "most watches of this node (default 10000)",
     .number = &ServerOptions::max_watchers},
    {.flag = "--max-watch-filters",
     .help = "most filters of one watch (default 1000)",
     .number = &ServerOptions::max_watch_filters},
    {.flag = "--max-waiters",
     .help = "most requests that wait for a change or a lock (default 10000)",
     .number = &ServerOptions::max_waiters},
    {.flag = "--request-timeout",
     .help = "for a request without ?timeout= (default 5s)",
     .duration = &ServerOptions::request_timeout},
    {.flag = "--header-timeout",
     .help = "for the head of a request to arrive (default 10s)",
     .duration = &ServerOptions::header_timeout},
    {.flag = "--body-timeout",
     .help = "for the next part of a body to arrive (default 30s)",
     .duration = &ServerOptions::body_timeout},
    {.flag = "--idle-timeout",
     .help = "for the next request of a connection to arrive (default 120s)",
     .duration = &ServerOptions::idle_timeout},
    {.flag = "--election-timeout",
     .help = "lower bound of a random timeout; upper bound: twice this (default 150ms)",
     .duration = &ServerOptions::election_timeout},
    {.flag = "--heartbeat",
     .help = "interval between a leader's heartbeats (default 50ms)",
     .duration = &ServerOptions::heartbeat},
    {.flag = "--max-lease",
     .help = "longest lease of this node as leader (default 100ms, the upper limit; 0: none)",
     .duration = &ServerOptions::max_lease},
    {.flag = "--found-after",
     .help = "how long a majority waits for the others before it founds a cluster (default 5s)",
     .duration = &ServerOptions::found_after},
};

void define_server(Syntax& syntax) {
  syntax.argument("<id>", Need::optional);
  syntax.argument("<ip-list-file>", Need::optional);
  syntax.option("--join", "URL[,URL]",
                "instead of <id> and list: wait to be added to the cluster of these nodes");
  syntax.option("--address", "URL", "with --join: where the others reach this node");
  syntax.option("--data-dir", "DIR", "default: vesper-data/<id> beside the list");
  syntax.option("--listen", "HOST:PORT",
                "default: host and port of the node's own line in the list");
  syntax.repeatable_option("--allow-host", "NAME", "accept this Host from browsers; * accepts any");
  syntax.option("--peer-key-file", "FILE", "holds a secret that all nodes share");
  syntax.flag("--insecure-peers",
              "connect to nodes at addresses other than loopback without a key");
  syntax.flag("--insecure-clients",
              "serve anyone at addresses other than loopback, without proof or TLS");
  syntax.option("--tls-cert", "FILE",
                "this node's certificate and its chain, for https:// in the list");
  syntax.option("--tls-key", "FILE", "the key of --tls-cert");
  syntax.option("--tls-ca", "FILE", "who signs the nodes' certificates (default: the system's)");
  syntax.option("--tls-client-ca", "FILE", "clients need a certificate that these have signed");
  syntax.flag("--allow-mixed", "while migrating to TLS: mix http and https, and take both");
  syntax.option("--audit-log", "FILE",
                "append a line of JSON for each administrative act and refused access");
  syntax.flag("--audit-writes", "with --audit-log: also for each write of data, by key");
  syntax.flag("--discard-state", "set a diverged state aside, and take a copy from the leader");
  syntax.flag("--chaos", "let clients break this node with /chaos; only on loopback addresses");
  syntax.option("--log-level", "debug|info|warn|error", "default: info");
  for (const Setting& setting : kSettings)
    syntax.option(setting.flag, setting.value_name(), setting.help);
}

void read_setting(const Setting& setting, Arguments& arguments, ServerOptions& server) {
  if (!arguments.has(setting.flag)) return;
  if (setting.number != nullptr) {
    server.*setting.number = arguments.number(setting.flag);
    return;
  }
  if (setting.size != nullptr) {
    server.*setting.size = arguments.size(setting.flag);
    return;
  }
  // 0 is not a valid duration elsewhere. Here it disables the lease.
  const std::string text = arguments.text(setting.flag);
  const bool none = (text == "0" || text == "0ms") && setting.duration == &ServerOptions::max_lease;
  server.*setting.duration = none ? Duration{} : arguments.duration(setting.flag);
}

// A node of the first list.
void parse_place(Arguments& arguments, ServerOptions& server) {
  for (const char* name : {"<id>", "<ip-list-file>"})
    if (!arguments.has(name)) return arguments.fail(fmt::format("{} is required", name));
  if (arguments.has("--address")) return arguments.fail("--address is only for --join");
  server.id = http::parse_decimal(arguments.text("<id>"));
  if (!server.id) arguments.expected("<id>", "the number of a line in the list, counted from 0");
  server.list_file = arguments.text("<ip-list-file>");
}

// A node that joins a cluster.
void parse_join(Arguments& arguments, ServerOptions& server) {
  if (arguments.has("<id>")) return arguments.fail("--join takes no <id> and no list");
  for (const char* name : {"--address", "--data-dir"})
    if (!arguments.has(name)) return arguments.fail(fmt::format("--join needs {}", name));
  server.join = arguments.text("--join");
  server.address = arguments.text("--address");
}

Options read_server(Arguments& arguments) {
  ServerOptions server;
  server.data_dir = arguments.optional_text("--data-dir");
  if (arguments.has("--join")) parse_join(arguments, server);
  else parse_place(arguments, server);
  server.listen = arguments.optional_text("--listen");
  server.peer_key_file = arguments.optional_text("--peer-key-file");
  server.allow_hosts = arguments.syntax().texts("--allow-host");
  server.insecure_peers = arguments.has("--insecure-peers");
  server.insecure_clients = arguments.has("--insecure-clients");
  server.tls_cert = arguments.text("--tls-cert");
  server.tls_key = arguments.text("--tls-key");
  server.tls_ca = arguments.text("--tls-ca");
  server.tls_client_ca = arguments.text("--tls-client-ca");
  server.allow_mixed = arguments.has("--allow-mixed");
  server.audit_log = arguments.optional_text("--audit-log");
  server.audit_writes = arguments.has("--audit-writes");
  if (server.audit_writes && !server.audit_log) arguments.fail("--audit-writes needs --audit-log");
  server.discard_state = arguments.has("--discard-state");
  server.chaos = arguments.has("--chaos");
  if (const auto level = arguments.choice("--log-level")) server.log_level = *level;
  for (const Setting& setting : kSettings) read_setting(setting, arguments, server);
  return server;
}

void define_status(Syntax& syntax) {
  define_cluster(syntax, "1s per node");
  syntax.flag("--json", "the same as -o json");
}

Options read_status(Arguments& arguments) {
  return StatusOptions{arguments.cluster()};
}

void define_top(Syntax& syntax) {
  define_endpoints(syntax, "1s per node");
  syntax.option("--interval", "DURATION", "how often to ask all nodes (default 1s)");
  syntax.flag("--once", "print it as text, after one interval, and end");
}

Options read_top(Arguments& arguments) {
  TopOptions top{arguments.cluster()};
  if (const auto interval = arguments.duration("--interval")) top.interval = *interval;
  if (top.interval < TopOptions::kLeastInterval || top.interval > TopOptions::kMostInterval)
    arguments.expected("--interval", "a duration from 100ms to 60s");
  top.once = arguments.has("--once");
  return top;
}

void define_recover(Syntax& syntax) {
  syntax.repeatable_argument("DIR", Need::required);
  syntax.flag("--yes", "do not ask for a confirmation");
  syntax.flag("--reset-root",
              "only make a new root token, which the next start of DIR puts in force");
  define_tls(syntax);
  define_token_file(syntax);
}

Options read_recover(Arguments& arguments) {
  RecoverOptions recover{arguments.syntax().texts("DIR"), arguments.has("--yes"),
                         arguments.has("--reset-root"), arguments.tls(),
                         arguments.optional_text("--token-file")};
  if (recover.reset_root && recover.directories.size() != 1)
    arguments.fail("--reset-root takes one directory, that of any server of the cluster");
  return recover;
}

void define_dev(Syntax& syntax) {
  syntax.option("--nodes", "N", "how many nodes, 1 to 9 (default 5)");
  syntax.option("--dir", "DIR", "keep list, data and logs there (default: a temporary directory)");
  syntax.option("--port", "PORT", "of node 0; those of the others follow (default: free ones)");
  syntax.flag("--tls", "speak TLS, with certificates of an authority in DIR/pki");
}

Options read_dev(Arguments& arguments) {
  DevOptions dev;
  dev.nodes = arguments.number("--nodes");
  if (dev.nodes && *dev.nodes > DevOptions::kMaxNodes)
    arguments.expected("--nodes", fmt::format("a number from 1 to {}", DevOptions::kMaxNodes));
  dev.dir = arguments.optional_text("--dir");
  if (dev.dir && dev.dir->empty()) arguments.expected("--dir", "the name of a directory");
  const auto port = arguments.number("--port");
  if (port && *port > 65'535) arguments.expected("--port", "a number from 1 to 65535");
  if (port) dev.port = static_cast<std::uint16_t>(*port);
  dev.tls = arguments.has("--tls");
  return dev;
}

constexpr const char* kPkiActions = "init|add";

void define_pki(Syntax& syntax) {
  syntax.argument(kPkiActions, Need::required);
  syntax.argument("DIR", Need::required);
  syntax.option("--hosts", "HOST,HOST", "names or IP addresses of the nodes, as in the list");
}

Options read_pki(Arguments& arguments) {
  PkiOptions pki;
  const std::string action = arguments.text(kPkiActions);
  if (action == "add") pki.action = PkiOptions::Action::add;
  else if (action != "init")
    arguments.fail(fmt::format("\"{}\": expected init or add", escaped(action)));
  pki.directory = arguments.text("DIR");
  if (!arguments.has("--hosts"))
    arguments.fail("--hosts is missing: the nodes' names or addresses");
  const std::string given = arguments.text("--hosts");
  std::string_view rest = given;
  while (!rest.empty()) {
    const std::size_t comma = rest.find(',');
    pki.hosts.emplace_back(rest.substr(0, comma));
    rest.remove_prefix(comma == rest.npos ? rest.size() : comma + 1);
  }
  if (pki.hosts.empty()) arguments.expected("--hosts", "names or IP addresses");
  return pki;
}

void define_client(Syntax& syntax) {
  syntax.argument("<address>", Need::required);
  syntax.argument("<key>", Need::required);
  syntax.argument("<value>", Need::optional);
  define_timeout(syntax);
  syntax.flag("--curl", "print the curl command in place of sending the request");
  define_tls(syntax);
  define_token_file(syntax);
}

Options read_client(Arguments& arguments) {
  ClientOptions client{arguments.text("<address>"), arguments.text("<key>"),
                       arguments.optional_text("<value>")};
  if (const auto timeout = arguments.duration("--timeout")) client.timeout = *timeout;
  client.curl = arguments.has("--curl");
  client.tls = arguments.tls();
  client.token_file = arguments.optional_text("--token-file");
  return client;
}

void define_completion(Syntax& syntax) {
  syntax.argument("bash|zsh|fish", Need::required);
}

Options read_completion(Arguments& arguments) {
  const std::string shell = arguments.text("bash|zsh|fish");
  if (shell == "zsh") return CompletionOptions{CompletionOptions::Shell::zsh};
  if (shell == "fish") return CompletionOptions{CompletionOptions::Shell::fish};
  if (shell != "bash")
    arguments.fail(fmt::format("\"{}\": expected bash, zsh or fish", escaped(shell)));
  return CompletionOptions{CompletionOptions::Shell::bash};
}

void define_nothing(Syntax&) {}

Options read_manual(Arguments&) {
  return ManualOptions{};
}

constexpr Command kNodeCommands[] = {
    {"server", define_server, read_server},
    {"dev", define_dev, read_dev},
    {"status", define_status, read_status},
    {"top", define_top, read_top},
    {"cluster", define_cluster_command, read_cluster_command},
    {"auth", define_auth_command, read_auth_command},
    {"recover", define_recover, read_recover},
    {"pki", define_pki, read_pki},
};
constexpr Command kOtherCommands[] = {
    {"client", define_client, read_client},
    {"completion", define_completion, read_completion},
    {"man", define_nothing, read_manual, Command::Listing::hidden},
};

}  // namespace

std::span<const Command> node_commands() {
  return kNodeCommands;
}

std::span<const Command> other_commands() {
  return kOtherCommands;
}

}  // namespace vesper::app
