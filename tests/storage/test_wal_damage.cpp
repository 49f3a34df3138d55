// Damage: every flipped bit, missing and foreign files, other versions. It is refused by name, or
// harmless; it never costs an acknowledged entry in silence.
#include <cerrno>

#include "base/checksum.hpp"
#include "storage/wal_harness.hpp"

using namespace vesper;
using namespace vesper::test;

namespace {

std::string first_line(const Result<void>& opened) {
  return opened.ok() ? "" : opened.error().what;
}

bool says(const Result<void>& opened, std::string_view words) {
  return !opened.ok() && opened.error().what.find(words) != std::string::npos;
}

struct Made {
  MemFs fs;
  Model model;
};

// A log of `writes` Writes over some segments, its last frame sealed.
Made sealed_log(int writes, std::size_t payload = 150) {
  Made made;
  Machine machine{.fs = made.fs};
  REQUIRE(machine.open().ok());
  machine.wal->write(made.model.write({raft::Term(1), raft::ServerId(2)}, 0, {bootstrap(1)}, 0));
  for (int i = 1; i < writes; ++i) {
    machine.wal->write(made.model.append(payload));
    REQUIRE(machine.run().ok());
  }
  // The newest vote is what damage must not hide.
  machine.wal->write(made.model.write({raft::Term(2), raft::ServerId(1)},
                                      made.model.last().entries.size(), {}, 1));
  machine.wal->finish();
  REQUIRE(machine.run().ok());
  REQUIRE(machine.wal->idle());
  return made;
}

std::vector<std::string> segments(const MemFs& fs) {
  std::vector<std::string> names;
  for (std::uint64_t n = 1; fs.exists(storage::segment_name(n)); ++n)
    names.push_back(storage::segment_name(n));
  return names;
}

Result<void> open_copy(const MemFs& fs, storage::RecoveredLog* found = nullptr) {
  MemFs copy = fs;
  Machine machine{.fs = copy};
  auto opened = machine.open();
  if (found != nullptr) *found = std::move(machine.found);
  return opened;
}

}  // namespace

TEST_CASE("a flip of any bit of a sealed log is refused, or changes nothing that was written") {
  const Made made = sealed_log(9);
  const std::vector<std::string> files = segments(made.fs);
  REQUIRE(files.size() == 2);
  std::uint64_t refused = 0;
  std::uint64_t harmless = 0;
  for (const std::string& file : files) {
    const std::size_t size = made.fs.content(file).size();
    for (std::size_t at = 0; at < size; ++at) {
      for (unsigned bit = 0; bit < 8; ++bit) {
        MemFs fs = made.fs;
        fs.flip_bit(file, at, bit);
        Machine machine{.fs = fs};
        const Result<void> opened = machine.open();
        if (!opened) {
          ++refused;
          if (opened.error().what.find(file) == std::string::npos) {
            // A flip in one file may be blamed on its neighbour's account of it.
            INFO(opened.error().what);
            CHECK(opened.error().what.find("wal-") != std::string::npos);
          }
          continue;
        }
        ++harmless;
        CAPTURE(file);
        CAPTURE(at);
        const std::string wrong = made.model.judge(machine.found, made.model.number());
        REQUIRE_MESSAGE(wrong.empty(), wrong);
      }
    }
  }
  // Refused: all of heads and of frames (the first two Writes share one) but the seal. Harmless:
  // the seal, padding, and what was never used.
  std::uint64_t bytes = 2 * storage::kHeadBytes + 9 * storage::kFrameHeader;
  for (const raft::Entry& entry : made.model.last().entries) bytes += entry.bytes.size();
  CHECK(refused == bytes * 8);
  CHECK(harmless > 0);
}

TEST_CASE("a zeroed sector is damage, but at the end of an unsealed log it is a torn tail") {
  const Made made = sealed_log(5, 20);
  const std::string file = storage::segment_name(1);
  const std::string whole = made.fs.content(file);
  std::uint64_t sectors_used = 0;
  for (std::uint64_t s = 1; s < whole.size() / storage::kSector; ++s)
    if (whole[s * storage::kSector] != '\0') sectors_used = s;
  for (std::uint64_t s = 1; s < sectors_used; ++s) {
    MemFs fs = made.fs;
    std::string bytes = whole;
    bytes.replace(s * storage::kSector, storage::kSector, storage::kSector, '\0');
    fs.put(file, bytes);
    CHECK(says(open_copy(fs), "offset " + std::to_string(s * storage::kSector) + ": damaged"));
  }
  // The seal alone: nothing is lost by it.
  MemFs fs = made.fs;
  std::string bytes = whole;
  bytes.replace(sectors_used * storage::kSector, storage::kSector, storage::kSector, '\0');
  fs.put(file, bytes);
  storage::RecoveredLog found;
  REQUIRE(open_copy(fs, &found).ok());
  CHECK(made.model.judge(found, made.model.number()) == "");
}

TEST_CASE("the head of a frame after a bad one proves damage, even if its entries are torn") {
  MemFs fs;
  Machine machine{.fs = fs};
  Model model;
  REQUIRE(machine.open().ok());
  machine.wal->write(model.append(20));
  REQUIRE(machine.run().ok());
  machine.wal->write(model.append(1500));
  REQUIRE(machine.run().ok());
  fs.flip_bit(storage::segment_name(1), 512 + 80, 0);
  fs.flip_bit(storage::segment_name(1), 1024 + 700, 0);
  CHECK(says(open_copy(fs), "but a later one at offset 1024"));
}

TEST_CASE("bytes in a user's value never look like a frame") {
  // A log whose frames another directory's user stores as a value, in place of sectors.
  MemFs fs;
  Machine machine{.fs = fs};
  Model model;
  REQUIRE(machine.open().ok());
  machine.wal->write(model.append(20));
  REQUIRE(machine.run().ok());
  storage::FrameHeader forged;
  forged.segment = 1;
  forged.offset = 1536;
  forged.length = storage::kFrameHeader;
  forged.write_number = raft::WriteNumber(9);
  std::string bytes = fs.content(storage::segment_name(1));
  bytes[1024] = 'x';  // torn
  const std::string foreign =
      storage::encode_frame_header(forged, raft::Incarnation(kFresh.value + 1));
  bytes.replace(1536, foreign.size(), foreign);
  fs.put(storage::segment_name(1), bytes);
  CHECK(open_copy(fs).ok());
  // Nor does a frame of ours in another place.
  const std::string ours = storage::encode_frame_header(forged, kFresh);
  bytes.replace(1536, ours.size(), std::string(ours.size(), '\0'));
  bytes.replace(2048, ours.size(), ours);
  fs.put(storage::segment_name(1), bytes);
  CHECK(open_copy(fs).ok());
}

TEST_CASE("a missing segment is refused, and the error names the gap") {
  const Made made = sealed_log(40);
  REQUIRE(segments(made.fs).size() >= 3);
  MemFs fs = made.fs;
  fs.drop(storage::segment_name(2));
  CHECK(says(open_copy(fs), "wal-0000000000000002 is missing"));
  fs = made.fs;
  fs.drop(storage::segment_name(1));
  CHECK(says(open_copy(fs), "wal-0000000000000001 is missing"));
}

TEST_CASE("a segment in the place of another is refused") {
  const Made made = sealed_log(40);
  MemFs fs = made.fs;
  fs.put(storage::segment_name(2), made.fs.content(storage::segment_name(3)));
  CHECK(says(open_copy(fs), "says that it is segment wal-0000000000000003"));
}

TEST_CASE("a directory of another node is refused, and nothing in it is changed") {
  const Made made = sealed_log(5);
  MemFs fs = made.fs;
  fs.put("spare", "left over");
  const std::uint64_t steps = fs.steps();
  storage::RecoveredLog found;
  const auto opened = storage::Wal::open(fs, raft::ServerId(4), kFresh, small_options(), found);
  REQUIRE_FALSE(opened.ok());
  CHECK(opened.error().what.find("belongs to node 2, but this is node 4") != std::string::npos);
  CHECK(fs.steps() == steps);
}

TEST_CASE("files of two logs in one directory are refused, and the error names both") {
  Made one = sealed_log(40);
  MemFs other;
  storage::RecoveredLog found;
  REQUIRE(storage::Wal::open(other, kSelf, raft::Incarnation(5), small_options(), found).ok());
  storage::SegmentHead head =
      *storage::decode_head(other.content(storage::segment_name(1)).substr(0, 512));
  head.number = 2;
  std::string bytes = one.fs.content(storage::segment_name(2));
  bytes.replace(0, storage::kSector, storage::encode_head(head));
  one.fs.put(storage::segment_name(2), bytes);
  const Result<void> opened = open_copy(one.fs);
  CHECK(says(opened, "0000000000000005"));
  CHECK(says(opened, to_hex(kFresh.value)));
}

TEST_CASE("a segment of another cluster is refused, and the error names both clusters") {
  const Made made = sealed_log(40);
  MemFs fs = made.fs;
  std::string bytes = fs.content(storage::segment_name(2));
  storage::SegmentHead head = *storage::decode_head(bytes.substr(0, storage::kSector));
  CHECK(head.state.cluster_id == kCluster);
  head.state.cluster_id = {6, 6};
  bytes.replace(0, storage::kSector, storage::encode_head(head));
  fs.put(storage::segment_name(2), bytes);
  CHECK(says(open_copy(fs), to_hex(Id128{6, 6})));
  CHECK(says(open_copy(fs), to_hex(kCluster)));
}

TEST_CASE("a vote on which a head and the frames before it disagree is refused") {
  const Made made = sealed_log(40);
  MemFs fs = made.fs;
  std::string bytes = fs.content(storage::segment_name(2));
  storage::SegmentHead head = *storage::decode_head(bytes.substr(0, storage::kSector));
  head.state.hard_state.voted_for = raft::ServerId(0);
  bytes.replace(0, storage::kSector, storage::encode_head(head));
  fs.put(storage::segment_name(2), bytes);
  CHECK(says(open_copy(fs), "contradicts the log before it"));
}

TEST_CASE("an unknown version is refused before anything is written, and the error names it") {
  const Made made = sealed_log(5);
  MemFs fs = made.fs;
  const std::string file = storage::segment_name(1);
  std::string bytes = fs.content(file);
  bytes[8] = 2;
  // The promise to all versions: the length stands at 12, the checksum ends the head.
  const std::size_t length = static_cast<unsigned char>(bytes[12]);
  std::string sum;
  ByteWriter(sum).u64(checksum64(std::string_view(bytes).substr(0, length - 8)));
  bytes.replace(length - 8, 8, sum);
  fs.put(file, bytes);
  fs.put("spare", "left over");
  const std::uint64_t steps = fs.steps();
  Machine machine{.fs = fs};
  const Result<void> opened = machine.open();
  CHECK(says(opened, "format version 2, but this build reads only 1"));
  CHECK(fs.steps() == steps);
  CHECK(fs.exists("spare"));
}

TEST_CASE("a file with a segment's name that is not a segment is refused") {
  MemFs fs;
  fs.put(storage::segment_name(1), "");
  CHECK(says(open_copy(fs), "not the beginning of a Vesper log segment"));
  fs.put(storage::segment_name(1), std::string(4096, '\0'));
  CHECK(says(open_copy(fs), "not the beginning of a Vesper log segment"));
  fs.put(storage::segment_name(1), std::string(100'000, 'x'));
  CHECK(says(open_copy(fs), "not the beginning of a Vesper log segment"));
}

TEST_CASE("unknown files are reported and left alone, and an old spare is removed") {
  Made made = sealed_log(5);
  made.fs.put("notes.txt", "mine");
  made.fs.put("wal-00000000000000AB", "mine, too");
  made.fs.put("LOCK", "");
  made.fs.put("spare", "left over");
  Machine machine{.fs = made.fs};
  REQUIRE(machine.open().ok());
  CHECK(made.fs.content("notes.txt") == "mine");
  CHECK(made.fs.content("wal-00000000000000AB") == "mine, too");
  CHECK_FALSE(made.fs.exists("spare"));
  CHECK(machine.found.notes.size() == 3);  // two files, and what was read
}

TEST_CASE("the error after a failed read names file and offset") {
  const Made made = sealed_log(5);
  for (std::uint64_t nth = 0; nth < 20; ++nth) {
    MemFs fs = made.fs;
    fs.fail(MemFs::Call::read, nth, EIO);
    const Result<void> opened = open_copy(fs);
    if (nth < 2) {
      CHECK(says(opened, "wal-0000000000000001 at offset"));
      CHECK(opened.error().code == EIO);
    }
  }
  MemFs fs = made.fs;
  fs.fail(MemFs::Call::list, 0, EACCES);
  CHECK(open_copy(fs).error().code == EACCES);
}

TEST_CASE("a failure of any call of the recovery is an error, and the next start succeeds") {
  Made made = sealed_log(5);
  // With a torn tail, so that there is everything to do.
  std::string bytes = made.fs.content(storage::segment_name(1));
  bytes.back() = 'x';
  made.fs.put(storage::segment_name(1), bytes);
  made.fs.put("spare", "left over");
  for (int call = 0; call <= static_cast<int>(MemFs::Call::sync_directory); ++call)
    for (std::uint64_t nth = 0; nth < 6; ++nth) {
      CAPTURE(call);
      CAPTURE(nth);
      MemFs fs = made.fs;
      fs.fail(static_cast<MemFs::Call>(call), nth, EIO);
      Machine machine{.fs = fs};
      (void)machine.open();
      fs.lose_power(MemFs::Loss::all);
      const Result<void> opened = machine.open();
      REQUIRE_MESSAGE(opened.ok(), first_line(opened));
      CHECK(made.model.judge(machine.found, made.model.number()) == "");
    }
}

TEST_CASE("after a truncated file the log continues in a new segment, and a note reports it") {
  const Made made = sealed_log(5);
  MemFs fs = made.fs;
  const std::string file = storage::segment_name(1);
  fs.put(file, fs.content(file).substr(0, 3900));
  Machine machine{.fs = fs};
  REQUIRE(machine.open().ok());
  CHECK(made.model.judge(machine.found, made.model.number()) == "");
  CHECK(fs.exists(storage::segment_name(2)));
  REQUIRE(machine.found.notes.size() == 2);
  CHECK((machine.found.notes[0] + machine.found.notes[1]).find("shorter") != std::string::npos);
  // Cut in the middle of a log it is damage.
  const Made longer = sealed_log(40);
  fs = longer.fs;
  fs.put(file, fs.content(file).substr(0, 2000));
  CHECK_FALSE(open_copy(fs).ok());
}

TEST_CASE("a whole frame after the end that the next segment states is refused") {
  MemFs fs;
  Machine machine{.fs = fs};
  Model model;
  REQUIRE(machine.open().ok());
  machine.wal->write(model.append(20));
  REQUIRE(machine.run().ok());
  machine.wal->write(model.append(20));
  REQUIRE(machine.run().ok());
  const std::string whole = fs.content(storage::segment_name(1));
  std::string torn = whole;
  torn[1024 + 120] = static_cast<char>(torn[1024 + 120] ^ 1);
  fs.put(storage::segment_name(1), torn);
  REQUIRE(machine.open().ok());
  CHECK(machine.found.entries.size() == 1);
  CHECK(open_copy(fs).ok());
  fs.put(storage::segment_name(1), whole);
  CHECK(says(open_copy(fs), "there is a complete frame"));
}

TEST_CASE(
    "a segment without its first frame is damaged, because the frame was durable before its name") {
  MemFs fs;
  Machine machine{.fs = fs};
  Model model;
  REQUIRE(machine.open().ok());
  while (machine.wal->stats().segments < 2) {
    machine.wal->write(model.append(500));
    REQUIRE(machine.run().ok());
  }
  std::string bytes = fs.content(storage::segment_name(2));
  bytes.replace(512, bytes.size() - 512, bytes.size() - 512, '\0');
  fs.put(storage::segment_name(2), bytes);
  CHECK(says(open_copy(fs), "durable before the segment got its name"));
}
