// The values that a Raft node consists of, each alone.
#include <doctest/doctest.h>

#include "raft/disk_room.hpp"
#include "raft/election_pace.hpp"
#include "raft/freshness.hpp"
#include "raft/leader_contact.hpp"
#include "raft/log_clock.hpp"
#include "raft/peers.hpp"
#include "raft/snapshot_receipt.hpp"
#include "raft/vote_promise.hpp"
#include "raft/write_ledger.hpp"

using namespace vesper;
using namespace vesper::raft;

namespace {

constexpr Instant kStart{1'000'000'000};
constexpr ServerId k1{1};

Snapshot snapshot_at(std::uint64_t index, std::uint64_t chunks) {
  Snapshot snapshot;
  snapshot.last_index = Index(index);
  snapshot.chunk_bytes = 10;
  snapshot.content_bytes = 10 * chunks;
  snapshot.checksum = index;
  return snapshot;
}

}  // namespace

TEST_CASE("write ledger: a Write makes the log durable up to the end it had then") {
  WriteLedger ledger(WriteNumber(7), Index(10));
  CHECK_FALSE(ledger.begin(kStart, Index(10)).has_value());
  CHECK(ledger.covering(Index(10)) == kTermOnly);
  ledger.append(Index(11));
  ledger.append(Index(12));
  CHECK(ledger.covering(Index(12)) == WriteNumber(8));
  const auto begun = ledger.begin(kStart, Index(12));
  REQUIRE(begun.has_value());
  CHECK(begun->number == WriteNumber(8));
  CHECK(begun->from == Index(11));
  CHECK(ledger.durable_index() == Index(10));
  CHECK_FALSE(ledger.may_leave(WriteNumber(8)));
  CHECK(ledger.complete({WriteNumber(8), WriteNumber(8)}, kStart));
  CHECK(ledger.durable_index() == Index(12));
  CHECK(ledger.may_leave(WriteNumber(8)));
  CHECK_FALSE(ledger.complete({WriteNumber(8), WriteNumber(8)}, kStart));
}

TEST_CASE("write ledger, L14: a Write makes no promise about entries that were dropped since") {
  WriteLedger ledger(WriteNumber(0), Index(1));
  ledger.append(Index(2));
  ledger.append(Index(3));
  ledger.begin(kStart, Index(3));
  ledger.truncate(Index(2), Index(1));
  ledger.append(Index(2));
  ledger.begin(kStart, Index(2));
  ledger.complete({WriteNumber(1), WriteNumber(1)}, kStart);
  CHECK(ledger.durable_index() == Index(1));
  CHECK(ledger.covering(Index(2)) == WriteNumber(2));
  ledger.complete({WriteNumber(2), WriteNumber(2)}, kStart);
  CHECK(ledger.durable_index() == Index(2));
}

TEST_CASE("write ledger: no message leaves before the term is durable") {
  WriteLedger ledger(WriteNumber(3), Index(1));
  CHECK(ledger.may_leave(kTermOnly));
  ledger.change_term();
  CHECK_FALSE(ledger.may_leave(kTermOnly));
  ledger.begin(kStart, Index(1));
  CHECK_FALSE(ledger.may_leave(kTermOnly));
  // On a full disk the term and the vote may be durable before the entries.
  CHECK_FALSE(ledger.complete({WriteNumber(3), WriteNumber(4)}, kStart));
  CHECK(ledger.may_leave(kTermOnly));
  CHECK_FALSE(ledger.may_leave(WriteNumber(4)));
}

TEST_CASE("write ledger: a disk that completes nothing is stalled, a busy one is not") {
  WriteLedger ledger(WriteNumber(0), Index(1));
  const Duration patience = milliseconds(300);
  CHECK_FALSE(ledger.is_stalled(kStart + seconds(10), patience));
  ledger.append(Index(2));
  ledger.begin(kStart, Index(2));
  ledger.append(Index(3));
  ledger.begin(kStart, Index(3));
  CHECK_FALSE(ledger.is_stalled(kStart + milliseconds(300), patience));
  CHECK(ledger.is_stalled(kStart + milliseconds(301), patience));
  ledger.complete({WriteNumber(1), WriteNumber(1)}, kStart + milliseconds(301));
  CHECK_FALSE(ledger.is_stalled(kStart + milliseconds(601), patience));
  CHECK(ledger.is_stalled(kStart + milliseconds(602), patience));
}

TEST_CASE("write ledger: a snapshot in place of the log is durable up to its end") {
  WriteLedger ledger(WriteNumber(0), Index(5));
  ledger.append(Index(6));
  ledger.begin(kStart, Index(6));
  ledger.replace(Index(100));
  CHECK(ledger.durable_index() == Index(100));
  ledger.complete({WriteNumber(1), WriteNumber(1)}, kStart);
  CHECK(ledger.durable_index() == Index(100));
  CHECK(ledger.begin(kStart, Index(100))->from == Index(101));
}

TEST_CASE("vote promise: it lasts a tenth longer than the lease, and never gets shorter") {
  VotePromise promise;
  CHECK_FALSE(promise.binds(kStart));
  promise.give(0, kStart);
  CHECK(promise.until() == Instant{});
  promise.give(50, kStart);
  CHECK(promise.until() == kStart + milliseconds(55));
  promise.give(10, kStart + milliseconds(1));
  CHECK(promise.until() == kStart + milliseconds(55));
  CHECK(promise.binds(kStart + milliseconds(54)));
  CHECK_FALSE(promise.binds(kStart + milliseconds(55)));
  promise.give(1'000'000, kStart);
  CHECK(promise.until() == kStart + kMaxLeaderLease * 11 / 10);
}

TEST_CASE("log clock: it stands still from the given instant on") {
  LogClock clock(LogTime(500), kStart);
  CHECK(clock.at(kStart + seconds(9)) == LogTime(500));
  clock.set(LogTime(700), kStart, kStart + nanoseconds(50));
  CHECK(clock.at(kStart + nanoseconds(20)) == LogTime(720));
  CHECK(clock.at(kStart + seconds(1)) == LogTime(750));
  clock.resume(LogTime(800), kStart + nanoseconds(10));
  CHECK(clock.at(kStart + seconds(1)) == LogTime(840));
}

TEST_CASE("freshness: an echo proves an upper bound on the age of the state") {
  Freshness freshness(7, kStart);
  CHECK_FALSE(freshness.as_of(Index(9)).has_value());
  Heartbeat m;
  m.leader_commit = Index(5);
  m.age = milliseconds(9);
  m.echo = freshness.stamp(kStart + milliseconds(40));
  SUBCASE("this server has the leader's commit index") {
    freshness.learn(m, Index(5), kStart + milliseconds(60));
    CHECK(freshness.as_of(Index(5)) == kStart + milliseconds(29));
  }
  SUBCASE("this server reaches the leader's commit index later") {
    freshness.learn(m, Index(4), kStart + milliseconds(60));
    CHECK_FALSE(freshness.as_of(Index(4)).has_value());
    CHECK(freshness.as_of(Index(5)) == kStart + milliseconds(29));
  }
  SUBCASE("the echo of another process proves nothing") {
    m.echo = Freshness(8, kStart).stamp(kStart + milliseconds(40));
    freshness.learn(m, Index(5), kStart + milliseconds(60));
    CHECK_FALSE(freshness.as_of(Index(5)).has_value());
  }
  SUBCASE("a stamp that was never given proves nothing") {
    freshness.learn(m, Index(5), kStart + milliseconds(39));
    CHECK_FALSE(freshness.as_of(Index(5)).has_value());
  }
}

TEST_CASE("disk room: a full disk takes the entries that fit, and defers the others") {
  DiskRoom room;
  CHECK(room.reserve(std::size_t{1} << 30));
  room.update({true, 5'000});
  CHECK(room.is_full());
  CHECK_FALSE(room.has_room_to_lead());
  CHECK(room.reserve(1'000));
  CHECK_FALSE(room.is_exhausted());
  CHECK_FALSE(room.reserve(2'000));
  CHECK(room.is_exhausted());
  room.forget_wanted();
  CHECK_FALSE(room.is_exhausted());
  room.update({});
  CHECK(room.reserve(2'000));
}

TEST_CASE("snapshot receipt: it takes chunks of one snapshot in order and within the window") {
  SnapshotReceipt receipt;
  const Snapshot seven = snapshot_at(7, 6);
  CHECK_FALSE(receipt.take(seven, 0, 2));
  CHECK(receipt.offer(Term(3), seven));
  CHECK(receipt.take(seven, 0, 2));
  CHECK_FALSE(receipt.take(seven, 0, 2));  // twice
  CHECK_FALSE(receipt.take(seven, 2, 2));  // too early
  CHECK(receipt.take(seven, 1, 2));
  CHECK_FALSE(receipt.take(seven, 2, 2));  // faster than they are stored
  CHECK(receipt.store({Index(7), 7, 2}));
  CHECK(receipt.stored() == 2);
  CHECK_FALSE(receipt.store({Index(7), 7, 4}));  // of an earlier beginning
  CHECK(receipt.take(seven, 2, 2));
  SUBCASE("another leader continues it") {
    CHECK(receipt.offer(Term(4), seven));
    CHECK(receipt.stored() == 2);
  }
  SUBCASE("a leader never goes back to an earlier snapshot") {
    CHECK_FALSE(receipt.offer(Term(3), snapshot_at(5, 1)));
    CHECK(receipt.is(seven));
  }
  SUBCASE("the snapshot of another leader replaces it") {
    CHECK(receipt.offer(Term(4), snapshot_at(5, 1)));
    CHECK_FALSE(receipt.is(seven));
    CHECK(receipt.stored() == 0);
  }
}

TEST_CASE("peers: a connection proves nothing about a machine that is silent") {
  Peers peers(seconds(1));
  CHECK_FALSE(peers.is_connected(k1));
  peers.connected(k1, Incarnation(5), kFeatureLevel, kStart);
  CHECK(peers.connected_as(k1) == Incarnation(5));
  CHECK(peers.answering_as(k1, kStart + seconds(1)) == Incarnation(5));
  CHECK_FALSE(peers.answering_as(k1, kStart + seconds(2)).has_value());
  peers.heard(k1, Incarnation(4), kStart + seconds(2));
  CHECK_FALSE(peers.answering_as(k1, kStart + seconds(2)).has_value());
  peers.heard(k1, Incarnation(5), kStart + seconds(2));
  CHECK(peers.answering_as(k1, kStart + seconds(2)) == Incarnation(5));
  peers.gone(k1);
  CHECK_FALSE(peers.is_connected(k1));
}

TEST_CASE("leader contact: a leader is fresh until it falls silent or is lost") {
  LeaderContact contact;
  const Duration timeout = milliseconds(150);
  CHECK_FALSE(contact.is_fresh(kStart, timeout));
  contact.heard(kStart, Index(4));
  contact.heard(kStart, Index(3));
  CHECK(contact.heard().commit == Index(4));
  CHECK(contact.is_fresh(kStart + milliseconds(149), timeout));
  CHECK_FALSE(contact.is_fresh(kStart + milliseconds(150), timeout));
  contact.lost();
  CHECK_FALSE(contact.is_fresh(kStart, timeout));
  contact.heard(kStart + seconds(1), Index(5));
  CHECK(contact.is_fresh(kStart + seconds(1), timeout));
}

TEST_CASE("leader contact: a leadership that has ended counts as heard, and keeps no vote back") {
  LeaderContact contact;
  CHECK(contact.heard().at == Instant{});
  contact.heard(kStart, Index(4));
  contact.is_self();
  contact.was_self(kStart + seconds(2));
  CHECK(contact.heard().at == kStart + seconds(2));
  CHECK_FALSE(contact.is_fresh(kStart + seconds(2), milliseconds(150)));
  contact.was_self(Instant{});  // no majority counted
  CHECK(contact.heard().at == kStart + seconds(2));
  contact.heard(kStart + seconds(3), Index(4));
  CHECK(contact.heard().at == kStart + seconds(3));
}

TEST_CASE("election pace: rounds start short, grow longer, and end at the normal timeout") {
  const Duration timeout = milliseconds(150);
  ElectionPace pace(timeout);
  Prng prng(1);
  CHECK(pace.is_relaxed());
  pace.hurry();
  CHECK_FALSE(pace.is_relaxed());
  const auto range = [&](Duration base) {
    for (int n = 0; n < 100; ++n) {
      const Duration wait = pace.draw(prng);
      if (wait < base || wait > base * 2) return false;
    }
    return true;
  };
  CHECK(range(kFastRound));
  pace.slow_down();
  CHECK(range(kFastRound * 2));
  for (int n = 0; n < 5; ++n) pace.slow_down();
  CHECK(pace.is_relaxed());
  CHECK(range(timeout));
}

TEST_CASE("election pace, Q1: campaigns are delayed by an election timeout at most") {
  ElectionPace pace(milliseconds(150));
  for (int n = 0; n < 5; ++n) {
    CHECK(pace.may_hold_back());
    pace.held_back(milliseconds(30));
  }
  CHECK_FALSE(pace.may_hold_back());
  pace.forget_held_back();
  CHECK(pace.may_hold_back());
}
