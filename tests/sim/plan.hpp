// What a seed makes of a world before anything happens in it, and what the command line takes away
// from it: parts can be left out, to find the smallest world in which something goes wrong.
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
  power,      // with loss of what was not synced
  torn,       // a crash inside a disk job
  effects,    // a crash between two effects of one turn
  pause,      // SIGSTOP
  slow,       // a process that gets little of its processor
  partition,  // groups, a bridge between them, a ring, one link
  oneway,     // messages of one direction are lost
  reset,      // connections end, with what is under way on them
  loss,
  duplicate,
  delay,     // and so reordering
  stall,     // a disk that does not answer
  ioerror,   // a write or a sync that fails
  full,      // a disk without space
  wipe,      // a data directory is lost, another incarnation comes back
  shutdown,  // SIGTERM
  churn,     // every new leader is struck soon after its election
  skew,      // clocks of different speed
  jump,      // clocks jump forward
  core,      // a minority never comes back
  lists,     // the list of servers grows and shrinks between restarts
  flip,      // a bit of synced data, only with --flips
  ambush,    // a leader keeps a bare majority, which is killed and is back at once
  hang,      // for minutes: servers, their disks or links; or nobody asks for anything
  stretch,   // leaders send other stretches of their logs, too
  narrow,    // links that carry little, with queues that fill up
  kEnd
};
inline constexpr std::size_t kFaultKinds = static_cast<std::size_t>(FaultKind::kEnd);
std::string_view name_of(FaultKind kind);

struct Options {
  std::uint64_t seed = 1;
  bool trace = false;
  bool messages = false;      // in the trace, too
  std::uint32_t without = 0;  // a bit for each FaultKind
  std::optional<std::size_t> servers, clients;
  std::optional<std::int64_t> seconds;  // of faults
  bool flips = false;
  bool plant = false;  // one answer is wrong on purpose: does anybody notice?

  bool leaves_out(FaultKind kind) const {
    return (without >> static_cast<unsigned>(kind) & 1) != 0;
  }
};

// The arguments that make this world again.
std::string arguments_of(const Options& options);
std::optional<FaultKind> fault_kind(std::string_view name);

struct Plan {
  std::size_t servers = 3;
  std::size_t clients = 1;
  Duration faults;             // how long faults and clients go on
  Duration fault_gap_max;      // between two faults
  std::uint32_t kinds = 0;     // a bit for each FaultKind that happens here
  bool lose_majority = false;  // of the disks: the cluster cannot go on, and no other may begin
  bool in_order = true;        // connections keep the order of messages, as TCP does
  Duration delay_max;
  Duration disk_max;
  Duration client_gap_max;
  std::vector<std::int64_t> rates;  // of clocks, in millionths
  bool leases = false;              // clocks keep to what leases assume: reads may take one
  Duration settle;                  // within this after the last fault all must be well
  // Or one server is slow in the calm, too, while clients write on: each job of its disk takes up
  // to so much longer, or its links carry so many bytes a second to it.
  Duration slow_disk;
  std::int64_t slow_link = 0;
  node::NodeLimits limits;
  storage::WalOptions wal;
  raft::Config raft;  // but for who it is
  std::size_t max_idempotency_keys = kv::kMaxIdempotencyKeys;

  bool has(FaultKind kind) const { return (kinds >> static_cast<unsigned>(kind) & 1) != 0; }
};

Plan make_plan(const Options& options);

}  // namespace vesper::sim
