// A leader that cannot commit takes only so much, and says truly what became of the rest.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "kv/command.hpp"
#include "node/node.hpp"
#include "support/mem_fs.hpp"

namespace test_bounds {

using namespace vesper;

namespace {

constexpr raft::ServerId kSelf{0};
constexpr std::size_t kValue = 100'000;

raft::Incarnation incarnation_of(raft::ServerId id) {
  return raft::Incarnation(id.value + 1);
}

// Leads two servers that the test plays.
struct Leader final : node::Transport, node::Clients {
  test::MemFs fs;
  Instant now{seconds(1).ns};
  node::RecoveredNode recovery;
  std::unique_ptr<node::Node> node;
  raft::DiskHealth disk = raft::DiskHealth::ok;  // of both followers
  bool acknowledges = true;                      // likewise
  std::vector<node::Input> answers;
  std::map<std::uint64_t, node::ClientReply> replies;  // by request
  std::uint64_t requests = 0;
  Instant deadline;

  explicit Leader(std::size_t max_uncommitted, node::NodeLimits limits = {}) {
    raft::Config config;
    auto recovered = node::recover(fs, kSelf, incarnation_of(kSelf), {}, config.log_tail_entries);
    REQUIRE(recovered.ok());
    recovery = std::move(recovered.value());
    config.self = kSelf;
    config.incarnation = incarnation_of(kSelf);
    config.max_uncommitted_bytes = max_uncommitted;
    for (std::uint32_t i = 0; i < 3; ++i)
      config.initial_voters.push_back({raft::ServerId(i), "http://a:1", {}});
    node =
        std::make_unique<node::Node>(config, raft::BootId(9), limits, recovery, *this, *this, now);
    REQUIRE(node->replay().ok());
    for (std::uint32_t i = 1; i < 3; ++i)
      node->post(node::PeerConnected{raft::ServerId(i), incarnation_of(raft::ServerId(i)), {}});
    run(seconds(1));
    REQUIRE(node->raft().is_leader());
    REQUIRE(node->raft().commit_index().value > 0);
  }

  void send(raft::ServerId to, const node::PeerMessage& message, raft::Channel) override {
    if (std::holds_alternative<node::DigestAsked>(message)) return;
    const auto* own = std::get_if<raft::Message>(&message);
    REQUIRE(own != nullptr);
    if (const auto* vote = std::get_if<raft::VoteRequest>(own)) {
      const raft::Term current(vote->term.value - (vote->pre_vote ? 1 : 0));
      answer(to, raft::VoteReply{current, vote->term, vote->pre_vote});
    } else if (const auto* beat = std::get_if<raft::Heartbeat>(own)) {
      answer(to, raft::HeartbeatReply{beat->term, beat->round, {}, 1, disk});
    } else if (const auto* append = std::get_if<raft::AppendEntries>(own); append != nullptr) {
      const raft::Index last(append->prev_log_index.value + append->entries.size());
      raft::AppendReply reply{.term = append->term, .success = true, .match_index = last};
      if (acknowledges) answer(to, reply);
    }
  }
  void answer(raft::ServerId from, raft::Message message) {
    answers.push_back(node::FromPeer{from, incarnation_of(from), std::move(message)});
  }
  void reply(const node::Ticket& ticket, node::ClientReply reply) override {
    CHECK(replies.emplace(ticket.request, std::move(reply)).second);
  }
  void run(Duration duration) {
    for (const Instant end = now + duration; now < end;) {
      now = now + milliseconds(1);
      for (node::Input& post : std::exchange(answers, {})) node->post(std::move(post));
      while (auto done = fs.run_one()) node->post(node::DiskDone{std::move(*done)});
      if (now >= deadline) node->post(node::TimerFired{});
      const auto next = node->turn(now);
      REQUIRE(next.ok());
      deadline = *next;
    }
  }
  // Each from a connection of its own.
  void write(std::size_t count, Duration patience) {
    for (; count > 0; --count)
      node->post(node::ClientWrite{{++requests, requests},
                                   SharedBytes::copy_of(kv::encode_put(
                                       "k", std::string(kValue, 'v'), kv::ValueForm::bytes, {})),
                                   now + patience});
  }
  std::size_t refused(node::Refusal why) const {
    return static_cast<std::size_t>(
        std::count_if(replies.begin(), replies.end(), [&](const auto& reply) {
          const auto* refusal = std::get_if<node::Refusal>(&reply.second);
          return refusal != nullptr && *refusal == why;
        }));
  }
  std::uint64_t entries() const { return node->raft().log().last_index().value; }
};

}  // namespace

TEST_CASE("a leader's uncommitted entries are bounded, however long clients continue to write") {
  Leader leader(1'000'000);
  leader.acknowledges = false;
  const std::uint64_t before = leader.entries();
  for (int second = 0; second < 20; ++second) {
    leader.write(30, milliseconds(900));
    leader.run(seconds(1));
  }
  const std::uint64_t taken = leader.entries() - before;
  CHECK(taken == 10);
  CHECK(leader.node->raft().log().bytes() < 1'000'000 + 2 * kValue);
  // What is in the log may yet be committed; what waited for room is certainly not applied.
  CHECK(leader.refused(node::Refusal::outcome_unknown) == taken);
  CHECK(leader.refused(node::Refusal::overloaded) == leader.requests - taken);
  // There is room again for as much as is committed.
  leader.acknowledges = true;
  leader.run(milliseconds(300));
  leader.write(30, seconds(5));
  leader.run(seconds(1));
  CHECK(leader.replies.size() == leader.requests);
  CHECK(leader.entries() == before + taken + 30);
}

TEST_CASE("a snapshot whose place passes while another one is written is taken right after it") {
  node::NodeLimits limits;
  limits.snapshot_entries = 20;
  Leader leader(64u << 20, limits);
  leader.write(45, seconds(5));  // all are applied in one turn, and two places pass
  leader.run(seconds(1));
  CHECK(leader.replies.size() == 45);
  CHECK(leader.node->counters().snapshots_taken == 2);
  CHECK(leader.node->raft().snapshot().last_index.value > 40);
  leader.run(seconds(1));
  CHECK(leader.node->counters().snapshots_taken == 2);
}

TEST_CASE("a value larger than the bound is taken when nothing else is uncommitted") {
  Leader leader(10);
  leader.write(3, seconds(5));
  leader.run(seconds(1));
  CHECK(leader.replies.size() == 3);
  CHECK(leader.refused(node::Refusal::overloaded) == 0);
}

TEST_CASE("while the disks of a majority are stalled, nothing more is put into the log") {
  Leader leader(64u << 20);
  leader.disk = raft::DiskHealth::stalled;
  leader.acknowledges = false;
  leader.run(milliseconds(100));
  const std::uint64_t before = leader.entries();
  leader.write(20, milliseconds(900));
  leader.run(milliseconds(800));
  CHECK(leader.replies.empty());  // the disks may come back in time
  SUBCASE("writes end as not applied when their time is over") {
    leader.run(milliseconds(200));
    CHECK(leader.entries() == before);
    CHECK(leader.refused(node::Refusal::overloaded) == 20);
  }
  SUBCASE("deferred writes are taken when the disks recover") {
    leader.disk = raft::DiskHealth::ok;
    leader.acknowledges = true;
    leader.run(milliseconds(90));
    CHECK(leader.replies.size() == 20);
    CHECK(leader.entries() == before + 20);
  }
}

}  // namespace test_bounds
