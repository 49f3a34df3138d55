// What a full disk lets through: terms, votes and cuts go ahead of the entries that wait.
#include <cerrno>

#include "base/checksum.hpp"
#include "storage/snapshot_format.hpp"
#include "storage/wal_harness.hpp"

using namespace vesper;
using namespace vesper::test;

namespace {

// Segments whose reserve is one frame or more, and a disk without space for a second one.
storage::WalOptions options_with_reserve() {
  storage::WalOptions options = small_options();
  options.first_segment_bytes = options.segment_bytes = 16 * 1024;
  return options;
}

struct FullDisk {
  MemFs fs;
  Machine machine{.fs = fs};
  Model model;

  FullDisk() {
    REQUIRE(machine.open(options_with_reserve()).ok());
    fs.set_capacity(20'000);
    while (!machine.wal->disk_full() || machine.wal->persisted().value == model.number()) {
      machine.wal->write(model.append(1000));
      REQUIRE(machine.run().ok());
      machine.now = machine.now + milliseconds(100);
    }
    waiting = model.number();
  }
  std::uint64_t waiting = 0;  // the first Write whose entry does not fit
};

}  // namespace

TEST_CASE("on a full disk a new term and a vote are durable although earlier entries wait") {
  FullDisk full;
  storage::Wal& wal = *full.machine.wal;
  CHECK(wal.persisted().value == full.waiting - 1);
  const raft::HardState vote{raft::Term(7), raft::ServerId(1)};
  const std::uint64_t last = full.model.last().entries.size();
  wal.write(full.model.write(vote, last, {}, 0));
  REQUIRE(full.machine.run().ok());
  CHECK(wal.persisted().value == full.waiting - 1);
  CHECK(wal.persisted_hard_state().value == full.model.number());
  // Once: what says nothing new does not use the reserve up.
  CHECK(wal.deadline() > full.machine.now);

  full.fs.lose_power(MemFs::Loss::all);
  REQUIRE(full.machine.open(options_with_reserve()).ok());
  CHECK(full.machine.found.hard_state == vote);
  CHECK(full.machine.found.entries.size() == last - 1);
  CHECK(full.machine.found.last_write.value == full.waiting - 1);
}

TEST_CASE("on a full disk truncated entries no longer wait, and a new term is durable") {
  FullDisk full;
  storage::Wal& wal = *full.machine.wal;
  const std::uint64_t last = full.model.last().entries.size();
  wal.write(full.model.write({raft::Term(8), {}}, last - 1, {}, 0));
  REQUIRE(full.machine.run().ok());
  CHECK(wal.persisted().value == full.model.number());
  CHECK(wal.persisted_hard_state() == wal.persisted());
}

TEST_CASE("a cut frees space on a full disk, although entries wait") {
  MemFs fs;
  Machine machine{.fs = fs};
  storage::WalOptions options = options_with_reserve();
  REQUIRE(machine.open(options).ok());
  std::uint64_t number = 0;
  std::uint64_t last = 0;
  raft::LogBase base;
  const auto write = [&](std::uint64_t count) {
    raft::Write next{raft::WriteNumber(++number),
                     {raft::Term(1), {}},
                     raft::Index(last),
                     raft::Index(last),
                     {},
                     base};
    for (std::uint64_t i = 0; i < count; ++i) {
      ++last;
      next.entries.push_back(last == 1 ? bootstrap(1) : command(last, 1, std::string(1000, 'e')));
    }
    next.commit_index = raft::Index(last);
    machine.wal->write(std::move(next));
    REQUIRE(machine.run().ok());
    machine.now = machine.now + milliseconds(100);
  };
  while (machine.wal->stats().segments < 3) write(1);
  fs.set_capacity(50'000);
  while (machine.wal->persisted().value == number) write(1);
  REQUIRE(machine.wal->disk_full());
  base = {raft::Index(last - 5), raft::Term(1), kCluster};
  write(0);
  CHECK(machine.wal->durable_base() == base.index);
  machine.now = machine.now + options.retry_after;
  REQUIRE(machine.run().ok());
  CHECK_FALSE(machine.wal->disk_full());
  CHECK(machine.wal->persisted().value == number);
}

TEST_CASE("a spare is made only if it leaves a tenth of the disk and twice its size free") {
  MemFs fs;
  Machine machine{.fs = fs};
  Model model;
  storage::WalOptions options = small_options();
  std::uint64_t least_free = 0;
  SUBCASE("twice its size decides") {
    fs.set_capacity(30'000);
    least_free = 2 * options.segment_bytes;
  }
  SUBCASE("a tenth of the disk decides") {
    fs.set_capacity(200'000);
    fs.put("ballast", std::string(178'000, 'b'));
    least_free = 20'000;
  }
  REQUIRE(machine.open(options).ok());
  const auto free_bytes = [&] { return fs.space().free + fs.content("spare").size(); };
  while (free_bytes() + options.segment_bytes >= least_free) {
    machine.now = machine.now + options.retry_after;
    REQUIRE(machine.run_quiet().ok());
    CHECK(fs.exists("spare") == (free_bytes() >= least_free));
    const std::uint64_t segments = machine.wal->stats().segments;
    // Until the next one is used, and so much of it that a spare is wanted.
    for (int more = 6; more > 0; more -= machine.wal->stats().segments > segments ? 1 : 0) {
      machine.wal->write(model.append(300));
      REQUIRE(machine.run().ok());
    }
  }
  // Small ones, and to the last byte where frames wait for it.
  while (!machine.wal->disk_full()) {
    CHECK(machine.wal->persisted().value == model.number());
    machine.wal->write(model.append(300));
    REQUIRE(machine.run().ok());
  }
  CHECK(free_bytes() < options.first_segment_bytes);
  CHECK_FALSE(fs.exists("spare"));
}

TEST_CASE("a partial spare is removed if the disk has no space for the rest") {
  MemFs fs;
  Machine machine{.fs = fs};
  Model model;
  storage::WalOptions options = small_options();
  options.segment_bytes = 64 * 1024;
  REQUIRE(machine.open(options).ok());
  machine.wal->write(model.append(1500));  // so much that a part of the spare is made
  REQUIRE(machine.run().ok());
  const std::uint64_t part = fs.content("spare").size();
  REQUIRE(part > 0);
  REQUIRE(part < options.segment_bytes);
  fs.put("ballast", "b");
  fs.set_capacity(fs.used() + 1000);
  REQUIRE(machine.run_quiet().ok());
  CHECK_FALSE(fs.exists("spare"));
  CHECK(machine.wal->stats().file_bytes == options.first_segment_bytes);
}

TEST_CASE("a disk that fills up while entries wait gets a small segment, or frees the spare") {
  MemFs fs;
  Machine machine{.fs = fs};
  Model model;
  storage::WalOptions options = small_options();
  options.segment_bytes = 64 * 1024;
  REQUIRE(machine.open(options).ok());
  // By quota: the file system says that there is space.
  fs.set_file_limit(options.first_segment_bytes);
  for (int i = 0; i < 20; ++i) machine.wal->write(model.append(300));
  REQUIRE(machine.run().ok());
  CHECK_FALSE(machine.wal->disk_full());
  CHECK(machine.wal->persisted().value == model.number());
  CHECK(machine.wal->stats().segments > 2);
  fs.set_file_limit(options.first_segment_bytes - 1);
  for (int i = 0; i < 20; ++i) machine.wal->write(model.append(300));
  REQUIRE(machine.run().ok());
  CHECK(machine.wal->disk_full());
  CHECK_FALSE(fs.exists("spare"));
}

TEST_CASE("a log that has ended leaves no spare") {
  MemFs fs;
  Machine machine{.fs = fs};
  Model model;
  REQUIRE(machine.open().ok());
  machine.wal->write(model.append());
  REQUIRE(machine.run_quiet().ok());
  REQUIRE(fs.exists("spare"));
  machine.wal->write(model.append());
  machine.wal->finish();
  REQUIRE(machine.run().ok());
  CHECK(machine.wal->idle());
  CHECK_FALSE(fs.exists("spare"));
  CHECK(machine.wal->persisted().value == model.number());
}

TEST_CASE("a limit on the size of files is a full disk, and the log continues when it is lifted") {
  MemFs fs;
  Machine machine{.fs = fs};
  Model model;
  storage::WalOptions options = options_with_reserve();
  REQUIRE(machine.open(options).ok());
  fs.set_file_limit(16 * 1024 - 1);  // one byte less than a segment
  while (!machine.wal->disk_full() || machine.wal->persisted().value == model.number()) {
    machine.wal->write(model.append(1000));
    REQUIRE(machine.run().ok());
    machine.now = machine.now + milliseconds(100);
  }
  fs.set_file_limit(UINT64_MAX);
  machine.now = machine.now + options.retry_after;
  REQUIRE(machine.run().ok());
  CHECK_FALSE(machine.wal->disk_full());
  CHECK(machine.wal->persisted().value == model.number());
}

TEST_CASE("a disk that becomes read-only ends the log, which never retries") {
  MemFs fs;
  Machine machine{.fs = fs};
  REQUIRE(machine.open(options_with_reserve()).ok());
  REQUIRE(machine.run_quiet().ok());
  Model model;
  for (int i = 0; i < 4; ++i) machine.wal->write(model.append(1000));
  REQUIRE(machine.run().ok());
  fs.fail(MemFs::Call::write, 1, EROFS);  // the frame is written, a slice of the spare is not
  machine.wal->write(model.append(1000));
  const Result<void> ran = machine.run_quiet();
  REQUIRE_FALSE(ran.ok());
  CHECK(ran.error().code == EROFS);
  CHECK(ran.error().what.find("cannot create the next segment of the log") != std::string::npos);
  CHECK(machine.wal->deadline() == kNever);
}

TEST_CASE("a disk that was full is retried in time, although all new entries still fit") {
  MemFs fs;
  Machine machine{.fs = fs};
  Model model;
  storage::WalOptions options = options_with_reserve();
  options.retry_after = milliseconds(300);
  REQUIRE(machine.open(options).ok());
  // Most of the next segment can be allocated: for long it is not needed.
  fs.set_capacity(16 * 1024 + 13'000);
  const auto write = [&] {
    machine.wal->write(model.append());
    REQUIRE(machine.run().ok());
  };
  for (int i = 0; i < 8; ++i) write();
  REQUIRE(machine.run_quiet().ok());
  REQUIRE(machine.wal->disk_full());
  fs.set_capacity(UINT64_MAX);
  for (int i = 0; i < 8; ++i) {  // never quiet
    machine.now = machine.now + milliseconds(60);
    write();
  }
  CHECK_FALSE(machine.wal->disk_full());
}

namespace {

// A log of a few entries whose last write a crash tore, and no byte of the disk is free.
struct TornOnFullDisk {
  MemFs fs;
  Model model;

  TornOnFullDisk() {
    Machine machine{.fs = fs};
    REQUIRE(machine.open(options_with_reserve()).ok());
    for (int i = 0; i < 3; ++i) machine.wal->write(model.append(500));
    REQUIRE(machine.run().ok());
    fs.kill();
    fs.drop("spare");
    std::string segment = fs.content(storage::segment_name(1));
    const std::size_t end = segment.find_last_not_of('\0') / 512 * 512 + 512;
    segment.replace(end + 16, 40, 40, 'x');
    fs.put(storage::segment_name(1), segment);
    fs.set_capacity(fs.used());
  }
  void leave(std::uint64_t bytes) { fs.set_capacity(fs.used() + bytes); }
};

}  // namespace

TEST_CASE("a torn tail on a full disk: temporary files are removed to make room for the log") {
  for (const char* name : {"spare", "snapshot.tmp", "received.tmp"}) {
    CAPTURE(name);
    TornOnFullDisk torn;
    torn.fs.put(name, std::string(20'000, 'x'));
    torn.leave(0);
    Machine machine{.fs = torn.fs};
    CHECK(error_of(machine.open(options_with_reserve())) == "");
    CHECK_FALSE(torn.fs.exists(name));
    CHECK(machine.found.entries.size() == 3);
  }
}

TEST_CASE(
    "a torn tail on a full disk: a minimal segment is enough to vote, and to continue later") {
  for (const std::uint64_t bytes : {1536u, 1537u, 3000u, 4096u, 10000u}) {
    CAPTURE(bytes);
    TornOnFullDisk torn;
    torn.leave(bytes);
    Machine machine{.fs = torn.fs};
    const storage::WalOptions options = options_with_reserve();
    REQUIRE(error_of(machine.open(options)) == "");
    torn.model.restart(machine.found);
    const raft::HardState vote{raft::Term(7), raft::ServerId(1)};
    machine.wal->write(torn.model.write(vote, 3, {}, 0));
    REQUIRE(machine.run_quiet().ok());
    CHECK(machine.wal->persisted().value == torn.model.number());
    CHECK(machine.wal->disk_full());
    torn.fs.lose_power(MemFs::Loss::all);
    REQUIRE(machine.open(options).ok());
    CHECK(machine.found.hard_state == vote);
    torn.fs.set_capacity(UINT64_MAX);
    machine.wal->write(torn.model.append(1000));
    machine.now = machine.now + options.retry_after;
    REQUIRE(machine.run_quiet().ok());
    CHECK(machine.wal->persisted().value == torn.model.number());
  }
}

TEST_CASE("a torn tail on a full disk: a start without space for a minimal segment is refused") {
  TornOnFullDisk torn;
  torn.leave(1535);
  const std::string before = torn.fs.content(storage::segment_name(1));
  Machine machine{.fs = torn.fs};
  const std::string error = error_of(machine.open(options_with_reserve()));
  CHECK(error.find("no space for wal-0000000000000002, which needs at least 1536 bytes") == 0);
  CHECK(torn.fs.content(storage::segment_name(1)) == before);
  CHECK_FALSE(torn.fs.exists("spare"));
  torn.leave(1536);
  CHECK(machine.open(options_with_reserve()).ok());
}

TEST_CASE("a refused directory stays unchanged, including its temporary files") {
  TornOnFullDisk torn;
  torn.leave(UINT32_MAX);
  raft::ServerId owner = kSelf;
  raft::Incarnation incarnation = kFresh;
  char version = 1;
  const char* expected = "";
  SUBCASE("a snapshot of a newer version") {
    version = 2;
    expected = "format version 2";
  }
  SUBCASE("a snapshot of another node") {
    owner = raft::ServerId(1);
    expected = "belongs to node 1";
  }
  SUBCASE("a snapshot of another incarnation") {
    incarnation = raft::Incarnation(5);
    expected = "of incarnation 0000000000000005";
  }
  std::string head = storage::encode_snapshot_head({owner, incarnation, raft::Index(2), 100});
  head[8] = version;
  const std::uint64_t sum = checksum64(std::string_view(head).substr(0, head.size() - 8));
  for (std::size_t i = 0; i < 8; ++i) head[head.size() - 8 + i] = static_cast<char>(sum >> (8 * i));
  torn.fs.put(storage::snapshot_name(raft::Index(2)), head);
  for (const char* name : {"spare", "snapshot.tmp", "received.tmp"}) torn.fs.put(name, "left");
  const std::uint64_t steps = torn.fs.steps();
  Machine machine{.fs = torn.fs};
  const std::string error = error_of(machine.open(options_with_reserve()));
  CHECK_MESSAGE(error.find(expected) != std::string::npos, error);
  CHECK(torn.fs.steps() == steps);
}
