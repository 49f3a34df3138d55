// The stream of writes to a leader: the window, questions, and going back.
#include <doctest/doctest.h>

#include "node/forward_stream.hpp"

namespace test_forward_stream {

using namespace vesper;

namespace {

constexpr raft::BootId kBoot{9};
constexpr raft::ServerId kLeader{0};
constexpr raft::Term kTerm{3};
constexpr Duration kPatience{200};

struct Stream final : node::Transport {
  node::PendingWrites writes;
  node::ForwardStream stream{kBoot, 100, kPatience};
  std::vector<node::Forward> sent;
  std::vector<raft::Channel> channels;
  std::uint64_t requests = 0;

  void send(raft::ServerId, const node::PeerMessage& message, raft::Channel channel) override {
    sent.push_back(std::get<node::Forward>(message));
    channels.push_back(channel);
  }
  void add(std::size_t bytes) {
    writes.add({1, ++requests}, SharedBytes::copy_of(std::string(bytes, 'x')), kNever);
  }
  std::size_t turn(std::int64_t now, raft::Term term = kTerm) {
    sent.clear();
    channels.clear();
    return stream.send(kLeader, term, writes, *this, Instant{now});
  }
  void reply(std::uint64_t accepted, bool gap, std::uint32_t attempt, std::int64_t now) {
    stream.on_reply({kTerm, kBoot, attempt, accepted, gap}, Instant{now});
  }
};

}  // namespace

TEST_CASE("writes are sent once, up to the size of the window") {
  Stream s;
  for (int i = 0; i < 3; ++i) s.add(60);
  CHECK(s.stream.deadline(kTerm) == kNever);
  CHECK(s.turn(0) == 3);  // in one Forward
  REQUIRE(s.sent.size() == 1);
  CHECK(s.sent[0].previous == 0);
  CHECK(s.sent[0].writes.size() == 3);
  s.add(1);
  CHECK_FALSE(s.stream.has_room(s.writes));
  CHECK(s.turn(1) == 0);
  (void)s.writes.applied(1);
  (void)s.writes.applied(2);
  CHECK(s.turn(2) == 1);
  CHECK(s.sent[0].previous == 3);
}

TEST_CASE("the follower asks the leader when it has accepted nothing for a while") {
  Stream s;
  s.add(10);
  CHECK(s.turn(0) == 1);
  CHECK(s.stream.deadline(kTerm) == Instant{200});
  CHECK(s.stream.deadline(kTerm.next()) == kNever);
  s.turn(199);
  CHECK(s.sent.empty());
  s.turn(200);
  REQUIRE(s.sent.size() == 1);
  CHECK(s.sent[0].writes.empty());  // a question
  CHECK(s.sent[0].previous == 1);
  SUBCASE("the leader has the write") {
    s.reply(1, false, 0, 210);
    CHECK(s.stream.deadline(kTerm) == kNever);
  }
  SUBCASE("the connection is a new one") {
    s.stream.on_reconnected(Instant{210});
    CHECK(s.stream.deadline(kTerm) == Instant{210});
  }
  SUBCASE("an entry of this term was applied") {
    s.stream.on_applied(raft::Term(2), 1, Instant{210});
    CHECK(s.stream.deadline(kTerm) != kNever);
    s.stream.on_applied(kTerm, 1, Instant{210});
    CHECK(s.stream.deadline(kTerm) == kNever);
  }
}

TEST_CASE("the stream goes back once for each loss") {
  Stream s;
  for (int i = 0; i < 3; ++i) s.add(10);
  CHECK(s.turn(0) == 3);
  s.reply(1, true, 0, 10);
  s.reply(1, true, 0, 11);  // the same loss
  CHECK(s.turn(12) == 2);
  REQUIRE(s.sent.size() == 1);
  CHECK(s.sent[0].attempt == 1);
  CHECK(s.sent[0].previous == 1);
  CHECK(s.turn(13) == 0);
  s.reply(1, true, 0, 14);  // of the earlier attempt
  CHECK(s.turn(15) == 0);
}

TEST_CASE("a reply to another process or term changes nothing") {
  Stream s;
  s.add(10);
  CHECK(s.turn(0) == 1);
  s.stream.on_reply({kTerm, raft::BootId(8), 0, 0, true}, Instant{1});
  s.stream.on_reply({kTerm.next(), kBoot, 0, 1, false}, Instant{1});
  CHECK(s.turn(2) == 0);
  CHECK(s.stream.deadline(kTerm) == Instant{200});
}

TEST_CASE("a message that follows a large one uses the bulk connection, too") {
  Stream s;
  s.add(65u << 10);
  CHECK(s.turn(0) == 1);
  CHECK(s.channels == std::vector{raft::Channel::bulk});
  s.writes.give_up_unsent();
  s.stream.on_reconnected(Instant{1});
  s.turn(1);
  CHECK(s.channels == std::vector{raft::Channel::bulk});
  s.reply(1, false, 0, 2);
  (void)s.writes.applied(1);
  s.add(10);
  CHECK(s.turn(3) == 1);
  CHECK(s.channels == std::vector{raft::Channel::control});
}

}  // namespace test_forward_stream
