// The bytes themselves: what is written is read, and no length is believed.
#include "storage/wal_harness.hpp"

using namespace vesper;
using namespace vesper::test;

namespace {

// As `hexdump -v -e '"%08_ax " 16/1 "%02x" "\n"'` prints it, but without the lines of zeros.
std::string hex_dump(std::string_view bytes) {
  std::string text;
  for (std::size_t at = 0; at < bytes.size(); at += 16) {
    const std::string_view line = bytes.substr(at, 16);
    if (line.find_first_not_of('\0') == std::string_view::npos) continue;
    text += to_hex(std::uint64_t{at}).substr(12);
    text += ' ';
    for (const char c : line) {
      text += ' ';
      text += to_hex(std::uint64_t{static_cast<unsigned char>(c)}).substr(14);
    }
    text += '\n';
  }
  return text;
}

// The worked example of docs/disk-format.md.
constexpr const char* kExample =
    "0000  56 45 53 50 52 57 41 4c 01 00 00 00 8c 00 00 00\n"
    "0010  02 00 00 00 00 00 00 00 88 77 66 55 44 33 22 11\n"
    "0030  01 00 00 00 00 00 00 00 00 10 00 00 00 00 00 00\n"
    "0060  ff ff ff ff 00 00 00 00 00 00 00 00 00 00 00 00\n"
    "0080  00 00 00 00 36 8d 11 8a 18 f7 4f 0c 00 00 00 00\n"
    "0200  76 46 52 4d ab 00 00 00 01 00 00 00 01 00 00 00\n"
    "0210  00 00 00 00 00 02 00 00 00 00 00 00 36 8d 11 8a\n"
    "0220  18 f7 4f 0c 01 00 00 00 00 00 00 00 00 00 00 00\n"
    "0230  00 00 00 00 01 00 00 00 00 00 00 00 02 00 00 00\n"
    "0250  01 00 00 00 8f d3 0e 48 fb 21 e6 54 76 f9 a5 9b\n"
    "0260  a8 3a cd 8f 47 00 00 00 01 04 00 00 01 00 00 00\n"
    "0270  00 00 00 00 01 00 00 00 00 00 00 00 00 ca 9a 3b\n"
    "0280  00 00 00 00 00 00 00 00 07 b0 00 00 00 00 00 00\n"
    "0290  05 00 00 00 00 00 00 00 68 65 6c 6c 6f 2c 20 64\n"
    "02a0  69 73 6b 71 b4 ee 14 41 b4 5c aa 00 00 00 00 00\n"
    "0400  76 46 52 4d 64 00 00 00 02 00 00 00 01 00 00 00\n"
    "0410  00 00 00 00 00 04 00 00 00 00 00 00 76 f9 a5 9b\n"
    "0420  a8 3a cd 8f 01 00 00 00 00 00 00 00 01 00 00 00\n"
    "0430  00 00 00 00 01 00 00 00 00 00 00 00 02 00 00 00\n"
    "0440  00 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00\n"
    "0450  00 00 00 00 dd 3e 2b e0 75 84 a6 e0 5d c6 45 57\n"
    "0460  9e f3 b6 1f 00 00 00 00 00 00 00 00 00 00 00 00\n";

}  // namespace

TEST_CASE("segment names have one spelling") {
  CHECK(storage::segment_name(0x1f) == "wal-000000000000001f");
  CHECK(storage::parse_segment_name("wal-000000000000001f") == 0x1f);
  for (const char* name : {"wal-000000000000001F", "wal-1f", "wal-0000000000000000", "spare", "",
                           "wal-000000000000001f.tmp", "Wal-000000000000001f"})
    CHECK_FALSE(storage::parse_segment_name(name));
}

TEST_CASE("a head is read as it was written") {
  storage::SegmentHead head;
  head.server = kSelf;
  head.incarnation = kFresh;
  head.number = 7;
  head.file_bytes = 16u << 20;
  head.born_with = 1;
  head.previous_end = 4096;
  head.previous_checksum = 0xabcdef;
  head.state.base = {raft::Index(4), raft::Term(3), {}};
  head.state.write_number = raft::WriteNumber(12);
  head.state.hard_state = {raft::Term(5), raft::ServerId(63)};
  head.state.commit_index = raft::Index(9);
  head.state.last_index = raft::Index(11);
  head.state.cluster_id = kCluster;
  const std::string bytes = storage::encode_head(head);
  REQUIRE(bytes.size() == storage::kSector);
  const auto read = storage::decode_head(bytes);
  REQUIRE(read.ok());
  CHECK(read->server == head.server);
  CHECK(read->incarnation == head.incarnation);
  CHECK(read->number == head.number);
  CHECK(read->file_bytes == head.file_bytes);
  CHECK(read->born_with == head.born_with);
  CHECK(read->previous_end == head.previous_end);
  CHECK(read->previous_checksum == head.previous_checksum);
  CHECK(read->state.base == head.state.base);
  CHECK(read->state.write_number == head.state.write_number);
  CHECK(read->state.hard_state == head.state.hard_state);
  CHECK(read->state.commit_index == head.state.commit_index);
  CHECK(read->state.last_index == head.state.last_index);
  CHECK(read->state.cluster_id == head.state.cluster_id);
  CHECK(read->checksum == head.checksum);
  for (std::size_t length = 0; length < storage::kHeadBytes; ++length)
    CHECK_FALSE(storage::decode_head(std::string_view(bytes).substr(0, length)).ok());
}

TEST_CASE("a frame's header is valid in its own place and log only") {
  storage::FrameHeader frame;
  frame.segment = 3;
  frame.offset = 1024;
  frame.length = storage::kFrameHeader;
  frame.hard_state = {raft::Term(2), {}};
  const std::string bytes = storage::encode_frame_header(frame, kFresh);
  REQUIRE(bytes.size() == storage::kFrameHeader);
  const auto read = storage::decode_frame_header(bytes, kFresh, 3, 1024);
  REQUIRE(read);
  CHECK(read->hard_state == frame.hard_state);
  CHECK(read->checksum == frame.checksum);
  CHECK_FALSE(storage::decode_frame_header(bytes, kFresh, 3, 1536));
  CHECK_FALSE(storage::decode_frame_header(bytes, kFresh, 4, 1024));
  CHECK_FALSE(storage::decode_frame_header(bytes, raft::Incarnation(1), 3, 1024));
  CHECK_FALSE(storage::decode_frame_header(bytes.substr(0, 99), kFresh, 3, 1024));
}

TEST_CASE("a length out of bounds makes no frame, whatever its checksum says") {
  for (const std::uint32_t length :
       {0u, 99u, static_cast<std::uint32_t>(storage::kMaxFrame) + 1, UINT32_MAX}) {
    storage::FrameHeader frame;
    frame.length = length;
    const std::string bytes = storage::encode_frame_header(frame, kFresh);
    CHECK_FALSE(storage::decode_frame_header(bytes, kFresh, 0, 0));
  }
}

TEST_CASE(
    "small entries are copied together, large ones are shared, and the whole fills its sectors") {
  std::vector<raft::Entry> entries;
  std::string expected;
  for (std::uint64_t i = 1; i <= 9; ++i) {
    entries.push_back(command(i, 1, std::string(i % 3 == 0 ? 9000 : 50, static_cast<char>(i))));
    expected += entries.back().bytes.view();
  }
  for (const std::string lead : {"", "LEAD"}) {
    storage::FrameHeader frame;
    const auto parts = storage::encode_frame(lead, frame, entries, kFresh);
    CHECK(parts.size() == (entries.size() / 3) * 2 + 1);
    CHECK(parts[1].data() == entries[2].bytes.data());
    std::string bytes;
    for (const SharedBytes& part : parts) bytes += part.view();
    CHECK(bytes.size() == lead.size() + storage::sectors(frame.length));
    CHECK(bytes.substr(lead.size() + storage::kFrameHeader, expected.size()) == expected);
    CHECK(bytes.find_last_not_of('\0') < lead.size() + frame.length);
    CHECK(frame.entry_count == 9);
  }
}

TEST_CASE("the bytes of a log of version 1 match docs/disk-format.md") {
  MemFs fs;
  Machine machine{.fs = fs};
  REQUIRE(machine.open().ok());
  raft::Write write;
  write.number = raft::WriteNumber(1);
  write.hard_state = {raft::Term(1), raft::ServerId(2)};
  write.entries.push_back(raft::make_entry(
      raft::Index(1), raft::Term(1), raft::EntryType::command, raft::LogTime(1'000'000'000),
      {raft::ServerId(0), raft::BootId(0xb007), 5}, "hello, disk"));
  machine.wal->write(std::move(write));
  machine.wal->finish();
  REQUIRE(machine.run().ok());
  CHECK(hex_dump(fs.content(storage::segment_name(1))) == kExample);
}
