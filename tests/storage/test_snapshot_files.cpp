// Snapshot files: whole or not there, and what is damaged is found.
#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <vector>

#include "storage/snapshot_files.hpp"
#include "support/mem_fs.hpp"

using namespace vesper;
using storage::SnapshotFiles;
using Writer = SnapshotFiles::Writer;
using test::MemFs;

namespace {

constexpr storage::SnapshotOwner kOwner{raft::ServerId(2), raft::Incarnation(0x77)};

raft::Snapshot identity(std::uint64_t index, const std::string& content) {
  raft::Snapshot snapshot;
  snapshot.last_index = raft::Index(index);
  snapshot.last_term = raft::Term(3);
  snapshot.log_time = raft::LogTime(5);
  snapshot.log_bytes = 1234;
  snapshot.configuration.cluster_id = {1, 2};
  snapshot.configuration.members.push_back(
      {raft::ServerId(0), "http://127.0.0.1:1", raft::Incarnation(9)});
  snapshot.configuration.next_id = raft::ServerId(1);
  snapshot.configuration.next_node = raft::NodeId(1);
  snapshot.configuration.index = raft::Index(1);
  snapshot.chunk_bytes = 10;
  snapshot.content_bytes = content.size();
  snapshot.checksum = checksum64(content);
  return snapshot;
}

std::string content_of(std::uint64_t index) {
  std::string content = "state at " + std::to_string(index) + ": ";
  for (int i = 0; i < 40; ++i) content += static_cast<char>('a' + i % 26);
  return content;
}

// Runs all jobs; the outcomes.
std::vector<SnapshotFiles::Outcome> run(MemFs& fs, SnapshotFiles& files) {
  std::vector<SnapshotFiles::Outcome> outcomes;
  while (auto done = fs.run_one()) {
    auto outcome = files.on_done(*done);
    REQUIRE(outcome.ok());
    outcomes.push_back(std::move(outcome.value()));
  }
  return outcomes;
}

// True when the snapshot at `index` has its name, durably.
bool write(MemFs& fs, SnapshotFiles& files, Writer w, std::uint64_t index) {
  const std::string content = content_of(index);
  files.begin(w, raft::Index(index), 10);
  for (std::size_t at = 0; at < content.size(); at += 10) {
    if (!files.ready(w)) return false;
    files.append(w, {storage::encode_chunk(files.zstd(), raft::Index(index), at / 10,
                                           content.substr(at, 10))});
    run(fs, files);
  }
  if (!files.ready(w)) return false;
  files.finish(w, identity(index, content));
  const auto outcomes = run(fs, files);
  return !outcomes.empty() && outcomes.back().finished == w;
}

Result<std::string> read_back(MemFs& fs, std::uint64_t index,
                              storage::SnapshotOwner owner = kOwner) {
  storage::SnapshotReader reader(fs, owner, raft::Index(index));
  std::string content;
  for (;;) {
    auto chunk = reader.next();
    if (!chunk) return std::move(chunk).error();
    if (chunk->empty()) break;
    content += *chunk;
  }
  CHECK(reader.stored().snapshot == identity(index, content));
  return content;
}

std::string why(const Result<std::string>& result) {
  return result.ok() ? "" : result.error().what;
}

std::string hex_lines(std::string_view bytes) {
  std::string text;
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    if (at % 16 == 0) text += (at == 0 ? "" : "\n") + to_hex(std::uint64_t{at}).substr(12) + " ";
    text += " " + to_hex(std::uint64_t{static_cast<unsigned char>(bytes[at])}).substr(14);
  }
  return text + "\n";
}

// The worked example of docs/disk-format.md.
constexpr const char* kExample =
    "0000  56 45 53 50 52 53 4e 50 01 00 00 00 38 00 00 00\n"
    "0010  02 00 00 00 00 00 00 00 77 00 00 00 00 00 00 00\n"
    "0020  0c 00 00 00 00 00 00 00 64 00 00 00 00 00 00 00\n"
    "0030  ab 5d e3 4a a9 f6 8d de 76 43 48 4b 30 00 00 00\n"
    "0040  00 00 00 00 00 00 00 00 0b 00 00 00 28 b5 2f fd\n"
    "0050  20 0b 59 00 00 65 6c 65 76 65 6e 20 6d 6f 72 65\n"
    "0060  20 4d 9e 51 d0 66 c0 81 76 45 4e 44 c3 00 00 00\n"
    "0070  01 00 00 00 00 00 00 00 0c 00 00 00 00 00 00 00\n"
    "0080  03 00 00 00 00 00 00 00 05 00 00 00 00 00 00 00\n"
    "0090  d2 04 00 00 00 00 00 00 64 00 00 00 0b 00 00 00\n"
    "00a0  00 00 00 00 23 b9 7f d3 ca cd 73 11 73 00 00 00\n"
    "00b0  02 01 00 00 00 00 00 00 00 02 00 00 00 00 00 00\n"
    "00c0  00 01 00 00 00 00 00 00 00 02 00 00 00 01 00 00\n"
    "00d0  00 01 00 00 00 01 00 00 00 00 00 00 00 00 00 00\n"
    "00e0  00 09 00 00 00 00 00 00 00 01 00 00 00 00 00 00\n"
    "00f0  00 00 00 02 00 00 00 12 00 00 00 68 74 74 70 3a\n"
    "0100  2f 2f 31 32 37 2e 30 2e 30 2e 31 3a 31 12 00 00\n"
    "0110  00 68 74 74 70 3a 2f 2f 31 32 37 2e 30 2e 30 2e\n"
    "0120  31 3a 31 0b b8 16 3f f7 8b 58 e7\n";

}  // namespace

TEST_CASE("chunks that are appended together become durable with one job, and are read back") {
  MemFs fs;
  SnapshotFiles files(fs, kOwner);
  const std::string content = content_of(12);
  std::vector<SharedBytes> records;
  for (std::size_t at = 0; at < content.size(); at += 10)
    records.push_back(
        storage::encode_chunk(files.zstd(), raft::Index(12), at / 10, content.substr(at, 10)));
  const std::size_t count = records.size();
  REQUIRE(count > 1);
  files.begin(Writer::received, raft::Index(12), 10);
  run(fs, files);
  files.append(Writer::received, std::move(records));
  CHECK_FALSE(files.ready(Writer::received));
  const auto outcomes = run(fs, files);
  REQUIRE(outcomes.size() == 1);
  CHECK(outcomes[0].appended == Writer::received);
  CHECK(outcomes[0].records == count);
  files.finish(Writer::received, identity(12, content));
  run(fs, files);
  fs.lose_power(MemFs::Loss::all);
  const auto found = read_back(fs, 12);
  REQUIRE(found.ok());
  CHECK(*found == content);
}

TEST_CASE("a snapshot that is written can be read back") {
  MemFs fs;
  SnapshotFiles files(fs, kOwner);
  REQUIRE(write(fs, files, Writer::taken, 12));
  fs.lose_power(MemFs::Loss::all);
  const auto found = SnapshotFiles(fs, kOwner).open();
  REQUIRE(found.ok());
  CHECK(*found == std::vector<raft::Index>{raft::Index(12)});
  const auto content = read_back(fs, 12);
  REQUIRE(content.ok());
  CHECK(*content == content_of(12));
}

TEST_CASE("the bytes of a snapshot of version 1 match docs/disk-format.md") {
  MemFs fs;
  SnapshotFiles files(fs, kOwner);
  const std::string content = "eleven more";
  files.begin(Writer::taken, raft::Index(12), 100);
  files.append(Writer::taken, {storage::encode_chunk(files.zstd(), raft::Index(12), 0, content)});
  run(fs, files);
  raft::Snapshot snapshot = identity(12, content);
  snapshot.chunk_bytes = 100;
  files.finish(Writer::taken, snapshot);
  run(fs, files);
  CHECK(hex_lines(fs.content("snapshot-000000000000000c")) == kExample);
}

TEST_CASE("S2, S6: a crash at any step leaves the whole snapshot or none, and no temporary files") {
  for (std::uint64_t step = 0;; ++step) {
    CAPTURE(step);
    MemFs fs(step + 1);
    SnapshotFiles files(fs, kOwner);
    REQUIRE(write(fs, files, Writer::taken, 5));
    fs.cut_power_at(fs.steps() + step);
    const bool stored = write(fs, files, Writer::received, 9);
    fs.lose_power(MemFs::Loss::random);
    SnapshotFiles after(fs, kOwner);
    const auto found = after.open();
    REQUIRE(found.ok());
    CHECK(read_back(fs, 5).ok());
    if (stored) CHECK(found->front() == raft::Index(9));
    if (found->front() == raft::Index(9)) CHECK(read_back(fs, 9).ok());
    if (stored) break;
    REQUIRE(step < 100);
  }
}

TEST_CASE(
    "D4: every flipped bit and every truncation is detected, and the error names file and offset") {
  MemFs fs;
  SnapshotFiles files(fs, kOwner);
  REQUIRE(write(fs, files, Writer::taken, 12));
  const std::string name = storage::snapshot_name(raft::Index(12));
  const std::string whole = fs.content(name);
  for (std::size_t i = 0; i < whole.size(); ++i) {
    CAPTURE(i);
    for (unsigned bit = 0; bit < 8; ++bit) {
      fs.put(name, whole);
      fs.flip_bit(name, i, bit);
      const auto content = read_back(fs, 12);
      REQUIRE_FALSE(content.ok());
      CHECK(why(content).find(name + " at offset ") == 0);
    }
    fs.put(name, whole.substr(0, i));
    CHECK_FALSE(read_back(fs, 12).ok());
  }
  fs.put(name, whole + "x");
  CHECK(why(read_back(fs, 12)).find("after its end") != std::string::npos);
}

TEST_CASE("D7: a snapshot of another node, or under another snapshot's name, is refused") {
  MemFs fs;
  SnapshotFiles files(fs, kOwner);
  REQUIRE(write(fs, files, Writer::taken, 12));
  CHECK(why(read_back(fs, 12, {raft::ServerId(1), kOwner.incarnation})).find("belongs to node 2") !=
        std::string::npos);
  CHECK_FALSE(read_back(fs, 12, {kOwner.server, raft::Incarnation(1)}).ok());
  fs.put(storage::snapshot_name(raft::Index(13)),
         fs.content(storage::snapshot_name(raft::Index(12))));
  CHECK(why(read_back(fs, 13)).find("renamed or copied") != std::string::npos);
}

TEST_CASE("D8: a snapshot of a newer version is refused, and the error names the version") {
  std::string head = storage::encode_snapshot_head({raft::ServerId(1), {}, raft::Index(4), 100});
  head[8] = 2;
  const std::uint64_t sum = checksum64(std::string_view(head).substr(0, head.size() - 8));
  for (std::size_t i = 0; i < 8; ++i) head[head.size() - 8 + i] = static_cast<char>(sum >> (8 * i));
  const auto decoded = storage::decode_snapshot_head(head);
  REQUIRE_FALSE(decoded.ok());
  CHECK(decoded.error().what.find("format version 2") != std::string::npos);
}

TEST_CASE("D2: without space a snapshot is abandoned, older ones stay, and the next one works") {
  MemFs fs;
  SnapshotFiles files(fs, kOwner);
  REQUIRE(write(fs, files, Writer::taken, 5));
  SUBCASE("the disk is full") {
    fs.set_capacity(fs.used() + 60);
  }
  SUBCASE("the limit on the size of files is too low") {
    fs.set_file_limit(60);
  }
  files.begin(Writer::taken, raft::Index(9), 10);
  files.append(Writer::taken,
               {storage::encode_chunk(files.zstd(), raft::Index(9), 0, "0123456789")});
  bool failed = false;
  for (const auto& outcome : run(fs, files)) failed |= outcome.failed == Writer::taken;
  CHECK(failed);
  CHECK_FALSE(files.writing(Writer::taken));
  CHECK_FALSE(fs.exists(std::string(storage::kTakenTemporary)));
  CHECK(read_back(fs, 5).ok());
  fs.set_capacity(UINT64_MAX);
  fs.set_file_limit(UINT64_MAX);
  CHECK(write(fs, files, Writer::taken, 9));
}

TEST_CASE("an error other than lack of space is fatal") {
  for (const int error : {EIO, EROFS}) {
    MemFs fs;
    SnapshotFiles files(fs, kOwner);
    files.begin(Writer::taken, raft::Index(9), 10);
    fs.fail(MemFs::Call::sync, 0, error);
    const auto done = fs.run_one();
    REQUIRE(done);
    CHECK_FALSE(files.on_done(*done).ok());
  }
}

TEST_CASE("chunks are read for followers, and a damaged chunk is not sent") {
  MemFs fs;
  SnapshotFiles files(fs, kOwner);
  REQUIRE(write(fs, files, Writer::taken, 5));
  files.read(raft::Index(5), 1, 77);
  auto outcomes = run(fs, files);
  REQUIRE(outcomes.size() == 1);
  CHECK(outcomes[0].read->asker == 77);
  const auto content =
      storage::decode_chunk(files.zstd(), outcomes[0].read->record.view(), raft::Index(5), 1);
  REQUIRE(content.ok());
  CHECK(*content == content_of(5).substr(10, 10));
  fs.flip_bit(storage::snapshot_name(raft::Index(5)), files.find(raft::Index(5))->offsets[2] + 20,
              3);
  files.read(raft::Index(5), 2, 1);
  outcomes = run(fs, files);
  CHECK(outcomes[0].read->record.empty());
  CHECK(files.find(raft::Index(5))->damaged);
  files.read(raft::Index(6), 0, 1);  // never was there
  outcomes = run(fs, files);
  CHECK(outcomes[0].read->record.empty());
}

TEST_CASE("a chunk that is requested again before it was read is read once") {
  MemFs fs;
  SnapshotFiles files(fs, kOwner);
  REQUIRE(write(fs, files, Writer::taken, 5));
  for (int i = 0; i < 50; ++i) files.read(raft::Index(5), 1, 77);
  files.read(raft::Index(5), 1, 78);
  files.read(raft::Index(5), 2, 77);
  CHECK(run(fs, files).size() == 3);
}

TEST_CASE("snapshots that the log no longer continues are removed unless they are in use") {
  MemFs fs;
  SnapshotFiles files(fs, kOwner);
  for (const std::uint64_t index : {3u, 5u, 8u}) REQUIRE(write(fs, files, Writer::taken, index));
  files.prune(raft::Index(5), {});
  run(fs, files);
  CHECK_FALSE(fs.exists(storage::snapshot_name(raft::Index(3))));
  CHECK(fs.exists(storage::snapshot_name(raft::Index(5))));
  files.prune(raft::Index(8), {raft::Index(5)});
  run(fs, files);
  CHECK(fs.exists(storage::snapshot_name(raft::Index(5))));
  CHECK(files.find(raft::Index(5)) != nullptr);
}

TEST_CASE("one job is in flight at a time, so that an append waits for one chunk at most") {
  MemFs fs;
  SnapshotFiles files(fs, kOwner);
  REQUIRE(write(fs, files, Writer::taken, 5));
  files.begin(Writer::taken, raft::Index(9), 10);
  files.begin(Writer::received, raft::Index(11), 10);
  for (std::uint64_t i = 0; i < 4; ++i) files.read(raft::Index(5), i, i);
  CHECK(fs.jobs() == 1);
  while (auto done = fs.run_one()) {
    REQUIRE(files.on_done(*done).ok());
    CHECK(fs.jobs() <= 1);
  }
}
