// The terms of the Raft paper as types. No code in src/raft opens a file, reads a clock, calls
// back, or draws a random number except from the seed in its configuration.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/time.hpp"

namespace vesper::raft {

using Term = StrongId<struct TermTag, std::uint64_t>;          // 0: before the first election
using Index = StrongId<struct IndexTag, std::uint64_t>;        // 1-based; 0: before the first entry
using ServerId = StrongId<struct ServerIdTag, std::uint32_t>;  // 0-based, below kMaxServers
using Incarnation = StrongId<struct IncarnationTag, std::uint64_t>;  // of a data directory; 0: none
using BootId = StrongId<struct BootIdTag, std::uint64_t>;            // of a process; 0: none
using WriteNumber = StrongId<struct WriteNumberTag, std::uint64_t>;  // 1-based; 0: nothing written
using LogTime = StrongId<struct LogTimeTag, std::int64_t>;  // ns of the cluster's clock, from 0

inline constexpr std::uint32_t kMaxServers = 64;
// Passed to Raft::send() for a message that needs no Write except the one that makes its term
// durable.
inline constexpr WriteNumber kTermOnly{0};
// A larger term is refused from any source. It could only be damage or forgery, and the limit keeps
// arithmetic on terms from wrapping.
inline constexpr Term kMaxTerm{std::uint64_t{1} << 62};
// A snapshot that claims a larger index, and a log time outside [0, kMaxLogTime], are refused for
// the same reason. kMaxLogTime is 146 years of a cluster's life.
inline constexpr Index kMaxIndex{std::uint64_t{1} << 62};
inline constexpr LogTime kMaxLogTime{std::int64_t{1} << 62};

// No leader requests a longer lease, and no server promises one. This is a constant and not a
// setting, because a restarted server waits until every promise that it may have made to any leader
// has ended.
inline constexpr Duration kMaxLeaderLease = milliseconds(100);
// A leader's statement that is older than this is not used for freshness.
inline constexpr Duration kMaxAge = seconds(24 * 3600);

// The source of an entry: the sequence-th write of one process. {0, 0, 0} for entries that no
// client requested.
struct Origin {
  ServerId server;
  BootId boot;
  std::uint64_t sequence = 0;

  auto operator<=>(const Origin&) const = default;
  bool is_none() const { return boot.value == 0; }
};

enum class EntryType : std::uint8_t {
  noop = 1,          // §8: the first entry of a term
  bootstrap = 2,     // cluster id and voters; the first entry of a log
  registration = 3,  // the incarnation of a voter that was unknown at the bootstrap
  command = 4,       // a client's write, opaque to raft
};

// An entry of the log. `bytes` is its byte form, the same in memory, in AppendEntries and on every
// disk (raft/entry.hpp). The other fields are decoded from it once. Only make_entry and
// decode_entry create entries.
struct Entry {
  Index index;
  Term term;
  EntryType type = EntryType::noop;
  LogTime time;
  Origin origin;
  SharedBytes bytes;

  SharedBytes payload() const;  // a slice of `bytes`
};

// Figure 2, "persistent state on all servers", without the log.
struct HardState {
  Term current_term;
  std::optional<ServerId> voted_for;

  bool operator==(const HardState&) const = default;
};

// Where a log begins: after this entry, which is in a snapshot. All zero: the log begins at its
// first entry.
struct LogBase {
  Index index;
  Term term;
  Id128 cluster_id;  // of the Bootstrap entry, which is at or below `index`

  bool operator==(const LogBase&) const = default;
};

// What has to reach the disk. Raft numbers its Writes without gaps, and they are carried out in
// order. Afterwards the log consists of its old entries up to `keep_through`, then of `entries`.
struct Write {
  WriteNumber number;
  HardState hard_state;
  // Never above the last entry of this Write. With it a restarted server can apply entries before
  // it hears from a leader.
  Index commit_index;
  Index keep_through;  // if there are entries, entries[0].index == keep_through + 1
  std::vector<Entry> entries;
  // The log on the disk may be cut up to here. Never falls, and is never above a stored snapshot.
  // If it moves to keep_through, nothing of the old log is kept, and keep_through may be beyond the
  // end of that log (§7: "discard the entire log").
  LogBase base;
};

// A voter of a configuration. Its vote and its acknowledgements count only under the incarnation
// that the log has registered, which is 0 before that.
struct Voter {
  ServerId id;
  std::string address;  // "http://host:port", for contact only: the identity is (id, incarnation)
  Incarnation incarnation;

  bool operator==(const Voter&) const = default;
};

// The voters (§6), in id order.
struct Configuration {
  Id128 cluster_id;  // none before the Bootstrap entry
  std::vector<Voter> voters;

  bool operator==(const Configuration&) const = default;
  const Voter* find(ServerId id) const {
    for (const Voter& voter : voters)
      if (voter.id == id) return &voter;
    return nullptr;
  }
};

// The identity of a snapshot: the state after the entries 1 to last_index (§7). It is equal on
// every server that takes a snapshot at this index, so that the next leader can continue a transfer
// that another one began.
struct Snapshot {
  Index last_index;               // 0: none
  Term last_term;                 // of the entry at last_index
  LogTime log_time;               // stamp of the entry at last_index
  std::uint64_t log_bytes = 0;    // bytes of the entries 1 to last_index in their byte form
  Configuration configuration;    // in force at last_index (S7)
  std::uint32_t chunk_bytes = 0;  // content in each chunk except the last
  std::uint64_t content_bytes = 0;
  std::uint64_t checksum = 0;  // XXH3-64 of the content, before compression

  bool operator==(const Snapshot&) const = default;
  bool is_none() const { return last_index.value == 0; }
  std::uint64_t chunks() const {
    return chunk_bytes == 0 ? 0 : (content_bytes + chunk_bytes - 1) / chunk_bytes;
  }
};

// The largest chunk of content. After compression it fits a frame between peers, with the other
// fields of its message.
inline constexpr std::uint32_t kMaxChunk = 248u << 10;
// A larger content length is damage or forgery. The limit keeps arithmetic on lengths from
// wrapping.
inline constexpr std::uint64_t kMaxContent = std::uint64_t{1} << 50;

}  // namespace vesper::raft
