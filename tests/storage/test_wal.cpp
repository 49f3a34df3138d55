// What the log does while nothing is broken: order, merging, rotation, seals, a full disk.
#include <algorithm>
#include <cerrno>

#include "storage/wal_harness.hpp"

using namespace vesper;
using namespace vesper::test;

namespace {

std::string reopened(MemFs& fs, const Model& model, std::uint64_t acknowledged) {
  Machine machine{.fs = fs};
  const Result<void> opened = machine.open();
  if (!opened) return opened.error().what;
  return model.judge(machine.found, acknowledged);
}

}  // namespace

TEST_CASE("an empty directory becomes a log with the incarnation that it was given") {
  MemFs fs;
  Machine machine{.fs = fs};
  REQUIRE(machine.open().ok());
  CHECK(machine.found.incarnation == kFresh);
  CHECK(machine.found.entries.empty());
  CHECK(machine.found.last_write == raft::WriteNumber(0));
  CHECK(machine.found.cluster_id.is_none());
  CHECK(machine.found.notes.size() == 1);
  fs.lose_power(MemFs::Loss::all);
  CHECK(fs.exists(storage::segment_name(1)));
  // It keeps it: the next start's random bits are not looked at.
  storage::RecoveredLog found;
  const auto again = storage::Wal::open(fs, kSelf, raft::Incarnation(99), small_options(), found);
  REQUIRE(again.ok());
  CHECK(found.incarnation == kFresh);
}

TEST_CASE("a Write is reported durable only once it survives a power loss") {
  MemFs fs;
  Machine machine{.fs = fs};
  Model model;
  REQUIRE(machine.open().ok());
  machine.wal->write(model.append());
  CHECK(machine.wal->persisted() == raft::WriteNumber(0));
  CHECK_FALSE(machine.wal->idle());
  machine.wal->flush(machine.now);
  REQUIRE(fs.jobs() == 1);
  CHECK(machine.wal->persisted() == raft::WriteNumber(0));
  CHECK(machine.wal->queued_bytes() == model.last().entries[0].bytes.size());
  CHECK(machine.wal->deadline() == kNever);
  const auto done = fs.run_one();
  REQUIRE(done);
  REQUIRE(machine.wal->on_done(*done, machine.now).ok());
  CHECK(machine.wal->persisted() == raft::WriteNumber(1));
  CHECK(machine.wal->idle());
  CHECK(machine.wal->queued_bytes() == 0);
  fs.lose_power(MemFs::Loss::all);
  CHECK(reopened(fs, model, 1) == "");
}

TEST_CASE("Writes that come while a job is in flight become one frame and one sync") {
  MemFs fs;
  Machine machine{.fs = fs};
  Model model;
  REQUIRE(machine.open().ok());
  machine.wal->write(model.append());
  machine.wal->flush(machine.now);
  for (int i = 0; i < 5; ++i) machine.wal->write(model.append());
  machine.wal->flush(machine.now);
  CHECK(fs.jobs() == 1);
  REQUIRE(machine.run().ok());
  CHECK(machine.wal->stats().frames == 2);
  CHECK(machine.wal->stats().entries == 6);
  CHECK(machine.wal->stats().last_entries == 5);
  CHECK(machine.wal->persisted() == raft::WriteNumber(6));
  fs.lose_power(MemFs::Loss::all);
  CHECK(reopened(fs, model, 6) == "");
}

TEST_CASE("entries that a later Write cuts before they were written never reach the disk") {
  MemFs fs;
  Machine machine{.fs = fs};
  Model model;
  REQUIRE(machine.open().ok());
  for (int i = 0; i < 3; ++i) machine.wal->write(model.append());
  REQUIRE(machine.run().ok());
  machine.wal->write(model.write({raft::Term(1), {}}, 3,
                                 {command(4, 1, "doomed-4"), command(5, 1, "doomed-5")}, 0));
  machine.wal->write(model.write({raft::Term(2), {}}, 2, {command(3, 2, "kept-3")}, 0));
  machine.wal->write(
      model.write({raft::Term(3), raft::ServerId(1)}, 3, {command(4, 3, "kept-4")}, 3));
  REQUIRE(machine.run().ok());
  CHECK(machine.wal->stats().frames == 2);
  CHECK(machine.wal->persisted() == raft::WriteNumber(6));
  CHECK(fs.content(storage::segment_name(1)).find("doomed") == std::string::npos);
  fs.lose_power(MemFs::Loss::all);
  REQUIRE(machine.open().ok());
  CHECK(model.judge(machine.found, 6) == "");
  REQUIRE(machine.found.entries.size() == 4);
  CHECK(machine.found.entries[2].payload().view() == "kept-3");
  CHECK(machine.found.hard_state == raft::HardState{raft::Term(3), raft::ServerId(1)});
  CHECK(machine.found.commit_index == raft::Index(3));
}

TEST_CASE("a vote without entries is durable like everything else") {
  MemFs fs;
  Machine machine{.fs = fs};
  Model model;
  REQUIRE(machine.open().ok());
  machine.wal->write(model.write({raft::Term(7), raft::ServerId(3)}, 0, {}, 0));
  REQUIRE(machine.run().ok());
  CHECK(machine.wal->persisted() == raft::WriteNumber(1));
  fs.lose_power(MemFs::Loss::all);
  REQUIRE(machine.open().ok());
  CHECK(machine.found.hard_state == raft::HardState{raft::Term(7), raft::ServerId(3)});
}

TEST_CASE(
    "a batch above the frame limit is split into frames and is durable once all of them are") {
  MemFs fs;
  Machine machine{.fs = fs};
  Model model;
  REQUIRE(machine.open().ok());
  std::vector<raft::Entry> entries;
  for (std::uint64_t i = 1; i <= 6; ++i) entries.push_back(command(i, 1, std::string(500, 'x')));
  machine.wal->write(model.write({raft::Term(1), {}}, 0, std::move(entries), 6));
  REQUIRE(*machine.turn());
  CHECK(machine.wal->persisted() == raft::WriteNumber(0));
  // A power loss now leaves a part of the Write, with a commit index that knows only that part.
  MemFs half = fs;
  half.lose_power(MemFs::Loss::all);
  Machine other{.fs = half};
  REQUIRE(other.open().ok());
  CHECK(other.found.entries.size() == 3);
  CHECK(other.found.commit_index == raft::Index(3));
  CHECK(other.found.last_write == raft::WriteNumber(0));
  REQUIRE(machine.run().ok());
  CHECK(machine.wal->stats().frames == 2);  // 3 entries, and 3 in the next segment
  CHECK(machine.wal->persisted() == raft::WriteNumber(1));
}

TEST_CASE("after 100 ms of quiet the last frame is sealed, once") {
  MemFs fs;
  Machine machine{.fs = fs};
  Model model;
  REQUIRE(machine.open().ok());
  machine.wal->write(model.append());
  REQUIRE(machine.run().ok());
  CHECK(machine.wal->deadline() == machine.now + milliseconds(100));
  machine.now = machine.now + milliseconds(99);
  REQUIRE(machine.run().ok());
  CHECK(machine.wal->stats().seals == 0);
  machine.now = machine.now + milliseconds(1);
  REQUIRE(machine.run().ok());
  CHECK(machine.wal->stats().seals == 1);
  CHECK(machine.wal->persisted() == raft::WriteNumber(1));
  machine.now = machine.now + seconds(10);
  REQUIRE(machine.run().ok());
  CHECK(machine.wal->stats().seals == 1);
  CHECK(machine.wal->deadline() == kNever);
  REQUIRE(machine.open().ok());
  CHECK(machine.found.last_write == raft::WriteNumber(1));
  // Sealed is sealed: a restart writes nothing.
  machine.wal->flush(machine.now);
  REQUIRE(machine.run_quiet().ok());
  CHECK(machine.wal->stats().seals == 0);
}

TEST_CASE("finish() writes what is queued, seals at once and then is idle") {
  MemFs fs;
  Machine machine{.fs = fs};
  Model model;
  REQUIRE(machine.open().ok());
  machine.wal->write(model.append());
  machine.wal->finish();
  CHECK_FALSE(machine.wal->idle());
  REQUIRE(machine.run().ok());
  CHECK(machine.wal->idle());
  CHECK(machine.wal->stats().seals == 1);
  CHECK_FALSE(fs.exists("spare"));
}

TEST_CASE("segments follow one another, and all of them are read back") {
  MemFs fs;
  Machine machine{.fs = fs};
  Model model;
  REQUIRE(machine.open().ok());
  for (int i = 0; i < 200; ++i) {
    machine.wal->write(model.append(100 + static_cast<std::size_t>(i) * 7 % 900));
    REQUIRE(machine.run().ok());
  }
  CHECK(machine.wal->stats().segments > 10);
  CHECK(machine.wal->persisted() == raft::WriteNumber(200));
  CHECK_FALSE(machine.wal->disk_full());
  const std::uint64_t segments = machine.wal->stats().segments;
  fs.lose_power(MemFs::Loss::all);
  REQUIRE(machine.open().ok());
  CHECK(model.judge(machine.found, 200) == "");
  CHECK(machine.wal->stats().segments == segments);
}

TEST_CASE("a frame in a new segment counts only once the segment's name is durable") {
  MemFs fs;
  Machine machine{.fs = fs};
  Model model;
  REQUIRE(machine.open().ok());
  for (;;) {
    machine.wal->write(model.append(600));
    machine.wal->flush(machine.now);
    bool rotates = false;
    while (fs.jobs() > 0) {
      const auto* append = std::get_if<storage::Append>(&fs.next_job().work);
      rotates = append != nullptr && append->file == "spare";
      const auto done = fs.run_one();
      REQUIRE(machine.wal->on_done(*done, machine.now).ok());
      if (rotates) break;
      machine.wal->flush(machine.now);
    }
    if (rotates) break;
  }
  CHECK(machine.wal->persisted().value == model.number() - 1);
  CHECK(machine.wal->deadline() < machine.now);
  machine.wal->flush(machine.now);
  REQUIRE(std::holds_alternative<storage::Rename>(fs.next_job().work));
  REQUIRE(machine.run().ok());
  CHECK(machine.wal->persisted().value == model.number());
}

TEST_CASE("an entry larger than a segment gets a segment that holds it") {
  MemFs fs;
  Machine machine{.fs = fs};
  Model model;
  REQUIRE(machine.open().ok());
  machine.wal->write(model.append(50'000));
  machine.wal->write(model.append());
  REQUIRE(machine.run().ok());
  CHECK(machine.wal->persisted() == raft::WriteNumber(2));
  CHECK(fs.content(storage::segment_name(2)).size() > 50'000);
  fs.lose_power(MemFs::Loss::all);
  CHECK(reopened(fs, model, 2) == "");
}

TEST_CASE("the largest entry that Raft allows is written and read with the default sizes") {
  MemFs fs;
  Machine machine{.fs = fs};
  Model model;
  REQUIRE(machine.open(storage::WalOptions{}).ok());
  machine.wal->write(model.append(raft::kMaxPayload));
  REQUIRE(machine.run().ok());
  CHECK(machine.wal->persisted() == raft::WriteNumber(1));
  fs.lose_power(MemFs::Loss::all);
  REQUIRE(machine.open(storage::WalOptions{}).ok());
  CHECK(model.judge(machine.found, 1) == "");
}

TEST_CASE("the spare is prepared in slices, and appends are written in between") {
  MemFs fs;
  Machine machine{.fs = fs};
  Model model;
  storage::WalOptions options;  // the real sizes: 1 MiB, then 16 MiB in 16 slices
  REQUIRE(machine.open(options).ok());
  machine.now = machine.now + milliseconds(1);
  REQUIRE(machine.run().ok());
  CHECK_FALSE(fs.exists("spare"));  // somebody waits for us to serve
  int slices = 0;
  machine.now = machine.now + milliseconds(100);
  while (!fs.exists("spare") || fs.content("spare").size() < options.segment_bytes) {
    const bool write = slices % 3 == 2;
    if (write) machine.wal->write(model.append());
    const std::uint64_t before = machine.wal->persisted().value;
    REQUIRE(*machine.turn());  // the slice, or the frame, which does not wait for a slice
    if (write) CHECK(machine.wal->persisted().value == before + 1);
    machine.now = machine.now + milliseconds(100);
    ++slices;
    REQUIRE(slices < 100);
  }
  CHECK(slices > 16);
}

TEST_CASE("under steady load the spare is ready in time, and no two slices follow each other") {
  MemFs fs;
  Machine machine{.fs = fs};
  Model model;
  storage::WalOptions options = small_options();
  options.first_segment_bytes = options.segment_bytes = 64 * 1024;
  options.slice_bytes = 4096;
  REQUIRE(machine.open(options).ok());
  int row = 0;
  for (int i = 0; i < 2000; ++i) {
    machine.wal->write(model.append(100));
    while (machine.wal->persisted().value < model.number()) {
      machine.wal->flush(machine.now);
      row = std::holds_alternative<storage::Allocate>(fs.next_job().work) ? row + 1 : 0;
      REQUIRE(row <= 1);
      const auto done = fs.run_one();
      REQUIRE(machine.wal->on_done(*done, machine.now).ok());
    }
  }
  CHECK(machine.wal->stats().segments > 10);
}

TEST_CASE("a full disk is not fatal: what fits is written, and the rest waits for space") {
  MemFs fs;
  Machine machine{.fs = fs};
  Model model;
  REQUIRE(machine.open().ok());
  fs.set_capacity(6000);  // the first segment and a part of the spare
  for (int i = 0; i < 20; ++i) machine.wal->write(model.append(300));
  REQUIRE(machine.run().ok());
  CHECK(machine.wal->disk_full());
  const std::uint64_t fitted = machine.wal->persisted().value;
  CHECK(fitted > 2);
  CHECK(fitted < 20);
  CHECK(machine.wal->deadline() == machine.now + seconds(1));
  CHECK(machine.wal->queued_bytes() > 0);
  // Tried once a second, not more often.
  machine.now = machine.now + milliseconds(999);
  machine.wal->flush(machine.now);
  CHECK(fs.jobs() == 0);
  machine.now = machine.now + milliseconds(1);
  machine.wal->flush(machine.now);
  CHECK(fs.jobs() == 1);
  REQUIRE(machine.run().ok());
  CHECK(machine.wal->disk_full());

  fs.set_capacity(UINT64_MAX);
  machine.now = machine.now + seconds(1);
  REQUIRE(machine.run().ok());
  CHECK_FALSE(machine.wal->disk_full());
  CHECK(machine.wal->persisted() == raft::WriteNumber(20));
  fs.lose_power(MemFs::Loss::all);
  CHECK(reopened(fs, model, 20) == "");
}

TEST_CASE("a crash on a full disk keeps what was acknowledged") {
  MemFs fs;
  Machine machine{.fs = fs};
  Model model;
  REQUIRE(machine.open().ok());
  fs.set_capacity(6000);
  for (int i = 0; i < 20; ++i) machine.wal->write(model.append(300));
  REQUIRE(machine.run().ok());
  REQUIRE(machine.wal->disk_full());
  const std::uint64_t acknowledged = machine.wal->persisted().value;
  fs.lose_power(MemFs::Loss::random);
  CHECK(reopened(fs, model, acknowledged) == "");
}

TEST_CASE("a failed write or sync in allocated space is fatal and never retried") {
  for (const MemFs::Call call : {MemFs::Call::write, MemFs::Call::sync})
    for (const int error : {EIO, EROFS, ENOSPC, EFBIG}) {
      CAPTURE(error);
      MemFs fs;
      Machine machine{.fs = fs};
      Model model;
      REQUIRE(machine.open().ok());
      machine.wal->write(model.append());
      REQUIRE(machine.run().ok());
      fs.fail(call, 0, error);
      machine.wal->write(model.append());
      const Result<void> ran = machine.run();
      REQUIRE_FALSE(ran.ok());
      CHECK(ran.error().code == error);
      CHECK(ran.error().what.find("cannot write the log") != std::string::npos);
      CHECK(machine.wal->persisted() == raft::WriteNumber(1));
      machine.wal->write(model.append());
      machine.wal->flush(machine.now);
      CHECK(fs.jobs() == 0);
      CHECK(machine.wal->deadline() == kNever);
      CHECK_FALSE(machine.wal->idle());
    }
}

TEST_CASE("D3: after a failed sync the next start does not trust the page cache") {
  MemFs fs;
  fs.lie_after_failed_syncs();
  Machine machine{.fs = fs};
  Model model;
  REQUIRE(machine.open().ok());
  machine.wal->write(model.append());
  REQUIRE(machine.run().ok());
  fs.fail(MemFs::Call::sync, 0, EIO);
  machine.wal->write(model.append());
  REQUIRE_FALSE(machine.run().ok());
  fs.kill();
  // Whoever supervises the process has started it again: it finds the frame and goes on from it.
  REQUIRE(machine.open().ok());
  CHECK(machine.found.last_write == raft::WriteNumber(2));
  machine.wal->write(model.append());
  REQUIRE(machine.run().ok());
  CHECK(machine.wal->persisted() == raft::WriteNumber(3));
  fs.lose_power(MemFs::Loss::all);
  CHECK(reopened(fs, model, 3) == "");
}

TEST_CASE("a failure other than a full disk while allocating or naming a segment is fatal") {
  {
    MemFs fs;
    Machine machine{.fs = fs};
    REQUIRE(machine.open().ok());
    fs.fail(MemFs::Call::write, 0, EIO);
    const Result<void> ran = machine.run_quiet();
    REQUIRE_FALSE(ran.ok());
    CHECK(ran.error().what.find("next segment") != std::string::npos);
  }
  for (const MemFs::Call call : {MemFs::Call::rename, MemFs::Call::sync_directory}) {
    MemFs fs;
    Machine machine{.fs = fs};
    Model model;
    REQUIRE(machine.open().ok());
    REQUIRE(machine.run_quiet().ok());  // the spare is there
    fs.fail(call, 0, EIO);
    Result<void> ran;
    while (ran.ok()) {
      machine.wal->write(model.append(500));
      ran = machine.run();
      REQUIRE(model.number() < 20);
    }
    CHECK(ran.error().code == EIO);
    CHECK(machine.wal->persisted().value == model.number() - 1);
  }
}

TEST_CASE("the cluster id is that of the first entry, even if another one replaces it") {
  MemFs fs;
  Machine machine{.fs = fs};
  Model model;
  REQUIRE(machine.open().ok());
  machine.wal->write(model.write({raft::Term(1), {}}, 0, {bootstrap(1, {7, 7})}, 0));
  for (int i = 0; i < 30; ++i) machine.wal->write(model.append(300));
  REQUIRE(machine.run().ok());
  CHECK(machine.wal->stats().segments > 2);
  REQUIRE(machine.open().ok());
  CHECK(machine.found.cluster_id == Id128{7, 7});
  // Not committed, so the leader of a later term may replace even that.
  machine.wal->write(model.write({raft::Term(2), {}}, 0, {bootstrap(2, {8, 8})}, 1));
  for (int i = 0; i < 30; ++i) machine.wal->write(model.append(300));
  REQUIRE(machine.run().ok());
  REQUIRE(machine.open().ok());
  CHECK(machine.found.cluster_id == Id128{8, 8});
  CHECK(model.judge(machine.found, model.number()) == "");
}

TEST_CASE("recovery omits entries that are not needed and returns the others unchanged") {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    MemFs fs(seed);
    Machine machine{.fs = fs};
    Model model;
    Prng random(seed);
    REQUIRE(machine.open().ok());
    for (int i = 0; i < 30; ++i) {
      machine.wal->write(model.random(random));
      if (random.between(0, 2) == 0) REQUIRE(machine.run().ok());
    }
    REQUIRE(machine.run_quiet().ok());
    REQUIRE(machine.open().ok());
    const storage::RecoveredLog whole = machine.found;
    const std::uint64_t last = whole.entries.size();
    for (std::uint64_t unneeded = 0; unneeded <= last + 2; ++unneeded) {
      CAPTURE(seed);
      CAPTURE(unneeded);
      storage::RecoveredLog found;
      const auto opened =
          storage::Wal::open(fs, kSelf, kFresh, small_options(), found, raft::Index(unneeded));
      REQUIRE_MESSAGE(opened.ok(), opened.error().what);
      const std::uint64_t kept = std::min(unneeded, last);
      REQUIRE(found.kept.index == raft::Index(kept));
      REQUIRE(found.entries.size() == last - kept);
      for (std::uint64_t i = kept; i < last; ++i)
        CHECK(found.entries[i - kept].bytes == whole.entries[i].bytes);
      const raft::Term term = kept == 0 ? raft::Term(0) : whole.entries[kept - 1].term;
      const bool not_known = unneeded > last && found.kept.term == raft::Term(0);
      CHECK((not_known || found.kept.term == term));
      CHECK(found.base.index == raft::Index(0));
      CHECK(found.hard_state == whole.hard_state);
      CHECK(found.commit_index == whole.commit_index);
      CHECK(found.last_write == whole.last_write);
      CHECK(found.cluster_id == whole.cluster_id);
      CHECK((*opened)->persisted() == whole.last_write);
    }
  }
}
