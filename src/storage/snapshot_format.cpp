#include "storage/snapshot_format.hpp"

#include <fmt/core.h>

#include "base/bytes.hpp"
#include "base/checksum.hpp"
#include "raft/codec.hpp"

namespace vesper::storage {
namespace {

constexpr std::string_view kHeadMagic = "VESPRSNP";
constexpr std::string_view kChunkMagic = "vCHK";
constexpr std::string_view kEndMagic = "vEND";
constexpr std::string_view kNamePrefix = "snapshot-";
constexpr std::size_t kChecksum = 8;

// Completes a record: sets its length field and appends the checksum.
SharedBytes close_record(std::string& record, raft::Index last_index) {
  const std::size_t length = record.size() + kChecksum;
  VESPER_ASSERT(length <= kMaxRecord);
  for (std::size_t i = 0; i < 4; ++i) record[4 + i] = static_cast<char>(length >> (8 * i));
  ByteWriter(record).u64(checksum64(record, last_index.value));
  return SharedBytes::copy_of(record);
}

// Verifies a complete record and returns its content between head and checksum. `number`: from its
// head.
Result<std::string_view> open_record(std::string_view record, std::string_view magic,
                                     raft::Index last_index, std::uint64_t& number) {
  if (record.size() < kRecordHead + kChecksum || !record.starts_with(magic))
    return Error{"not a snapshot record"};
  ByteReader r(record);
  r.bytes(magic.size());
  if (r.u32() != record.size()) return Error{"its length is wrong"};
  number = r.u64();
  const std::string_view covered = record.substr(0, record.size() - kChecksum);
  if (ByteReader(record.substr(covered.size())).u64() != checksum64(covered, last_index.value))
    return Error{"its checksum does not match"};
  return covered.substr(kRecordHead);
}

}  // namespace

std::string snapshot_name(raft::Index index) {
  return std::string(kNamePrefix) + to_hex(index.value);
}

std::optional<raft::Index> parse_snapshot_name(std::string_view name) {
  if (!name.starts_with(kNamePrefix)) return std::nullopt;
  const auto index = parse_hex64(name.substr(kNamePrefix.size()));
  if (!index || *index == 0 || snapshot_name(raft::Index(*index)) != name) return std::nullopt;
  return raft::Index(*index);
}

bool is_snapshot_temporary(std::string_view name) {
  return name == kTakenTemporary || name == kReceivedTemporary;
}

std::string encode_snapshot_head(const SnapshotHead& head) {
  std::string out;
  ByteWriter w(out);
  w.bytes(kHeadMagic);
  w.u32(kSnapshotVersion);
  w.u32(kSnapshotHead);
  w.u32(head.server.value);
  w.u32(0);
  w.u64(head.incarnation.value);
  w.u64(head.last_index.value);
  w.u32(head.chunk_bytes);
  w.u32(0);
  w.u64(checksum64(out));
  VESPER_ASSERT(out.size() == kSnapshotHead);
  return out;
}

Result<SnapshotHead> decode_snapshot_head(std::string_view bytes) {
  ByteReader r(bytes);
  if (r.bytes(kHeadMagic.size()) != kHeadMagic) return Error{"this is not a Vesper snapshot"};
  const std::uint32_t version = r.u32();
  const std::uint32_t length = r.u32();
  if (!r.ok() || length < 24 || length > 512 || length > bytes.size())
    return Error{"its head is damaged: the length is out of bounds"};
  const std::string_view covered = bytes.substr(0, length - kChecksum);
  if (ByteReader(bytes.substr(covered.size())).u64() != checksum64(covered))
    return Error{"its head is damaged: the checksum does not match"};
  // Checked after the checksum, so that damage is not reported as a newer version.
  if (version != kSnapshotVersion)
    return Error{fmt::format("it has format version {}, but this build reads only {}; use the "
                             "version of Vesper that wrote it",
                             version, kSnapshotVersion),
                 kNotOurs};
  r = ByteReader(covered);
  r.bytes(16);
  SnapshotHead head;
  head.server = raft::ServerId(r.u32());
  r.u32();
  head.incarnation = raft::Incarnation(r.u64());
  head.last_index = raft::Index(r.u64());
  head.chunk_bytes = r.u32();
  r.u32();
  if (!r.ok() || !r.at_end() || head.chunk_bytes == 0 || head.chunk_bytes > raft::kMaxChunk)
    return Error{"its head is malformed"};
  return head;
}

SharedBytes encode_chunk(Zstd& zstd, raft::Index last_index, std::uint64_t number,
                         std::string_view content) {
  VESPER_ASSERT(!content.empty());
  VESPER_ASSERT(content.size() <= raft::kMaxChunk);
  std::string record;
  ByteWriter w(record);
  w.bytes(kChunkMagic);
  w.u32(0);
  w.u64(number);
  w.u32(static_cast<std::uint32_t>(content.size()));
  zstd.compress(content, record);
  return close_record(record, last_index);
}

Result<std::string> decode_chunk(Zstd& zstd, std::string_view record, raft::Index last_index,
                                 std::uint64_t number) {
  std::uint64_t found = 0;
  const auto body = open_record(record, kChunkMagic, last_index, found);
  if (!body) return Error{body.error().what};
  if (found != number) return Error{fmt::format("found chunk {} instead of {}", found, number)};
  ByteReader r(*body);
  const std::size_t size = r.u32();
  if (!r.ok() || size == 0 || size > raft::kMaxChunk)
    return Error{fmt::format("chunk {}: {} bytes of content are out of bounds", number, size)};
  return zstd.decompress(r.bytes(r.remaining()), size);
}

SharedBytes encode_end(const raft::Snapshot& snapshot) {
  std::string record;
  ByteWriter w(record);
  w.bytes(kEndMagic);
  w.u32(0);
  w.u64(snapshot.chunks());
  raft::encode_snapshot(snapshot, record);
  return close_record(record, snapshot.last_index);
}

Result<raft::Snapshot> decode_end(std::string_view record, raft::Index last_index) {
  std::uint64_t chunks = 0;
  const auto body = open_record(record, kEndMagic, last_index, chunks);
  if (!body) return Error{body.error().what};
  ByteReader r(*body);
  auto snapshot = raft::decode_snapshot(r);
  if (!snapshot) return snapshot;
  if (!r.at_end() || snapshot->last_index != last_index || snapshot->chunks() != chunks)
    return Error{"its end does not match its beginning"};
  return snapshot;
}

std::optional<RecordStart> decode_record_start(std::string_view bytes) {
  RecordStart start;
  if (bytes.starts_with(kEndMagic)) start.end = true;
  else if (!bytes.starts_with(kChunkMagic)) return std::nullopt;
  ByteReader r(bytes);
  r.bytes(kChunkMagic.size());
  start.length = r.u32();
  if (!r.ok() || start.length < kRecordHead + kChecksum || start.length > kMaxRecord)
    return std::nullopt;
  return start;
}

}  // namespace vesper::storage
