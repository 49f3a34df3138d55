// A snapshot that is taken on one server and received on another, slice by slice.
#include <doctest/doctest.h>

#include "kv/command.hpp"
#include "node/snapshotter.hpp"
#include "support/mem_fs.hpp"

namespace test_snapshotter {

using namespace vesper;
using node::Snapshotter;

namespace {

constexpr std::uint32_t kChunk = 400;

raft::Snapshot identity() {
  raft::Snapshot snapshot;
  snapshot.last_index = raft::Index(10);
  snapshot.last_term = raft::Term(3);
  snapshot.log_bytes = 2000;
  snapshot.configuration = {{5, 5}, {{raft::ServerId(0), "http://a:1", {}}}};
  snapshot.chunk_bytes = kChunk;
  return snapshot;
}

struct Server {
  test::MemFs fs;
  storage::SnapshotFiles files{fs, {raft::ServerId(0), raft::Incarnation(7)}};
  Snapshotter snapshotter{files};
  kv::Store store;
  std::vector<raft::Event> told;

  explicit Server(int keys) {
    REQUIRE(files.open().ok());
    for (int i = 0; i < keys; ++i)
      REQUIRE(store
                  .apply(SharedBytes::copy_of(kv::encode_put("key" + std::to_string(i),
                                                             std::string(30, 'v'),
                                                             kv::ValueForm::bytes, {})),
                         {}, 1)
                  .ok());
  }
  void run_disk(Instant now = {}) {
    while (auto done = fs.run_one()) {
      auto events = snapshotter.on_done(*done, now);
      REQUIRE(events.ok());
      for (raft::Event& event : *events) told.push_back(std::move(event));
    }
  }
  template <typename E>
  std::vector<E> take() {
    std::vector<E> out;
    for (const raft::Event& event : std::exchange(told, {}))
      if (const E* wanted = std::get_if<E>(&event)) out.push_back(*wanted);
    return out;
  }
};

// What `leader` has stored, chunk by chunk.
std::vector<raft::StoreChunk> chunks_of(Server& leader, const raft::Snapshot& snapshot) {
  std::vector<raft::StoreChunk> chunks;
  for (std::uint64_t i = 0; i < snapshot.chunks(); ++i)
    leader.files.read(snapshot.last_index, i, 1);
  leader.run_disk();
  for (const raft::ChunkRead& read : leader.take<raft::ChunkRead>())
    chunks.push_back({snapshot, read.chunk, read.data});
  return chunks;
}

raft::Snapshot take_snapshot(Server& server) {
  server.snapshotter.begin(identity(), server.store, {});
  for (int i = 0; i < 50; ++i) {
    server.snapshotter.begin_turn();
    server.snapshotter.pump_taking(raft::Index(10));
    server.run_disk();
  }
  const auto stored = server.take<raft::SnapshotStored>();
  REQUIRE(stored.size() == 1);
  CHECK_FALSE(server.snapshotter.is_taking());
  CHECK_FALSE(server.snapshotter.is_busy());
  return stored[0].snapshot;
}

}  // namespace

TEST_CASE("no snapshot is taken before the cluster is founded, nor beyond the log on the disk") {
  Server server(20);
  raft::Snapshot unfounded = identity();
  unfounded.configuration = {};
  server.snapshotter.begin(unfounded, server.store, {});
  CHECK_FALSE(server.snapshotter.is_taking());
  server.snapshotter.begin(identity(), server.store, {});
  CHECK(server.snapshotter.is_taking());
  for (int i = 0; i < 50; ++i) {
    server.snapshotter.pump_taking(raft::Index(9));
    server.run_disk();
  }
  CHECK(server.snapshotter.is_taking());
  server.snapshotter.stop_taking();
  CHECK_FALSE(server.snapshotter.is_taking());
}

TEST_CASE("a received snapshot restores the state that was taken") {
  Server leader(20);
  const raft::Snapshot snapshot = take_snapshot(leader);
  const auto chunks = chunks_of(leader, snapshot);
  REQUIRE(chunks.size() == snapshot.chunks());
  REQUIRE(chunks.size() > 2);
  CHECK(leader.snapshotter.stats().chunks_sent == chunks.size());

  Server follower(0);
  for (const raft::StoreChunk& chunk : chunks) {
    follower.snapshotter.add_chunk(chunk, kv::kMaxIdempotencyKeys, {});
    CHECK(follower.snapshotter.is_busy());
    CHECK_FALSE(follower.snapshotter.pump_receiving(raft::Index(0)));
    follower.run_disk();
  }
  CHECK(follower.snapshotter.receiving()->chunks == chunks.size());
  CHECK(follower.take<raft::SnapshotStored>().size() == 1);
  const auto store = follower.snapshotter.take_received(snapshot);
  CHECK(store->digest() == leader.store.digest());
  CHECK_FALSE(follower.snapshotter.receiving().has_value());
}

TEST_CASE("chunks that are verified while the disk is busy are written together") {
  Server leader(20);
  const raft::Snapshot snapshot = take_snapshot(leader);
  const auto chunks = chunks_of(leader, snapshot);
  Server follower(0);
  Snapshotter& snapshotter = follower.snapshotter;
  for (const raft::StoreChunk& chunk : chunks)
    snapshotter.add_chunk(chunk, kv::kMaxIdempotencyKeys, {});
  // One in each turn, although the disk has not created the file yet.
  for (std::size_t verified = 1; verified <= chunks.size(); ++verified) {
    snapshotter.begin_turn();
    CHECK_FALSE(snapshotter.pump_receiving(raft::Index(0)));
    CHECK(snapshotter.is_busy() == (verified < chunks.size()));
  }
  follower.run_disk();  // the first one, which had the file created
  CHECK(snapshotter.receiving()->chunks == 1);
  CHECK_FALSE(snapshotter.pump_receiving(raft::Index(0)));
  REQUIRE(follower.fs.jobs() == 1);
  follower.run_disk();
  CHECK(follower.take<raft::SnapshotStored>().size() == 1);
  CHECK(snapshotter.take_received(snapshot)->digest() == leader.store.digest());
}

TEST_CASE("a snapshot is received from its beginning, as a whole, or not at all") {
  Server leader(20);
  const raft::Snapshot snapshot = take_snapshot(leader);
  auto chunks = chunks_of(leader, snapshot);
  Server follower(0);
  Snapshotter& snapshotter = follower.snapshotter;
  SUBCASE("the first chunk is missing") {
    snapshotter.add_chunk(chunks[1], kv::kMaxIdempotencyKeys, {});
    CHECK(snapshotter.pump_receiving(raft::Index(0)));
  }
  SUBCASE("a chunk is damaged") {
    chunks[0].data = SharedBytes::copy_of("damaged");
    snapshotter.add_chunk(chunks[0], kv::kMaxIdempotencyKeys, {});
    CHECK_FALSE(snapshotter.pump_receiving(raft::Index(0)));
    CHECK(snapshotter.take_notes().size() == 1);
    CHECK(snapshotter.pump_receiving(raft::Index(0)));
  }
  SUBCASE("the log has overtaken it") {
    snapshotter.add_chunk(chunks[0], kv::kMaxIdempotencyKeys, {});
    CHECK_FALSE(snapshotter.pump_receiving(snapshot.last_index));
  }
  CHECK_FALSE(snapshotter.pump_receiving(raft::Index(0)));
  CHECK_FALSE(snapshotter.receiving().has_value());
}

TEST_CASE("a replaced store is freed in slices") {
  Server server(5000);
  auto old = std::make_unique<kv::Store>();
  for (int i = 0; i < 5000; ++i)
    REQUIRE(old->apply(SharedBytes::copy_of(
                           kv::encode_put(std::to_string(i), "v", kv::ValueForm::bytes, {})),
                       {}, 1)
                .ok());
  server.snapshotter.retire(std::move(old));
  // Each key has an event and a slot in the tree.
  for (int sweep = 1; sweep <= 3; ++sweep) {
    server.snapshotter.begin_turn();
    server.snapshotter.sweep(server.store);
    CHECK(server.snapshotter.is_busy() == (sweep < 3));
  }
}

}  // namespace test_snapshotter
