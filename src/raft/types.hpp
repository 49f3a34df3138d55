// The words of the Raft paper as types. Nothing in src/raft opens a file, reads a clock, draws a
// random number that was not seeded by its configuration, or calls back.
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
using LogTime = StrongId<struct LogTimeTag, std::int64_t>;  // ns of the cluster's one clock, from 0

inline constexpr std::uint32_t kMaxServers = 64;
// In place of a Write that a message waits for: it waits for none but the one of its term.
inline constexpr WriteNumber kTermOnly{0};
// A term above this is refused wherever it comes from: it could only be damage or forgery, and
// arithmetic on terms never wraps.
inline constexpr Term kMaxTerm{std::uint64_t{1} << 62};
// Likewise of log time: 146 years of a cluster's life. It never is below 0.
// Likewise of an index that a snapshot claims.
inline constexpr Index kMaxIndex{std::uint64_t{1} << 62};
inline constexpr LogTime kMaxLogTime{std::int64_t{1} << 62};

// No leader asks for a longer lease, and nobody promises one. A constant, not a setting: after a
// restart a server waits until everything that it may have promised is over, whoever asked for it.
inline constexpr Duration kMaxLease = milliseconds(100);
// A leader's word that is older than this says nothing about freshness.
inline constexpr Duration kMaxAge = seconds(24 * 3600);

// Who asked for an entry: the sequence-th write of one process. {0, 0, 0} on entries that no
// client asked for.
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
  registration = 3,  // a voter's incarnation, met after the bootstrap
  command = 4,       // a client's write: opaque to raft
};

// An entry of the log. `bytes` is its one byte form, the same in memory, in AppendEntries and on
// every disk (raft/entry.hpp); the other fields are read from it once. Made by make_entry and
// decode_entry only.
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

// Where a log begins: behind this entry, which is in a snapshot. All zero: at its first entry.
struct LogBase {
  Index index;
  Term term;
  Id128 cluster_id;  // of the Bootstrap entry, which is at or below index

  bool operator==(const LogBase&) const = default;
};

// What has to reach the disk, numbered by Raft without gaps. Writes are carried out in order.
// The log after it: what was there up to `keep_through`, then `entries`.
struct Write {
  WriteNumber number;
  HardState hard_state;
  Index commit_index;  // saves a restart from waiting for a leader; never above keep_through +
                       // entries
  Index keep_through;  // entries[0].index == keep_through + 1 where there are entries
  std::vector<Entry> entries;
  // The log on the disk may be cut up to here: never falls, never above a stored snapshot. Where it
  // moves to keep_through, nothing of the old log is kept, and keep_through may pass its end (§7:
  // "discard the entire log").
  LogBase base;
};

// A voter of a configuration. Its vote and its acknowledgements count only under the incarnation
// that the log has registered; 0 until then.
struct Voter {
  ServerId id;
  std::string address;  // "http://host:port", for contact only: identity is (id, incarnation)
  Incarnation incarnation;

  bool operator==(const Voter&) const = default;
};

// Who votes (§6). In id order.
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

// The identity of a snapshot: of the state after the entries 1 to last_index (§7). Equal on every
// server that takes one at this index, so that a transfer begun by one leader is continued by the
// next.
struct Snapshot {
  Index last_index;               // 0: none
  Term last_term;                 // of that entry
  LogTime log_time;               // likewise
  std::uint64_t log_bytes = 0;    // of the entries 1 to last_index in their byte form
  Configuration configuration;    // in force at last_index (S7)
  std::uint32_t chunk_bytes = 0;  // of content in each chunk but the last
  std::uint64_t content_bytes = 0;
  std::uint64_t checksum = 0;  // XXH3-64 of the content, before compression

  bool operator==(const Snapshot&) const = default;
  bool is_none() const { return last_index.value == 0; }
  std::uint64_t chunks() const {
    return chunk_bytes == 0 ? 0 : (content_bytes + chunk_bytes - 1) / chunk_bytes;
  }
};

// The largest chunk of content. Compressed, with all that travels beside it, it fits a peers'
// frame.
inline constexpr std::uint32_t kMaxChunk = 248u << 10;
// Above this a content's length is damage or forgery; arithmetic on lengths never wraps.
inline constexpr std::uint64_t kMaxContent = std::uint64_t{1} << 50;

}  // namespace vesper::raft
