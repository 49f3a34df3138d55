// The place of a watch in the log: from every id it sees exactly what is after it, whatever the
// filter, the budget and compaction.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "keyspaces.hpp"
#include "node/watch_cursor.hpp"

namespace test_watch_cursor {

using namespace vesper;
using namespace vesper::node;
using Step = WatchCursor::Step;

namespace {

struct Seen {
  WatchId id;
  std::string key, value, replaced;
  bool removed = false;

  bool operator==(const Seen&) const = default;
};

std::string value_of(const kv::Version* version) {
  return version == nullptr ? "none" : std::string(version->value());
}

WatchFilter random_filter(Prng& prng) {
  std::vector<SpaceRange> ranges;
  for (auto left = prng.between(1, 4); left > 0; --left) {
    const std::string start(1, static_cast<char>('a' + prng.between(0, 7)));
    const std::string end(1, static_cast<char>('a' + prng.between(0, 8)));
    const auto space = static_cast<kv::Space>(prng.between(0, 2));
    ranges.push_back(
        {space, prng.between(0, 1) == 0 ? kv::KeyRange::of_key(start) : kv::KeyRange{start, end}});
  }
  return {ranges, static_cast<WatchFilter::Kinds>(prng.between(0, 2))};
}

// By a plain scan of the whole log.
std::vector<Seen> all_that_passes(const kv::Keyspace& keyspace, const WatchFilter& filter) {
  std::vector<Seen> seen;
  for (std::uint64_t at = keyspace.first_event(); at < keyspace.end_of_events(); ++at) {
    const kv::Version& version = *keyspace.event(at);
    if (!filter.passes(version)) continue;
    seen.push_back({{version.revision(), 0},
                    std::string(version.key()),
                    std::string(version.value()),
                    value_of(keyspace.replaced_by(version)),
                    version.is_tombstone()});
  }
  // All but the last one of a revision have their place.
  std::size_t i = 0;
  for (std::uint64_t at = keyspace.first_event(); at < keyspace.end_of_events(); ++at) {
    const kv::Version& version = *keyspace.event(at);
    if (!filter.passes(version)) continue;
    const bool more = i + 1 < seen.size() && seen[i + 1].id.revision == version.revision();
    seen[i].id.part = more ? version.place() : 0;
    ++i;
  }
  return seen;
}

std::vector<Seen> read(const kv::Keyspace& keyspace, const WatchFilter& filter, WatchId since,
                       std::size_t budget_each) {
  WatchCursor cursor(since);
  std::vector<Seen> seen;
  for (int calls = 0;; ++calls) {
    REQUIRE(calls < 100'000);
    std::size_t budget = budget_each;
    WatchCursor::Event event;
    switch (cursor.advance(keyspace, filter, budget, event)) {
      case Step::event: {
        const kv::Version& version = *event.version;
        seen.push_back({{version.revision(), event.more ? version.place() : 0},
                        std::string(version.key()),
                        std::string(version.value()),
                        value_of(event.replaced.get()),
                        version.is_tombstone()});
        break;
      }
      case Step::caught_up: CHECK(cursor.passed() == keyspace.revision()); return seen;
      case Step::unfinished: CHECK(budget == 0); break;
      case Step::compacted: FAIL("compacted"); return seen;
    }
  }
}

}  // namespace

TEST_CASE("from every id, a cursor sees exactly what is after it") {
  Prng prng(11);
  for (int round = 0; round < 40; ++round) {
    kv::Keyspace keyspace;
    for (int i = 0; i < 60; ++i) test::commit_some(keyspace, prng);
    if (round % 2 == 1) {
      keyspace.compact(static_cast<std::uint64_t>(prng.between(2, 61)));
      if (round % 4 == 1) test::trim_all(keyspace);
    }
    const WatchFilter filter = random_filter(prng);
    const std::vector<Seen> expected = all_that_passes(keyspace, filter);
    const std::size_t budget = round % 3 == 0 ? 1 : 1000;
    CHECK(read(keyspace, filter, {keyspace.oldest_revision() - 1, 0}, budget) == expected);
    for (std::size_t i = 0; i < expected.size(); ++i)
      CHECK(
          read(keyspace, filter, expected[i].id, budget) ==
          std::vector<Seen>(expected.begin() + static_cast<std::ptrdiff_t>(i) + 1, expected.end()));
    CHECK(read(keyspace, filter, {keyspace.revision(), 0}, budget).empty());
  }
}

TEST_CASE("a cursor that is passed by compaction says so, and never looks at what was trimmed") {
  kv::Keyspace keyspace;
  for (int i = 0; i < 10; ++i) test::commit(keyspace, {{"k"}, {"l"}});
  const WatchFilter all({{kv::Space::keys, kv::KeyRange::all()}}, WatchFilter::Kinds::all);
  WatchCursor inside({5, 1}), before({4, 0}), early({3, 0});
  keyspace.compact(5);
  test::trim_all(keyspace);
  std::size_t budget = 100;
  WatchCursor::Event event;
  CHECK(early.advance(keyspace, all, budget, event) == Step::compacted);
  CHECK_FALSE(early.is_kept(keyspace));
  REQUIRE(before.advance(keyspace, all, budget, event) == Step::event);
  CHECK(event.version->revision() == 5);
  CHECK(event.more);
  CHECK_FALSE(before.is_between_revisions());
  REQUIRE(inside.advance(keyspace, all, budget, event) == Step::event);
  CHECK(event.version->key() == "l");
  CHECK_FALSE(event.more);
  CHECK(inside.is_between_revisions());
  CHECK(inside.passed() == 5);
}

TEST_CASE("an id that names a place beyond its revision goes on with the next one") {
  kv::Keyspace keyspace;
  test::commit(keyspace, {{"a"}, {"b"}});
  test::commit(keyspace, {{"c"}, {"d"}});
  const WatchFilter all({{kv::Space::keys, kv::KeyRange::all()}}, WatchFilter::Kinds::all);
  const auto seen = read(keyspace, all, {2, 9}, 100);
  REQUIRE(seen.size() == 2);
  CHECK(seen[0].key == "c");
  CHECK(seen[0].id == WatchId{3, 1});
}

TEST_CASE("a filter joins ranges that overlap or touch") {
  const WatchFilter filter({{kv::Space::keys, {"d", "f"}},
                            {kv::Space::keys, {"a", "c"}},
                            {kv::Space::locks, {"a", ""}},
                            {kv::Space::keys, {"b", "d"}},
                            {kv::Space::keys, {"x", "x"}},
                            {kv::Space::keys, {"z", ""}},
                            {kv::Space::keys, {"zz", "zzz"}}},
                           WatchFilter::Kinds::all);
  const std::vector<SpaceRange> expected{
      {kv::Space::keys, {"a", "f"}}, {kv::Space::keys, {"z", ""}}, {kv::Space::locks, {"a", ""}}};
  CHECK(filter.ranges() == expected);
}

}  // namespace test_watch_cursor
