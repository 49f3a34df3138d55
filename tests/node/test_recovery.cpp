// What a node of its own remembers over restarts: snapshot and log, damaged ones included.
#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "kv/command.hpp"
#include "node/node.hpp"
#include "support/mem_fs.hpp"

namespace test_recovery {

using namespace vesper;
using test::MemFs;

namespace {

constexpr std::size_t kTail = 5;

// A cluster of one, driven by hand.
struct Solo final : node::Transport, node::Clients {
  MemFs fs;
  Instant now{seconds(1).ns};
  node::RecoveredNode recovery;
  std::unique_ptr<node::Node> node;
  std::size_t answered = 0;
  kv::WriteResult last;
  std::uint64_t boots = 0, requests = 0;
  std::map<std::string, std::uint64_t> confirmed;  // key: the number in the value answered last

  void send(raft::ServerId, const node::PeerMessage&, raft::Channel) override {}
  void reply(const node::Ticket& ticket, node::ClientReply reply) override {
    REQUIRE(std::holds_alternative<kv::WriteResult>(reply));
    last = std::get<kv::WriteResult>(reply);
    ++answered;
    confirmed["k" + std::to_string(ticket.request % 50)] = ticket.request;
  }

  Result<void> start() {
    node.reset();
    recovery = {};
    storage::WalOptions options;
    options.segment_bytes = 8192;
    options.first_segment_bytes = 4096;
    options.slice_bytes = 4096;
    auto recovered = node::recover(fs, raft::ServerId(0), raft::Incarnation(7), options, kTail);
    if (!recovered) return std::move(recovered).error();
    recovery = std::move(recovered.value());
    raft::Config config;
    config.self = raft::ServerId(0);
    config.incarnation = recovery.incarnation;
    config.initial_voters.push_back({raft::ServerId(0), "http://127.0.0.1:1", {}});
    config.log_tail_entries = kTail;
    node::NodeLimits limits;
    limits.snapshot_entries = 40;
    limits.snapshot_chunk_bytes = 100;
    node = std::make_unique<node::Node>(config, raft::BootId(++boots), limits, recovery, *this,
                                        *this, now);
    return node->replay();
  }
  // Turns until nothing more happens within `span`.
  void run(Duration span = milliseconds(400)) {
    const Instant end = now + span;
    while (now < end) {
      node->post(node::TimerFired{});
      const auto deadline = node->turn(now);
      REQUIRE(deadline.ok());
      if (auto done = fs.run_one()) {
        node->post(node::DiskDone{std::move(*done)});
      } else {
        now = std::min(std::max(*deadline, now + microseconds(10)), end);
      }
    }
  }
  void post_write() {
    ++requests;
    node->post(
        node::ClientWrite{{1, requests},
                          SharedBytes::copy_of(kv::encode_put("k" + std::to_string(requests % 50),
                                                              "value " + std::to_string(requests),
                                                              kv::ValueForm::bytes, {})),
                          now + seconds(5)});
  }
  // One write and some turns; false when the power is gone, or the storage failed with it.
  bool write_until_dark() {
    post_write();
    for (int i = 0; i < 10; ++i) {
      node->post(node::TimerFired{});
      if (!node->turn(now).ok() || !fs.powered()) return false;
      if (auto done = fs.run_one()) node->post(node::DiskDone{std::move(*done)});
      now = now + microseconds(200);
    }
    return true;
  }
  void write(int count) {
    for (int i = 0; i < count; ++i) {
      post_write();
      if (i % 7 == 0) run(milliseconds(2));
    }
    run();
    CHECK(answered == requests);
  }
  // One with a token: what it was told.
  kv::WriteResult keyed(int n) {
    const std::string key = "keyed" + std::to_string(n);
    const kv::IdempotencyKey id{"token-" + std::to_string(n), {1, static_cast<std::uint64_t>(n)}};
    const auto command = n % 3 == 0 ? kv::encode_remove(key, {}, id)
                                    : kv::encode_put(key, "value", kv::ValueForm::bytes, {}, id);
    node->post(node::ClientWrite{{1, ++requests}, SharedBytes::copy_of(command), now + seconds(5)});
    const std::size_t before = answered;
    while (answered == before) run(milliseconds(2));
    return last;
  }
  std::vector<std::string> snapshots() {
    std::vector<std::string> found;
    const auto names = fs.list();
    for (const std::string& name : *names)
      if (storage::parse_snapshot_name(name)) found.push_back(name);
    return found;
  }
};

// With two snapshots and a log that leads on from the older one.
void prepare(Solo& solo) {
  REQUIRE(solo.start().ok());
  solo.run();
  solo.write(300);
  REQUIRE(solo.snapshots().size() == 2);
  CHECK(solo.node->counters().snapshots_taken >= 3);
  CHECK(solo.node->status(solo.now).log_first_index > raft::Index(1));
}

std::string what(const Result<void>& result) {
  return result.ok() ? "" : result.error().what;
}

}  // namespace

TEST_CASE("S8: a restart from snapshot and log restores the state") {
  Solo solo;
  prepare(solo);
  const Id128 digest = solo.node->store().digest();
  for (const auto loss : {MemFs::Loss::all, MemFs::Loss::none, MemFs::Loss::random}) {
    solo.fs.lose_power(loss);
    REQUIRE(solo.start().ok());
    CHECK_FALSE(solo.node->raft().snapshot().is_none());
    // Of the log on the disk, which leads from the snapshot before this one, a tail is kept.
    const raft::Index newest = solo.node->raft().snapshot().last_index;
    CHECK(solo.recovery.durable.base.index < raft::Index(newest.value - kTail));
    CHECK(solo.node->status(solo.now).log_first_index == raft::Index(newest.value - kTail + 1));
    solo.run();
    CHECK(solo.node->store().digest() == digest);
    CHECK(solo.node->store().recomputed_digest() == digest);
  }
  solo.run();
  solo.write(100);
}

TEST_CASE(
    "D9: a start skips a damaged newest snapshot and restores the state from the one before") {
  Solo solo;
  prepare(solo);
  const Id128 digest = solo.node->store().digest();
  solo.fs.flip_bit(solo.snapshots().back(), 150, 2);
  REQUIRE(solo.start().ok());
  solo.run();
  CHECK(solo.node->store().digest() == digest);
  bool noted = false;
  for (const std::string& note : solo.recovery.notes)
    noted |= note.find(solo.snapshots().back() + " at offset ") == 0;
  CHECK(noted);
  solo.run();
  solo.write(100);
  REQUIRE(solo.start().ok());
}

TEST_CASE("D5: a start skips a missing newest snapshot, and is refused if all are missing") {
  Solo solo;
  prepare(solo);
  const Id128 digest = solo.node->store().digest();
  solo.fs.drop(solo.snapshots().back());
  REQUIRE(solo.start().ok());
  solo.run();
  CHECK(solo.node->store().digest() == digest);
  solo.node.reset();
  while (!solo.snapshots().empty()) solo.fs.drop(solo.snapshots().back());
  CHECK(what(solo.start()).find("the log begins after entry") != std::string::npos);
}

TEST_CASE(
    "D4, D9: a start with two damaged snapshots is refused, and the error names file and offset") {
  Solo solo;
  prepare(solo);
  for (const std::string& name : solo.snapshots()) solo.fs.flip_bit(name, 150, 2);
  const std::string newest = solo.snapshots().back();
  CHECK(what(solo.start()).find(newest + " at offset ") == 0);
}

TEST_CASE("S2, S6: a crash at any step of snapshots and cuts loses nothing that was acknowledged") {
  for (std::uint64_t step = 0;; ++step) {
    CAPTURE(step);
    Solo solo;
    solo.fs = MemFs(step + 1);
    prepare(solo);
    solo.fs.cut_power_at(solo.fs.steps() + step);
    // Half a snapshot's distance at a time: positions, taking, storing, cutting, removing.
    const std::uint64_t taken = solo.node->counters().snapshots_taken;
    while (solo.write_until_dark() && solo.node->counters().snapshots_taken < taken + 2) {
    }
    const bool whole = solo.fs.powered();
    solo.fs.lose_power(step % 2 == 0 ? MemFs::Loss::random : MemFs::Loss::all);
    const auto started = solo.start();
    REQUIRE_MESSAGE(started.ok(), what(started));
    solo.run();
    for (const auto& [key, number] : solo.confirmed) {
      const kv::Version* item = solo.node->store().find(key);
      REQUIRE(item != nullptr);
      CHECK(std::stoull(std::string(item->value().substr(6))) >= number);
    }
    CHECK(solo.node->store().digest() == solo.node->store().recomputed_digest());
    CHECK(solo.node->status(solo.now).snapshots <= 3);
    if (whole) break;
    REQUIRE(step < 2000);
  }
}

TEST_CASE("L10: a damaged snapshot beyond the log is not skipped, because it may be acknowledged") {
  Solo solo;
  prepare(solo);
  solo.node.reset();
  const std::string received = storage::snapshot_name(raft::Index(5000));
  solo.fs.put(received, solo.fs.content(solo.snapshots().back()));
  CHECK(what(solo.start()).find(received + " at offset ") == 0);
}

TEST_CASE("D2: a node without space for snapshots continues, and takes them when there is space") {
  Solo solo;
  prepare(solo);
  const std::uint64_t taken = solo.node->counters().snapshots_taken;
  solo.fs.set_capacity(solo.fs.used() + 4200);
  solo.write(60);
  solo.fs.set_capacity(UINT64_MAX);
  solo.run(seconds(2));
  solo.write(100);
  CHECK(solo.node->counters().snapshots_taken > taken);
}

TEST_CASE("K1: a decided request gets the same reply after a restart from snapshot and log") {
  Solo solo;
  prepare(solo);
  std::vector<kv::WriteResult> told;
  for (int n = 0; n < 60; ++n) {  // more than one snapshot's worth
    told.push_back(solo.keyed(n));
    CHECK_FALSE(told.back().replayed);
  }
  solo.run();
  const std::uint64_t revision = solo.node->store().revision();
  for (const auto loss : {MemFs::Loss::all, MemFs::Loss::none}) {
    solo.fs.lose_power(loss);
    REQUIRE(solo.start().ok());
    CHECK(solo.node->raft().snapshot().last_index > raft::Index(300));
    solo.run();
    for (int n = 0; n < 60; ++n) {
      CAPTURE(n);
      const kv::WriteResult again = solo.keyed(n);
      const kv::WriteResult& first = told[static_cast<std::size_t>(n)];
      CHECK(again.replayed);
      CHECK(again.kind == first.kind);
      CHECK(again.revision == first.revision);
      CHECK(kv::encode_result(again) == kv::encode_result(first));
    }
    CHECK(solo.node->store().revision() == revision);
    CHECK(solo.node->counters().writes_replayed == 60);
  }
  // K2: by log time, which went on from where it was. They were asked for again just now.
  solo.run(seconds(600));
  CHECK(solo.keyed(0).replayed);
  solo.run(seconds(2));
  CHECK_FALSE(solo.keyed(1).replayed);
  CHECK(solo.node->store().revision() == revision + 1);
  CHECK(solo.node->store().digest() == solo.node->store().recomputed_digest());
}

}  // namespace test_recovery
