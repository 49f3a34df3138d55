// Exactly once over outages that last longer than an answer is kept: three production nodes, of
// which the test freezes two, or their disks, for more than ten minutes.
#include <doctest/doctest.h>

#include <array>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "kv/command.hpp"
#include "node/node.hpp"
#include "support/mem_fs.hpp"

namespace test_once {

using namespace vesper;

namespace {

class Three;

struct Member final : node::Transport, node::Clients {
  Three* three = nullptr;
  raft::ServerId id;
  test::MemFs fs{1};
  node::RecoveredNode recovery;
  std::unique_ptr<node::Node> node;
  Instant deadline;
  bool frozen = false, disk_hangs = false;
  std::optional<node::ClientReply> reply_to_last;

  void send(raft::ServerId to, const node::PeerMessage& message, raft::Channel) override;
  void reply(const node::Ticket&, node::ClientReply reply) override {
    reply_to_last = std::move(reply);
  }
};

class Three {
 public:
  Three() {
    raft::Config config;
    config.election_timeout = milliseconds(600);  // few turns in ten minutes
    config.heartbeat_interval = milliseconds(200);
    for (std::uint32_t i = 0; i < 3; ++i)
      config.initial_voters.push_back({raft::ServerId(i), "http://127.0.0.1:1", {}});
    for (std::uint32_t i = 0; i < 3; ++i) {
      Member& m = members_[i];
      m.three = this;
      m.id = config.self = raft::ServerId(i);
      config.seed = i + 1;
      auto recovered = node::recover(m.fs, m.id, raft::Incarnation(i + 7), {}, 100);
      REQUIRE(recovered.ok());
      m.recovery = std::move(recovered.value());
      config.incarnation = m.recovery.incarnation;
      m.node = std::make_unique<node::Node>(config, raft::BootId(i + 1), node::NodeLimits{},
                                            m.recovery, m, m, now_);
      REQUIRE(m.node->replay().ok());
      m.deadline = now_;
    }
    for (Member& a : members_)
      for (Member& b : members_)
        if (a.id != b.id) a.node->post(node::PeerConnected{b.id, b.recovery.incarnation, false});
    run(seconds(3));
  }

  void post(raft::ServerId to, node::Input post) {
    members_[to.value].node->post(std::move(post));
    busy_ = true;
  }
  void run(Duration span) {
    const Instant end = now_ + span;
    while (now_ < end) {
      busy_ = false;
      Instant next = end;
      for (Member& m : members_) {
        if (m.frozen) continue;
        if (!m.disk_hangs)
          if (auto done = m.fs.run_one()) post(m.id, node::DiskDone{std::move(*done)});
        if (now_ >= m.deadline) m.node->post(node::TimerFired{});
        const auto deadline = m.node->turn(now_);
        REQUIRE(deadline.ok());
        m.deadline = *deadline;
        next = std::min(next, m.deadline);
      }
      const Instant soon = now_ + microseconds(100);
      now_ = busy_ ? soon : std::max(soon, next);
    }
  }
  Member& leader() {
    for (Member& m : members_)
      if (!m.frozen && m.node->raft().is_leader()) return m;
    FAIL("nobody leads");
    return members_[0];
  }
  std::array<Member*, 2> others(const Member& but) {
    return {&members_[(but.id.value + 1) % 3], &members_[(but.id.value + 2) % 3]};
  }
  // The same request, whenever it is asked for.
  void ask(Member& m) {
    m.reply_to_last.reset();
    const kv::IdempotencyKey id{"token", {1, 2}};
    m.node->post(node::ClientWrite{
        {1, ++requests_},
        SharedBytes::copy_of(kv::encode_put("key", "value", kv::ValueForm::bytes, {}, id)),
        now_ + seconds(4)});
  }
  void expect_undecided(const Member& m) {
    REQUIRE(m.reply_to_last);
    CHECK(std::holds_alternative<node::Refusal>(*m.reply_to_last));
  }
  // It was carried out once, and all that is known of it is known for another ten minutes.
  void expect_once(const Member& m) {
    REQUIRE(m.reply_to_last);
    REQUIRE(std::holds_alternative<kv::WriteResult>(*m.reply_to_last));
    const auto& result = std::get<kv::WriteResult>(*m.reply_to_last);
    CHECK(result.replayed);
    CHECK(std::get<kv::PutResult>(result.result).version == 1);
    CHECK(m.node->store().find("key")->version() == 1);
    CHECK(m.node->store().revision() == 2);
  }

 private:
  std::array<Member, 3> members_;
  Instant now_{seconds(1).ns};
  std::uint64_t requests_ = 0;
  bool busy_ = false;
};

void Member::send(raft::ServerId to, const node::PeerMessage& message, raft::Channel) {
  three->post(to, node::FromPeer{id, recovery.incarnation, message});
}

}  // namespace

TEST_CASE("K1: a write that waits ten minutes in the log of a lone leader takes effect once") {
  Three three;
  Member& leader = three.leader();
  const auto others = three.others(leader);
  for (Member* m : others) m->frozen = true;
  three.ask(leader);
  three.run(seconds(606));
  three.expect_undecided(leader);
  others[0]->frozen = false;
  three.ask(leader);
  three.run(seconds(6));
  three.expect_once(leader);
}

TEST_CASE(
    "K1: a write that is repeated through eleven minutes without a majority takes effect once") {
  Three three;
  Member& leader = three.leader();
  const auto others = three.others(leader);
  for (Member* m : others) m->frozen = true;
  for (int i = 0; i < 132; ++i) {
    three.ask(leader);
    three.run(seconds(5));
    three.expect_undecided(leader);
  }
  others[1]->frozen = false;
  three.ask(leader);
  three.run(seconds(6));
  three.expect_once(leader);
}

TEST_CASE("K1: a write that waits ten minutes for the disks of the followers takes effect once") {
  Three three;
  Member& leader = three.leader();
  const auto others = three.others(leader);
  for (Member* m : others) m->disk_hangs = true;
  three.ask(leader);
  three.run(seconds(606));
  three.expect_undecided(leader);
  CHECK(leader.node->raft().is_leader());  // heartbeats are answered
  others[0]->disk_hangs = false;
  three.run(milliseconds(50));
  three.ask(leader);
  three.run(seconds(6));
  three.expect_once(leader);
}

TEST_CASE("K2: ten minutes after the last repetition the same key is new") {
  Three three;
  Member& leader = three.leader();
  three.ask(leader);
  three.run(seconds(599));
  three.ask(leader);
  three.run(seconds(599));
  three.ask(leader);
  three.run(seconds(1));
  three.expect_once(leader);
  three.run(seconds(602));
  three.ask(leader);
  three.run(seconds(1));
  REQUIRE(std::holds_alternative<kv::WriteResult>(*leader.reply_to_last));
  CHECK_FALSE(std::get<kv::WriteResult>(*leader.reply_to_last).replayed);
  CHECK(leader.node->store().find("key")->version() == 2);
}

}  // namespace test_once
