// A snapshot that a leader sends, taken in by a node: chunk by chunk to the disk, verified, then in
// place of the state and the log (figure 13), whatever the disk does meanwhile.
#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

#include "kv/command.hpp"
#include "kv/snapshot.hpp"
#include "node/node.hpp"
#include "raft/entry.hpp"
#include "storage/snapshot_format.hpp"
#include "support/mem_fs.hpp"

namespace test_install {

using namespace vesper;
using test::MemFs;

namespace {

constexpr raft::ServerId kLeader{0}, kSelf{1};
constexpr raft::Incarnation kLeaders{1}, kOwn{7};
constexpr raft::Term kTerm{3};

raft::Configuration voters() {
  return {{5, 5}, {{kLeader, "http://a:1", kLeaders}, {kSelf, "http://b:1", kOwn}}};
}

// What the leader has: a store after entry 10, as a snapshot.
struct Sent {
  raft::Snapshot snapshot;
  std::vector<SharedBytes> chunks;
  Id128 digest;

  Sent() {
    kv::Store store;
    for (int i = 0; i < 20; ++i)
      (void)store.apply(
          SharedBytes::copy_of(kv::encode_put("key" + std::to_string(i), std::string(30, 'v'),
                                              kv::ValueForm::bytes, {})),
          {}, 1);
    digest = store.digest();
    std::string content;
    kv::Export exported(store);
    while (!exported.read(content, SIZE_MAX, 1000)) {
    }
    snapshot.last_index = raft::Index(10);
    snapshot.last_term = kTerm;
    snapshot.log_bytes = 2000;
    snapshot.configuration = voters();
    snapshot.chunk_bytes = 400;
    snapshot.content_bytes = content.size();
    snapshot.checksum = checksum64(content);
    storage::Zstd zstd;
    for (std::size_t at = 0; at < content.size(); at += 400)
      chunks.push_back(
          storage::encode_chunk(zstd, snapshot.last_index, at / 400, content.substr(at, 400)));
  }
};

// A follower with entries of an earlier term, some of which the snapshot contradicts.
struct Follower final : node::Transport, node::Clients {
  MemFs fs;
  Instant now{seconds(1).ns};
  node::RecoveredNode recovery;
  std::unique_ptr<node::Node> node;
  std::vector<raft::InstallSnapshotReply> replies;
  raft::Index acknowledged;
  std::uint64_t boots = 0;

  void send(raft::ServerId, const node::PeerMessage& message, raft::Channel) override {
    const auto* raft_message = std::get_if<raft::Message>(&message);
    if (raft_message == nullptr) return;
    if (const auto* m = std::get_if<raft::InstallSnapshotReply>(raft_message))
      replies.push_back(*m);
    if (const auto* m = std::get_if<raft::AppendReply>(raft_message); m != nullptr && m->success)
      acknowledged = m->match_index;
  }
  void reply(const node::Ticket&, node::ClientReply) override {}

  Result<void> start() {
    node.reset();
    recovery = {};
    storage::WalOptions options;
    options.segment_bytes = 8192;
    options.first_segment_bytes = 4096;
    options.slice_bytes = 4096;
    auto recovered = node::recover(fs, kSelf, kOwn, options, raft::Config{}.log_tail_entries);
    if (!recovered) return std::move(recovered).error();
    recovery = std::move(recovered.value());
    raft::Config config;
    config.self = kSelf;
    config.incarnation = recovery.incarnation;
    config.initial_voters = voters().members;
    node = std::make_unique<node::Node>(config, raft::BootId(++boots), node::NodeLimits{}, recovery,
                                        *this, *this, now);
    return node->replay();
  }
  // Until nothing is left to do at once. False: the power is gone.
  bool run() {
    for (int i = 0; i < 40; ++i) {
      now = now + microseconds(10);
      if (!node->turn(now).ok() || !fs.powered()) return false;
      if (auto done = fs.run_one()) node->post(node::DiskDone{std::move(*done)});
    }
    return true;
  }
  bool receive(raft::Message message) {
    node->post(node::FromPeer{kLeader, kLeaders, std::move(message)});
    return run();
  }
  bool append(std::uint64_t previous, std::uint64_t previous_term, std::uint64_t term, int count) {
    raft::AppendEntries m{
        raft::Term(term), raft::Index(previous), raft::Term(previous_term), {}, {}, {}};
    for (int i = 0; i < count; ++i) {
      const raft::Index index(previous + 1 + static_cast<std::uint64_t>(i));
      m.entries.push_back(
          index == raft::Index(1)
              ? raft::make_entry(index, raft::Term(term), raft::EntryType::bootstrap, {}, {},
                                 raft::encode_configuration(voters()))
              : raft::make_entry(index, raft::Term(term), raft::EntryType::command, {}, {},
                                 kv::encode_put("mine", "x", kv::ValueForm::bytes, {})));
    }
    return receive(std::move(m));
  }
  // The whole transfer; false when the power went.
  bool transfer(const Sent& sent) {
    if (!receive(raft::InstallSnapshot{kTerm, sent.snapshot, 0, {}})) return false;
    for (std::size_t i = replies.empty() ? 0 : replies.back().next_chunk; i < sent.chunks.size();
         ++i)
      if (!receive(raft::InstallSnapshot{kTerm, sent.snapshot, i, sent.chunks[i]})) return false;
    return true;
  }
};

}  // namespace

TEST_CASE("S3, S6: a crash at any step of an install leaves the old state or the new one") {
  const Sent sent;
  REQUIRE(sent.chunks.size() >= 3);
  for (std::uint64_t step = 0;; ++step) {
    CAPTURE(step);
    Follower follower;
    follower.fs = MemFs(step + 1);
    REQUIRE(follower.start().ok());
    REQUIRE(follower.append(0, 0, 2, 6));
    REQUIRE(follower.acknowledged == raft::Index(6));
    const Id128 empty = follower.node->store().digest();

    follower.fs.cut_power_at(follower.fs.steps() + step);
    const bool whole = follower.transfer(sent) && follower.append(10, 3, 3, 2);
    const bool done = !follower.replies.empty() && follower.replies.back().done;
    const raft::Index promised = done ? raft::Index(10) : raft::Index(0);
    follower.fs.lose_power(step % 3 == 0 ? MemFs::Loss::random : MemFs::Loss::all);

    const auto started = follower.start();
    REQUIRE_MESSAGE(started.ok(), (started.ok() ? "" : started.error().what));
    const Id128 digest = follower.node->store().digest();
    CHECK((digest == empty || digest == sent.digest));
    CHECK(follower.node->raft().commit_index() >= promised);  // L10
    if (follower.acknowledged > raft::Index(6))
      CHECK(follower.node->raft().log().last_index() >= follower.acknowledged);
    // Whatever it was, it goes on, and another start finds the same.
    follower.replies.clear();
    REQUIRE(follower.transfer(sent));
    REQUIRE(follower.append(10, 3, 3, 2));
    CHECK(follower.acknowledged == raft::Index(12));
    REQUIRE(follower.start().ok());
    CHECK(follower.node->store().digest() == sent.digest);
    CHECK(follower.node->raft().log().last_index() == raft::Index(12));
    const auto names = follower.fs.list();
    for (const std::string& name : *names) CHECK_FALSE(storage::is_snapshot_temporary(name));
    if (whole) break;
    REQUIRE(step < 500);
  }
}

TEST_CASE(
    "S5: a transfer that is damaged, divided differently or out of space leaves nothing behind") {
  const Sent sent;
  Follower follower;
  REQUIRE(follower.start().ok());
  REQUIRE(follower.append(0, 0, 2, 6));
  Sent damaged = sent;
  std::string bytes(damaged.chunks[1].view());
  bytes[30] = static_cast<char>(bytes[30] ^ 4);
  damaged.chunks[1] = SharedBytes::copy_of(bytes);
  REQUIRE(follower.transfer(damaged));
  Sent other = sent;
  other.snapshot.checksum ^= 1;
  REQUIRE(follower.transfer(other));
  follower.fs.set_capacity(follower.fs.used() + 600);
  REQUIRE(follower.transfer(sent));
  follower.fs.set_capacity(UINT64_MAX);
  CHECK(follower.node->raft().snapshot().is_none());
  CHECK(follower.node->raft().log().last_index() == raft::Index(6));
  CHECK(follower.node->counters().snapshots_failed == 1);
  REQUIRE(follower.run());
  const auto names = follower.fs.list();
  for (const std::string& name : *names) CHECK(name.find("snapshot") != 0);
  // A second later there is space again.
  follower.now = follower.now + seconds(1);
  follower.replies.clear();
  REQUIRE(follower.transfer(sent));
  CHECK(follower.node->store().digest() == sent.digest);
  CHECK(follower.node->counters().snapshots_installed == 1);
}

}  // namespace test_install
