#include "storage/wal_format.hpp"

#include <fmt/core.h>

#include "base/bytes.hpp"
#include "base/checksum.hpp"

namespace vesper::storage {
namespace {

constexpr std::string_view kHeadMagic = "VESPRWAL";
constexpr std::string_view kFrameMagic = "vFRM";
constexpr std::uint32_t kNoVote = UINT32_MAX;
constexpr std::string_view kNamePrefix = "wal-";
// Entries up to this size are copied into one buffer with their neighbors, because that is cheaper
// than one more element of a gathered write.
constexpr std::size_t kCopied = 4096;

void put_hard_state(ByteWriter& w, const raft::HardState& hard_state) {
  w.u64(hard_state.current_term.value);
  w.u32(hard_state.voted_for ? hard_state.voted_for->value : kNoVote);
}

raft::HardState get_hard_state(ByteReader& r) {
  raft::HardState hard_state;
  hard_state.current_term = raft::Term(r.u64());
  if (const std::uint32_t vote = r.u32(); vote != kNoVote)
    hard_state.voted_for = raft::ServerId(vote);
  return hard_state;
}

// Appends the checksum of `out` to it, and returns the checksum.
std::uint64_t close_with_checksum(std::string& out, std::uint64_t seed) {
  const std::uint64_t sum = checksum64(out, seed);
  ByteWriter(out).u64(sum);
  return sum;
}

}  // namespace

std::string segment_name(std::uint64_t number) {
  return std::string(kNamePrefix) + to_hex(number);
}

std::optional<std::uint64_t> parse_segment_name(std::string_view name) {
  if (!name.starts_with(kNamePrefix)) return std::nullopt;
  const auto number = parse_hex64(name.substr(kNamePrefix.size()));
  // Only one spelling is valid: a name with upper-case digits belongs to another program.
  if (!number || *number == 0 || segment_name(*number) != name) return std::nullopt;
  return number;
}

Id128 cluster_id_of(const raft::Entry& first) {
  VESPER_ASSERT(first.index == raft::Index(1));
  if (first.type != raft::EntryType::bootstrap) return {};
  const Result<raft::Configuration> configuration =
      raft::decode_configuration(first.payload().view());
  return configuration ? configuration->cluster_id : Id128{};
}

std::string encode_head(SegmentHead& head) {
  std::string out;
  out.reserve(kSector);
  ByteWriter w(out);
  w.bytes(kHeadMagic);
  w.u32(kWalVersion);
  w.u32(kHeadBytes);
  w.u32(head.server.value);
  w.u32(head.born_with);
  w.u64(head.incarnation.value);
  w.u64(head.state.cluster_id.high);
  w.u64(head.state.cluster_id.low);
  w.u64(head.number);
  w.u64(head.file_bytes);
  w.u64(head.previous_end);
  w.u64(head.previous_checksum);
  w.u64(head.state.write_number.value);
  put_hard_state(w, head.state.hard_state);
  w.u64(head.state.commit_index.value);
  w.u64(head.state.base.index.value);
  w.u64(head.state.base.term.value);
  w.u64(head.state.last_index.value);
  head.checksum = close_with_checksum(out, 0);
  VESPER_ASSERT(out.size() == kHeadBytes);
  out.resize(kSector, '\0');
  return out;
}

Result<SegmentHead> decode_head(std::string_view sector) {
  ByteReader r(sector);
  if (r.bytes(kHeadMagic.size()) != kHeadMagic)
    return Error{"this is not the beginning of a Vesper log segment"};
  const std::uint32_t version = r.u32();
  const std::uint32_t length = r.u32();
  if (!r.ok() || length < 24 || length > kSector || length > sector.size())
    return Error{"the segment's head is damaged: its length is out of bounds"};
  SegmentHead head;
  head.checksum = ByteReader(sector.substr(length - 8)).u64();
  if (head.checksum != checksum64(sector.substr(0, length - 8)))
    return Error{"the segment's head is damaged: its checksum does not match"};
  if (version != kWalVersion)
    return Error{
        fmt::format("the segment has format version {}, but this build reads only {}; use the "
                    "version of Vesper that wrote it",
                    version, kWalVersion)};
  r = ByteReader(sector.substr(0, length - 8));
  r.bytes(16);
  head.server = raft::ServerId(r.u32());
  head.born_with = r.u32();
  head.incarnation = raft::Incarnation(r.u64());
  head.state.cluster_id.high = r.u64();
  head.state.cluster_id.low = r.u64();
  head.number = r.u64();
  head.file_bytes = r.u64();
  head.previous_end = r.u64();
  head.previous_checksum = r.u64();
  head.state.write_number = raft::WriteNumber(r.u64());
  head.state.hard_state = get_hard_state(r);
  head.state.commit_index = raft::Index(r.u64());
  head.state.base.index = raft::Index(r.u64());
  head.state.base.term = raft::Term(r.u64());
  head.state.last_index = raft::Index(r.u64());
  if (!r.ok() || !r.at_end() || head.incarnation.value == 0 || head.born_with > 1)
    return Error{"the segment's head is malformed"};
  return head;
}

std::string encode_frame_header(FrameHeader& header, raft::Incarnation incarnation) {
  std::string out;
  out.reserve(kFrameHeader);
  ByteWriter w(out);
  w.bytes(kFrameMagic);
  w.u32(header.length);
  w.u32(static_cast<std::uint32_t>(header.kind));
  w.u64(header.segment);
  w.u64(header.offset);
  w.u64(header.previous);
  w.u64(header.write_number.value);
  w.u64(header.durable_number.value);
  put_hard_state(w, header.hard_state);
  w.u64(header.commit_index.value);
  w.u64(header.keep_through.value);
  w.u32(header.entry_count);
  w.u64(header.entries_checksum);
  header.checksum = close_with_checksum(out, incarnation.value);
  VESPER_ASSERT(out.size() == kFrameHeader);
  return out;
}

std::optional<FrameHeader> decode_frame_header(std::string_view bytes,
                                               raft::Incarnation incarnation, std::uint64_t segment,
                                               std::uint64_t offset) {
  if (bytes.size() < kFrameHeader || !bytes.starts_with(kFrameMagic)) return std::nullopt;
  ByteReader r(bytes.substr(0, kFrameHeader));
  r.bytes(kFrameMagic.size());
  FrameHeader header;
  header.length = r.u32();
  header.kind = static_cast<FrameKind>(r.u32());
  header.segment = r.u64();
  header.offset = r.u64();
  header.previous = r.u64();
  header.write_number = raft::WriteNumber(r.u64());
  header.durable_number = raft::WriteNumber(r.u64());
  header.hard_state = get_hard_state(r);
  header.commit_index = raft::Index(r.u64());
  header.keep_through = raft::Index(r.u64());
  header.entry_count = r.u32();
  header.entries_checksum = r.u64();
  header.checksum = r.u64();
  VESPER_ASSERT(r.ok());
  VESPER_ASSERT(r.at_end());
  if (header.checksum != checksum64(bytes.substr(0, kFrameHeader - 8), incarnation.value) ||
      header.segment != segment || header.offset != offset || header.length < kFrameHeader ||
      header.length > kMaxFrame)
    return std::nullopt;
  return header;
}

std::vector<SharedBytes> encode_frame(std::string_view lead, FrameHeader& header,
                                      const std::vector<raft::Entry>& entries,
                                      raft::Incarnation incarnation, const raft::LogBase* cut) {
  VESPER_ASSERT((cut != nullptr) == (header.kind == FrameKind::cut));
  Checksum64 sum(incarnation.value);
  std::string body;
  if (cut != nullptr) {
    ByteWriter w(body);
    w.u64(cut->index.value);
    w.u64(cut->term.value);
    w.u64(cut->cluster_id.high);
    w.u64(cut->cluster_id.low);
    VESPER_ASSERT(body.size() == kCutBytes);
    sum.add(body);
  }
  std::size_t length = kFrameHeader + body.size();
  for (const raft::Entry& entry : entries) {
    sum.add(entry.bytes.view());
    length += entry.bytes.size();
  }
  VESPER_ASSERT(length <= kMaxFrame);
  header.length = static_cast<std::uint32_t>(length);
  header.entry_count = static_cast<std::uint32_t>(entries.size());
  header.entries_checksum = sum.digest();
  std::string front(lead);
  front += encode_frame_header(header, incarnation);
  front += body;
  const std::size_t padding = static_cast<std::size_t>(sectors(length)) - length;

  std::vector<SharedBytes> parts;
  std::size_t next = 0;
  for (;;) {
    // A run: the bytes in `front`, the small entries from `next` to `end`, and the padding after
    // the last run.
    std::size_t end = next;
    std::size_t run = front.size();
    while (end < entries.size() && entries[end].bytes.size() <= kCopied)
      run += entries[end++].bytes.size();
    const bool last = end == entries.size();
    if (last) run += padding;
    if (run > 0)
      parts.push_back(SharedBytes::make(run, [&](char* out) {
        char* const begin = out;
        std::memcpy(out, front.data(), front.size());
        out += front.size();
        for (; next < end; ++next) {
          std::memcpy(out, entries[next].bytes.data(), entries[next].bytes.size());
          out += entries[next].bytes.size();
        }
        std::memset(out, 0, run - static_cast<std::size_t>(out - begin));
      }));
    if (last) return parts;
    parts.push_back(entries[end].bytes);
    next = end + 1;
    front.clear();
  }
}

raft::LogBase decode_cut(std::string_view bytes) {
  ByteReader r(bytes);
  raft::LogBase base;
  base.index = raft::Index(r.u64());
  base.term = raft::Term(r.u64());
  base.cluster_id.high = r.u64();
  base.cluster_id.low = r.u64();
  VESPER_ASSERT(r.ok());
  return base;
}

}  // namespace vesper::storage
