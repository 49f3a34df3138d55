// libFuzzer: snapshots. As a file that is read back at a start, and as the content of a store,
// which arrives in pieces. Either may be refused, neither may crash; a content that is accepted
// gives the same bytes again.
//
// Input: u8 flags, then the bytes. Flag 1: a content, else a file. Flag 2: the checksums of the
// file's head and records are put right, so that what is behind them is reached.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/assert.hpp"
#include "base/checksum.hpp"
#include "kv/snapshot.hpp"
#include "storage/snapshot_files.hpp"
#include "support/mem_fs.hpp"

using namespace vesper;

namespace {

constexpr storage::SnapshotOwner kOwner{raft::ServerId(0), raft::Incarnation(7)};
constexpr raft::Index kIndex{5};

void set(std::string& bytes, std::size_t at, std::uint64_t value, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) bytes[at + i] = static_cast<char>(value >> (8 * i));
}

// Closes [at, at + length) with its checksum.
void close(std::string& bytes, std::size_t at, std::size_t length, std::uint64_t seed) {
  set(bytes, at + length - 8, checksum64(std::string_view(bytes).substr(at, length - 8), seed), 8);
}

void mend(std::string& bytes) {
  if (bytes.size() < storage::kSnapshotHead) return;
  set(bytes, 12, storage::kSnapshotHead, 4);
  set(bytes, 16, kOwner.server.value, 4);
  set(bytes, 24, kOwner.incarnation.value, 8);
  set(bytes, 32, kIndex.value, 8);
  close(bytes, 0, storage::kSnapshotHead, 0);
  std::size_t at = storage::kSnapshotHead;
  while (at < bytes.size()) {
    const auto record = storage::decode_record_start(std::string_view(bytes).substr(at));
    if (!record || record->length > bytes.size() - at) return;
    close(bytes, at, record->length, kIndex.value);
    at += record->length;
  }
}

void read_file(std::string bytes, bool mended) {
  if (mended) mend(bytes);
  test::MemFs fs;
  fs.put(storage::snapshot_name(kIndex), bytes);
  storage::SnapshotReader reader(fs, kOwner, kIndex);
  kv::Import import;
  for (;;) {
    const auto content = reader.next();
    if (!content) return;
    if (content->empty()) break;
    if (!import.add(*content)) return;
  }
  VESPER_ASSERT(reader.stored().file_bytes == bytes.size());
  VESPER_ASSERT(reader.stored().snapshot.last_index == kIndex);
  (void)import.finish();
}

void read_content(std::string_view bytes, std::size_t piece) {
  kv::Import import;
  for (std::size_t at = 0; at < bytes.size(); at += piece)
    if (!import.add(bytes.substr(at, piece))) return;
  auto store = import.finish();
  if (!store) return;
  VESPER_ASSERT((*store)->digest() == (*store)->recomputed_digest());
  std::string again;
  kv::Export exported(**store);
  while (!exported.read(again, SIZE_MAX, 1000)) {
  }
  VESPER_ASSERT(again == bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  if ((data[0] & 1) != 0) read_content(bytes, std::size_t{data[0]} / 4 * 16 + 1);
  else read_file(std::string(bytes), (data[0] & 2) != 0);
  return 0;
}
