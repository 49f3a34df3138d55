// The byte form of a log entry, the same in memory, on the wire and on disk. docs/disk-format.md
// has the grammar and a worked example. Little-endian; the checksum is XXH3-64 over everything
// before it:
//
//   u32 length  u8 version  u8 type  u16 flags  u64 index  u64 term  i64 time
//   u32 origin.server  u64 origin.boot  u64 origin.sequence  payload  u64 checksum
#pragma once

#include <string_view>

#include "base/result.hpp"
#include "raft/types.hpp"

namespace vesper::raft {

inline constexpr std::size_t kEntryHeader = 52;
inline constexpr std::size_t kEntryOverhead = kEntryHeader + 8;
inline constexpr std::size_t kMaxPayload = 17u << 20;  // above the largest value and JSON body
inline constexpr std::size_t kMaxEntry = kMaxPayload + kEntryOverhead;
inline constexpr std::uint8_t kEntryVersion = 1;

// Encodes and checksums a new entry. Requires payload.size() <= kMaxPayload.
Entry make_entry(Index index, Term term, EntryType type, LogTime time, Origin origin,
                 std::string_view payload);

// Decodes the entry at the start of `bytes`. Entry::bytes shares the buffer of `bytes`: it is a
// slice of exactly the entry's length. Checks length, version, type, flags and checksum; the error
// names the failed check. Bytes after the entry are ignored.
Result<Entry> decode_entry(const SharedBytes& bytes);

// The total length that the entry at the start of `bytes` claims. Returns 0 if fewer than 4 bytes
// are left or the claim is out of bounds. Used to walk through a batch.
std::size_t entry_length(std::string_view bytes);

// Payloads of the entries that raft itself interprets.
std::string encode_configuration(const Configuration& configuration);
Result<Configuration> decode_configuration(std::string_view payload);
// True if the entry changes the configuration: it takes effect when it is appended (§6).
bool changes_configuration(const Entry& entry);
// Applies `entry` to a configuration. No effect unless changes_configuration(entry).
void apply_configuration(const Entry& entry, Configuration& configuration);
// A member's disk and the build that it runs. The disk is registered once, the build whenever it
// changes.
struct Registration {
  ServerId id;
  Incarnation incarnation;
  std::uint32_t level = 0;
};
std::string encode_registration(const Registration& registration);
Result<Registration> decode_registration(std::string_view payload);

}  // namespace vesper::raft
