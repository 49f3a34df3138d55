// Majorities of one set of voters, and of two at once.
#include <doctest/doctest.h>

#include <initializer_list>

#include "raft/quorum.hpp"

using namespace vesper;
using namespace vesper::raft;

namespace {

std::vector<Member> voters(std::initializer_list<std::uint32_t> ids) {
  std::vector<Member> voters;
  for (const std::uint32_t id : ids) voters.push_back({ServerId(id), "", {}});
  return voters;
}

// C-old,new: the voters of both sets, each with its seat.
std::vector<Member> joint(const std::vector<Member>& incoming,
                          const std::vector<Member>& outgoing) {
  if (outgoing.empty()) return incoming;
  std::vector<Member> both;
  const auto has = [](const std::vector<Member>& set, ServerId id) {
    return std::any_of(set.begin(), set.end(), [id](const Member& m) { return m.id == id; });
  };
  for (Member member : incoming) {
    member.seat = has(outgoing, member.id) ? Seat::voter : Seat::incoming;
    both.push_back(member);
  }
  for (Member member : outgoing) {
    member.seat = Seat::outgoing;
    if (!has(incoming, member.id)) both.push_back(member);
  }
  return both;
}

bool contains(const std::vector<std::uint32_t>& ids, const Member& voter) {
  return std::find(ids.begin(), ids.end(), voter.id.value) != ids.end();
}

}  // namespace

TEST_CASE("a majority of each set decides") {
  struct Row {
    std::vector<Member> incoming, outgoing;
    std::vector<std::uint32_t> in;
    bool decides;
  };
  const Row rows[] = {
      // One set.
      {voters({0}), {}, {}, false},
      {voters({0}), {}, {0}, true},
      {voters({0, 1}), {}, {1}, false},
      {voters({0, 1}), {}, {0, 1}, true},
      {voters({0, 1, 2}), {}, {1}, false},
      {voters({0, 1, 2}), {}, {0, 2}, true},
      {voters({0, 1, 2, 3}), {}, {0, 2}, false},
      {voters({0, 1, 2, 3}), {}, {0, 2, 3}, true},
      {voters({0, 1, 2}), {}, {3, 4, 5}, false},  // no voters
      {{}, {}, {0}, false},
      // Joint: one server is added.
      {voters({0, 1, 2, 3}), voters({0, 1, 2}), {0, 1}, false},
      {voters({0, 1, 2, 3}), voters({0, 1, 2}), {0, 1, 3}, true},
      {voters({0, 1, 2, 3}), voters({0, 1, 2}), {0, 3}, false},
      // Joint: all are replaced. A majority of one set is not enough.
      {voters({3, 4, 5}), voters({0, 1, 2}), {3, 4, 5}, false},
      {voters({3, 4, 5}), voters({0, 1, 2}), {0, 1, 2}, false},
      {voters({3, 4, 5}), voters({0, 1, 2}), {0, 1, 3}, false},
      {voters({3, 4, 5}), voters({0, 1, 2}), {0, 1, 3, 4}, true},
      // Joint: down to one server.
      {voters({0}), voters({0, 1, 2}), {0}, false},
      {voters({0}), voters({0, 1, 2}), {1, 2}, false},
      {voters({0}), voters({0, 1, 2}), {0, 2}, true},
  };
  for (const Row& row : rows) {
    CAPTURE(&row - rows);
    const std::vector<Member> members = joint(row.incoming, row.outgoing);
    const Quorum quorum(members);
    CHECK(quorum.holds([&](const Member& voter) { return contains(row.in, voter); }) ==
          row.decides);
  }
}

TEST_CASE("a quorum has reached the largest value that a majority of each set has") {
  struct Row {
    std::vector<Member> incoming, outgoing;
    std::vector<std::optional<std::uint64_t>> values;  // by server id
    std::optional<std::uint64_t> reached;
  };
  const std::nullopt_t none = std::nullopt;
  const Row rows[] = {
      {voters({0}), {}, {7}, 7},
      {voters({0}), {}, {none}, none},
      {voters({0, 1, 2}), {}, {7, 5, 3}, 5},
      {voters({0, 1, 2}), {}, {3, 7, 5}, 5},
      {voters({0, 1, 2}), {}, {7, none, 3}, 3},
      {voters({0, 1, 2}), {}, {7, none, none}, none},
      {voters({0, 1, 2, 3}), {}, {9, 7, 5, 3}, 5},
      {voters({0, 1, 2, 3, 4}), {}, {1, 2, 3, 4, 5}, 3},
      // Joint: the lower of the two.
      {voters({3, 4, 5}), voters({0, 1, 2}), {9, 9, 9, 4, 4, 1}, 4},
      {voters({3, 4, 5}), voters({0, 1, 2}), {2, 2, 9, 8, 8, 8}, 2},
      {voters({3, 4, 5}), voters({0, 1, 2}), {2, 2, 9, 8, none, none}, none},
      {voters({3, 4, 5}), voters({0, 1, 2}), {none, none, 9, 8, 8, 8}, none},
      {voters({0, 1, 2, 3}), voters({0, 1, 2}), {9, 9, 1, 1}, 1},
  };
  for (const Row& row : rows) {
    CAPTURE(&row - rows);
    const std::vector<Member> members = joint(row.incoming, row.outgoing);
    const Quorum quorum(members);
    CHECK(quorum.reached([&](const Member& voter) { return row.values[voter.id.value]; }) ==
          row.reached);
  }
}

TEST_CASE("one voter decides alone, unless the configuration is joint") {
  const auto is_single = [](const std::vector<Member>& members) {
    return Quorum(members).is_single();
  };
  CHECK(is_single(voters({0})));
  CHECK_FALSE(is_single(voters({0, 1})));
  CHECK_FALSE(is_single(joint(voters({0}), voters({0, 1, 2}))));
  CHECK_FALSE(is_single({}));
  std::vector<Member> with_learners = voters({0, 1, 2});
  with_learners[1].seat = with_learners[2].seat = Seat::learner;
  CHECK(is_single(with_learners));
}
