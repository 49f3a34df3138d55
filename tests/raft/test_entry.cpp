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
           {ServerId(5), "http://[::1]:3", Incarnation(13)}}};
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

TEST_CASE("a configuration comes back from its Bootstrap entry") {
  const auto read = decode_bootstrap(encode_bootstrap(three_voters()));
  REQUIRE(read.ok());
  CHECK(*read == three_voters());
}

TEST_CASE("a Bootstrap payload is refused if it is truncated, out of order or has trailing bytes") {
  const std::string whole = encode_bootstrap(three_voters());
  for (std::size_t size = 0; size < whole.size(); ++size)
    CHECK_FALSE(decode_bootstrap(whole.substr(0, size)).ok());
  CHECK_FALSE(decode_bootstrap(whole + "x").ok());
  Configuration out_of_order = three_voters();
  std::swap(out_of_order.voters[0], out_of_order.voters[1]);
  CHECK_FALSE(decode_bootstrap(encode_bootstrap(out_of_order)).ok());
  Configuration twice = three_voters();
  twice.voters[1].id = ServerId(0);
  CHECK_FALSE(decode_bootstrap(encode_bootstrap(twice)).ok());
  Configuration too_high = three_voters();
  too_high.voters[2].id = ServerId(kMaxServers);
  CHECK_FALSE(decode_bootstrap(encode_bootstrap(too_high)).ok());
  CHECK_FALSE(decode_bootstrap(encode_bootstrap({{7, 9}, {}})).ok());
  CHECK_FALSE(decode_bootstrap(encode_bootstrap({{}, three_voters().voters})).ok());
}

TEST_CASE("a registration comes back, and a damaged one does not") {
  const std::string whole = encode_registration(ServerId(4), Incarnation(6));
  const auto read = decode_registration(whole);
  REQUIRE(read.ok());
  CHECK(read->first == ServerId(4));
  CHECK(read->second == Incarnation(6));
  for (std::size_t size = 0; size < whole.size(); ++size)
    CHECK_FALSE(decode_registration(whole.substr(0, size)).ok());
  CHECK_FALSE(decode_registration(whole + "x").ok());
  CHECK_FALSE(decode_registration(encode_registration(ServerId(4), Incarnation(0))).ok());
}

TEST_CASE("an entry that raft reads itself is refused if its payload is malformed") {
  for (const EntryType type : {EntryType::bootstrap, EntryType::registration}) {
    const Entry made = make_entry(Index(1), Term(1), type, {}, {}, "nonsense");
    CHECK_FALSE(decode_entry(made.bytes).ok());
  }
}
