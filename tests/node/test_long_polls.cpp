// Reads that wait for a change: when they are released, and what they know by then.
#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "keyspaces.hpp"
#include "node/long_polls.hpp"

namespace test_long_polls {

using namespace vesper;
using namespace vesper::node;

namespace {

struct House {
  Instant now{seconds(100).ns};
  RangeWaits waits;
  kv::Keyspace keyspace;
  LongPolls polls{waits};

  void commit(const std::vector<test::Write>& writes) {
    std::uint64_t at = keyspace.end_of_events();
    test::commit(keyspace, writes);
    for (; at < keyspace.end_of_events(); ++at) waits.tell(*keyspace.event(at));
  }
  void add(std::uint64_t connection, kv::KeyRange range, std::optional<std::uint64_t> since = {},
           Duration wait = seconds(30)) {
    ClientRead read{{connection, 1}, ReadKey{"k"}, now + seconds(5), {}, nullptr, nullptr};
    read.wait = std::make_shared<ChangeWait>(ChangeWait{std::move(range), since, now + wait});
    polls.add(std::move(read), keyspace, now);
  }
  std::vector<ClientRead> due() {
    polls.search(keyspace);
    polls.expire(now);
    return polls.take_due(now);
  }
};

}  // namespace

TEST_CASE("a poll is released by a change in its range, and not by any other") {
  House house;
  house.commit({{"k"}});
  house.add(1, kv::KeyRange::of_key("k"));
  house.add(2, kv::KeyRange::of_prefix("a/"));
  house.commit({{"k2"}, {"k", kv::Space::locks}, {"a"}});
  CHECK(house.due().empty());
  house.now = house.now + seconds(9);
  house.commit({{"k"}, {"a/1"}});
  house.commit({{"k"}});
  const auto due = house.due();
  REQUIRE(due.size() == 2);
  CHECK(due[0].ticket.connection == 1);
  CHECK_FALSE(due[0].poll->is_unchanged());
  CHECK(due[0].deadline == house.now + seconds(5));
  CHECK(house.due().empty());
  CHECK(house.polls.size() == 2);  // until their reads have ended
}

TEST_CASE("a change that is older than the poll is found, within a budget for each turn") {
  House house;
  for (int i = 0; i < 10'000; ++i) house.commit({{"other"}});
  house.commit({{"k"}});
  house.commit({{"k"}});
  const std::uint64_t last = house.keyspace.revision();
  house.add(1, kv::KeyRange::of_key("k"), 5);
  house.add(2, kv::KeyRange::of_key("k"), last - 1);
  house.add(3, kv::KeyRange::of_key("k"), last);
  house.add(4, kv::KeyRange::of_key("k"), last + 7);
  CHECK(house.due().empty());
  CHECK(house.polls.deadline(house.now) == house.now);
  CHECK(house.due().empty());
  std::vector<std::uint64_t> connections;
  for (const ClientRead& read : house.due()) connections.push_back(read.ticket.connection);
  CHECK(connections == std::vector<std::uint64_t>{1, 2});
  CHECK(house.polls.deadline(house.now) == house.now + seconds(30));
  house.commit({{"k"}});
  const auto due = house.due();
  REQUIRE(due.size() == 1);
  CHECK(due[0].ticket.connection == 3);
}

TEST_CASE("a poll whose history is gone is released at once") {
  House house;
  for (int i = 0; i < 9; ++i) house.commit({{"other"}});
  house.keyspace.compact(5);
  house.add(1, kv::KeyRange::of_key("k"), 3);
  house.add(2, kv::KeyRange::of_key("k"), 4);
  const auto due = house.due();
  REQUIRE(due.size() == 1);
  CHECK(due[0].ticket.connection == 1);
  CHECK_FALSE(due[0].poll->is_unchanged());
}

TEST_CASE("when the wait is over, the poll goes on to watch until its read has ended") {
  House house;
  house.add(1, kv::KeyRange::of_key("k"), std::nullopt, seconds(2));
  CHECK(house.polls.deadline(house.now) == house.now + seconds(2));
  house.now = house.now + seconds(2);
  auto due = house.due();
  REQUIRE(due.size() == 1);
  CHECK(due[0].poll->is_unchanged());
  house.commit({{"k"}});
  CHECK_FALSE(due[0].poll->is_unchanged());
  due.clear();
  CHECK(house.polls.is_idle());
  CHECK(house.waits.size() == 0);
}

TEST_CASE("ten thousand polls that hang up are forgotten, and those of others stay") {
  House house;
  for (std::uint64_t i = 0; i < 10'000; ++i) house.add(i, kv::KeyRange::of_key("k"));
  for (std::uint64_t i = 0; i < 10'000; ++i)
    if (i != 77) house.polls.leave(i);
  CHECK(house.polls.size() == 1);
  CHECK(house.waits.size() == 1);
  house.commit({{"k"}});
  CHECK(house.due().size() == 1);
  house.add(5, kv::KeyRange::of_key("k"));
  const auto cleared = house.polls.clear();
  REQUIRE(cleared.size() == 1);
  CHECK(cleared[0].connection == 5);
  CHECK(house.polls.is_idle());
  CHECK(house.due().empty());
}

TEST_CASE("over an install, a parked poll searches what it has missed") {
  House house;
  house.commit({{"k"}});
  house.add(1, kv::KeyRange::of_key("k"));
  house.add(2, kv::KeyRange::of_key("other"));
  test::commit(house.keyspace, {{"k"}});  // in the new store, and no one was told
  house.polls.on_install(2);
  const auto due = house.due();
  REQUIRE(due.size() == 1);
  CHECK(due[0].ticket.connection == 1);
}

}  // namespace test_long_polls
