// Setting a data directory aside: everything moves, nothing is lost, and a crash at any step leads
// to the same end.
#include <doctest/doctest.h>

#include <map>

#include "storage/records.hpp"
#include "storage/set_aside.hpp"
#include "support/mem_fs.hpp"

using namespace vesper;
using namespace vesper::test;

namespace {

constexpr std::string_view kTime = "20260131T235959Z";
const std::string kFolder = "set-aside-20260131T235959Z";

const std::map<std::string, std::string> kFiles{
    {"wal-0000000000000003", "the log"},
    {"wal-0000000000000004", "its end"},
    {"snapshot-00000000000000a7", "a state"},
    {"received.tmp", "half a state"},
    {"spare", std::string(2000, '\0')},
    {"boot-number", "7"},
    {"boots-seen", "others"},
    {"diverged", "at index 9"},
    {"left", "a cluster"},
};

MemFs make_directory(std::uint64_t seed) {
  MemFs fs(seed);
  for (const auto& [name, bytes] : kFiles) fs.put(name, bytes);
  fs.put("peers.key", "not the server's");
  fs.put("cluster", "that the files belong to");
  return fs;
}

void expect_set_aside(MemFs& fs) {
  for (const auto& file : kFiles) {
    const auto& name = file.first;
    CAPTURE(name);
    CHECK_FALSE(fs.exists(name));
    CHECK(fs.exists(kFolder + "/" + name));
    CHECK(fs.content(kFolder + "/" + name) == file.second);
  }
  CHECK(fs.content("peers.key") == "not the server's");
  CHECK(fs.list().value() == std::vector<std::string>{"cluster", "peers.key"});
  CHECK(fs.exists(kFolder + "/set-aside.reason"));
}

}  // namespace

TEST_CASE("without an order nothing is set aside") {
  MemFs fs = make_directory(1);
  const auto done = storage::complete_set_aside(fs, fs);
  REQUIRE(done.ok());
  CHECK_FALSE(done->has_value());
  CHECK(fs.content("wal-0000000000000003") == "the log");
  CHECK(fs.folders().value().empty());
}

TEST_CASE("an order moves the files of the server into a folder, and no other file") {
  MemFs fs = make_directory(1);
  const auto folder = storage::order_set_aside(fs, fs, kTime, "an older copy");
  REQUIRE(folder.ok());
  CHECK(*folder == kFolder);
  const auto done = storage::complete_set_aside(fs, fs);
  REQUIRE(done.ok());
  REQUIRE(done->has_value());
  CHECK((*done)->folder == kFolder);
  CHECK((*done)->why == "an older copy");
  CHECK((*done)->left.empty());
  expect_set_aside(fs);
  CHECK_FALSE(storage::complete_set_aside(fs, fs).value().has_value());
}

TEST_CASE("only the newest copy is kept, and two of one second have different names") {
  MemFs fs = make_directory(1);
  REQUIRE(storage::order_set_aside(fs, fs, kTime, "first").ok());
  REQUIRE(storage::complete_set_aside(fs, fs).ok());
  fs.put("wal-0000000000000001", "a new log");
  const auto folder = storage::order_set_aside(fs, fs, kTime, "second");
  REQUIRE(folder.ok());
  CHECK(*folder == kFolder + "-2");
  REQUIRE(storage::complete_set_aside(fs, fs).ok());
  CHECK(fs.folders().value() == std::vector<std::string>{kFolder + "-2"});
  CHECK(fs.content(kFolder + "-2/wal-0000000000000001") == "a new log");
}

TEST_CASE("a crash at any step of setting aside is completed by the next start") {
  std::uint64_t crashes = 0;
  for (const auto loss : {MemFs::Loss::all, MemFs::Loss::none, MemFs::Loss::random}) {
    for (std::uint64_t step = 0;; ++step) {
      CAPTURE(step);
      MemFs fs = make_directory(step + 1);
      fs.cut_power_at(step);
      const bool ordered = storage::order_set_aside(fs, fs, kTime, "why").ok();
      const bool completed = ordered && storage::complete_set_aside(fs, fs).ok();
      if (fs.powered()) {
        CHECK(completed);
        expect_set_aside(fs);
        break;
      }
      ++crashes;
      fs.lose_power(loss);
      const auto done = storage::complete_set_aside(fs, fs);
      REQUIRE(done.ok());
      // Before the order is durable, the directory is as it was.
      const bool untouched = fs.exists("wal-0000000000000003");
      CHECK_FALSE((ordered && untouched));
      if (!untouched) expect_set_aside(fs);
      for (const auto& [name, bytes] : kFiles)
        if (untouched) CHECK(fs.content(name) == bytes);
    }
  }
  CHECK(crashes > 30);
}

namespace {

const std::map<std::string, std::string> kSuccession{
    {"wal-0000000000000001", "a new log"},
    {"snapshot-00000000000000b0", "a new state"},
};

MemFs with_successor(std::uint64_t seed) {
  MemFs fs = make_directory(seed);
  REQUIRE(fs.make_folder("recovered.tmp").ok());
  REQUIRE(fs.sync_directory().ok());
  for (const auto& [name, bytes] : kSuccession) fs.put("recovered.tmp/" + name, bytes);
  return fs;
}

const std::string kOldCluster = kFolder + "-before-recovery";

void expect_succeeded(MemFs& fs) {
  for (const auto& [name, bytes] : kFiles) CHECK(fs.content(kOldCluster + "/" + name) == bytes);
  CHECK(fs.list().value() ==
        std::vector<std::string>{"peers.key", "snapshot-00000000000000b0", "wal-0000000000000001"});
  for (const auto& [name, bytes] : kSuccession) CHECK(fs.content(name) == bytes);
  CHECK(fs.folders().value() == std::vector<std::string>{kOldCluster});
}

}  // namespace

TEST_CASE("a successor takes the place of what is set aside, whatever the step of a crash") {
  constexpr auto kPrepared = storage::Successor::prepared;
  std::uint64_t crashes = 0;
  for (const auto loss : {MemFs::Loss::all, MemFs::Loss::none, MemFs::Loss::random}) {
    for (std::uint64_t step = 0;; ++step) {
      CAPTURE(step);
      MemFs fs = with_successor(step + 1);
      fs.cut_power_at(fs.steps() + step);
      const bool ordered = storage::order_set_aside(fs, fs, kTime, "why", kPrepared).ok();
      const bool completed = ordered && storage::complete_set_aside(fs, fs).ok();
      if (fs.powered()) {
        CHECK(completed);
        expect_succeeded(fs);
        break;
      }
      ++crashes;
      fs.lose_power(loss);
      // A second crash, in the completion. Without an order, that removes the successor.
      fs.cut_power_at(fs.steps() + step % 7);
      (void)storage::complete_set_aside(fs, fs);
      fs.lose_power(loss);
      const auto done = storage::complete_set_aside(fs, fs);
      REQUIRE(done.ok());
      const bool untouched = fs.exists("wal-0000000000000003");
      CHECK_FALSE((ordered && untouched));
      if (!untouched) expect_succeeded(fs);
      for (const auto& [name, bytes] : kFiles)
        if (untouched) CHECK(fs.content(name) == bytes);
    }
  }
  CHECK(crashes > 40);
}

TEST_CASE("what a recovery has left is kept when its successor is set aside") {
  MemFs fs = with_successor(1);
  REQUIRE(storage::order_set_aside(fs, fs, kTime, "why", storage::Successor::prepared).ok());
  REQUIRE(storage::complete_set_aside(fs, fs).ok());
  for (int times = 0; times < 2; ++times) {
    fs.put("wal-0000000000000001", "a newer log");
    REQUIRE(storage::order_set_aside(fs, fs, kTime, "an older copy").ok());
    REQUIRE(storage::complete_set_aside(fs, fs).ok());
  }
  CHECK(fs.folders().value() == std::vector<std::string>{kFolder + "-2", kOldCluster});
  CHECK(fs.content(kOldCluster + "/wal-0000000000000003") == "the log");
}

TEST_CASE("a successor without an order is removed") {
  MemFs fs = with_successor(1);
  CHECK_FALSE(storage::complete_set_aside(fs, fs).value().has_value());
  CHECK(fs.folders().value().empty());
  CHECK(fs.content("wal-0000000000000003") == "the log");
}

TEST_CASE("a damaged or malformed order is refused, and nothing moves") {
  for (const std::string& bytes :
       {std::string("VESPRREC"), std::string(), storage::encode_record("diverged", "x"),
        storage::encode_record("set-aside", "x"),
        storage::encode_record("set-aside",
                               std::string("\x0b\0\0\0elsewhere/a\0\0\0\0\0\0", 21))}) {
    MemFs fs = make_directory(1);
    fs.put("set-aside", bytes);
    const auto done = storage::complete_set_aside(fs, fs);
    REQUIRE_FALSE(done.ok());
    CHECK(done.error().what.starts_with("set-aside: "));
    CHECK(fs.content("wal-0000000000000003") == "the log");
  }
}
