// Messages in bytes: what goes in comes out; what is damaged, forged or out of bounds is refused.
#include <doctest/doctest.h>

#include "base/prng.hpp"
#include "raft/codec.hpp"
#include "raft/entry.hpp"

namespace {

using namespace vesper;
using namespace vesper::raft;

Entry entry(std::uint64_t index, std::uint64_t term, std::string_view payload = "value") {
  return make_entry(Index(index), Term(term), EntryType::command, LogTime(8),
                    {ServerId(1), BootId(2), 3}, payload);
}

AppendEntries append() {
  AppendEntries m{Term(9), Index(4), Term(3), Index(2), LogTime(77), {}};
  m.entries = {entry(5, 3), entry(6, 3, ""), entry(7, 9, std::string(300, 'v'))};
  return m;
}

// One of each kind, every field different.
Snapshot snapshot() {
  Snapshot snapshot{Index(8), Term(7), LogTime(6), 5, {{4, 3}, {}}, 10, 95, 99};
  snapshot.configuration.members.push_back({ServerId(2), "http://127.0.0.1:1", Incarnation(1)});
  return snapshot;
}

std::vector<Message> one_of_each() {
  return {
      VoteRequest{Term(9), true, Index(8), Term(7), {6, 5}},
      VoteRequest{Term(9), false, Index(8), Term(7), {}, true},
      VoteReply{Term(9), Term(8), true, VoteRefusal::leader_fresh},
      VoteReply{Term(9), Term(9), false, VoteRefusal::none},
      append(),
      AppendEntries{Term(1), Index(0), Term(0), Index(0), LogTime(0), {}},
      AppendReply{Term(9), true, Index(8), Index(0), Index(0), Term(0)},
      AppendReply{Term(9), false, Index(0), Index(7), Index(6), Term(5)},
      VoteReply{Term(9), Term(9), false, VoteRefusal::promised},
      Heartbeat{Term(9), Index(8), LogTime(7), 6, 100, 5, milliseconds(4), WriteBlock::waiting,
                Index(3), Term(2), Incarnation(1)},
      HeartbeatReply{Term(9), 8, Index(7), 6, DiskHealth::full},
      HeartbeatReply{Term(9), 0, Index(0), 0, DiskHealth::regressed},
      HeartbeatReply{Term(9), 8, Index(7), 6, DiskHealth::ok, true},
      TimeoutNow{Term(9)},
      ReadIndexRequest{Term(9), 8, true},
      ReadIndexReply{Term(9), 8, Index(7), true},
      InstallSnapshot{Term(9), snapshot(), 0, {}},
      InstallSnapshot{Term(9), snapshot(), 6, SharedBytes::copy_of("chunk")},
      InstallSnapshotReply{Term(9), Index(8), 7, true, Index(8), 0, false},
      InstallSnapshotReply{Term(9), Index(8), 7, false, Index(0), 5, true},
  };
}

std::string bytes_of(const Message& message) {
  std::string bytes;
  encode(message, bytes);
  return bytes;
}

}  // namespace

TEST_CASE("every message comes back byte for byte") {
  for (const Message& message : one_of_each()) {
    const std::string bytes = bytes_of(message);
    const auto read = decode_message(bytes);
    REQUIRE(read.ok());
    CHECK(read->index() == message.index());
    CHECK(term_of(*read) == term_of(message));
    CHECK(bytes_of(*read) == bytes);
  }
}

TEST_CASE("the fields of a message come back in their places") {
  const auto vote = decode_message(bytes_of(one_of_each()[0]));
  REQUIRE(vote.ok());
  const auto& request = std::get<VoteRequest>(*vote);
  CHECK(request.term == Term(9));
  CHECK(request.pre_vote);
  CHECK(request.last_log_index == Index(8));
  CHECK(request.last_log_term == Term(7));
  CHECK(request.cluster_id == Id128{6, 5});
  const auto read = decode_message(bytes_of(append()));
  REQUIRE(read.ok());
  const auto& m = std::get<AppendEntries>(*read);
  CHECK(m.prev_log_index == Index(4));
  CHECK(m.prev_log_term == Term(3));
  CHECK(m.leader_commit == Index(2));
  CHECK(m.log_time == LogTime(77));
  REQUIRE(m.entries.size() == 3);
  CHECK(m.entries[2].payload().view() == std::string(300, 'v'));
}

TEST_CASE("each entry of a message has its own buffer") {
  const auto read = decode_message(bytes_of(append()));
  REQUIRE(read.ok());
  for (const Entry& e : std::get<AppendEntries>(*read).entries)
    CHECK(e.bytes.buffer_size() == e.bytes.size());
}

TEST_CASE("a message is refused if it is truncated anywhere or followed by another byte") {
  for (const Message& message : one_of_each()) {
    const std::string bytes = bytes_of(message);
    for (std::size_t size = 0; size < bytes.size(); ++size)
      CHECK_FALSE(decode_message(bytes.substr(0, size)).ok());
    CHECK_FALSE(decode_message(bytes + '\0').ok());
  }
}

TEST_CASE("a message with a flipped bit is refused, or is itself in canonical form") {
  for (const Message& message : one_of_each()) {
    const std::string bytes = bytes_of(message);
    for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
      std::string damaged = bytes;
      damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
      const auto read = decode_message(damaged);
      if (!read.ok()) continue;
      CHECK(bytes_of(*read) == damaged);
      CHECK(term_of(*read) <= kMaxTerm);
    }
  }
}

TEST_CASE("random bytes are refused or decode to a message in canonical form, and never crash") {
  Prng random(1);
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes(random.next() % 120, '\0');
    for (char& c : bytes) c = static_cast<char>(random.next());
    if (!bytes.empty()) bytes[0] = static_cast<char>(random.next() % 10);
    const auto read = decode_message(bytes);
    if (read.ok()) CHECK(bytes_of(*read) == bytes);
  }
}

TEST_CASE("the error about an unknown kind names it") {
  for (const char kind : {char{0}, char{11}, char{127}}) {
    const auto read = decode_message(std::string(1, kind) + std::string(40, '\0'));
    REQUIRE_FALSE(read.ok());
    CHECK(read.error().what.find("kind") != std::string::npos);
  }
}

TEST_CASE("flags and refusals out of their range are refused") {
  std::string vote = bytes_of(one_of_each()[0]);
  vote[9] = 2;
  CHECK_FALSE(decode_message(vote).ok());
  std::string reply = bytes_of(one_of_each()[2]);
  reply[18] = 9;
  CHECK_FALSE(decode_message(reply).ok());
}

TEST_CASE("a term above the range is refused in every message") {
  for (const Message& message : one_of_each()) {
    std::string bytes = bytes_of(message);
    std::string term;
    ByteWriter(term).u64(kMaxTerm.value + 1);
    bytes.replace(1, 8, term);
    CHECK_FALSE(decode_message(bytes).ok());
  }
}

TEST_CASE("a log time that would overflow is refused") {
  for (const LogTime time : {LogTime(-1), LogTime(INT64_MAX), LogTime(kMaxLogTime.value + 1)}) {
    AppendEntries m = append();
    m.log_time = time;
    CHECK_FALSE(decode_message(bytes_of(m)).ok());
    CHECK_FALSE(decode_message(bytes_of(Heartbeat{Term(9), Index(8), time, 6})).ok());
  }
}

TEST_CASE(
    "a lease is refused if no restart would wait for its end, and so is an age out of range") {
  Heartbeat m{Term(9), Index(8), LogTime(7), 6, 100, 5, kMaxAge};
  CHECK(decode_message(bytes_of(m)).ok());
  m.leader_lease_ms = 101;
  CHECK_FALSE(decode_message(bytes_of(m)).ok());
  m.leader_lease_ms = 0;
  for (const Duration age : {nanoseconds(-1), kMaxAge + nanoseconds(1), nanoseconds(INT64_MAX)}) {
    m.age = age;
    CHECK_FALSE(decode_message(bytes_of(m)).ok());
  }
}

TEST_CASE("L15: entries that do not directly follow prev_log_index are refused") {
  AppendEntries gap = append();
  gap.entries[1] = entry(8, 3);
  CHECK_FALSE(decode_message(bytes_of(gap)).ok());
  AppendEntries elsewhere = append();
  elsewhere.prev_log_index = Index(5);
  CHECK_FALSE(decode_message(bytes_of(elsewhere)).ok());
  AppendEntries end_of_range = append();
  end_of_range.prev_log_index = Index(UINT64_MAX);
  CHECK_FALSE(decode_message(bytes_of(end_of_range)).ok());
}

TEST_CASE("entries are refused if their terms decrease or exceed the leader's") {
  AppendEntries falls = append();
  falls.entries[1] = entry(6, 2);
  CHECK_FALSE(decode_message(bytes_of(falls)).ok());
  AppendEntries above = append();
  above.entries[2] = entry(7, 10);
  CHECK_FALSE(decode_message(bytes_of(above)).ok());
}

TEST_CASE("a count that the bytes cannot hold allocates no memory") {
  std::string bytes = bytes_of(append());
  std::string count;
  ByteWriter(count).u32(UINT32_MAX);
  bytes.replace(41, 4, count);
  CHECK_FALSE(decode_message(bytes).ok());
}

TEST_CASE("a damaged entry inside a message is refused") {
  std::string bytes = bytes_of(append());
  bytes[bytes.size() - 20] = static_cast<char>(bytes[bytes.size() - 20] ^ 1);
  const auto read = decode_message(bytes);
  REQUIRE_FALSE(read.ok());
  CHECK(read.error().what.find("checksum") != std::string::npos);
}
