// The cluster's clock (docs/raft.md, "Log time"): it runs while entries can be decided, and an
// entry is decided within a second of its stamp.
#include "paper/solo_server.hpp"

using namespace vesper;
using namespace vesper::paper;

namespace {

constexpr std::int64_t kMs = 1'000'000;

LogTime at(Duration since_start) {
  return LogTime(since_start.ns);
}

Heartbeat heartbeat_at(std::uint64_t term, Duration log_time) {
  Heartbeat m = heartbeat(term);
  m.log_time = at(log_time);
  return m;
}

LogTime clock(const SoloServer& one) {
  return one.raft().log_time(one.now());
}

// Lets time pass while server 1 answers the leader's heartbeats.
void lead_for(SoloServer& one, Duration duration) {
  const Instant end = one.now() + duration;
  while (one.now() < end) {
    one.wait_for_deadline();
    if (const auto beats = one.sent<Heartbeat>(k1); !beats.empty())
      one.receive(k1, HeartbeatReply{one.raft().current_term(), beats.back().round, Index(1)});
    one.sync();
  }
  REQUIRE(one.raft().is_leader());
}

// A leader; its first entry, index 2, is committed.
SoloServer leading(Setup setup = {}) {
  SoloServer one(std::move(setup));
  one.become_leader();
  if (one.servers() > 1) one.acknowledge(k1, 2);
  REQUIRE(one.raft().commit_index() == Index(2));
  return one;
}

}  // namespace

TEST_CASE("the clock runs while a majority replies and every entry is committed") {
  SoloServer one = leading();
  const LogTime before = clock(one);
  lead_for(one, seconds(700));
  CHECK(clock(one).value - before.value >= seconds(699).ns);
  one.propose();
  CHECK(one.raft().log().at(Index(3)).time.value - before.value >= seconds(699).ns);
}

TEST_CASE("the clock stops a second after the oldest uncommitted entry") {
  SoloServer one = leading();
  one.propose();
  const LogTime stamp = one.raft().log().at(Index(3)).time;
  lead_for(one, milliseconds(500));
  CHECK(clock(one).value - stamp.value >= 450 * kMs);
  lead_for(one, seconds(606));  // heartbeats are answered; only its own disk has the entries
  CHECK(clock(one).value == stamp.value + seconds(1).ns);
  one.propose();
  CHECK(one.raft().log().at(Index(4)).time.value == stamp.value + seconds(1).ns);

  SUBCASE("it continues from there when that entry is committed") {
    one.acknowledge(k1, 4);
    CHECK(clock(one).value == stamp.value + seconds(1).ns);
    lead_for(one, seconds(5));
    CHECK(clock(one).value - stamp.value >= seconds(6).ns);
    CHECK(clock(one).value - stamp.value <= seconds(6).ns + 100 * kMs);
  }
  SUBCASE("it stops again a second after the next uncommitted entry") {
    one.acknowledge(k1, 3);
    lead_for(one, seconds(5));
    CHECK(clock(one).value == stamp.value + seconds(2).ns);
  }
  SUBCASE("every message carries the time at which it stopped") {
    lead_for(one, milliseconds(50));
    one.wait_for_deadline();
    CHECK(one.one<Heartbeat>(k1).log_time.value == stamp.value + seconds(1).ns);
  }
}

TEST_CASE("the clock stands still while the disks of a majority are full") {
  SoloServer one = leading();
  const auto answer_for = [&](Duration duration, DiskHealth disk) {
    for (const Instant end = one.now() + duration; one.now() < end; one.sync()) {
      one.wait_for_deadline();
      for (const ServerId from : {k1, k2})
        if (const auto beats = one.sent<Heartbeat>(from); !beats.empty()) {
          HeartbeatReply reply{one.raft().current_term(), beats.back().round, Index(2)};
          reply.disk = disk;
          one.receive(from, reply);
        }
    }
    REQUIRE(one.raft().is_leader());
  };
  answer_for(seconds(1), DiskHealth::full);  // it stops within two election timeouts
  const LogTime stopped = clock(one);
  answer_for(seconds(606), DiskHealth::full);
  CHECK(clock(one) == stopped);
  answer_for(seconds(5), DiskHealth::ok);
  CHECK(clock(one).value - stopped.value >= seconds(4).ns);
  CHECK(clock(one).value - stopped.value <= seconds(5).ns + 100 * kMs);
}

TEST_CASE("the clock ignores the time of a message that was overtaken") {
  SoloServer one;
  one.receive(k1, heartbeat_at(1, seconds(5)));
  AppendEntries late = append(1, 1, 1);
  late.log_time = at(seconds(4));
  one.receive(k1, late);
  CHECK(clock(one) == at(seconds(5)));
  one.wait(milliseconds(10));
  CHECK(clock(one) == at(seconds(5) + milliseconds(10)));
  one.receive(k2, heartbeat_at(2, seconds(3)));  // another leader's
  CHECK(clock(one) == at(seconds(3)));
}

TEST_CASE("a new leader continues from the last stamp that it received") {
  SoloServer one;
  one.receive(k1, heartbeat_at(1, seconds(5)));
  one.wait(seconds(606));  // without a leader
  one.become_leader();
  CHECK(one.raft().log().at(Index(2)).time == at(seconds(5)));
  one.acknowledge(k1, 2);
  one.wait(milliseconds(7));
  one.propose();
  CHECK(one.raft().log().at(Index(3)).time.value == seconds(5).ns + 7 * kMs);
}

TEST_CASE("a server that leads again continues from its own clock") {
  SoloServer one = leading();
  lead_for(one, seconds(3));
  const LogTime before = clock(one);
  one.receive(k2, VoteReply{Term(9), Term(9), false, VoteRefusal::old_term});  // steps down
  one.sync();
  one.wait(seconds(606));
  one.become_leader();
  const LogTime stamp = one.raft().log().at(one.raft().log().last_index()).time;
  CHECK(stamp.value <= before.value);
  CHECK(stamp.value >= before.value - 100 * kMs);
}

TEST_CASE("the clock of a new leader stands still until it has committed in its term") {
  SoloServer one;
  one.receive(k1, heartbeat_at(1, seconds(5)));
  one.become_leader();
  lead_for(one, seconds(30));
  CHECK(clock(one) == at(seconds(5)));
  one.propose();
  CHECK(one.raft().log().at(Index(3)).time == at(seconds(5)));
  one.acknowledge(k1, 2);
  one.wait(milliseconds(20));
  CHECK(clock(one).value == seconds(5).ns + 20 * kMs);
}

// A leader of a term in between may have advanced the clock without having that entry. Then the
// entry was not decided before, and this leader decides it now.
TEST_CASE("a new leader starts within a second of its oldest uncommitted entry") {
  SoloServer one({.log = {1, 1}});  // both stamps are 0; the second entry may be uncommitted
  one.receive(k1, heartbeat_at(1, seconds(700)));
  one.become_leader();
  CHECK(one.raft().log().at(Index(3)).time == at(seconds(1)));
}

TEST_CASE("a process that was stopped does not count that time") {
  SUBCASE("it leads alone") {
    SoloServer one = leading({.servers = 1});
    lead_for(one, seconds(2));
    const LogTime before = clock(one);
    one.wait(seconds(660));
    one.propose();
    const LogTime stamp = one.raft().log().at(Index(3)).time;
    CHECK(stamp.value - before.value <= 400 * kMs);
    one.sync();
    lead_for(one, seconds(2));
    CHECK(clock(one).value - stamp.value >= 1900 * kMs);
  }
  SUBCASE("it leads others, and old replies come first") {
    SoloServer one = leading();
    lead_for(one, seconds(2));
    const LogTime before = clock(one);
    one.wait_for_deadline();
    const std::uint64_t round = one.one<Heartbeat>(k1).round;
    one.wait(seconds(660));
    one.receive(k1, HeartbeatReply{one.raft().current_term(), round, Index(2)});
    one.propose();
    CHECK(one.raft().log().at(Index(3)).time.value - before.value <= 400 * kMs);
    one.acknowledge(k1, 3);
    CHECK(clock(one).value - before.value <= 400 * kMs);
  }
}

TEST_CASE("a snapshot withdraws the clock of another leader") {
  SoloServer one;
  one.receive(k1, heartbeat_at(1, seconds(700)));
  InstallSnapshot m{.term = Term(2)};
  m.snapshot.last_index = Index(9);
  m.snapshot.last_term = Term(2);
  m.snapshot.log_time = at(seconds(3));
  m.snapshot.chunk_bytes = 10;
  m.snapshot.content_bytes = 5;
  one.receive_and_sync(k2, m);
  CHECK(clock(one).value <= seconds(1).ns);
  one.receive(k2, heartbeat_at(2, seconds(4)));
  CHECK(clock(one) == at(seconds(4)));
  SUBCASE("a snapshot of its own leader withdraws nothing") {
    one.receive_and_sync(k2, m);
    CHECK(clock(one) == at(seconds(4)));
  }
}

TEST_CASE("a follower follows the clock as long as it hears a leader") {
  SoloServer one;
  one.receive(k1, heartbeat_at(1, seconds(5)));
  one.wait(milliseconds(40));
  CHECK(clock(one).value == seconds(5).ns + 40 * kMs);
  one.wait(seconds(20));
  CHECK(clock(one).value <= seconds(5).ns + 300 * kMs);
}
