// The format of a snapshot file (docs/disk-format.md has the grammar): a head, chunks of compressed
// content, and an end record with the snapshot's identity. This part encodes and decodes; the files
// are in snapshot_files.hpp.
//
//   head   "VESPRSNP"   u32 version   u32 length = 56   u32 server   u32 0   u64 incarnation
//          u64 last index   u32 chunk bytes   u32 0   u64 checksum
//   chunk  "vCHK"   u32 length   u64 number, from 0   u32 content bytes   zstd   u64 checksum
//   end    "vEND"   u32 length   u64 chunks   identity (raft/codec.hpp)   u64 checksum
//
// Checksums are XXH3-64 over everything before them in the record. Those of chunks and end are
// seeded with the last index, so that no record is accepted in another snapshot. A chunk's record
// is the same on every disk and between nodes.
#pragma once

#include <cerrno>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "raft/types.hpp"
#include "storage/compress.hpp"

namespace vesper::storage {

inline constexpr std::uint32_t kSnapshotVersion = 1;
inline constexpr std::size_t kSnapshotHead = 56;
inline constexpr std::size_t kRecordHead = 16;  // of chunk and end, through the first u64
// The largest record that is accepted: a chunk that zstd could not shrink, or an identity with 64
// addresses.
inline constexpr std::size_t kMaxRecord = 256u << 10;

// "snapshot-" and 16 lower-case hex digits of the last index.
std::string snapshot_name(raft::Index index);
std::optional<raft::Index> parse_snapshot_name(std::string_view name);
// The names under which a snapshot is written before it is published: one taken here, one received.
// Both are removed at every start.
inline constexpr std::string_view kTakenTemporary = "snapshot.tmp";
inline constexpr std::string_view kReceivedTemporary = "received.tmp";
bool is_snapshot_temporary(std::string_view name);

struct SnapshotHead {
  raft::ServerId server;
  raft::Incarnation incarnation;
  raft::Index last_index;
  std::uint32_t chunk_bytes = 0;
};

std::string encode_snapshot_head(const SnapshotHead& head);
// Error::code for an intact head of an unknown version, or of another server.
inline constexpr int kNotOurs = ENOTSUP;
// Decodes the first bytes of a file. Errors: not a snapshot, damaged, or of an unknown version.
Result<SnapshotHead> decode_snapshot_head(std::string_view bytes);

// Compresses and frames a chunk. Requires 1 to raft::kMaxChunk bytes of content.
SharedBytes encode_chunk(Zstd& zstd, raft::Index last_index, std::uint64_t number,
                         std::string_view content);
// Returns the content of a complete record. Everything is checked and bounded.
Result<std::string> decode_chunk(Zstd& zstd, std::string_view record, raft::Index last_index,
                                 std::uint64_t number);

SharedBytes encode_end(const raft::Snapshot& snapshot);
Result<raft::Snapshot> decode_end(std::string_view record, raft::Index last_index);

// The kind and length (bounded by kMaxRecord) of the record at the start of `bytes`. Nothing if
// there is no record.
struct RecordStart {
  bool end = false;
  std::size_t length = 0;
};
std::optional<RecordStart> decode_record_start(std::string_view bytes);

}  // namespace vesper::storage
