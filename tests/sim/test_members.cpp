// The checkers of the members: rosters as they read them, quorums, elections, numbers.
#include <doctest/doctest.h>

#include "raft/entry.hpp"
#include "sim/roster.hpp"
#include "sim/safety.hpp"

using namespace vesper;
using namespace vesper::sim;

namespace {

using Role = Safety::Role;

bool says(const Violation& wrong, std::string_view rule) {
  if (!wrong) return false;
  INFO(*wrong);
  return wrong->find(rule) != std::string::npos;
}

// Members 0 to n - 1, whose disks are 100, 101 and so on.
raft::Configuration of(std::uint32_t voters) {
  raft::Configuration configuration{{7, 7}, {}};
  for (std::uint32_t i = 0; i < voters; ++i)
    configuration.members.push_back(
        {raft::ServerId(i), "http://s" + std::to_string(i), raft::Incarnation(100 + i)});
  return configuration;
}

Roster read(const raft::Configuration& configuration, std::uint64_t index) {
  const auto roster =
      read_roster(RosterEntry::whole, raft::encode_configuration(configuration), index, nullptr);
  REQUIRE(roster.has_value());
  return *roster;
}

raft::Configuration with_seat(raft::Configuration configuration, std::size_t member,
                              raft::Seat seat) {
  configuration.members[member].seat = seat;
  return configuration;
}

// Servers 0 to 3, and a log of these configurations, all of one term, in which server 0 leads.
struct Cluster {
  explicit Cluster(std::vector<raft::Configuration> log) : configurations(std::move(log)) {
    for (std::size_t i = 0; i < 4; ++i) safety.identify(i, 100 + i);
  }
  Violation follow(std::size_t server) {
    return safety.follow(
        server, {0, 0, configurations.size()}, server == 0 ? Role::leader : Role::other,
        [](std::uint64_t) { return std::uint64_t{1}; }, [](std::uint64_t i) { return i; },
        [&](std::uint64_t i, const Roster* before) {
          return read_roster(RosterEntry::whole, raft::encode_configuration(configurations[i - 1]),
                             i, before);
        });
  }
  Violation commit(std::uint64_t index) { return safety.commits(0, 1, Role::leader, index, index); }

  Safety safety{4};
  std::vector<raft::Configuration> configurations;
};

}  // namespace

TEST_CASE("a roster reads what raft writes") {
  raft::Configuration configuration = with_seat(of(4), 3, raft::Seat::incoming);
  configuration.members[1].goal = raft::Goal::leave;
  configuration.members[1].plan = raft::Index(9);
  configuration.members[2].incarnation = {};
  const Roster roster = read(configuration, 5);
  CHECK(roster.index == 5);
  CHECK(roster.next_number == 4);
  CHECK(roster.is_joint());
  CHECK(roster.members[1].will_leave);
  CHECK(roster.members[1].plan == 9);
  CHECK(roster.members[3].address == "http://s3");
  CHECK(roster.with_incarnation(0) == nullptr);
  CHECK(roster.with_incarnation(103)->number == 3);
  const auto registered = read_roster(
      RosterEntry::registration,
      raft::encode_registration({raft::ServerId(2), raft::Incarnation(500)}), 6, &roster);
  REQUIRE(registered.has_value());
  CHECK(registered->members[2].incarnation == 500);
  CHECK_FALSE(read_roster(RosterEntry::whole, "short", 7, nullptr).has_value());
}

TEST_CASE("C4: neighbours have the same voters, or a joint configuration between them") {
  const Roster three = read(of(3), 1);
  const Roster joint = read(with_seat(of(4), 3, raft::Seat::incoming), 2);
  const Roster four = read(of(4), 3);
  CHECK_FALSE(judge_step(three, joint));
  CHECK_FALSE(judge_step(joint, four));
  CHECK(says(judge_step(three, four), "C4"));
  CHECK_FALSE(judge_step(three, read(with_seat(of(4), 3, raft::Seat::learner), 2)));
  CHECK(says(judge_step(joint, read(of(2), 3)), "C4"));
}

TEST_CASE("C13: numbers, node ids and disks are given once") {
  const Roster three = read(of(3), 1);
  raft::Configuration next = with_seat(of(4), 3, raft::Seat::learner);
  SUBCASE("a disk under two numbers") {
    next.members[3].incarnation = raft::Incarnation(101);
    CHECK(says(judge_step(three, read(next, 2)), "C13"));
  }
  SUBCASE("another disk under a number") {
    next.members[2].incarnation = raft::Incarnation(999);
    CHECK(says(judge_step(three, read(next, 2)), "C13"));
  }
  SUBCASE("a number again") {
    Roster later = three;
    later.next_number = 4;
    CHECK(says(judge_step(later, read(next, 2)), "C13"));
  }
  SUBCASE("a node id again") {
    Roster later = three;
    later.next_node = 4;
    CHECK(says(judge_step(later, read(next, 2)), "C13"));
  }
  SUBCASE("a node that votes twice") {
    next.members[3].node = raft::NodeId(1);
    next.members[3].seat = raft::Seat::voter;
    Roster before = read(next, 1);
    before.members[3].in_new = before.members[3].in_old = true;
    CHECK(says(judge_step(before, read(next, 2)), "C13"));
  }
}

TEST_CASE("L10: a joint configuration needs a majority of both sets, and learners count for none") {
  raft::Configuration joint = of(4);
  joint.members[0].seat = joint.members[1].seat = raft::Seat::outgoing;
  joint.members[2].seat = raft::Seat::voter;
  joint.members[3].seat = raft::Seat::incoming;  // old: 0, 1, 2; new: 2, 3
  Cluster cluster({of(3), joint});
  cluster.configurations.resize(1);
  REQUIRE_FALSE(cluster.follow(0));
  cluster.safety.acknowledges(1, 1, 1, 1);
  REQUIRE_FALSE(cluster.commit(1));
  cluster.configurations.push_back(joint);
  REQUIRE_FALSE(cluster.follow(0));
  REQUIRE_FALSE(cluster.commit(1));
  REQUIRE_FALSE(cluster.follow(0));
  SUBCASE("the old set alone") {
    cluster.safety.acknowledges(1, 1, 2, 1);
    CHECK(says(cluster.commit(2), "L10"));
  }
  SUBCASE("the new set alone") {
    cluster.safety.acknowledges(3, 1, 2, 1);
    cluster.safety.acknowledges(2, 1, 1, 1);
    CHECK(says(cluster.commit(2), "L10"));
  }
  SUBCASE("both sets") {
    cluster.safety.acknowledges(2, 1, 2, 1);
    cluster.safety.acknowledges(3, 1, 2, 1);
    CHECK_FALSE(cluster.commit(2));
  }
}

TEST_CASE(
    "C1: a configuration that is appended before the one before it is committed is reported") {
  Cluster cluster({of(3), with_seat(of(4), 3, raft::Seat::learner)});
  REQUIRE_FALSE(cluster.follow(0));
  CHECK(says(cluster.commit(0), "C1"));
}

TEST_CASE("C2: a configuration that is appended before anything of the term is reported") {
  Cluster cluster({of(3)});
  REQUIRE_FALSE(cluster.follow(0));
  cluster.safety.acknowledges(1, 1, 1, 1);
  REQUIRE_FALSE(cluster.commit(1));
  const auto entry = [&](std::uint64_t term) {
    return cluster.safety.follow(
        0, {0, 0, 2}, Role::leader, [&](std::uint64_t i) { return i == 1 ? 1 : term; },
        [](std::uint64_t i) { return i; },
        [&](std::uint64_t i, const Roster* before) {
          return read_roster(RosterEntry::whole,
                             raft::encode_configuration(with_seat(of(4), 3, raft::Seat::learner)),
                             i, before);
        });
  };
  REQUIRE_FALSE(entry(2));
  CHECK(says(cluster.safety.commits(0, 2, Role::leader, 1, 1), "C2"));
}

TEST_CASE("C10: a leader needs votes of registered disks, a majority of each set") {
  Cluster cluster({of(3)});
  REQUIRE_FALSE(cluster.follow(0));
  REQUIRE_FALSE(cluster.commit(0));
  SUBCASE("no other vote") {
    CHECK(says(cluster.safety.in_term(0, 1, Role::leader), "C10"));
  }
  SUBCASE("the vote of another disk") {
    REQUIRE_FALSE(cluster.safety.votes(3, 103, 1, 0));
    CHECK(says(cluster.safety.in_term(0, 1, Role::leader), "C10"));
  }
  SUBCASE("a majority") {
    REQUIRE_FALSE(cluster.safety.votes(2, 102, 1, 0));
    CHECK_FALSE(cluster.safety.in_term(0, 1, Role::leader));
  }
}
