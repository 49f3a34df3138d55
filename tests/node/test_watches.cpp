// Streams of watches over a keyspace that changes: what a client sees, over reconnects, compaction
// and an install, is exactly the log from its start on. Streams of several watches are in
// test_watch_stream.cpp.
#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "watch_house.hpp"

namespace test_watches {

using namespace vesper;
using namespace vesper::node;
using namespace vesper::test;
using Mark = WatchMark::Kind;
using Next = WatchStream::Next;

namespace {

// A client that keeps the state that it was told, and its last id.
struct Client {
  std::map<std::pair<kv::Space, std::string>, std::string> state;
  std::optional<WatchId> last;
  std::vector<std::string> seen;

  void take(const WatchItem& item) {
    if (const auto* event = std::get_if<WatchEvent>(&item)) {
      apply(*event->version);
      last = WatchId{event->version->revision(), event->more ? event->version->place() : 0};
      seen.push_back(text_of(item));
    } else if (const auto* present = std::get_if<WatchState>(&item)) {
      apply(*present->version);
    } else if (const auto* mark = std::get_if<WatchMark>(&item)) {
      if (mark->kind == Mark::reset) state.clear();
      if (mark->kind == Mark::synced || mark->kind == Mark::progress)
        last = WatchId{mark->revision, 0};
    }
  }
  void apply(const kv::Version& version) {
    const std::pair name(version.space(), std::string(version.key()));
    if (version.is_tombstone()) state.erase(name);
    else state[name] = std::string(version.value());
  }
};

std::map<std::pair<kv::Space, std::string>, std::string> state_of(const kv::Keyspace& keyspace) {
  std::map<std::pair<kv::Space, std::string>, std::string> state;
  for (std::size_t space = 0; space < kv::kSpaces; ++space)
    for (auto at = keyspace.tree(static_cast<kv::Space>(space)).first(); !at.at_end(); at.next())
      if (at.slot().is_live())
        state[{static_cast<kv::Space>(space), std::string(at.slot().key())}] =
            std::string(at.slot().newest->value());
  return state;
}

}  // namespace

TEST_CASE("a stream without since shows what is committed after its first call") {
  House house;
  house.commit({{"a"}});
  const auto stream = house.open(request(everything()));
  house.commit({{"b"}});  // before the first call
  CHECK(pull(house, *stream) == "progress@3");
  CHECK(house.end_turn().empty());
  house.commit({{"a"}, {"b", kv::Space::keys, true}, {"n", kv::Space::locks}});
  house.commit({{"c"}});
  CHECK(house.end_turn() == std::multiset<std::uint64_t>{1});
  CHECK(house.end_turn().empty());
  CHECK(pull(house, *stream) == "+a@4.1 -b@4.2 +n@4 +c@5");
  CHECK(pull(house, *stream).empty());
}

TEST_CASE("only streams that match are woken, whatever else is committed") {
  House house;
  const auto a = house.open(request(of_key("a")), 1), b = house.open(request(of_key("b")), 2);
  pull(house, *a);
  pull(house, *b);
  for (int i = 0; i < 10; ++i) house.commit({{"c"}, {"b"}});
  CHECK(house.end_turn() == std::multiset<std::uint64_t>{2});
  house.commit({{"a", kv::Space::locks}});
  CHECK(house.end_turn().empty());
  house.commit({{"a"}});
  CHECK(house.end_turn() == std::multiset<std::uint64_t>{1});
  CHECK(pull(house, *a) == "+a@13");
}

TEST_CASE("part ids count all events of a revision, and the last one that passes has no part") {
  House house;
  WatchFilter filter({{kv::Space::keys, kv::KeyRange::of_prefix("b")}}, WatchFilter::Kinds::puts);
  const auto stream = house.open(request(filter, WatchId{1, 0}));
  house.commit({{"b1"}});
  house.commit({{"a"}, {"b1", kv::Space::keys, true}, {"b2"}, {"c"}, {"b3"}, {"d"}});
  CHECK(pull(house, *stream) == "+b1@2 +b2@3.3 +b3@3");
  const auto resumed = house.open(request(filter, WatchId{3, 3}));
  CHECK(pull(house, *resumed) == "+b3@3");
}

TEST_CASE("a stream with the present state shows it at one revision, then events") {
  House house;
  house.commit({{"a"}, {"b"}, {"n", kv::Space::elections}});
  house.commit({{"c"}});
  WatchRequest with_state = request(everything());
  with_state.begin = WatchRequest::Begin::with_state;
  const auto stream = house.open(with_state);
  std::size_t budget = 100;
  WatchOutput out;
  REQUIRE(stream->next(house.now, budget, out) == Next::item);
  CHECK(text_of(out.item) == "=a");
  house.commit({{"c", kv::Space::keys, true}, {"d"}});
  CHECK(pull(house, *stream) == "=b =c =n synced@3 -c@4.1 +d@4");
}

TEST_CASE("a stream whose history is gone begins with reset and the present state") {
  House house;
  for (int i = 0; i < 5; ++i) house.commit({{"k"}});
  house.keyspace->compact(4);
  test::trim_all(*house.keyspace);
  CHECK(pull(house, *house.open(request(of_key("k"), WatchId{3, 0}))) == "+k@4 +k@5 +k@6");
  CHECK(pull(house, *house.open(request(of_key("k"), WatchId{3, 1}))) == "reset@6 =k synced@6");
  CHECK(pull(house, *house.open(request(of_key("k"), WatchId{2, 0}))) == "reset@6 =k synced@6");
  CHECK(house.watches.figures().resets == 2);
}

TEST_CASE("a stream that is passed by compaction ends as too slow, and one that waits does not") {
  House house;
  const auto slow = house.open(request(of_key("k"))), idle = house.open(request(of_key("other")));
  pull(house, *slow);
  pull(house, *idle);
  for (int i = 0; i < 5; ++i) house.commit({{"k"}});
  CHECK(slow->is_kept());
  house.keyspace->compact(4);
  test::trim_all(*house.keyspace);
  CHECK_FALSE(slow->is_kept());
  CHECK(idle->is_kept());
  CHECK(pull(house, *slow) == "too_slow end");
  CHECK(pull(house, *slow) == " end");
  CHECK_FALSE(slow->is_kept());
  CHECK(house.watches.figures().too_slow == 1);
  house.commit({{"other"}});
  CHECK(pull(house, *idle) == "+other@7");
}

TEST_CASE("an id above the store is judged by the leader's answer") {
  House house;
  house.commit({{"k"}});
  const auto stream = house.open(request(of_key("k"), WatchId{4, 0}));
  CHECK_FALSE(house.watches.has_question());
  CHECK(pull(house, *stream).empty());
  REQUIRE(house.watches.has_question());
  ReadBatcher reads(0);
  house.watches.join(reads);
  CHECK_FALSE(house.watches.has_question());
  CHECK(house.watches.is_asking());
  const auto question = reads.ask(raft::Term(1), raft::ServerId(0), house.now, seconds(1));
  REQUIRE(question);
  CHECK(reads.answered(question->id) == std::vector<std::uint64_t>{Watches::kConnection});
  house.watches.on_read_index(reads.gathering(), raft::Index(2));
  SUBCASE("this node lagged") {
    CHECK(house.end_turn().empty());  // the index is not applied yet
    for (int i = 0; i < 3; ++i) house.commit({{"k"}});
    house.watches.end_turn(raft::Index(2), house.woken, house.now);
    CHECK(house.woken.connections.size() == 1);
    CHECK(pull(house, *stream) == "+k@5");
  }
  SUBCASE("the id is of another history") {
    house.watches.end_turn(raft::Index(2), house.woken, house.now);
    CHECK(house.woken.connections.size() == 1);
    CHECK(pull(house, *stream) == "reset@2 =k synced@2");
  }
  CHECK_FALSE(house.watches.is_asking());
}

TEST_CASE("a quiet stream says every 15 s how far it is, without a timer of its own") {
  House house;
  const auto early = house.open(request(of_key("a")), 1);
  house.now = house.now + seconds(5);
  const auto late = house.open(request(of_key("b")), 2);
  pull(house, *early);
  house.now = house.now + seconds(1);
  pull(house, *late);
  CHECK(house.watches.deadline(house.now) == house.now + seconds(14));
  for (int i = 0; i < 3; ++i) house.commit({{"c"}});
  house.now = house.now + seconds(14);
  CHECK(house.end_turn() == std::multiset<std::uint64_t>{1});
  CHECK(pull(house, *early) == "progress@4");
  CHECK(house.watches.deadline(house.now) == house.now + seconds(1));
  house.commit({{"b"}});
  CHECK(pull(house, *late) == "+b@5");
  CHECK(house.watches.deadline(house.now) == house.now + seconds(15));
}

TEST_CASE("progress is never reported inside of a revision") {
  House house;
  const auto stream = house.open(request(of_key("z"), WatchId{1, 0}));
  house.commit({{"a"}, {"b"}, {"z"}});
  house.now = house.now + seconds(16);
  (void)house.end_turn();
  std::size_t budget = 1;
  WatchOutput out;
  CHECK(stream->next(house.now, budget, out) == Next::later);
  CHECK(pull(house, *stream) == "+z@2");
}

TEST_CASE("all streams learn in slices that the node is stale, and that it is fresh again") {
  House house(2000);
  std::vector<std::unique_ptr<WatchStream>> streams;
  for (std::uint64_t i = 0; i < 1200; ++i) {
    streams.push_back(house.open(request(of_key("k")), i));
    pull(house, *streams.back());
  }
  house.watches.set_stale(true);
  std::set<std::uint64_t> all;
  int turns = 0;
  for (; house.watches.deadline(house.now) == house.now; ++turns) {
    const auto woken = house.end_turn();
    CHECK(woken.size() <= Watches::kWakesPerTurn);
    all.insert(woken.begin(), woken.end());
  }
  CHECK(turns == 3);
  CHECK(all.size() == streams.size());
  CHECK(pull(house, *streams[7]) == "stale@1");
  house.watches.set_stale(false);
  CHECK(pull(house, *streams[7]) == "fresh@1");
  CHECK(pull(house, *streams[8]).empty());  // it was asked too late to notice
  const auto opened = house.open(request(of_key("k")), 1);
  house.watches.set_stale(true);
  CHECK(pull(house, *opened) == "stale@1 progress@1");
}

TEST_CASE("streams are limited in number") {
  House house(2);
  auto a = house.open(request(of_key("a")));
  const auto b = house.open(request(of_key("b")));
  CHECK(house.open(request(of_key("c"))) == nullptr);
  a.reset();
  CHECK(house.watches.figures().watches == 1);
  CHECK(house.open(request(of_key("c"))) != nullptr);
}

TEST_CASE("a node that has diverged ends all streams") {
  House house;
  const auto stream = house.open(request(of_key("a")));
  pull(house, *stream);
  house.watches.set_diverged();
  CHECK(house.end_turn().size() == 1);
  CHECK(pull(house, *stream) == "diverged end");
  CHECK(pull(house, *house.open(request(of_key("a")))) == "diverged end");
}

TEST_CASE("over an install, a stream goes on if it can, and else begins again") {
  House house;
  const auto idle = house.open(request(everything())), behind = house.open(request(everything()));
  const auto other = house.open(request(of_key("other")));
  pull(house, *other);  // it waits, and has looked at none of what follows
  for (int i = 0; i < 2; ++i) house.commit({{"k"}});
  pull(house, *idle);
  pull(house, *behind);
  for (int i = 0; i < 3; ++i) house.commit({{"k"}});
  CHECK(pull(house, *idle) == "+k@4 +k@5 +k@6");
  house.install();
  CHECK(house.end_turn().size() == 3);
  CHECK(pull(house, *idle).empty());
  CHECK(pull(house, *other).empty());
  CHECK(pull(house, *behind) == "reset@6 =k synced@6");
  house.commit({{"k"}});
  CHECK(pull(house, *idle) == "+k@7");
  CHECK(pull(house, *behind) == "+k@7");
}

TEST_CASE("the present state is read at one revision, over compaction and an install") {
  House house;
  for (char c = 'a'; c < 'g'; ++c) house.commit({{std::string(1, c)}});
  WatchRequest with_state = request(everything());
  with_state.begin = WatchRequest::Begin::with_state;
  const auto stream = house.open(with_state);
  std::size_t budget = 3;  // it has read a part only
  WatchOutput out;
  REQUIRE(stream->next(house.now, budget, out) == Next::item);
  CHECK(text_of(out.item) == "=a");
  SUBCASE("compacted, but pinned") {
    house.commit({{"f", kv::Space::keys, true}});
    house.commit({{"g"}});
    house.keyspace->compact(house.keyspace->revision());
    test::trim_all(*house.keyspace);
    CHECK(stream->is_kept());
    // The events after the state are gone.
    CHECK(pull(house, *stream, 2) == "=b =c =d =e =f synced@7 too_slow end");
  }
  SUBCASE("compacted, and too old to be pinned") {
    house.commit({{"f", kv::Space::keys, true}});
    house.keyspace->compact(house.keyspace->revision());
    house.now = house.now + seconds(61);
    house.end_turn();
    CHECK_FALSE(stream->is_kept());
    const std::string seen = pull(house, *stream, 2);
    CHECK(seen.ends_with("too_slow end"));
    test::trim_all(*house.keyspace);
    CHECK(house.keyspace->is_trimmed());
  }
  SUBCASE("installed at the same revision") {
    house.install();
    CHECK(pull(house, *stream, 2) == "=b =c =d =e =f synced@7");
  }
  SUBCASE("installed at a later revision") {
    house.commit({{"f", kv::Space::keys, true}});
    house.install();
    CHECK(pull(house, *stream, 2).ends_with("reset@8 =a =b =c =d =e synced@8"));
  }
  CHECK_FALSE(house.keyspace->is_pinned());
}

TEST_CASE("a client that reconnects at random sees exactly the log, or a reset") {
  Prng prng(5);
  for (int round = 0; round < 60; ++round) {
    House house;
    Client client;
    const bool forgets = round % 2 == 1;  // compaction and installs
    std::unique_ptr<WatchStream> stream;
    std::size_t resets = 0;
    WatchRequest first = request(everything(), WatchId{1, 0});
    for (int step = 0; step < 200; ++step) {
      switch (prng.between(0, 9)) {
        case 0: stream.reset(); break;
        case 1:
          if (forgets && house.keyspace->revision() > house.keyspace->oldest_revision() + 1) {
            house.keyspace->compact(static_cast<std::uint64_t>(
                prng.between(static_cast<std::int64_t>(house.keyspace->oldest_revision()) + 1,
                             static_cast<std::int64_t>(house.keyspace->revision()))));
            test::trim_all(*house.keyspace);
          }
          break;
        case 2:
          if (forgets && prng.between(0, 3) == 0 && house.keyspace->revision() > 1) house.install();
          break;
        default: house.commit_some(prng);
      }
      if (prng.between(0, 2) == 0) continue;
      if (stream == nullptr) {
        WatchRequest again = first;
        if (client.last) again.since = client.last;
        stream = house.open(again);
      }
      // Takes some of what there is.
      for (auto left = prng.between(1, 30); left > 0; --left) {
        std::size_t budget = static_cast<std::size_t>(prng.between(0, 5));
        WatchOutput out;
        const Next next = stream->next(house.now, budget, out);
        if (next == Next::waiting) {
          REQUIRE(client.state == state_of(*house.keyspace));
          break;
        }
        if (next == Next::finished) {
          stream.reset();
          break;
        }
        if (next != Next::item) continue;
        if (const auto* mark = std::get_if<WatchMark>(&out.item))
          if (mark->kind == Mark::reset) ++resets;
        client.take(out.item);
      }
      (void)house.end_turn();
    }
    if (forgets) continue;
    CHECK(resets == 0);
    stream = nullptr;
    stream = house.open(request(everything(), client.last ? client.last : first.since));
    WatchOutput out;
    std::size_t budget = 100'000;
    while (stream->next(house.now, budget, out) == Next::item) client.take(out.item);
    std::vector<std::string> log;
    const auto whole = house.open(request(everything(), WatchId{1, 0}));
    while (whole->next(house.now, budget, out) == Next::item) log.push_back(text_of(out.item));
    CHECK(client.seen == log);
  }
}

}  // namespace test_watches
