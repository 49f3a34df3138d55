// How clients' requests on a follower end when the cluster cannot serve them.
#include <doctest/doctest.h>

#include <memory>
#include <utility>
#include <vector>

#include "kv/command.hpp"
#include "node/node.hpp"
#include "raft/entry.hpp"
#include "support/mem_fs.hpp"

namespace test_requests {

using namespace vesper;

namespace {

constexpr raft::ServerId kLeader{0}, kSelf{1};
constexpr raft::Incarnation kLeaders{1}, kOwn{7};
constexpr raft::Term kTerm{2};

const raft::Configuration kTwo{{5, 5},
                               {{kLeader, "http://a:1", kLeaders}, {kSelf, "http://b:1", kOwn}}};

// Follows kLeader, which has sent it the Bootstrap entry.
struct Follower final : node::Transport, node::Clients {
  test::MemFs fs;
  Instant now{seconds(1).ns};
  node::RecoveredNode recovery;
  std::unique_ptr<node::Node> node;
  std::size_t forwards = 0, acknowledgements = 0;
  std::size_t writes_forwarded = 0, questions = 0;
  node::Forward last_forward;
  std::vector<std::pair<std::uint64_t, node::ClientReply>> replies;  // by request

  explicit Follower(const storage::WalOptions& options = {},
                    const raft::Configuration& voters = kTwo) {
    auto recovered = node::recover(fs, kSelf, kOwn, options, raft::Config{}.log_tail_entries);
    REQUIRE(recovered.ok());
    recovery = std::move(recovered.value());
    raft::Config config;
    config.self = kSelf;
    config.incarnation = kOwn;
    config.initial_voters = voters.members;
    node = std::make_unique<node::Node>(config, raft::BootId(9), node::NodeLimits{}, recovery,
                                        *this, *this, now);
    REQUIRE(node->replay().ok());
    raft::AppendEntries first{kTerm, {}, {}, {}, {}, {}};
    first.entries.push_back(raft::make_entry(raft::Index(1), kTerm, raft::EntryType::bootstrap, {},
                                             {}, raft::encode_configuration(voters)));
    receive(std::move(first));
    heartbeat(raft::WriteBlock::none);
  }
  void send(raft::ServerId, const node::PeerMessage& message, raft::Channel) override {
    if (const auto* forward = std::get_if<node::Forward>(&message)) {
      ++forwards;
      writes_forwarded += forward->writes.size();
      if (forward->writes.empty()) ++questions;
      last_forward = *forward;
    }
    const auto* own = std::get_if<raft::Message>(&message);
    if (own != nullptr && std::holds_alternative<raft::AppendReply>(*own)) ++acknowledgements;
  }
  void reply(const node::Ticket& ticket, node::ClientReply reply) override {
    replies.emplace_back(ticket.request, std::move(reply));
  }
  Instant turn() {
    const auto deadline = node->turn(now);
    REQUIRE(deadline.ok());
    return *deadline;
  }
  void receive(raft::Message message) {
    node->post(node::FromPeer{kLeader, kLeaders, std::move(message)});
    settle();
  }
  void settle() {
    for (int i = 0; i < 40; ++i) {
      now = now + microseconds(10);
      turn();
      if (auto done = fs.run_one()) node->post(node::DiskDone{std::move(*done)});
    }
  }
  void heartbeat(raft::WriteBlock block) {
    raft::Heartbeat m{kTerm, raft::Index(1)};
    m.write_block = block;
    receive(m);
  }
  void write(std::uint64_t request) {
    node->post(
        node::ClientWrite{{1, request},
                          SharedBytes::copy_of(kv::encode_put("k", "v", kv::ValueForm::bytes, {})),
                          now + seconds(5)});
    settle();
  }
  void accepted(std::uint64_t sequence, bool gap, std::uint32_t attempt) {
    node->post(node::FromPeer{kLeader, kLeaders,
                              node::ForwardReply{kTerm, raft::BootId(9), attempt, sequence, gap}});
    settle();
  }
  // The leader is heard, and says nothing of what it was sent.
  void wait(Duration duration) {
    for (const Instant end = now + duration; now < end;) {
      now = now + milliseconds(50);
      heartbeat(raft::WriteBlock::none);
    }
  }
};

}  // namespace

TEST_CASE("while writes are blocked, a forwarded write waits without keeping the loop busy") {
  Follower follower;
  follower.write(1);
  REQUIRE(follower.forwards == 1);  // and the leader says nothing: its disk is full
  for (int i = 0; i < 20; ++i) {
    follower.heartbeat(raft::WriteBlock::full);
    follower.now = follower.now + milliseconds(50);
    CHECK(follower.turn() > follower.now);
  }
  CHECK(follower.forwards <= 2);
  CHECK(follower.replies.empty());  // it may be in the leader's log
  // It is sent again when there is space.
  follower.heartbeat(raft::WriteBlock::none);
  CHECK(follower.forwards >= 2);
}

TEST_CASE(
    "a write that waits for a leader without room is in no log and does not keep the loop busy") {
  Follower follower;
  follower.heartbeat(raft::WriteBlock::waiting);
  follower.write(1);
  CHECK(follower.forwards == 0);
  CHECK(follower.replies.empty());
  SUBCASE("it is sent when the leader takes writes again") {
    follower.heartbeat(raft::WriteBlock::none);
    CHECK(follower.writes_forwarded == 1);
  }
  SUBCASE("it ends as not applied when its time is over") {
    follower.now = follower.now + seconds(6);
    follower.heartbeat(raft::WriteBlock::waiting);
    REQUIRE(follower.replies.size() == 1);
    CHECK(std::get<node::Refusal>(follower.replies[0].second) == node::Refusal::overloaded);
  }
}

TEST_CASE("a follower asks about a forwarded write that is slow to arrive and does not resend it") {
  Follower follower;
  follower.write(1);
  follower.write(2);
  follower.write(3);
  REQUIRE(follower.writes_forwarded == 3);
  follower.wait(seconds(1));
  CHECK(follower.writes_forwarded == 3);
  CHECK(follower.questions >= 4);  // a question may be lost, too
  CHECK(follower.questions <= 5);
  CHECK(follower.last_forward.previous == 3);
  SUBCASE("a gap proves the loss once, however often it is reported") {
    for (int i = 0; i < 5; ++i) follower.accepted(1, true, 0);
    CHECK(follower.writes_forwarded == 5);
    CHECK(follower.last_forward.previous == 1);
    CHECK(follower.last_forward.attempt == 1);
    follower.accepted(1, true, 1);
    CHECK(follower.writes_forwarded == 7);
  }
  SUBCASE("the follower does not ask while the leader accepts more of them") {
    const std::size_t before = follower.questions;
    for (std::uint64_t sequence = 1; sequence <= 3; ++sequence) {
      follower.accepted(sequence, false, 0);
      follower.wait(milliseconds(150));
    }
    CHECK(follower.questions == before);
    CHECK(follower.writes_forwarded == 3);
  }
}

TEST_CASE("a leadership transfer that a client waits for is refused when the node stops") {
  Follower follower;
  follower.node->post(node::ClientTransfer{{1, 1}, raft::ServerId(1), follower.now + seconds(5)});
  follower.settle();
  REQUIRE(follower.replies.empty());
  follower.node->post(node::Shutdown{});
  follower.settle();
  REQUIRE(follower.replies.size() == 1);
  CHECK(std::get<node::Refusal>(follower.replies[0].second) == node::Refusal::shutting_down);
}

TEST_CASE("a cluster of one refuses a transfer at once, unless its own server is the target") {
  const raft::Configuration one{{5, 5}, {{kSelf, "http://b:1", kOwn}}};
  Follower alone({}, one);
  for (const auto to : {std::optional<raft::ServerId>(), std::optional(kLeader)}) {
    alone.replies.clear();
    alone.node->post(node::ClientTransfer{{1, 1}, to, alone.now + seconds(5)});
    alone.turn();
    REQUIRE(alone.replies.size() == 1);
    CHECK(std::get<node::Refusal>(alone.replies[0].second) == node::Refusal::no_other_member);
  }
  alone.replies.clear();
  alone.node->post(node::ClientTransfer{{1, 2}, kSelf, alone.now + seconds(5)});
  alone.turn();
  CHECK(alone.replies.empty());  // it waits until it leads
}

TEST_CASE("an acknowledgement that waits for space is held once, however often it is requested") {
  storage::WalOptions options;
  options.segment_bytes = 8192;
  options.first_segment_bytes = 4096;
  options.slice_bytes = 4096;
  Follower follower(options);
  follower.fs.set_capacity(follower.fs.used());
  raft::AppendEntries m{kTerm, raft::Index(1), kTerm, {}, {}, {}};
  m.entries.push_back(
      raft::make_entry(raft::Index(2), kTerm, raft::EntryType::command, {}, {},
                       kv::encode_put("large", std::string(6000, 'v'), kv::ValueForm::bytes, {})));
  const std::size_t before = follower.acknowledgements;
  follower.receive(m);
  for (int i = 0; i < 50; ++i)
    follower.receive(raft::AppendEntries{kTerm, raft::Index(2), kTerm, {}, {}, {}});
  CHECK(follower.acknowledgements == before);
  follower.fs.set_capacity(UINT64_MAX);
  follower.now = follower.now + seconds(1);
  follower.settle();
  CHECK(follower.acknowledgements == before + 1);
}

TEST_CASE("a campaign is counted once, however many rounds it takes") {
  Follower follower;
  const auto campaigns = [&] { return follower.node->counters().elections_started; };
  CHECK(campaigns() == 0);
  for (int i = 0; i < 40; ++i) {  // the leader is silent, and nobody answers
    follower.now = follower.now + milliseconds(50);
    follower.node->post(node::TimerFired{});
    follower.turn();
  }
  CHECK(campaigns() == 1);
}

}  // namespace test_requests
