// Crashes at every operation, in recovery, too; torn tails at every length.
#include "storage/wal_harness.hpp"

using namespace vesper;
using namespace vesper::test;

namespace {

constexpr int kActions = 60;

// Random Writes, turns and waits until the power goes or the actions are used up. Gives back the
// last Write that was reported durable.
std::uint64_t work(Machine& machine, Model& model, std::uint64_t seed, int actions) {
  Prng random(seed);
  for (int i = 0; i < actions && machine.fs.powered(); ++i) {
    const std::int64_t what = random.between(0, 9);
    if (what < 5) machine.wal->write(model.random(random));
    else if (what < 9) REQUIRE(machine.turn().ok());
    else machine.now = machine.now + milliseconds(60);
  }
  while (machine.fs.powered()) {
    auto more = machine.turn();
    REQUIRE(more.ok());
    if (!*more) break;
  }
  return machine.wal->persisted().value;
}

MemFs::Loss loss_of(int i) {
  if (i == 0) return MemFs::Loss::all;
  if (i == 1) return MemFs::Loss::none;
  return MemFs::Loss::random;
}

// Opens, with a power cut at every operation of the recovery itself before it may finish.
void recover(Machine& machine, const Model& model, std::uint64_t acknowledged) {
  for (std::uint64_t step = 0;; ++step) {
    machine.fs.cut_power_at(machine.fs.steps() + step);
    const Result<void> opened = machine.open();
    if (machine.fs.powered()) {
      REQUIRE_MESSAGE(opened.ok(), error_of(opened));
      machine.fs.cut_power_at(UINT64_MAX);
      const std::string wrong = model.judge(machine.found, acknowledged);
      REQUIRE_MESSAGE(wrong.empty(), wrong);
      return;
    }
    REQUIRE_FALSE(opened.ok());
    machine.fs.lose_power(MemFs::Loss::random);
  }
}

}  // namespace

TEST_CASE("a power cut at any operation loses nothing acknowledged and invents nothing") {
  std::uint64_t crashes = 0;
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    std::uint64_t steps = 1;
    for (std::uint64_t cut = 0; cut <= steps; ++cut) {
      for (int loss = 0; loss < 4; ++loss) {
        CAPTURE(seed);
        CAPTURE(cut);
        CAPTURE(loss);
        MemFs fs(seed * 1000 + static_cast<std::uint64_t>(loss));
        Machine machine{.fs = fs};
        Model model;
        fs.cut_power_at(cut);
        std::uint64_t acknowledged = 0;
        if (machine.open().ok()) acknowledged = work(machine, model, seed, kActions);
        if (fs.powered()) steps = 0;  // the workload is over
        else steps = cut + 1;
        fs.lose_power(loss_of(loss));
        recover(machine, model, acknowledged);
        ++crashes;
        // It goes on, and the next restart finds that, too.
        model.restart(machine.found);
        acknowledged = work(machine, model, seed + 100, 10);
        fs.lose_power(loss_of(loss));
        recover(machine, model, acknowledged);
      }
    }
  }
  CHECK(crashes > 1000);
}

TEST_CASE("entries that were read after a kill -9 survive a later power loss") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    MemFs fs(seed);
    Machine machine{.fs = fs};
    Model model;
    Prng random(seed);
    std::uint64_t acknowledged = 0;
    for (int life = 0; life < 6; ++life) {
      REQUIRE(machine.open().ok());
      const std::string wrong = model.judge(machine.found, acknowledged);
      REQUIRE_MESSAGE(wrong.empty(), wrong);
      model.restart(machine.found);
      // What recovery has given back, Raft may act upon: it is as good as acknowledged.
      acknowledged = machine.found.last_write.value;
      if (life % 2 == 0) {
        fs.lose_power(MemFs::Loss::all);
        REQUIRE(machine.open().ok());
        const std::string lost = model.judge(machine.found, acknowledged);
        REQUIRE_MESSAGE(lost.empty(), lost);
      }
      // The kill finds the last job half done: written, not synced.
      const std::uint64_t cut = static_cast<std::uint64_t>(random.between(1, 60));
      fs.cut_power_at(fs.steps() + cut);
      acknowledged = std::max(acknowledged, work(machine, model, seed * 10 + 1, 30));
      fs.kill();
    }
  }
}

namespace {

// Two frames, of which the second has `bytes` bytes of payload and is not sealed.
MemFs two_frames(Model& model, std::size_t bytes, std::uint64_t& begin, std::uint64_t& end) {
  MemFs fs;
  Machine machine{.fs = fs};
  REQUIRE(machine.open().ok());
  machine.wal->write(model.append());
  REQUIRE(machine.run().ok());
  machine.wal->write(model.append(bytes));
  REQUIRE(machine.run().ok());
  begin = 2 * storage::kSector;
  end = begin + storage::kFrameHeader + model.last().entries.back().bytes.size();
  return fs;
}

}  // namespace

TEST_CASE("a tail torn at any byte is cut, whatever follows the tear") {
  Model model;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  const MemFs original = two_frames(model, 900, begin, end);
  const std::string file = storage::segment_name(1);
  const std::string whole = original.content(file);
  for (std::uint64_t length = 0; length <= end - begin; ++length) {
    for (int behind = 0; behind < 3; ++behind) {
      CAPTURE(length);
      CAPTURE(behind);
      std::string bytes = whole.substr(0, begin + length);
      if (behind == 0) bytes.resize(whole.size(), '\0');
      if (behind == 1) bytes.resize(whole.size(), '\xff');
      MemFs fs = original;
      fs.put(file, bytes);
      Machine machine{.fs = fs};
      REQUIRE(machine.open().ok());
      const bool complete = length == end - begin;
      CHECK(machine.found.last_write == raft::WriteNumber(complete ? 2 : 1));
      CHECK(same_entries(machine.found.entries, model.last().entries, complete ? 2 : 1));
      CHECK(machine.found.entries.size() == (complete ? 2 : 1));
      // A clean end is gone on from in the same file; behind a tear a new one begins.
      const bool clean = behind == 0 && (complete || length == 0);
      CHECK(fs.exists(storage::segment_name(2)) == !clean);
      // What comes next is found behind the cut.
      Model next;
      next.restart(machine.found);
      machine.wal->write(next.append());
      REQUIRE(machine.run().ok());
      const std::uint64_t acknowledged = machine.wal->persisted().value;
      fs.lose_power(MemFs::Loss::all);
      REQUIRE(machine.open().ok());
      CHECK(next.judge(machine.found, acknowledged) == "");
    }
  }
}

TEST_CASE("a tail is cut if only its later sectors reached the disk") {
  Model model;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  const MemFs original = two_frames(model, 1800, begin, end);
  const std::string file = storage::segment_name(1);
  const std::string whole = original.content(file);
  const std::uint64_t count = storage::sectors(end - begin) / storage::kSector;
  REQUIRE(count == 4);
  for (unsigned kept = 0; kept + 1 < 1u << count; ++kept) {
    CAPTURE(kept);
    std::string bytes = whole;
    for (unsigned s = 0; s < count; ++s)
      if ((kept >> s & 1) == 0)
        bytes.replace(begin + s * storage::kSector, storage::kSector, storage::kSector, '\0');
    MemFs fs = original;
    fs.put(file, bytes);
    Machine machine{.fs = fs};
    REQUIRE(machine.open().ok());
    CHECK(machine.found.entries.size() == 1);
    CHECK(machine.found.last_write == raft::WriteNumber(1));
  }
}
