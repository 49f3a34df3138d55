// §7 on bare cores: who sends a snapshot when, what a follower does with it, and what becomes of
// the log.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "raft/entry.hpp"
#include "raft/raft.hpp"

using namespace vesper;
using namespace vesper::raft;

namespace {

constexpr Incarnation kIncarnations[] = {Incarnation(1), Incarnation(2), Incarnation(3)};

Configuration configuration() {
  Configuration c{{7, 7}, {}};
  for (std::uint32_t i = 0; i < 3; ++i)
    c.members.push_back({ServerId(i), "http://s", kIncarnations[i]});
  return c;
}

Snapshot snapshot_at(std::uint64_t index, std::uint64_t term, std::uint64_t checksum = 99) {
  Snapshot s;
  s.last_index = Index(index);
  s.last_term = Term(term);
  s.configuration = configuration();
  s.chunk_bytes = 10;
  s.content_bytes = 95;  // ten chunks
  s.checksum = checksum;
  return s;
}

Entry entry(std::uint64_t index, std::uint64_t term) {
  return make_entry(Index(index), Term(term), EntryType::command, LogTime(0), Origin{}, "x");
}

// SoloServer core, its disk always done at once.
struct Core {
  Instant now{seconds(1).ns};
  Raft raft;
  Output output;                 // of the last turn
  std::optional<Write> written;  // by it

  Core(std::uint32_t self, RecoveredState durable, std::size_t kept_bytes = 1u << 20)
      : raft(
            [&] {
              Config config;
              config.self = ServerId(self);
              config.incarnation = kIncarnations[self];
              config.initial_voters = configuration().members;
              config.log_tail_entries = 2;
              config.log_kept_bytes = kept_bytes;
              config.snapshot_window = 4;
              return config;
            }(),
            std::move(durable), now) {}

  void turn(Event event) {
    output.clear();
    raft.step(now, std::move(event), output);
    raft.step(now, EndOfTurn{}, output);
    written = std::move(output.write);
    output.write.reset();
    if (!written) return;
    raft.step(now, Persisted{written->number}, output);
    for (HeldEnvelope& gated : output.send_after)
      output.send_now.push_back(std::move(gated.envelope));
    output.send_after.clear();
    raft.step(now, EndOfTurn{}, output);
  }
  void receive(std::uint32_t from, Message message) {
    turn(Received{ServerId(from), kIncarnations[from], std::move(message)});
  }
  void lead() {
    for (std::uint32_t i = 1; i < 3; ++i) turn(PeerUp{ServerId(i), kIncarnations[i], {}});
    now = now + seconds(1);
    turn(DeadlinePassed{});
    receive(1, VoteReply{raft.current_term(), raft.current_term().next(), true, VoteRefusal::none});
    receive(1, VoteReply{raft.current_term(), raft.current_term(), false, VoteRefusal::none});
    REQUIRE(raft.is_leader());
  }
  // Messages of one kind to one server in the last turn.
  template <typename M>
  std::vector<M> sent(std::uint32_t to) const {
    std::vector<M> found;
    for (const Envelope& envelope : output.send_now)
      if (const auto* m = std::get_if<M>(&envelope.message))
        if (envelope.to == ServerId(to)) found.push_back(*m);
    return found;
  }
};

// Entries 16 to 20 of term 3 behind a snapshot at 18; what was before is gone.
RecoveredState compacted() {
  RecoveredState d;
  d.hard_state = {Term(3), {}};
  d.commit_index = Index(20);
  for (std::uint64_t i = 17; i <= 20; ++i) d.entries.push_back(entry(i, 3));
  d.last_write = WriteNumber(5);
  d.base = {Index(16), Term(3), {7, 7}};
  d.snapshot = snapshot_at(18, 3);
  return d;
}

// Entries 1 to 12 of term 2, the first five committed.
RecoveredState lagging() {
  RecoveredState d;
  d.hard_state = {Term(3), {}};
  d.commit_index = Index(5);
  d.entries.push_back(make_entry(Index(1), Term(2), EntryType::bootstrap, LogTime(0), Origin{},
                                 encode_configuration(configuration())));
  for (std::uint64_t i = 2; i <= 12; ++i) d.entries.push_back(entry(i, 2));
  d.last_write = WriteNumber(5);
  return d;
}

// A leader that has told server 1, which has nothing above index 5, of a snapshot.
void refuse_down(Core& leader) {
  AppendReply refusal{.term = leader.raft.current_term(), .prev_log_index = Index(20)};
  refusal.hint_index = Index(5);
  refusal.hint_term = Term(2);
  leader.receive(1, refusal);
}

InstallSnapshotReply progress(const Core& leader, std::uint64_t next, bool asked) {
  InstallSnapshotReply reply{.term = leader.raft.current_term()};
  reply.last_index = Index(18);
  reply.checksum = 99;
  reply.next_chunk = next;
  reply.asked = asked;
  return reply;
}

InstallSnapshot chunk(std::uint64_t number, const Snapshot& snapshot, std::uint64_t term = 4) {
  return {Term(term), snapshot, number, SharedBytes::copy_of("data")};
}

}  // namespace

TEST_CASE("a leader asks a follower about its snapshot if the follower's next entry is compacted") {
  Core leader(0, compacted());
  leader.lead();
  refuse_down(leader);
  const auto asked = leader.sent<InstallSnapshot>(1);
  REQUIRE(asked.size() == 1);
  CHECK(asked[0].data.empty());
  CHECK(asked[0].snapshot == snapshot_at(18, 3));
  CHECK(leader.sent<AppendEntries>(1).empty());
}

TEST_CASE("L16: a probe in flight is not abandoned when a snapshot covers its first entries") {
  Core leader(0, compacted());
  leader.lead();
  AppendReply refusal{.term = leader.raft.current_term(), .prev_log_index = Index(20)};
  refusal.hint_index = Index(17);
  refusal.hint_term = Term(3);
  leader.receive(1, refusal);
  const auto probe = leader.sent<AppendEntries>(1);
  REQUIRE(probe.size() == 1);
  CHECK(probe[0].entries.front().index == Index(18));
  const Index last = probe[0].entries.back().index;
  REQUIRE(last == leader.raft.log().last_index());
  leader.receive(
      2, AppendReply{.term = leader.raft.current_term(), .success = true, .match_index = last});
  leader.turn(SnapshotStored{snapshot_at(last.value, leader.raft.current_term().value)});
  leader.turn(DeadlinePassed{});
  REQUIRE(leader.raft.log().base_index() > Index(18));
  CHECK(leader.raft.snapshots_in_use().size() == 1);
  SUBCASE("it is accepted") {
    leader.receive(1, AppendReply{.term = leader.raft.current_term(),
                                  .success = true,
                                  .match_index = Index(last.value - 1)});
    CHECK(leader.sent<AppendEntries>(1).empty());
    CHECK(leader.sent<InstallSnapshot>(1).empty());
  }
  SUBCASE("it is refused") {
    refusal.prev_log_index = Index(17);
    refusal.hint_index = Index(16);
    leader.receive(1, refusal);
    CHECK(leader.sent<InstallSnapshot>(1).size() == 1);
  }
  SUBCASE("the log's beginning overtakes it") {
    leader.turn(Propose{{{Origin{ServerId(0), BootId(1), 1}, SharedBytes::copy_of("x")},
                         {Origin{ServerId(0), BootId(1), 2}, SharedBytes::copy_of("x")},
                         {Origin{ServerId(0), BootId(1), 3}, SharedBytes::copy_of("x")}}});
    const Index newest = leader.raft.log().last_index();
    leader.receive(
        2, AppendReply{.term = leader.raft.current_term(), .success = true, .match_index = newest});
    leader.turn(SnapshotStored{snapshot_at(newest.value, leader.raft.current_term().value)});
    leader.turn(DeadlinePassed{});
    REQUIRE(leader.raft.log().base_index() > last);
    CHECK(leader.raft.snapshots_in_use().size() == 2);
  }
}

TEST_CASE("chunks go in order within a window, and the log follows them") {
  Core leader(0, compacted());
  leader.lead();
  refuse_down(leader);
  leader.receive(1, progress(leader, 0, true));
  REQUIRE(leader.output.read_chunks.size() == 4);
  leader.turn(ChunkRead{ServerId(1), Index(18), 0, SharedBytes::copy_of("zero")});
  const auto sent = leader.sent<InstallSnapshot>(1);
  REQUIRE(sent.size() == 1);
  CHECK(sent[0].chunk == 0);
  CHECK(leader.output.send_now.back().channel == Channel::bulk);
  CHECK(leader.output.read_chunks.empty());
  leader.receive(1, progress(leader, 2, false));
  REQUIRE(leader.output.read_chunks.size() == 2);
  CHECK(leader.output.read_chunks[0].chunk == 4);
  InstallSnapshotReply done = progress(leader, 0, false);
  done.done = true;
  done.match_index = Index(18);
  leader.receive(1, done);
  const auto entries = leader.sent<AppendEntries>(1);
  REQUIRE_FALSE(entries.empty());
  CHECK(entries[0].prev_log_index == Index(18));
}

TEST_CASE("S5: a transfer resumes at the follower's offset, after a reset and from a new leader") {
  Core leader(0, compacted());
  leader.lead();
  refuse_down(leader);
  leader.receive(1, progress(leader, 7, true));  // another leader had sent seven
  REQUIRE_FALSE(leader.output.read_chunks.empty());
  CHECK(leader.output.read_chunks[0].chunk == 7);
  CHECK(leader.raft.transfers_resumed() == 1);
  leader.turn(PeerUp{ServerId(1), kIncarnations[1], {}});
  CHECK(leader.sent<InstallSnapshot>(1).size() == 1);
  CHECK(leader.output.read_chunks.empty());
  leader.receive(1, progress(leader, 8, true));
  CHECK(leader.output.read_chunks[0].chunk == 8);
}

TEST_CASE("the log is kept for a follower that is receiving the snapshot before it (S10)") {
  Core leader(0, compacted());
  leader.lead();
  refuse_down(leader);
  leader.receive(1, progress(leader, 0, true));
  for (int i = 0; i < 10; ++i)
    leader.turn(Propose{{{Origin{ServerId(0), BootId(1), static_cast<std::uint64_t>(i + 1)},
                          SharedBytes::copy_of("x")}}});
  const Index last = leader.raft.log().last_index();
  leader.receive(
      2, AppendReply{.term = leader.raft.current_term(), .success = true, .match_index = last});
  REQUIRE(leader.raft.commit_index() == last);
  leader.turn(SnapshotStored{snapshot_at(last.value, leader.raft.current_term().value)});
  CHECK(leader.raft.log().base_index() <= Index(18));
  CHECK(leader.raft.snapshots_in_use() == std::vector<Index>{last, Index(18)});
  InstallSnapshotReply done = progress(leader, 0, false);
  done.done = true;
  done.match_index = Index(18);
  leader.receive(1, done);
  CHECK(leader.sent<AppendEntries>(1).at(0).prev_log_index == Index(18));
}

namespace {

// Server 1 has the snapshot at 18, there are entries up to `last`, and a snapshot of those.
Index behind_the_snapshot(Core& leader) {
  leader.lead();
  refuse_down(leader);
  leader.receive(1, progress(leader, 0, true));
  for (std::uint64_t i = 1; i <= 10; ++i)
    leader.turn(Propose{
        {{Origin{ServerId(0), BootId(1), i}, SharedBytes::copy_of(std::string(100, 'x'))}}});
  const Index last = leader.raft.log().last_index();
  leader.receive(
      2, AppendReply{.term = leader.raft.current_term(), .success = true, .match_index = last});
  leader.turn(SnapshotStored{snapshot_at(last.value, leader.raft.current_term().value)});
  InstallSnapshotReply done = progress(leader, 0, false);
  done.done = true;
  done.match_index = Index(18);
  leader.receive(1, done);
  return last;
}

void acknowledge(Core& leader, std::uint64_t index) {
  leader.receive(
      1, AppendReply{
             .term = leader.raft.current_term(), .success = true, .match_index = Index(index)});
}

}  // namespace

TEST_CASE("S10: entries after a follower's snapshot are kept until it is near the tail") {
  Core leader(0, compacted());
  const Index last = behind_the_snapshot(leader);
  leader.turn(DeadlinePassed{});
  CHECK(leader.raft.log().base_index() <= Index(18));
  acknowledge(leader, 22);
  CHECK(leader.raft.log().base_index() == Index(22));
  acknowledge(leader, last.value - 1);
  CHECK(leader.raft.log().base_index() == Index(last.value - 2));
}

TEST_CASE(
    "S10: no entries are kept for a follower that is silent for long or needs too many bytes") {
  Core leader(0, compacted());
  const Index last = behind_the_snapshot(leader);
  for (int i = 0; i < 20; ++i) {
    leader.now = leader.now + seconds(1);
    leader.receive(2, HeartbeatReply{leader.raft.current_term(), 1, last});
  }
  CHECK(leader.raft.log().base_index() == Index(last.value - 2));
  Core poor(0, compacted(), 500);
  CHECK(behind_the_snapshot(poor) == last);
  CHECK(poor.raft.log().bytes() <= 500);
}

TEST_CASE("the question uses the channel of the chunks, and only the first reply to it counts") {
  Core leader(0, compacted());
  leader.lead();
  refuse_down(leader);
  CHECK(leader.output.send_now.back().channel == Channel::bulk);
  leader.receive(1, progress(leader, 2, true));
  REQUIRE(leader.output.read_chunks.size() == 4);
  leader.receive(1, progress(leader, 2, true));
  CHECK(leader.output.read_chunks.empty());
}

TEST_CASE("S5: a chunk of a snapshot that no leader has asked about is dropped") {
  Core follower(1, lagging());
  follower.receive(0, chunk(0, snapshot_at(40, 4)));
  CHECK(follower.output.store_chunks.empty());
  follower.receive(0, InstallSnapshot{Term(4), snapshot_at(40, 4), 0, {}});
  follower.receive(0, chunk(0, snapshot_at(44, 4)));
  CHECK(follower.output.store_chunks.empty());
  follower.receive(0, InstallSnapshot{Term(4), snapshot_at(30, 4), 0, {}});  // was delayed
  follower.receive(0, chunk(0, snapshot_at(40, 4)));
  CHECK(follower.output.store_chunks.size() == 1);
}

TEST_CASE("a log is compacted in slices of entries and of bytes") {
  Log log({});
  for (std::uint64_t i = 1; i <= 10; ++i)
    log.append(make_entry(Index(i), Term(1), EntryType::command, LogTime(0), Origin{},
                          std::string(1000, 'x')));
  log.compact(Index(10), 3, SIZE_MAX);
  CHECK(log.base_index() == Index(3));
  log.compact(Index(10), 100, 1500);
  CHECK(log.base_index() == Index(5));
  log.compact(Index(7), 100, SIZE_MAX);
  CHECK(log.base_index() == Index(7));
}

TEST_CASE("chunks are stored in order, once, and another snapshot starts again") {
  Core follower(1, lagging());
  const Snapshot first = snapshot_at(40, 4);
  follower.receive(0, InstallSnapshot{Term(4), first, 0, {}});
  CHECK(follower.sent<InstallSnapshotReply>(0).at(0).next_chunk == 0);
  follower.receive(0, chunk(1, first));
  CHECK(follower.output.store_chunks.empty());
  follower.receive(0, chunk(0, first));
  CHECK(follower.output.store_chunks.size() == 1);
  follower.receive(0, chunk(0, first));
  CHECK(follower.output.store_chunks.empty());
  follower.turn(ChunkStored{Index(40), 99, 1});
  CHECK(follower.sent<InstallSnapshotReply>(0).at(0).next_chunk == 1);
  // The same from the next leader, and the server itself was not restarted.
  follower.receive(2, InstallSnapshot{Term(5), first, 0, {}});
  CHECK(follower.sent<InstallSnapshotReply>(2).at(0).next_chunk == 1);
  follower.receive(2, InstallSnapshot{Term(5), snapshot_at(44, 4, 1), 0, {}});
  CHECK(follower.sent<InstallSnapshotReply>(2).at(0).next_chunk == 0);
}

TEST_CASE("S3: a snapshot replaces the log only when it is stored, in the next Write") {
  Core follower(1, lagging());
  const Snapshot snapshot = snapshot_at(40, 4);
  follower.receive(0, InstallSnapshot{Term(4), snapshot, 0, {}});
  for (std::uint64_t i = 0; i < 10; ++i) {
    follower.receive(0, chunk(i, snapshot));
    REQUIRE(follower.output.store_chunks.size() == 1);
    follower.turn(ChunkStored{Index(40), 99, i + 1});
    CHECK(follower.raft.log().last_index() == Index(12));
    CHECK_FALSE(follower.output.install);
  }
  follower.turn(SnapshotStored{snapshot});
  REQUIRE(follower.output.install);
  CHECK(follower.output.install->last_index == Index(40));
  CHECK(follower.raft.log().base_index() == Index(40));
  CHECK(follower.raft.log().size() == 0);
  CHECK(follower.raft.commit_index() == Index(40));
  REQUIRE(follower.written);
  CHECK(follower.written->base.index == Index(40));
  CHECK(follower.written->keep_through == Index(40));
  CHECK(follower.written->commit_index == Index(40));
  const auto reply = follower.sent<InstallSnapshotReply>(0);
  REQUIRE(reply.size() == 1);
  CHECK(reply[0].done);
  CHECK(reply[0].match_index == Index(40));
  // §5.3 goes on behind it.
  AppendEntries append{Term(4), Index(40), Term(4), Index(40), LogTime(0), {entry(41, 4)}};
  follower.receive(0, append);
  CHECK(follower.sent<AppendReply>(0).at(0).match_index == Index(41));
}

TEST_CASE("S3: a log that has the snapshot's last entry is kept, and nothing is sent") {
  Core follower(1, lagging());
  follower.receive(0, InstallSnapshot{Term(4), snapshot_at(10, 2), 0, {}});
  CHECK(follower.sent<InstallSnapshotReply>(0).at(0).done);
  CHECK(follower.raft.commit_index() == Index(10));
  CHECK(follower.raft.log().last_index() == Index(12));
  CHECK(follower.output.store_chunks.empty());
}

TEST_CASE("S4: a snapshot that is already committed here is refused with the commit index") {
  Core follower(1, compacted());
  follower.receive(0, chunk(0, snapshot_at(19, 3), 4));
  const auto reply = follower.sent<InstallSnapshotReply>(0);
  REQUIRE(reply.size() == 1);
  CHECK(reply[0].done);
  CHECK(reply[0].match_index == Index(20));
  CHECK(follower.output.store_chunks.empty());
}

TEST_CASE("entries that a snapshot covers are not compared, and those after it are") {
  Core follower(1, compacted());
  AppendEntries append{Term(4), Index(14), Term(3), Index(0), LogTime(0), {}};
  for (std::uint64_t i = 15; i <= 22; ++i) append.entries.push_back(entry(i, i <= 20 ? 3 : 4));
  follower.receive(0, append);
  CHECK(follower.sent<AppendReply>(0).at(0).success);
  CHECK(follower.raft.log().last_index() == Index(22));
  CHECK(follower.raft.log().base_index() == Index(16));
}

TEST_CASE("L13: a conflict hint is never below the log's beginning") {
  Core follower(1, compacted());
  follower.receive(0, AppendEntries{Term(4), Index(30), Term(1), Index(0), LogTime(0), {}});
  const auto reply = follower.sent<AppendReply>(0);
  REQUIRE(reply.size() == 1);
  CHECK_FALSE(reply[0].success);
  CHECK(reply[0].hint_index >= Index(16));
}

TEST_CASE("S7: the configuration in force is the snapshot's, until an entry changes it") {
  Core follower(1, compacted());
  CHECK(follower.raft.configuration() == configuration());
}

TEST_CASE(
    "S2: the log is cut only once the snapshot is stored, and both memory and disk keep a tail") {
  RecoveredState d = lagging();
  d.commit_index = Index(12);
  Core server(1, std::move(d));
  server.turn(SnapshotStored{snapshot_at(8, 2)});
  CHECK(server.raft.log().base_index() == Index(6));
  // The commit index, so that a restart finds the log beyond the snapshot; the disk's log still
  // begins at its first entry.
  REQUIRE(server.written);
  CHECK(server.written->base.index == Index(0));
  CHECK(server.written->commit_index == Index(12));
  server.turn(SnapshotStored{snapshot_at(11, 2)});
  CHECK(server.raft.log().base_index() == Index(9));
  REQUIRE(server.written);
  CHECK(server.written->base.index == Index(8));
  CHECK(server.written->keep_through == Index(12));
}

TEST_CASE(
    "a follower that learns of its leader from a snapshot knows the leader has committed it") {
  Core follower(1, lagging());
  follower.receive(0, InstallSnapshot{Term(4), snapshot_at(18, 3), 0, {}});
  REQUIRE(follower.raft.leader() == ServerId(0));
  CHECK(follower.raft.leader_heard().commit == Index(18));
  CHECK(follower.raft.commit_index() == Index(5));
}
