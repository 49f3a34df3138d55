// What waits for a disk that hangs is bounded, and what newer messages replace can be missed.
#include <doctest/doctest.h>

#include <vector>

#include "node/held_envelopes.hpp"

namespace test_held_envelopes {

using namespace vesper;
using namespace vesper::node;

namespace {

constexpr raft::ServerId kA{0}, kB{2};
constexpr raft::Term kTerm{5};

raft::HeldEnvelope gated(raft::ServerId to, raft::Message message, std::uint64_t after,
                         std::uint64_t after_hard_state) {
  return {{to, std::move(message), raft::Channel::control},
          raft::WriteNumber(after),
          raft::WriteNumber(after_hard_state)};
}
raft::HeartbeatReply beat(std::uint64_t round, raft::Term term = kTerm) {
  return {term, round, raft::Index(round), 0, raft::DiskHealth::ok};
}
raft::AppendReply ack(std::uint64_t match) {
  return {.term = kTerm, .success = true, .match_index = raft::Index(match)};
}
std::vector<raft::Envelope> release(HeldEnvelopes& held, std::uint64_t persisted,
                                    std::uint64_t hard_state) {
  std::vector<raft::Envelope> released;
  held.release(raft::WriteNumber(persisted), raft::WriteNumber(hard_state),
               [&](const raft::Envelope& envelope) { released.push_back(envelope); });
  return released;
}

}  // namespace

TEST_CASE("of several held replies to heartbeats, only the one to the newest round is kept") {
  HeldEnvelopes held;
  for (std::uint64_t round = 1; round <= 1000; ++round) {
    held.hold(gated(kA, beat(round), 0, 7));
    held.hold(gated(kB, beat(round), 0, 7));
  }
  held.hold(gated(kA, beat(3), 0, 7));  // late
  CHECK(held.size() == 2);
  CHECK(release(held, 6, 6).empty());
  const auto released = release(held, 6, 7);
  REQUIRE(released.size() == 2);
  CHECK(std::get<raft::HeartbeatReply>(released[0].message).round == 1000);
  CHECK(held.size() == 0);
}

TEST_CASE("kinds of messages, and of votes, do not replace each other") {
  HeldEnvelopes held;
  const raft::VoteReply vote{kTerm, kTerm, false, raft::VoteRefusal::none};
  const raft::VoteReply late{kTerm, raft::Term(4), false, raft::VoteRefusal::old_term};
  const raft::VoteReply pre_vote{kTerm, raft::Term(6), true, raft::VoteRefusal::leader_fresh};
  for (int i = 0; i < 100; ++i) {
    held.hold(gated(kA, vote, 0, 7));
    held.hold(gated(kA, late, 0, 7));
    held.hold(gated(kA, pre_vote, 0, 7));
    held.hold(gated(kA, beat(1), 0, 7));
    held.hold(gated(kA, raft::AppendReply{.term = kTerm}, 0, 7));
    held.hold(gated(kA, ack(9), 8, 7));
    // Its own pre-vote is of this term, whatever term it asks for.
    held.hold(gated(kA, raft::VoteRequest{raft::Term(6), true}, 0, 7));
  }
  CHECK(held.size() == 6);
  const auto released = release(held, 8, 8);
  REQUIRE(released.size() == 6);
  CHECK(std::get<raft::VoteReply>(released[0].message).granted());
}

TEST_CASE(
    "an acknowledgement that waits for a later write does not replace one for an earlier write") {
  HeldEnvelopes held;
  for (std::uint64_t write = 8; write < 12; ++write)
    for (int i = 0; i < 10; ++i) held.hold(gated(kA, ack(write * 10), write, 7));
  CHECK(held.size() == 4);
  const auto released = release(held, 9, 9);
  REQUIRE(released.size() == 2);
  CHECK(std::get<raft::AppendReply>(released[1].message).match_index == raft::Index(90));
  CHECK(held.size() == 2);
}

TEST_CASE("a newer term discards held messages of an older one, only for the same peer") {
  HeldEnvelopes held;
  for (std::uint64_t term = 5; term < 1000; ++term) {
    held.hold(gated(kA, beat(1, raft::Term(term)), 0, term));
    held.hold(gated(kA, raft::VoteReply{raft::Term(term), raft::Term(term)}, 0, term));
  }
  CHECK(held.size() == 2);
  held.hold(gated(kB, beat(1, raft::Term(1001)), 0, 1001));
  CHECK(held.size() == 3);
}

}  // namespace test_held_envelopes
