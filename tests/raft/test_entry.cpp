// The byte form of entries: what goes in comes out, and nothing that is damaged does.
#include <doctest/doctest.h>

#include "base/checksum.hpp"
#include "raft/entry.hpp"

namespace {

using namespace vesper;
using namespace vesper::raft;

Configuration three_voters() {
  return {{7, 9},
          {{ServerId(0), "http://a:1", Incarnation(11)},
           {ServerId(1), "http://b:2", Incarnation(0)},
           {ServerId(5), "http://[::1]:3", Incarnation(13)}},
          ServerId(6),
          NodeId(6),
          Index(1)};
}

// Members with every seat and goal, in the middle of a plan.
Configuration joint_change() {
  Configuration configuration = three_voters();
  configuration.members[1].seat = Seat::outgoing;
  configuration.members[1].goal = Goal::leave;
  configuration.members[1].plan = Index(40);
  Member added{ServerId(7), "http://d:4",   Incarnation(17), NodeId(1),
               "fourth",    Seat::incoming, Goal::vote,      Index(40)};
  configuration.members.push_back(added);
  Member learner{ServerId(9), "http://e:5", Incarnation(0), NodeId(7)};
  learner.seat = Seat::learner;
  learner.goal = Goal::learn;
  configuration.members.push_back(learner);
  configuration.next_id = ServerId(12);
  configuration.next_node = NodeId(8);
  configuration.index = Index(44);
  return configuration;
}

Entry command(std::string_view payload) {
  return make_entry(Index(3), Term(2), EntryType::command, LogTime(5), {ServerId(1), BootId(2), 3},
                    payload);
}

// `bytes` with a right checksum at its end.
std::string sealed(std::string bytes) {
  bytes.resize(bytes.size() - 8);
  const std::uint64_t sum = checksum64(bytes);
  ByteWriter(bytes).u64(sum);
  return bytes;
}

}  // namespace

TEST_CASE("an entry comes back as it was made") {
  for (const std::string& payload : {std::string(), std::string("x"), std::string(5000, '\0')}) {
    const Entry made = command(payload);
    const auto read = decode_entry(made.bytes);
    REQUIRE(read.ok());
    CHECK(read->index == made.index);
    CHECK(read->term == made.term);
    CHECK(read->type == made.type);
    CHECK(read->time == made.time);
    CHECK(read->origin == made.origin);
    CHECK(read->bytes == made.bytes);
    CHECK(read->payload().view() == payload);
  }
}

TEST_CASE("the decoder ignores bytes after an entry") {
  const Entry made = command("value");
  const auto read =
      decode_entry(SharedBytes::copy_of(std::string(made.bytes.view()) + "what follows"));
  REQUIRE(read.ok());
  CHECK(read->bytes == made.bytes);
}

TEST_CASE("an entry truncated anywhere is refused") {
  const std::string whole(command("some value").bytes.view());
  for (std::size_t size = 0; size < whole.size(); ++size)
    CHECK_FALSE(decode_entry(SharedBytes::copy_of(whole.substr(0, size))).ok());
}

TEST_CASE("an entry with any bit flipped is refused") {
  const std::string whole(command("some value").bytes.view());
  for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::string damaged = whole;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    CHECK_FALSE(decode_entry(SharedBytes::copy_of(damaged)).ok());
  }
}

TEST_CASE("a length out of bounds allocates no memory") {
  std::string bytes;
  ByteWriter(bytes).u32(UINT32_MAX);
  CHECK(entry_length(bytes) == 0);
  bytes.clear();
  ByteWriter(bytes).u32(kEntryOverhead - 1);
  CHECK(entry_length(bytes) == 0);
  bytes.clear();
  ByteWriter(bytes).u32(static_cast<std::uint32_t>(kMaxEntry + 1));
  CHECK(entry_length(bytes) == 0);
  CHECK(entry_length("abc") == 0);
}

TEST_CASE("the error about an unknown version, type or flag names it") {
  const std::string whole(command("v").bytes.view());
  struct Case {
    std::size_t at;
    char byte;
    const char* named;
  };
  for (const Case& c : {Case{4, 2, "version 2"}, Case{5, 0, "type 0"}, Case{5, 99, "type 99"},
                        Case{6, 1, "flags 1"}}) {
    std::string bytes = whole;
    bytes[c.at] = c.byte;
    const auto read = decode_entry(SharedBytes::copy_of(sealed(bytes)));
    REQUIRE_FALSE(read.ok());
    CHECK(read.error().what.find(c.named) != std::string::npos);
  }
}

TEST_CASE("an index of 0 is refused, and so is a term or a log time out of range") {
  for (const auto& [at, value] : {std::pair<std::size_t, std::uint64_t>{8, 0},
                                  {16, 0},
                                  {16, kMaxTerm.value + 1},
                                  {24, UINT64_MAX},
                                  {24, std::uint64_t{1} << 63 | 1}}) {
    std::string bytes(command("v").bytes.view());
    std::string number;
    ByteWriter(number).u64(value);
    bytes.replace(at, 8, number);
    CHECK_FALSE(decode_entry(SharedBytes::copy_of(sealed(bytes))).ok());
  }
}

TEST_CASE("a configuration comes back from its payload") {
  for (const Configuration& configuration : {three_voters(), joint_change()}) {
    const auto read = decode_configuration(encode_configuration(configuration));
    REQUIRE(read.ok());
    CHECK(*read == configuration);
  }
}

TEST_CASE("a configuration is refused if it is truncated, out of order, or unknown") {
  const std::string whole = encode_configuration(three_voters());
  for (std::size_t size = 0; size < whole.size(); ++size)
    CHECK_FALSE(decode_configuration(whole.substr(0, size)).ok());
  CHECK_FALSE(decode_configuration(whole + "x").ok());
  Configuration out_of_order = three_voters();
  std::swap(out_of_order.members[0], out_of_order.members[1]);
  CHECK_FALSE(decode_configuration(encode_configuration(out_of_order)).ok());
  Configuration twice = three_voters();
  twice.members[1].id = ServerId(0);
  CHECK_FALSE(decode_configuration(encode_configuration(twice)).ok());
  Configuration too_high = three_voters();
  too_high.members[2].id = ServerId(kMaxServerId + 1);
  CHECK_FALSE(decode_configuration(encode_configuration(too_high)).ok());
  Configuration no_voter = three_voters();
  for (Member& member : no_voter.members) member.seat = Seat::learner;
  CHECK_FALSE(decode_configuration(encode_configuration(no_voter)).ok());
  Configuration unknown_seat = three_voters();
  unknown_seat.members[0].seat = static_cast<Seat>(4);
  CHECK_FALSE(decode_configuration(encode_configuration(unknown_seat)).ok());
  Configuration unknown_goal = three_voters();
  unknown_goal.members[0].goal = static_cast<Goal>(4);
  CHECK_FALSE(decode_configuration(encode_configuration(unknown_goal)).ok());
  CHECK_FALSE(decode_configuration(encode_configuration({{7, 9}, {}})).ok());
  CHECK_FALSE(decode_configuration(encode_configuration({{}, three_voters().members})).ok());
}

TEST_CASE("a registration comes back, and a damaged one does not") {
  const std::string whole = encode_registration({ServerId(4), Incarnation(6), 2});
  const auto read = decode_registration(whole);
  REQUIRE(read.ok());
  CHECK(read->id == ServerId(4));
  CHECK(read->incarnation == Incarnation(6));
  CHECK(read->level == 2);
  for (std::size_t size = 0; size < whole.size(); ++size)
    CHECK_FALSE(decode_registration(whole.substr(0, size)).ok());
  CHECK_FALSE(decode_registration(whole + "x").ok());
  CHECK_FALSE(decode_registration(encode_registration({ServerId(4), Incarnation(0), 2})).ok());
}

TEST_CASE("an entry that raft reads itself is refused if its payload is malformed") {
  for (const EntryType type :
       {EntryType::bootstrap, EntryType::registration, EntryType::membership}) {
    const Entry made = make_entry(Index(1), Term(1), type, {}, {}, "nonsense");
    CHECK_FALSE(decode_entry(made.bytes).ok());
  }
}
