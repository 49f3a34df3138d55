// The settings of a server, fixed at startup. app/server_command.cpp makes them from the command
// line and checks them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/host_port.hpp"
#include "base/time.hpp"
#include "node/housekeeping.hpp"
#include "raft/types.hpp"

namespace vesper::server {

// Files in PEM form. Empty: not given.
struct TlsOptions {
  std::string certificate, key;    // of this server
  std::string authorities;         // that sign the servers; empty: the system's
  std::string client_authorities;  // that sign the clients; empty: clients need no certificate
  // While a cluster migrates to TLS: the list may mix both schemes, and a port that speaks TLS
  // takes plain connections, too.
  bool allow_mixed = false;
};

struct Options {
  // This node's index in `list`, from 0. Nothing: it joins a cluster, and `list` is empty.
  std::optional<std::uint32_t> id = 0;
  std::vector<HostPort> list;  // the first nodes, in the order of the list file
  HostPort address;            // at which the others reach this node
  // Members of the cluster that it waits to be added to. Only for the log: the cluster dials.
  std::vector<HostPort> join;
  std::string data_dir;
  // If the state of this node has diverged, sets the data directory aside at the start.
  bool discard_state = false;
  std::uint32_t feature_level = raft::kFeatureLevel;  // lower only in tests of upgrades
  std::optional<HostPort> listen;                     // default: `address`
  std::vector<std::string> allow_hosts;  // allowed in addition to those in `list`; "*": any

  std::size_t max_connections = 10'000;  // of clients
  std::size_t max_value = 8u << 20;      // bytes; at most kv::kMaxValue
  std::size_t inflight_bytes = 64u << 20;
  std::size_t max_leases = 100'000;
  std::size_t max_locks = 100'000;            // that are held, elections included
  std::size_t max_body_bytes = 256u << 20;    // of all requests being read
  std::size_t max_output_bytes = 256u << 20;  // of all answers not taken by the kernel yet

  // When snapshots are taken, and how much of the log before a snapshot stays in memory
  // (docs/snapshots.md).
  std::uint64_t snapshot_bytes = 64u << 20;
  std::uint64_t snapshot_entries = 1'000'000;
  // How much history the store keeps, and its quota, while this node leads.
  node::HistoryLimits history;
  std::uint64_t log_tail_bytes = 16u << 20;
  std::uint64_t log_tail_entries = 10'000;

  std::size_t max_watchers = 10'000;
  std::size_t max_watch_filters = 1'000;  // of one watch
  std::size_t max_waiters = 10'000;       // requests that wait for a change or a lock

  Duration request_timeout = seconds(5);  // for requests without ?timeout=
  Duration header_timeout = seconds(10);
  Duration body_timeout = seconds(30);  // without progress
  Duration idle_timeout = seconds(120);
  Duration write_timeout = seconds(30);  // without progress
  Duration linger_timeout = seconds(5);
  Duration shutdown_timeout = milliseconds(800);

  Duration election_timeout = milliseconds(150);  // each timeout is drawn from [this, 2 * this]
  Duration heartbeat = milliseconds(50);
  // The longest leader lease this node asks for as leader; 0: none.
  Duration max_lease = raft::kMaxLeaderLease;
  // How long a majority of a new list waits for servers that do not respond before it founds a
  // cluster.
  Duration found_after = seconds(5);

  bool chaos = false;      // offers /chaos, on loopback addresses only
  int supervisor_fd = -1;  // leads to the process that carries it out; -1: there is none

  std::string peer_key;  // content of the key file; empty: no key
  bool insecure_peers = false;
  bool insecure_clients = false;  // serve unproven clients at addresses other than loopback
  TlsOptions tls;
  std::optional<std::string> audit_log;  // a file
  bool audit_writes = false;             // data writes are in it, too
};

}  // namespace vesper::server
