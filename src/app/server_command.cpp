// `vesper server`: turns the command-line options into server::Options and runs the server.
#include "app/server_command.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "api/settings.hpp"
#include "app/call.hpp"
#include "app/cluster_file.hpp"
#include "app/endpoints.hpp"
#include "app/supervisor.hpp"
#include "base/bytes.hpp"
#include "base/heap.hpp"
#include "base/log.hpp"
#include "http/values.hpp"
#include "kv/item.hpp"
#include "server/certificates.hpp"
#include "server/core_dumps.hpp"
#include "server/server.hpp"

namespace vesper::app {
namespace {

constexpr std::size_t kMinKeyBytes = 16;
constexpr std::size_t kMaxKeyBytes = 4096;

vesper::HostPort to_server(const HostPort& address) {
  return {address.host, address.port, address.scheme};
}

std::optional<log::Level> parse_level(std::string_view text) {
  if (text == "debug") return log::Level::debug;
  if (text == "info") return log::Level::info;
  if (text == "warn") return log::Level::warn;
  if (text == "error") return log::Level::error;
  return std::nullopt;
}

// Relative to the list file, not to the current directory: a node that is started from another
// directory must not lose its vote.
std::string default_data_dir(const std::string& list_file, std::uint64_t id) {
  return (std::filesystem::path(list_file).parent_path() / "vesper-data" / std::to_string(id))
      .string();
}

// Trailing line ends are not part of the key, because editors add them.
Result<std::string> read_key(const std::string& path) {
  auto key = server::read_credential(path, server::Secrecy::secret);
  if (!key) return key;
  if (key->size() > kMaxKeyBytes)
    return Error{fmt::format("{}: more than {} bytes", escaped(path, 4096), kMaxKeyBytes)};
  while (!key->empty() && (key->back() == '\n' || key->back() == '\r')) key->pop_back();
  if (key->size() < kMinKeyBytes)
    return Error{fmt::format("{}: the key has {} bytes, expected at least {}", path, key->size(),
                             kMinKeyBytes)};
  return key;
}

// The descriptor that `vesper dev` has handed to this process. -1: it did not.
int supervisor_fd() {
  const char* text = std::getenv(Supervisor::kVariable);
  const auto number = text == nullptr ? std::nullopt : http::parse_decimal(text);
  return number && *number <= INT_MAX ? static_cast<int>(*number) : -1;
}

template <typename T, typename U>
void apply(const std::optional<U>& given, T& setting) {
  if (given) setting = *given;
}

// What an id and a list say.
Result<void> read_place(const ServerOptions& given, server::Options& options) {
  const auto list = read_cluster_file(given.list_file);
  if (!list) return list.error();
  const auto own = list->find(*given.id);
  if (!own) return own.error();
  if (const auto mixed = list->refuse_mixed(); mixed && !given.allow_mixed) return *mixed;
  options.id = static_cast<std::uint32_t>(*given.id);
  options.address = to_server(*own);
  for (const HostPort& address : list->servers) options.list.push_back(to_server(address));
  options.data_dir = given.data_dir.value_or(default_data_dir(given.list_file, *given.id));
  return {};
}

Result<void> read_join(const ServerOptions& given, server::Options& options) {
  const auto join = parse_endpoints(given.join);
  if (!join) return Error{fmt::format("--join: {}", join.error().what)};
  const auto own = parse_endpoint(given.address);
  if (!own) return Error{fmt::format("--address: {}", own.error().what)};
  if (http::is_unspecified(*own))
    return Error{
        fmt::format("--address \"{}\" means every interface; expected an address at which "
                    "other nodes can reach this one; pass this address to --listen",
                    escaped(given.address))};
  options.id.reset();
  options.address = to_server(*own);
  for (const HostPort& address : *join) options.join.push_back(to_server(address));
  options.data_dir = *given.data_dir;
  return {};
}

// Which of the TLS options need each other, and the scheme of the node's own address.
Result<void> read_tls(const ServerOptions& given, server::Options& options) {
  options.tls = {given.tls_cert, given.tls_key, given.tls_ca, given.tls_client_ca,
                 given.allow_mixed};
  const std::string url = url_of(options.address);
  if (given.tls_cert.empty() != given.tls_key.empty())
    return Error{"--tls-cert and --tls-key need each other"};
  const bool has_certificate = !given.tls_cert.empty();
  if (options.address.scheme == Scheme::https && !has_certificate)
    return Error{fmt::format("{} needs --tls-cert and --tls-key", url)};
  if (options.address.scheme == Scheme::http && has_certificate && !given.allow_mixed)
    return Error{fmt::format(
        "--tls-cert has no use, because this node's address is {}; make it https://, or give "
        "--allow-mixed while you migrate",
        url)};
  if (!given.tls_client_ca.empty() && !has_certificate)
    return Error{"--tls-client-ca needs --tls-cert and --tls-key"};
  return {};
}

Result<server::Options> to_options(const ServerOptions& given) {
  server::Options options;
  const auto placed = given.id ? read_place(given, options) : read_join(given, options);
  if (!placed) return placed.error();
  if (given.listen) {
    const auto listen = parse_host_port(*given.listen);
    if (!listen)
      return Error{fmt::format("--listen \"{}\": {}; expected host:port", escaped(*given.listen),
                               listen.error().what)};
    options.listen = to_server(*listen);
  }
  if (const auto tls = read_tls(given, options); !tls) return tls.error();
  options.allow_hosts = given.allow_hosts;
  options.insecure_peers = given.insecure_peers;
  options.insecure_clients = given.insecure_clients;
  options.discard_state = given.discard_state;
  options.chaos = given.chaos;
  options.supervisor_fd = given.chaos ? supervisor_fd() : -1;
  options.audit_log = given.audit_log;
  options.audit_writes = given.audit_writes;
  if (given.peer_key_file) {
    auto key = read_key(*given.peer_key_file);
    if (!key) return key.error();
    options.peer_key = std::move(key).value();
  }
  apply(given.max_connections, options.max_connections);
  apply(given.max_value, options.max_value);
  apply(given.max_inflight, options.inflight_bytes);
  apply(given.max_leases, options.max_leases);
  apply(given.max_locks, options.max_locks);
  apply(given.snapshot_bytes, options.snapshot_bytes);
  apply(given.snapshot_entries, options.snapshot_entries);
  apply(given.keep_history, options.history.keep_time);
  apply(given.keep_history_bytes, options.history.keep_bytes);
  apply(given.keep_revisions, options.history.keep_revisions);
  apply(given.store_bytes, options.history.store_bytes);
  apply(given.max_watchers, options.max_watchers);
  apply(given.max_watch_filters, options.max_watch_filters);
  apply(given.max_waiters, options.max_waiters);
  apply(given.log_tail_bytes, options.log_tail_bytes);
  apply(given.log_tail_entries, options.log_tail_entries);
  apply(given.request_timeout, options.request_timeout);
  apply(given.header_timeout, options.header_timeout);
  apply(given.body_timeout, options.body_timeout);
  apply(given.idle_timeout, options.idle_timeout);
  apply(given.election_timeout, options.election_timeout);
  apply(given.heartbeat, options.heartbeat);
  options.max_lease = std::min(options.max_lease, options.election_timeout);
  apply(given.max_lease, options.max_lease);
  apply(given.found_after, options.found_after);
  if (options.max_value > kv::kMaxValue)
    return Error{
        fmt::format("--max-value {}: expected at most {}", options.max_value, kv::kMaxValue)};
  if (options.request_timeout < api::kMinTimeout || options.request_timeout > api::kMaxTimeout)
    return Error{
        fmt::format("--request-timeout {}ms: expected 10ms to 60s", options.request_timeout.ms())};
  // A restarted server waits only for kMaxLeaderLease, so a longer lease would be unsafe. A lease
  // longer than the election timeout would delay elections beyond what the user configured.
  if (options.max_lease > std::min(raft::kMaxLeaderLease, options.election_timeout))
    return Error{fmt::format(
        "--max-lease {}ms: expected at most 100ms and at most --election-timeout ({}ms)",
        options.max_lease.ms(), options.election_timeout.ms())};
  // Two heartbeats may be lost before a follower suspects the leader (Raft §5.6).
  if (options.heartbeat * 2 > options.election_timeout)
    return Error{fmt::format("--heartbeat {}ms: expected at most half of --election-timeout ({}ms)",
                             options.heartbeat.ms(), options.election_timeout.ms())};
  return options;
}

// SIGHUP reads files again, and never ends a server. While the loop does not listen for it, nothing
// is lost if it is ignored: the files are still to be read.
void ignore_hang_up() {
  std::signal(SIGHUP, SIG_IGN);
}

// Replaces this process with a new one of the same program and arguments. Returns only if that
// fails. Every descriptor except the standard streams is close-on-exec.
int restart() {
  ignore_hang_up();
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::string line{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  std::vector<char*> arguments;
  for (std::size_t at = 0; at < line.size(); at += std::strlen(&line[at]) + 1)
    arguments.push_back(&line[at]);
  arguments.push_back(nullptr);
  // By its path, so that the process keeps its name. A program that was removed has none.
  std::error_code none;
  const auto path = std::filesystem::read_symlink("/proc/self/exe", none);
  if (arguments.size() > 1) {
    ::execv(path.c_str(), arguments.data());
    ::execv("/proc/self/exe", arguments.data());
  }
  log::error("cannot start again by itself ({}) -> start this server again", std::strerror(errno));
  log::finish();
  return static_cast<int>(server::Exit::data_directory);
}

std::uint32_t feature_level = raft::kFeatureLevel;

}  // namespace

void lower_feature_level(std::uint32_t level) {
  feature_level = level;
}

int run_server(const ServerOptions& given) {
  ignore_hang_up();
  const auto level = parse_level(given.log_level);
  if (!level) {
    complain(fmt::format("--log-level \"{}\": expected debug, info, warn or error",
                         escaped(given.log_level)));
    return kExitUsage;
  }
  auto options = to_options(given);
  if (!options) {
    complain(options.error().what);
    return kExitUsage;
  }
  options->feature_level = feature_level;
  if (!options->peer_key.empty() || !options->tls.key.empty()) server::forbid_core_dumps();
  set_up_heap();
  log::init(*level, given.id ? fmt::format("n{}", *given.id) : std::string("new"));
  server::Server node(std::move(options).value());
  const server::Exit exit = node.run();
  return exit == server::Exit::restart ? restart() : static_cast<int>(exit);
}

}  // namespace vesper::app
