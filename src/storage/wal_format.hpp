// The format of a segment: its head and the headers of its frames (docs/disk-format.md has the
// grammar and a worked example). This part encodes and decodes; the files are in wal.hpp and
// wal_recovery.hpp.
//
// A segment is a head, frames, and zeros up to its allocated size. Head and frames begin at
// multiples of 512 bytes, so that a torn sector cannot damage a frame that was synced before.
// Integers are little-endian, checksums XXH3-64.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "raft/entry.hpp"
#include "raft/types.hpp"
#include "storage/fs.hpp"

namespace vesper::storage {

inline constexpr std::uint64_t kSector = 512;
inline constexpr std::uint32_t kWalVersion = 1;
inline constexpr std::size_t kHeadBytes = 140;  // of a segment's head in this version
inline constexpr std::size_t kFrameHeader = 100;
inline constexpr std::size_t kCutBytes = 32;  // between header and entries of a frame that cuts
// No frame is longer, with any options. This bounds what is read before it is verified.
inline constexpr std::size_t kMaxFrame = 32u << 20;
static_assert(kFrameHeader + raft::kMaxEntry <= kMaxFrame);

constexpr std::uint64_t sectors(std::uint64_t bytes) {
  return (bytes + kSector - 1) / kSector * kSector;
}

// "wal-" and 16 lower-case hex digits; segment numbers start at 1.
std::string segment_name(std::uint64_t number);
std::optional<std::uint64_t> parse_segment_name(std::string_view name);
inline constexpr std::string_view kSpareName = "spare";

// The state of the log after a frame, without the entries themselves.
struct WalState {
  raft::WriteNumber write_number;
  raft::HardState hard_state;
  raft::Index commit_index;
  raft::Index last_index;
  raft::LogBase base;  // where the log begins; cluster_id unused here
  Id128 cluster_id;    // of the Bootstrap entry; none without one
};

// The cluster that the log belongs to, according to its first entry. None if that is no Bootstrap
// entry (or one that raft will refuse).
Id128 cluster_id_of(const raft::Entry& first);

// A segment open for appending.
struct WalSegment {
  std::uint64_t number = 0;
  std::uint64_t bytes = 0;   // allocated
  std::uint64_t offset = 0;  // of the next frame
};

// The first sector of a segment. It is durable before the segment has its name, so a bad one is
// always damage. In every version, magic, version and length come first and the checksum comes
// last, so that a newer version is distinguished from damage.
struct SegmentHead {
  raft::ServerId server;
  raft::Incarnation incarnation;
  std::uint64_t number = 0;
  std::uint64_t file_bytes = 0;  // the allocated size at creation
  // Frames that were durable before the segment had its name: 0 or 1.
  std::uint32_t born_with = 0;
  std::uint64_t previous_end = 0;       // end of the previous segment; 0 in the first
  std::uint64_t previous_checksum = 0;  // of its last frame (or head); 0 in the first
  WalState state;                       // before the first frame of this segment
  std::uint64_t checksum = 0;           // of the head; set by encode and decode
};

// Returns one zero-padded sector. Sets head.checksum.
std::string encode_head(SegmentHead& head);
// Decodes the first sector of a file. Errors: not a segment, damaged, or of an unknown version.
Result<SegmentHead> decode_head(std::string_view sector);

enum class FrameKind : std::uint32_t {
  batch = 1,  // part or all of one or more Writes
  seal = 2,   // no new state: makes damage of the previous frame detectable
  cut = 3,    // a batch that also moves the beginning of the log
};

// The header of a frame. Its checksum is seeded with the incarnation and covers the position of the
// frame, so that a foreign file, a misdirected write or a user's value never looks like a frame. It
// covers the entries through entries_checksum.
struct FrameHeader {
  std::uint32_t length = 0;  // header and entries, without padding
  FrameKind kind = FrameKind::batch;
  std::uint64_t segment = 0;  // position of the frame, with `offset`
  std::uint64_t offset = 0;
  std::uint64_t previous = 0;        // checksum of the previous frame (or head)
  raft::WriteNumber write_number;    // the last Write that is complete with this frame
  raft::WriteNumber durable_number;  // the last Write that was durable when the frame was made
  raft::HardState hard_state;
  raft::Index commit_index;
  raft::Index keep_through;  // the log is cut after this index, then the entries follow
  std::uint32_t entry_count = 0;
  std::uint64_t entries_checksum = 0;
  std::uint64_t checksum = 0;  // of the header; set by encode and decode
};

// Returns kFrameHeader bytes. Sets header.checksum.
std::string encode_frame_header(FrameHeader& header, raft::Incarnation incarnation);
// Returns nothing if `bytes` does not begin with the header of a frame of this incarnation at this
// position. The length is bounded by kMaxFrame. The kind and the other fields are not validated.
std::optional<FrameHeader> decode_frame_header(std::string_view bytes,
                                               raft::Incarnation incarnation, std::uint64_t segment,
                                               std::uint64_t offset);

// Returns a complete frame after `lead` (the head of a new segment, or empty), padded to full
// sectors. Requires `cut` exactly for kind cut. Fills in length, count and checksums of `header`.
// Small entries are copied together, large ones are shared.
std::vector<SharedBytes> encode_frame(std::string_view lead, FrameHeader& header,
                                      const std::vector<raft::Entry>& entries,
                                      raft::Incarnation incarnation,
                                      const raft::LogBase* cut = nullptr);
// Decodes the part between the header of a frame of kind cut and its entries. Requires kCutBytes.
raft::LogBase decode_cut(std::string_view bytes);

// One file of the log.
struct SegmentFile {
  std::uint64_t number = 0;
  std::uint64_t bytes = 0;
  raft::Index before;  // the last entry of the log before this segment's first frame
};

// The end of the log that recovery found. Wal continues there.
struct WalTail {
  raft::Incarnation incarnation;
  WalSegment segment;
  WalState state;
  std::uint64_t chain = 0;  // checksum of the last frame or head
  bool sealed = true;
  std::vector<SegmentFile> files;  // in order
};

}  // namespace vesper::storage
