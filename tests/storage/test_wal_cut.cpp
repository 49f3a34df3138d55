// A log that begins behind a snapshot (§7): where it begins is as durable as what is in it.
#include <algorithm>

#include "storage/wal_harness.hpp"

using namespace vesper;
using namespace vesper::test;

namespace {

// A log on its disk and what it must say, with Writes that cut it.
struct Cutting {
  MemFs fs;
  Machine machine{.fs = fs};
  raft::HardState hard_state{raft::Term(1), {}};
  std::uint64_t number = 0;
  raft::LogBase base;
  std::uint64_t last = 0;

  raft::Write next(std::uint64_t keep, std::uint64_t count, std::uint64_t commit) {
    raft::Write write{raft::WriteNumber(++number), hard_state, raft::Index(commit),
                      raft::Index(keep),           {},         base};
    for (std::uint64_t i = 1; i <= count; ++i)
      write.entries.push_back(
          keep + i == 1 ? bootstrap(1)
                        : command(keep + i, hard_state.current_term.value, std::string(300, 'e')));
    last = keep + count;
    return write;
  }
  // Opens it and appends four entries `times`, each time to the disk.
  void fill(int times) {
    REQUIRE(machine.open().ok());
    for (int i = 0; i < times; ++i) {
      append(4);
      REQUIRE(machine.run().ok());
    }
  }
  void append(std::uint64_t count) { machine.wal->write(next(last, count, last + count)); }
  void cut(std::uint64_t index) {
    base = {raft::Index(index), raft::Term(1), kCluster};
    machine.wal->write(next(last, 0, last));
  }
  // The log is replaced by a snapshot at `index`.
  void replace(std::uint64_t index) {
    hard_state.current_term = raft::Term(2);
    base = {raft::Index(index), raft::Term(2), kCluster};
    machine.wal->write(next(index, 0, index));
  }
};

std::size_t segments(MemFs& fs) {
  std::size_t count = 0;
  const auto names = fs.list();
  for (const std::string& name : *names)
    if (storage::parse_segment_name(name)) ++count;
  return count;
}

}  // namespace

TEST_CASE("frames do not wait until all segments of a long log are removed") {
  Cutting log;
  log.fill(60);
  REQUIRE(segments(log.fs) >= 10);
  log.cut(230);
  int removed_in_a_row = 0, most = 0;
  for (int i = 0; i < 40; ++i) {
    log.append(1);
    log.machine.wal->flush(log.machine.now);
    if (log.fs.jobs() == 0) continue;
    const bool removes = std::holds_alternative<storage::Remove>(log.fs.next_job().work);
    removed_in_a_row = removes ? removed_in_a_row + 1 : 0;
    most = std::max(most, removed_in_a_row);
    const auto done = log.fs.run_one();
    REQUIRE(log.machine.wal->on_done(*done, log.machine.now).ok());
  }
  CHECK(most == 1);
  REQUIRE(log.machine.run_quiet().ok());
  CHECK(segments(log.fs) <= 6);
}

TEST_CASE("segments below the log's beginning are removed once it is durable, the oldest first") {
  Cutting log;
  log.fill(20);
  const std::size_t before = segments(log.fs);
  REQUIRE(before >= 4);
  log.cut(50);
  log.machine.wal->flush(log.machine.now);
  CHECK(segments(log.fs) == before);
  CHECK(log.machine.wal->durable_base() == raft::Index(0));
  REQUIRE(log.machine.run_quiet().ok());
  CHECK(log.machine.wal->durable_base() == raft::Index(50));
  CHECK(segments(log.fs) < before);
  CHECK(log.machine.wal->stats().segments == segments(log.fs));
  CHECK_FALSE(log.fs.exists(storage::segment_name(1)));
  log.fs.lose_power(MemFs::Loss::all);
  REQUIRE(log.machine.open().ok());
  const storage::RecoveredLog& found = log.machine.found;
  CHECK(found.base.index == raft::Index(50));
  CHECK(found.base.term == raft::Term(1));
  CHECK(found.cluster_id == kCluster);
  REQUIRE(found.entries.size() == 30);
  CHECK(found.entries[0].index == raft::Index(51));
  log.append(1);
  REQUIRE(log.machine.run().ok());
}

TEST_CASE("a cut waits for entries that are still in flight to the disk") {
  Cutting log;
  REQUIRE(log.machine.open().ok());
  log.append(40);  // several frames
  log.cut(30);
  // What is durable names a beginning that a recovery finds, after every frame.
  for (bool more = true; more;) {
    const auto turn = log.machine.turn();
    REQUIRE(turn.ok());
    more = *turn;
    MemFs copy = log.fs;
    copy.lose_power(MemFs::Loss::all);
    Machine other{.fs = copy};
    const raft::Index base = log.machine.wal->durable_base();
    const auto opened = other.open();
    REQUIRE_MESSAGE(opened.ok(), error_of(opened));
    CHECK(other.found.base.index >= base);
  }
  CHECK(log.machine.wal->durable_base() == raft::Index(30));
  CHECK(log.machine.wal->persisted() == raft::WriteNumber(log.number));
  REQUIRE(log.machine.run_quiet().ok());
  log.fs.lose_power(MemFs::Loss::all);
  const auto opened = log.machine.open();
  REQUIRE_MESSAGE(opened.ok(), error_of(opened));
  CHECK(log.machine.found.base.index == raft::Index(30));
}

TEST_CASE("recovery of a cut log omits the entries that are not needed") {
  Cutting log;
  log.fill(20);
  log.cut(50);
  REQUIRE(log.machine.run_quiet().ok());
  for (const std::uint64_t unneeded : {0u, 30u, 50u, 51u, 79u, 80u, 90u}) {
    CAPTURE(unneeded);
    storage::RecoveredLog found;
    const auto opened =
        storage::Wal::open(log.fs, kSelf, kFresh, small_options(), found, raft::Index(unneeded));
    REQUIRE_MESSAGE(opened.ok(), opened.error().what);
    const std::uint64_t kept = std::clamp<std::uint64_t>(unneeded, 50, 80);
    CHECK(found.base.index == raft::Index(50));
    CHECK(found.kept.index == raft::Index(kept));
    CHECK(found.kept.term == raft::Term(1));
    REQUIRE(found.entries.size() == 80 - kept);
    if (kept < 80) CHECK(found.entries[0].index == raft::Index(kept + 1));
  }
}

TEST_CASE("S3: a log that a snapshot replaces is dropped as a whole, whatever its length") {
  for (const std::uint64_t index : {std::uint64_t{7}, std::uint64_t{10}, std::uint64_t{500}}) {
    Cutting log;
    REQUIRE(log.machine.open().ok());
    log.machine.wal->write(log.next(0, 10, 5));
    REQUIRE(log.machine.run().ok());
    log.machine.wal->write(log.next(10, 3, 5));  // queued, and void with the rest
    log.replace(index);
    log.append(2);
    REQUIRE(log.machine.run_quiet().ok());
    CHECK(log.machine.wal->persisted() == raft::WriteNumber(log.number));
    log.fs.lose_power(MemFs::Loss::all);
    REQUIRE(log.machine.open().ok());
    const storage::RecoveredLog& found = log.machine.found;
    CHECK(found.base.index == raft::Index(index));
    CHECK(found.commit_index == raft::Index(index + 2));
    REQUIRE(found.entries.size() == 2);
    CHECK(found.entries[0].index == raft::Index(index + 1));
  }
}

TEST_CASE("S6: a crash at any step leaves the old or the new beginning, and every later entry") {
  for (std::uint64_t step = 0;; ++step) {
    CAPTURE(step);
    Cutting log;
    REQUIRE(log.machine.open().ok());
    const std::uint64_t from = log.fs.steps();
    log.fs.cut_power_at(from + step);
    // What was acknowledged: number, last index and base.
    std::uint64_t acked_last = 0, acked_base = 0;
    bool whole = true;
    const auto run = [&] {
      if (!whole) return;
      if (!log.machine.run().ok() || !log.fs.powered()) {
        whole = false;
        return;
      }
      acked_last = log.last;
      acked_base = log.base.index.value;
    };
    for (std::uint64_t i = 1; i <= 12 && whole; ++i) {
      log.append(4);
      run();
      if (i % 4 == 0 && whole) {
        log.cut(log.last - 6);
        run();
      }
    }
    if (whole) {
      log.replace(log.last + 100);
      run();
    }
    const bool complete = whole;
    log.fs.lose_power(MemFs::Loss::random);
    REQUIRE(log.machine.open().ok());
    const storage::RecoveredLog& found = log.machine.found;
    const std::uint64_t found_last = found.base.index.value + found.entries.size();
    CHECK(found.base.index.value >= acked_base);
    CHECK(found.base.index <= log.base.index);
    CHECK(found_last >= acked_last);
    for (std::size_t i = 0; i < found.entries.size(); ++i)
      REQUIRE(found.entries[i].index.value == found.base.index.value + i + 1);
    if (complete) break;
    REQUIRE(step < 2000);
  }
}

TEST_CASE("D5: a log that lacks its first segment is refused, and the error names the segment") {
  Cutting log;
  log.fill(20);
  log.cut(50);
  REQUIRE(log.machine.run_quiet().ok());
  const auto names = log.fs.list();
  std::string first;
  for (const std::string& name : *names)
    if (first.empty() && storage::parse_segment_name(name)) first = name;
  log.fs.drop(first);
  const auto opened = log.machine.open();
  REQUIRE_FALSE(opened.ok());
  CHECK(error_of(opened).find(first + " is missing") != std::string::npos);
}

TEST_CASE("a directory with snapshots and no log is refused because the vote is lost") {
  MemFs fs;
  fs.put("snapshot-0000000000000007", "whatever");
  Machine machine{.fs = fs};
  const auto opened = machine.open();
  REQUIRE_FALSE(opened.ok());
  CHECK(error_of(opened).find("how it voted") != std::string::npos);
}
