// The number of starts of a directory, and the starts that were seen of others.
#include <doctest/doctest.h>

#include "storage/boot_number.hpp"
#include "storage/boots_seen.hpp"
#include "storage/records.hpp"
#include "support/mem_fs.hpp"

using namespace vesper;
using namespace vesper::test;
using storage::BootsSeen;
using storage::SeenBoot;

namespace {

constexpr raft::Incarnation kOwn(0xabc);

SeenBoot seen(std::uint32_t server, std::uint64_t incarnation, std::uint64_t number,
              std::uint64_t boot) {
  return {raft::ServerId(server), raft::Incarnation(incarnation), number, raft::BootId(boot)};
}

}  // namespace

TEST_CASE("each start counts one up, and another incarnation begins at one") {
  MemFs fs(1);
  for (std::uint64_t n = 1; n <= 5; ++n) {
    CHECK(storage::count_boot(fs, kOwn).value() == n);
    fs.lose_power(MemFs::Loss::all);  // what was returned is durable
  }
  CHECK(storage::count_boot(fs, raft::Incarnation(7)).value() == 1);
  CHECK(storage::count_boot(fs, raft::Incarnation(7)).value() == 2);
  CHECK(storage::last_boot(fs, raft::Incarnation(7)).value() == 2);
  CHECK(storage::last_boot(fs, kOwn).value() == 0);
  MemFs empty(1);
  CHECK(storage::last_boot(empty, kOwn).value() == 0);
}

TEST_CASE("an older copy of the directory counts from the older number") {
  MemFs fs(1);
  REQUIRE(storage::count_boot(fs, kOwn).ok());
  MemFs copy = fs;
  CHECK(storage::count_boot(fs, kOwn).value() == 2);
  CHECK(storage::count_boot(copy, kOwn).value() == 2);
}

TEST_CASE("a crash while a start is counted never makes the number fall") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    MemFs fs(seed);
    std::uint64_t last = 0;
    for (std::uint64_t step = 0; step < 12; ++step) {
      fs.cut_power_at(fs.steps() + step % 4);
      const auto counted = storage::count_boot(fs, kOwn);
      if (counted.ok()) {
        CHECK(*counted > last);
        last = *counted;
      }
      fs.lose_power(MemFs::Loss::random);
    }
    const auto counted = storage::count_boot(fs, kOwn);
    REQUIRE(counted.ok());
    CHECK(*counted > last);
  }
}

TEST_CASE("a start is counted on a full disk") {
  MemFs fs(1);
  REQUIRE(storage::count_boot(fs, kOwn).ok());
  fs.set_capacity(fs.used());
  CHECK(storage::count_boot(fs, kOwn).value() == 2);
  CHECK(storage::count_boot(fs, kOwn).value() == 3);
}

TEST_CASE("one damaged sector is harmless, and two are refused") {
  MemFs fs(1);
  REQUIRE(storage::count_boot(fs, kOwn).ok());
  REQUIRE(storage::count_boot(fs, kOwn).ok());
  fs.flip_bit("boot-number", 20, 3);  // of the second start
  CHECK(storage::count_boot(fs, kOwn).value() == 2);
  fs.flip_bit("boot-number", 20, 3);
  fs.flip_bit("boot-number", 512 + 20, 3);
  const auto counted = storage::count_boot(fs, kOwn);
  REQUIRE_FALSE(counted.ok());
  CHECK(counted.error().what.starts_with("boot-number is damaged"));
}

TEST_CASE("the latest start of each incarnation is remembered") {
  BootsSeen boots;
  CHECK(boots.saw(seen(1, 10, 3, 100)));
  CHECK_FALSE(boots.saw(seen(1, 10, 3, 101)));  // the first process of an equal number stays
  CHECK_FALSE(boots.saw(seen(1, 10, 2, 102)));
  CHECK(boots.saw(seen(1, 11, 1, 103)));
  CHECK(boots.saw(seen(2, 20, 9, 104)));
  CHECK(boots.of(raft::Incarnation(10)) == seen(1, 10, 3, 100));
  CHECK(boots.latest_of(raft::ServerId(1)) == seen(1, 11, 1, 103));
  CHECK(boots.of(raft::Incarnation(12)) == SeenBoot{});
  CHECK(boots.latest_of(raft::ServerId(3)) == SeenBoot{});
  CHECK(boots.saw(seen(1, 10, 4, 105)));
  CHECK(boots.latest_of(raft::ServerId(1)) == seen(1, 10, 4, 105));

  const auto again = BootsSeen::decode(boots.encode());
  REQUIRE(again.ok());
  CHECK(again->of(raft::Incarnation(10)) == seen(1, 10, 4, 105));
  CHECK(again->latest_of(raft::ServerId(2)) == seen(2, 20, 9, 104));
  CHECK(again->size() == 3);
}

TEST_CASE("what was seen is bounded, and the incarnation of longest ago is forgotten") {
  BootsSeen boots;
  for (std::uint64_t i = 1; i <= BootsSeen::kMost + 5; ++i) CHECK(boots.saw(seen(1, i, 1, i)));
  CHECK(boots.size() == BootsSeen::kMost);
  CHECK(boots.of(raft::Incarnation(5)) == SeenBoot{});
  CHECK(boots.of(raft::Incarnation(6)).number == 1);
  CHECK(boots.encode().size() <= storage::kMaxRecordContent);
}

TEST_CASE("malformed bytes are no starts") {
  BootsSeen boots;
  boots.saw(seen(1, 10, 3, 100));
  const std::string bytes = boots.encode();
  for (std::size_t size = 0; size < bytes.size(); ++size)
    CHECK_FALSE(BootsSeen::decode(bytes.substr(0, size)).ok());
  CHECK_FALSE(BootsSeen::decode(bytes + "x").ok());
  CHECK_FALSE(BootsSeen::decode(std::string("\xff\xff\xff\xff", 4)).ok());
}
