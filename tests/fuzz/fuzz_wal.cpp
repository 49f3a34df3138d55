// libFuzzer: recovery of the log over arbitrary files. It may refuse, it may not crash; what it
// accepts it gives back again after another start, and goes on from.
//
// Input: u8 flags, u8 sectors of the first file, u8 sectors of the second (0: there is none), then
// their bytes, padded with zeros. Flag 1: put the checksums of heads, frames and entries right, so
// that the checks behind them are reached.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/assert.hpp"
#include "base/bytes.hpp"
#include "base/checksum.hpp"
#include "raft/entry.hpp"
#include "storage/wal.hpp"
#include "support/mem_fs.hpp"

using namespace vesper;

namespace {

constexpr raft::ServerId kSelf{2};
constexpr raft::Incarnation kIncarnation{0x1122334455667788};
constexpr std::size_t kSector = storage::kSector;

void set_u32(std::string& bytes, std::size_t at, std::uint32_t value) {
  for (std::size_t i = 0; i < 4; ++i) bytes[at + i] = static_cast<char>(value >> (8 * i));
}

void set_u64(std::string& bytes, std::size_t at, std::uint64_t value) {
  for (std::size_t i = 0; i < 8; ++i) bytes[at + i] = static_cast<char>(value >> (8 * i));
}

std::uint64_t sum_of(const std::string& bytes, std::size_t at, std::size_t length,
                     std::uint64_t seed) {
  return checksum64(std::string_view(bytes).substr(at, length), seed);
}

// The checksums of the entries in [at, end).
void mend_entries(std::string& bytes, std::size_t at, std::size_t end) {
  while (at < end) {
    const std::size_t length = raft::entry_length(std::string_view(bytes).substr(at, end - at));
    if (length == 0 || length > end - at) return;
    set_u64(bytes, at + length - 8, sum_of(bytes, at, length - 8, 0));
    at += length;
  }
}

// Makes whatever looks like a head or a frame look right; the checksum of the last one.
std::uint64_t mend(std::string& bytes, std::uint64_t number) {
  if (bytes.size() < kSector) return 0;
  set_u32(bytes, 8, storage::kWalVersion);
  set_u32(bytes, 12, storage::kHeadBytes);
  set_u32(bytes, 16, kSelf.value);
  set_u64(bytes, 24, kIncarnation.value);
  set_u64(bytes, 48, number);
  std::uint64_t chain = sum_of(bytes, 0, storage::kHeadBytes - 8, 0);
  set_u64(bytes, storage::kHeadBytes - 8, chain);
  std::size_t at = kSector;
  while (at + storage::kFrameHeader <= bytes.size() && bytes.compare(at, 4, "vFRM") == 0) {
    const std::uint32_t length = ByteReader(std::string_view(bytes).substr(at + 4)).u32();
    if (length < storage::kFrameHeader || length > bytes.size() - at) break;
    set_u64(bytes, at + 12, number);
    set_u64(bytes, at + 20, at);
    set_u64(bytes, at + 28, chain);
    const bool cuts = ByteReader(std::string_view(bytes).substr(at + 8)).u32() == 3;
    mend_entries(bytes, at + storage::kFrameHeader + (cuts ? storage::kCutBytes : 0), at + length);
    set_u64(bytes, at + 84,
            sum_of(bytes, at + storage::kFrameHeader, length - storage::kFrameHeader,
                   kIncarnation.value));
    chain = sum_of(bytes, at, storage::kFrameHeader - 8, kIncarnation.value);
    set_u64(bytes, at + storage::kFrameHeader - 8, chain);
    at += static_cast<std::size_t>(storage::sectors(length));
  }
  return chain;
}

storage::WalOptions small_options() {
  storage::WalOptions options;
  options.segment_bytes = 4096;
  options.first_segment_bytes = 2048;
  options.slice_bytes = 2048;
  return options;
}

bool open(test::MemFs& fs, storage::RecoveredLog& found, std::unique_ptr<storage::Wal>& wal) {
  auto opened = storage::Wal::open(fs, kSelf, kIncarnation, small_options(), found);
  if (!opened) {
    VESPER_ASSERT(!opened.error().what.empty());
    return false;
  }
  wal = std::move(*opened);
  return true;
}

void check_same(const storage::RecoveredLog& a, const storage::RecoveredLog& b) {
  VESPER_ASSERT(a.hard_state == b.hard_state);
  VESPER_ASSERT(a.commit_index == b.commit_index);
  VESPER_ASSERT(a.last_write == b.last_write);
  VESPER_ASSERT(a.cluster_id == b.cluster_id);
  VESPER_ASSERT(a.entries.size() == b.entries.size());
  for (std::size_t i = 0; i < a.entries.size(); ++i)
    VESPER_ASSERT(a.entries[i].bytes == b.entries[i].bytes);
}

// One more entry, and it is found.
void go_on(test::MemFs& fs, storage::Wal& wal, const storage::RecoveredLog& found) {
  raft::Write write;
  write.number = found.last_write.next();
  write.hard_state = found.hard_state;
  if (write.hard_state.current_term.value == 0) write.hard_state.current_term = raft::Term(1);
  write.commit_index = found.commit_index;
  write.base = found.base;
  write.keep_through = raft::Index(found.base.index.value + found.entries.size());
  write.entries.push_back(raft::make_entry(write.keep_through.next(), write.hard_state.current_term,
                                           raft::EntryType::noop, {}, {}, ""));
  wal.write(write);
  while (wal.persisted() != write.number) {
    wal.flush(Instant{1});
    const auto done = fs.run_one();
    VESPER_ASSERT(done.has_value());
    VESPER_ASSERT(wal.on_done(*done, Instant{1}).ok());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ByteReader in(std::string_view(reinterpret_cast<const char*>(data), size));
  const std::uint8_t flags = in.u8();
  const std::size_t first_size = std::size_t{in.u8()} % 17 * kSector;
  const std::size_t second_size = std::size_t{in.u8()} % 17 * kSector;
  std::string first(in.bytes(std::min(first_size, in.remaining())));
  std::string second(in.bytes(std::min(second_size, in.remaining())));
  first.resize(first_size, '\0');
  second.resize(second_size, '\0');
  if ((flags & 1) != 0) {
    const std::uint64_t chain = mend(first, 1);
    if (second_size >= kSector) set_u64(second, 72, chain);
    mend(second, 2);
  }

  test::MemFs fs;
  fs.put(storage::segment_name(1), first);
  if (second_size > 0) fs.put(storage::segment_name(2), second);
  storage::RecoveredLog found;
  std::unique_ptr<storage::Wal> wal;
  if (!open(fs, found, wal)) return 0;
  VESPER_ASSERT(found.commit_index.value <= found.base.index.value + found.entries.size());

  storage::RecoveredLog again;
  fs.lose_power(test::MemFs::Loss::all);
  VESPER_ASSERT(open(fs, again, wal));
  check_same(found, again);
  if (found.last_write.value >= std::uint64_t{1} << 62) return 0;
  go_on(fs, *wal, again);
  fs.lose_power(test::MemFs::Loss::all);
  VESPER_ASSERT(open(fs, again, wal));
  VESPER_ASSERT(again.entries.size() == found.entries.size() + 1);
  VESPER_ASSERT(again.last_write == found.last_write.next());
  return 0;
}
