// `vesper recover` on directories in memory: what is found in them, which one is the best, and the
// start of a new cluster.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "kv/command.hpp"
#include "node/new_cluster.hpp"
#include "node/node.hpp"
#include "raft/entry.hpp"
#include "storage/boot_number.hpp"
#include "storage/records.hpp"
#include "support/mem_fs.hpp"

namespace test_new_cluster {

using namespace vesper;
using test::MemFs;

namespace {

constexpr Id128 kCluster{1, 2}, kNewCluster{3, 4};

raft::Incarnation incarnation_of(std::uint32_t server) {
  return raft::Incarnation(0x70 + server);
}

raft::Entry bootstrap() {
  raft::Configuration configuration;
  configuration.cluster_id = kCluster;
  for (std::uint32_t id = 0; id < 3; ++id) {
    const std::string address = "http://127.0.0.1:" + std::to_string(5000 + id);
    configuration.members.push_back({raft::ServerId(id), address, incarnation_of(id)});
  }
  configuration.index = raft::Index(1);
  return raft::make_entry(raft::Index(1), raft::Term(1), raft::EntryType::bootstrap, {}, {},
                          raft::encode_configuration(configuration));
}

raft::Entry write_of(std::uint64_t index, std::uint64_t term, const std::string& value) {
  return raft::make_entry(
      raft::Index(index), raft::Term(term), raft::EntryType::command,
      raft::LogTime(static_cast<std::int64_t>(index) * 1'000'000), {},
      kv::encode_put("k" + std::to_string(index), value, kv::ValueForm::bytes, {}));
}

// The directory of a server with these entries, of which the first `commit` are known to be
// committed.
MemFs directory(std::uint32_t server, const std::vector<raft::Entry>& entries, std::uint64_t commit,
                std::uint64_t term, std::optional<raft::Incarnation> other_disk = {}) {
  MemFs fs(server + 1);
  storage::RecoveredLog log;
  auto wal =
      storage::Wal::open(fs, raft::ServerId(server), other_disk.value_or(incarnation_of(server)),
                         storage::WalOptions{}, log);
  REQUIRE(wal.ok());
  raft::Write write;
  write.number = log.last_write.next();
  write.hard_state = {raft::Term(term), raft::ServerId(1)};
  write.commit_index = raft::Index(commit);
  write.entries = entries;
  (*wal)->write(std::move(write));
  (*wal)->finish();
  for (;;) {
    (*wal)->flush({});
    const auto done = fs.run_one();
    if (!done) break;
    REQUIRE((*wal)->on_done(*done, {}).ok());
  }
  REQUIRE((*wal)->idle());
  return fs;
}

std::vector<raft::Entry> entries(std::uint64_t count, std::uint64_t term = 2) {
  std::vector<raft::Entry> entries{bootstrap()};
  for (std::uint64_t index = 2; index <= count; ++index)
    entries.push_back(write_of(index, term, "value"));
  return entries;
}

node::Survey survey_of(MemFs& fs) {
  auto found = node::survey(fs);
  REQUIRE_MESSAGE(found.ok(), (found ? "" : found.error().what));
  return std::move(found.value());
}

std::string refusal_of(MemFs fs) {
  const auto found = node::survey(fs);
  return found ? "" : found.error().what;
}

// Writes the start of a new cluster into an empty directory; the first error, or nothing.
Result<void> write_start(MemFs& fs, node::Survey& start) {
  node::NewClusterWriter writer(fs, start);
  if (auto opened = writer.open(); !opened) return opened;
  while (!writer.is_done()) {
    if (auto pumped = writer.pump({}); !pumped) return pumped;
    const auto done = fs.run_one();
    if (!fs.powered()) return Error{"no power"};
    if (!done) continue;
    if (auto taken = writer.on_done(*done, {}); !taken) return taken;
  }
  return {};
}

}  // namespace

TEST_CASE("a survey applies the whole log, committed or not") {
  MemFs fs = directory(2, entries(20), 15, 3);
  const node::Survey found = survey_of(fs);
  CHECK(found.server == raft::ServerId(2));
  CHECK(found.incarnation == incarnation_of(2));
  CHECK(found.last_index() == raft::Index(20));
  CHECK(found.last_term() == raft::Term(2));
  CHECK(found.commit_index == raft::Index(15));
  CHECK(found.hard_state.current_term == raft::Term(3));
  CHECK(found.configuration().members.size() == 3);
  REQUIRE(found.self() != nullptr);
  CHECK(found.self()->address == "http://127.0.0.1:5002");
  CHECK(found.store->revision() == 20);
  CHECK(found.store->find("k20") != nullptr);
  CHECK(found.digest == found.store->recomputed_digest());
}

TEST_CASE("the best directory has the later last term, and then the longer log") {
  MemFs short_log = directory(0, entries(10), 5, 2);
  MemFs long_log = directory(1, entries(20), 5, 2);
  std::vector<raft::Entry> other = entries(9);
  other.push_back(write_of(10, 3, "of a later term"));
  MemFs later = directory(2, other, 5, 3);
  const node::Survey a = survey_of(short_log), b = survey_of(long_log), c = survey_of(later);
  CHECK(node::is_more_up_to_date(b, a));
  CHECK_FALSE(node::is_more_up_to_date(a, b));
  CHECK(node::is_more_up_to_date(c, b));
  CHECK_FALSE(node::is_more_up_to_date(a, a));
  for (const node::Survey* x : {&a, &b, &c})
    for (const node::Survey* y : {&a, &b, &c}) CHECK_FALSE(node::first_difference(*x, *y));
}

TEST_CASE("an older copy is noticed by what another directory has seen") {
  MemFs fs = directory(0, entries(10), 5, 2);
  MemFs other = directory(1, entries(10), 5, 2);
  REQUIRE(storage::count_boot(fs, incarnation_of(0)).ok());
  storage::BootsSeen seen;
  seen.saw({raft::ServerId(0), incarnation_of(0), 1, raft::BootId(7)});
  other.put("boots-seen", storage::encode_record("boots-seen", seen.encode()));
  CHECK_FALSE(node::is_older_copy(survey_of(fs), survey_of(other)));
  CHECK_FALSE(node::is_older_copy(survey_of(other), survey_of(fs)));
  seen.saw({raft::ServerId(0), incarnation_of(0), 2, raft::BootId(8)});
  other.put("boots-seen", storage::encode_record("boots-seen", seen.encode()));
  CHECK(node::is_older_copy(survey_of(fs), survey_of(other)));
  CHECK(survey_of(fs).boots == 1);  // a survey is no start
  other.put("boots-seen", "damaged");
  CHECK_FALSE(node::is_older_copy(survey_of(fs), survey_of(other)));
  // Its own server has noticed it. The record of another incarnation says nothing.
  const auto record = [&](raft::Incarnation incarnation) {
    fs.put("older-copy",
           storage::encode_record("older-copy", to_hex(incarnation.value) + " start 1 of 2"));
  };
  record(incarnation_of(1));
  CHECK_FALSE(node::is_older_copy(survey_of(fs), survey_of(other)));
  record(incarnation_of(0));
  CHECK(node::is_older_copy(survey_of(fs), survey_of(other)));
}

TEST_CASE("equal entries with different states are noticed") {
  std::vector<raft::Entry> mine = entries(10), theirs = entries(10);
  theirs[4] = write_of(5, 2, "another value");  // the same index and term: no cluster does that
  MemFs a = directory(0, mine, 5, 2);
  MemFs b = directory(1, theirs, 5, 2);
  CHECK(node::first_difference(survey_of(a), survey_of(b)) == raft::Index(10));
}

TEST_CASE("a directory without a cluster, of no member, damaged or to be set aside is refused") {
  CHECK(refusal_of(MemFs(1)) == "the directory has no log");
  CHECK(refusal_of(directory(0, {}, 0, 1)).find("belongs to no cluster") != std::string::npos);
  MemFs stranger = directory(0, entries(5), 5, 2);
  // The same log under another incarnation: the disk was replaced.
  CHECK(refusal_of(directory(0, entries(5), 5, 2, raft::Incarnation(0x99)))
            .find("not that of a member") != std::string::npos);
  MemFs damaged = stranger;
  damaged.flip_bit("wal-0000000000000001", 600, 1);
  CHECK(refusal_of(damaged).find("wal-0000000000000001 at offset ") == 0);
  MemFs ordered = stranger;
  ordered.put("set-aside", storage::encode_record("set-aside", "x"));
  CHECK(refusal_of(ordered).find("to be set aside") != std::string::npos);
}

TEST_CASE("a directory becomes the start of a new cluster with one voter") {
  MemFs old = directory(2, entries(30), 10, 3);
  node::Survey start = survey_of(old);
  node::begin_new_cluster(start, kNewCluster, raft::Incarnation(0xabc));
  MemFs fs(7);
  REQUIRE(write_start(fs, start).ok());
  fs.lose_power(MemFs::Loss::all);  // everything is durable
  const node::Survey found = survey_of(fs);
  CHECK(found.server == raft::ServerId(2));
  CHECK(found.incarnation == raft::Incarnation(0xabc));
  CHECK(found.hard_state == raft::HardState{raft::Term(3), {}});
  CHECK(found.last_index() == raft::Index(30));
  CHECK(found.commit_index == raft::Index(30));
  CHECK(found.snapshot_index == raft::Index(30));
  CHECK(found.digest == start.digest);
  CHECK(found.store->revision() == 30 + kv::kRevisionLeap);
  CHECK(found.store->keyspace().oldest_revision() == 30 + kv::kRevisionLeap);
  for (int n = 2; n <= 30; ++n) CHECK(found.store->find("k" + std::to_string(n)) != nullptr);
  const raft::Configuration& now = found.configuration();
  CHECK(now.cluster_id == kNewCluster);
  REQUIRE(now.members.size() == 1);
  CHECK(now.members[0].address == "http://127.0.0.1:5002");
  CHECK(now.members[0].votes());
  CHECK(now.unused_id() == raft::ServerId(3));  // 0 and 1 are not given again
}

TEST_CASE("the server of a new cluster leads it alone, and goes on writing") {
  MemFs old = directory(2, entries(30), 10, 3);
  node::Survey start = survey_of(old);
  node::begin_new_cluster(start, kNewCluster, raft::Incarnation(0xabc));
  MemFs fs(7);
  REQUIRE(write_start(fs, start).ok());
  struct Quiet final : node::Transport, node::Clients {
    void send(raft::ServerId, const node::PeerMessage&, raft::Channel) override { ++sent; }
    void reply(const node::Ticket&, node::ClientReply reply) override {
      result = std::get<kv::WriteResult>(reply);
    }
    int sent = 0;
    kv::WriteResult result;
  } quiet;
  auto recovered =
      node::recover(fs, raft::ServerId(2), raft::Incarnation(1), storage::WalOptions{}, 100);
  REQUIRE(recovered.ok());
  raft::Config config;
  config.self = raft::ServerId(2);
  config.incarnation = recovered->incarnation;
  for (std::uint32_t id = 0; id < 3; ++id)
    config.initial_voters.push_back({raft::ServerId(id), "http://127.0.0.1:1", {}});
  Instant now{seconds(1).ns};
  node::Node node(config, raft::BootId(5), {}, *recovered, quiet, quiet, now);
  REQUIRE(node.replay().ok());
  node.post(
      node::ClientWrite{{1, 1},
                        SharedBytes::copy_of(kv::encode_put("a", "b", kv::ValueForm::bytes, {})),
                        now + seconds(5)});
  for (int i = 0; i < 200 && quiet.result.revision == 0; ++i) {
    node.post(node::TimerFired{});
    REQUIRE(node.turn(now).ok());
    while (auto done = fs.run_one()) node.post(node::DiskDone{std::move(*done)});
    now = now + milliseconds(5);
  }
  CHECK(quiet.result.revision == 31 + kv::kRevisionLeap);
  CHECK(node.raft().is_leader());
  CHECK(quiet.sent == 0);
}

TEST_CASE("a failure while the new cluster is written is an error, at any step") {
  for (std::uint64_t step = 0;; ++step) {
    MemFs old = directory(2, entries(30), 10, 3);
    node::Survey start = survey_of(old);
    node::begin_new_cluster(start, kNewCluster, raft::Incarnation(0xabc));
    MemFs fs(step + 1);
    fs.cut_power_at(step);
    const auto written = write_start(fs, start);
    if (fs.powered()) {
      CHECK(written.ok());
      CHECK(step > 5);
      break;
    }
    CHECK_FALSE(written.ok());
  }
  MemFs old = directory(2, entries(30), 10, 3);
  node::Survey start = survey_of(old);
  node::begin_new_cluster(start, kNewCluster, raft::Incarnation(0xabc));
  MemFs full(1);
  full.set_capacity((1u << 20) + 100);  // the first segment, and not much of a snapshot
  const auto written = write_start(full, start);
  REQUIRE_FALSE(written.ok());
  CHECK(written.error().what.find("not enough space") != std::string::npos);
}

}  // namespace test_new_cluster
