// What a seed decides about a world before it starts, and what the command line removes from it.
// Removing parts finds the smallest world that still fails.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.hpp"
#include "node/node.hpp"
#include "raft/raft.hpp"
#include "storage/wal.hpp"

namespace vesper::sim {

enum class FaultKind : std::uint8_t {
  crash,      // kill -9
  power,      // power loss: unsynced data is gone
  torn,       // a crash inside a disk job
  effects,    // a crash between two effects of one turn
  pause,      // SIGSTOP
  slow,       // a process that gets little CPU time
  partition,  // groups, a bridge between them, a ring, single links
  oneway,     // messages of one direction are lost
  reset,      // connections end, and lose what is in flight on them
  loss,
  duplicate,
  delay,     // causes reordering, too
  stall,     // a disk that does not answer
  ioerror,   // a write or a sync that fails
  full,      // a disk without space
  wipe,      // a data directory is lost, another incarnation comes back
  shutdown,  // SIGTERM
  churn,     // every new leader is hit by a fault soon after its election
  skew,      // clocks run at different speeds
  jump,      // clocks jump forward
  core,      // a minority never comes back
  lists,     // the list of servers grows and shrinks between restarts
  flip,      // a bit of synced data, only with --flips
  ambush,    // a leader keeps a bare majority, which is killed and restarted at once
  hang,      // for minutes: servers, their disks or links hang; or no client asks for anything
  stretch,   // leaders also send other stretches of their logs
  narrow,    // slow links with queues that fill up
  members,   // servers are added, removed, replaced, promoted, demoted, or get another address
  returns,   // a lost disk comes back
  copies,    // a machine gets an older copy of its disk
  levels,    // servers run an older build, and are upgraded one by one
  kEnd
};
inline constexpr std::size_t kFaultKinds = static_cast<std::size_t>(FaultKind::kEnd);
std::string_view name_of(FaultKind kind);

struct Options {
  std::uint64_t seed = 1;
  bool trace = false;
  bool messages = false;      // also trace every message
  std::uint32_t without = 0;  // a bit for each FaultKind
  std::optional<std::size_t> servers, clients;
  std::optional<std::int64_t> seconds;  // the longest duration of faults
  bool flips = false;
  bool plant = false;  // makes one reply wrong, to test that a checker notices

  bool leaves_out(FaultKind kind) const {
    return (without >> static_cast<unsigned>(kind) & 1) != 0;
  }
};

// The command-line arguments that replay this world.
std::string arguments_of(const Options& options);
std::optional<FaultKind> fault_kind(std::string_view name);

struct Plan {
  std::size_t servers = 3;
  std::size_t spares = 0;  // machines that wait to be added
  std::size_t clients = 1;
  Duration faults;             // how long faults and clients continue
  Duration fault_gap_max;      // the longest time between two faults
  std::uint32_t kinds = 0;     // a bit for each FaultKind of this world
  bool lose_majority = false;  // of the disks: the cluster stops, and no other may be founded
  bool in_order = true;        // connections keep the order of messages, like TCP
  Duration delay_max;
  Duration disk_max;
  Duration client_gap_max;
  std::vector<std::int64_t> rates;  // of clocks, in millionths
  bool tokens = false;              // clients have tokens, and add and revoke some
  bool disables_tokens = false;     // and may allow everything to everyone again
  bool leader_leases = false;       // clocks meet the assumptions of leases: reads may use one
  Duration settle;                  // all servers must be healthy this long after the last fault
  // One server may be slow in the calm, too, while clients keep writing. Either each job of its
  // disk takes up to `slow_disk` longer, or its incoming links carry `slow_link` bytes a second.
  Duration slow_disk;
  std::int64_t slow_link = 0;
  node::NodeLimits limits;
  storage::WalOptions wal;
  raft::Config raft;  // except the identity of the server
  std::size_t max_idempotency_keys = kv::kMaxIdempotencyKeys;

  std::size_t machines() const { return servers + spares; }
  bool has(FaultKind kind) const { return (kinds >> static_cast<unsigned>(kind) & 1) != 0; }
};

Plan make_plan(const Options& options);

}  // namespace vesper::sim
