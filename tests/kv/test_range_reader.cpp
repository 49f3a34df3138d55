// Ranges against the plain model: in one go, in steps, in pages, as a stream, over a transaction's
// own writes, and at old revisions.
#include <doctest/doctest.h>

#include <string>

#include "kv/model.hpp"
#include "kv/property.hpp"
#include "kv/range_reader.hpp"

using namespace vesper;
using namespace vesper::kv;
using test::Choices;
using test::Model;
using test::ModelVersion;
using test::sequence_of;
using test::show;

namespace {

using Items = std::vector<std::string>;  // "key=value@revision", or "prefix|"

// The items of a result. Keys and prefixes are kept apart, in the order of the query.
struct Found {
  Items keys, prefixes;
  bool operator==(const Found&) const = default;
  void add(const RangeResult& result) {
    for (const VersionRef& version : result.kvs)
      keys.push_back(show(version->key(), version->value(), version->revision()));
    prefixes.insert(prefixes.end(), result.prefixes.begin(), result.prefixes.end());
  }
  std::size_t size() const { return keys.size() + prefixes.size(); }
};

std::string random_key(Choices& choices) {
  static constexpr char kLetters[] = {'a', 'b', '/', '\xff', '\0'};
  std::string key;
  for (std::size_t n = 1 + choices.below(4); n > 0; --n)
    key.push_back(kLetters[choices.below(5) * choices.below(2)]);
  return key;
}

// A keyspace that is trimmed at once and one that never is, with the same content.
struct Trial {
  Model model;
  Keyspace trimmed, untrimmed;
  Overlay overlay;
  Model with_overlay;  // the model after the overlay's writes

  explicit Trial(Choices& choices) {
    for (std::size_t n = choices.below(80); n > 0; --n) {
      if (choices.one_in(8)) compact(1 + choices.below(model.revision));
      for (std::size_t writes = 1 + choices.below(5); writes > 0; --writes) write(model, choices);
      commit();
    }
    with_overlay = model;
    for (std::size_t n = choices.below(12); n > 0; --n) write(with_overlay, choices);
    for (const ModelVersion& version : with_overlay.commit()) {
      VersionRef made = version.make();
      overlay[made->key()] = made;
    }
  }

  static void write(Model& model, Choices& choices) {
    const std::string key = random_key(choices);
    for (const ModelVersion& version : model.pending)
      if (version.key == key) return;
    if (choices.one_in(3)) model.remove(key);
    else model.write(key, std::string(choices.below(20), 'v'), false, 0);
  }

  void commit() {
    std::vector<VersionRef> one, other;
    for (const ModelVersion& version : model.commit()) {
      one.push_back(version.make());
      other.push_back(version.make());
    }
    if (one.empty()) return;
    trimmed.commit(std::move(one));
    untrimmed.commit(std::move(other));
  }

  void compact(std::uint64_t revision) {
    if (revision <= model.oldest) return;
    model.oldest = revision;
    trimmed.compact(revision);
    untrimmed.compact(revision);
    std::size_t max = SIZE_MAX, max_bytes = SIZE_MAX;
    trimmed.trim(max, max_bytes);
  }
};

RangeQuery random_query(Choices& choices, const Model& model) {
  RangeQuery query;
  switch (choices.below(4)) {
    case 0: query.range = KeyRange::all(); break;
    case 1: query.range = KeyRange::of_prefix(random_key(choices)); break;
    case 2: query.range = {random_key(choices), random_key(choices)}; break;
    case 3: query.range = {random_key(choices), {}}; break;
  }
  query.revision = model.oldest + choices.below(model.revision - model.oldest + 1);
  if (choices.one_in(3)) query.limit = 1 + choices.below(6);
  query.order = choices.one_in(2) ? Order::descending : Order::ascending;
  query.content = static_cast<Content>(choices.below(3));
  if (choices.one_in(2)) {
    static constexpr const char* kSeparators[] = {"/", "/", "/a", "\xff"};
    query.separator = kSeparators[choices.below(4)];
    query.prefix_size = choices.below(3);
  }
  return query;
}

Found found_of(const std::vector<std::pair<bool, std::string>>& items, std::size_t limit) {
  Found found;
  for (std::size_t i = 0; i < items.size() && (limit == 0 || i < limit); ++i)
    (items[i].first ? found.prefixes : found.keys).push_back(items[i].second);
  return found;
}

void continue_at(RangeQuery& query, const std::string& resume) {
  (query.order == Order::ascending ? query.range.start : query.range.end) = resume;
}

struct Case {
  const Keyspace& keyspace;
  const Overlay* overlay;
  RangeQuery query;
  std::vector<std::pair<bool, std::string>> items;
  std::uint64_t count = 0;

  // In one go.
  void whole() const {
    RangeReader reader(query, RangeReader::Count::whole_range);
    std::size_t budget = SIZE_MAX;
    RC_ASSERT(reader.run(keyspace, overlay, budget, SIZE_MAX));
    check_whole(reader.take());
  }

  void check_whole(const RangeResult& result) const {
    Found found;
    found.add(result);
    RC_ASSERT((found == found_of(items, query.limit)));
    RC_ASSERT(result.count == count);
    RC_ASSERT(result.content == query.content);
    RC_ASSERT(result.more == (query.limit != 0 && items.size() > query.limit));
  }

  // With a small budget for each step.
  void in_steps(Choices& choices) const {
    RangeReader reader(query, RangeReader::Count::whole_range);
    for (;;) {
      // The number of own writes in a range must be within the budget; see count_some().
      const std::size_t budget = 1 + choices.below(4) + (overlay ? overlay->size() : 0);
      std::size_t left = budget;
      const bool done = reader.run(keyspace, overlay, left, SIZE_MAX);
      RC_ASSERT(left <= budget);
      if (done) break;
      RC_ASSERT(left == 0u);
    }
    check_whole(reader.take());
  }

  // As a stream: pieces of few bytes and few visits.
  void in_pieces(Choices& choices) const {
    RangeReader reader(query, RangeReader::Count::omit);
    Found found;
    for (bool done = false; !done;) {
      std::size_t budget = 2 + choices.below(6);
      const std::size_t max_bytes = 1 + choices.below(30);
      done = reader.run(keyspace, overlay, budget, max_bytes);
      RC_ASSERT(reader.bytes() < max_bytes + 4 + 20);
      const RangeResult piece = reader.take();
      if (!done) RC_ASSERT(piece.more);
      found.add(piece);
    }
    RC_ASSERT((found == found_of(items, query.limit)));
  }

  // Page by page, each a query of its own. A page ends at a limit or at a number of bytes.
  void in_pages(Choices& choices) const {
    if (query.content == Content::count) return;
    RangeQuery page = query;
    Found found;
    for (bool more = true; more;) {
      page.limit = 1 + choices.below(4);
      RangeReader reader(page, RangeReader::Count::omit);
      std::size_t budget = SIZE_MAX;
      const std::size_t max_bytes = 1 + choices.below(60);
      reader.run(keyspace, overlay, budget, max_bytes);
      const RangeResult result = reader.take();
      RC_ASSERT(result.kvs.size() + result.prefixes.size() <= page.limit);
      RC_ASSERT((!result.more || result.kvs.size() + result.prefixes.size() > 0));
      found.add(result);
      more = result.more;
      // No page promises another one that turns out to be empty.
      RC_ASSERT(more == (found.size() < items.size()));
      if (more) continue_at(page, result.resume);
    }
    RC_ASSERT((found == found_of(items, 0)));
  }
};

}  // namespace

TEST_CASE("a range equals the plain model, in one go, in steps, in pieces and in pages") {
  test::holds_for_choices("range", 1500, [](Choices& choices) {
    Trial trial(choices);
    for (int queries = 0; queries < 40; ++queries) {
      RangeQuery query = random_query(choices, trial.model);
      const bool own = choices.one_in(3);
      if (own) query.revision = trial.model.revision;
      const auto versions = own ? trial.with_overlay.range(query.range, UINT64_MAX)
                                : trial.model.range(query.range, query.revision);
      for (const Keyspace* keyspace : {&trial.trimmed, &trial.untrimmed}) {
        const Case one{*keyspace, own ? &trial.overlay : nullptr, query,
                       sequence_of(query, versions), versions.size()};
        one.whole();
        one.in_steps(choices);
        one.in_pieces(choices);
        one.in_pages(choices);
      }
      if (!choices.any_left()) break;
    }
  });
}

TEST_CASE("what a transaction's range costs does not depend on what the node has trimmed") {
  test::holds_for_choices("visits", 1500, [](Choices& choices) {
    Trial trial(choices);
    for (int queries = 0; queries < 40; ++queries) {
      const RangeQuery query = random_query(choices, trial.model);
      const std::size_t given = choices.below(30);
      bool done[2] = {};
      std::size_t left[2] = {given, given};
      for (std::size_t i = 0; i < 2; ++i) {
        RangeReader reader(query, RangeReader::Count::whole_range, RangeReader::Visits::kept_keys);
        done[i] = reader.run(i == 0 ? trial.trimmed : trial.untrimmed, nullptr, left[i], SIZE_MAX);
      }
      RC_ASSERT(done[0] == done[1]);
      RC_ASSERT(left[0] == left[1]);
      if (!choices.any_left()) break;
    }
  });
}

namespace {

void put(Keyspace& keyspace, const std::string& key, std::string_view value = "v") {
  VersionFields fields;
  fields.revision = keyspace.revision() + 1;
  fields.create_revision = fields.revision;
  fields.version = 1;
  keyspace.commit(Version::make(key, value, fields));
}

void remove(Keyspace& keyspace, const std::string& key) {
  VersionFields fields;
  fields.revision = keyspace.revision() + 1;
  fields.tombstone = true;
  keyspace.commit(Version::make(key, std::string_view(), fields));
}

RangeQuery present(const Keyspace& keyspace, KeyRange range = KeyRange::all()) {
  RangeQuery query;
  query.range = std::move(range);
  query.revision = keyspace.revision();
  return query;
}

}  // namespace

TEST_CASE("deleted keys cost a read at the present revision nothing") {
  Keyspace keyspace;
  put(keyspace, "a");
  put(keyspace, "z");
  for (int i = 0; i < 5000; ++i) put(keyspace, "m" + std::to_string(10'000 + i));
  for (int i = 0; i < 5000; ++i) remove(keyspace, "m" + std::to_string(10'000 + i));
  for (const Order order : {Order::ascending, Order::descending}) {
    RangeQuery query = present(keyspace);
    query.order = order;
    RangeReader reader(query, RangeReader::Count::whole_range);
    std::size_t budget = 2;
    CHECK(reader.run(keyspace, nullptr, budget, SIZE_MAX));
    CHECK(reader.take().kvs.size() == 2);
  }
}

TEST_CASE("a budget of as many keys as the limit is enough to know whether there are more") {
  Keyspace keyspace;
  for (const char* key : {"a", "b", "c"}) put(keyspace, key);
  for (const std::size_t limit : {std::size_t{2}, std::size_t{3}}) {
    RangeQuery query = present(keyspace);
    query.limit = limit;
    RangeReader reader(query, RangeReader::Count::whole_range);
    std::size_t budget = limit;
    CHECK(reader.run(keyspace, nullptr, budget, SIZE_MAX));
    const RangeResult result = reader.take();
    CHECK(result.kvs.size() == limit);
    CHECK(result.more == (limit == 2));
    CHECK(result.count == 3);
  }
}

TEST_CASE("a stream shows one revision, whatever is written, compacted and trimmed meanwhile") {
  Keyspace keyspace;
  for (int i = 0; i < 1000; ++i) put(keyspace, "k" + std::to_string(1000 + i), "old");
  RangeStream stream(keyspace, present(keyspace));
  CHECK(stream.revision() == 1001);
  std::size_t found = 0;
  for (bool done = false; !done;) {
    const RangeResult piece = stream.next(50, 200, done);
    for (const VersionRef& version : piece.kvs) {
      CHECK(version->value() == "old");
      ++found;
    }
    CHECK(piece.kvs.size() <= 50);
    for (int i = 0; i < 40; ++i) {
      const std::string key =
          "k" + std::to_string(1000 + (found * 37 + static_cast<std::size_t>(i) * 91) % 1000);
      if (keyspace.find(key) != nullptr && i % 2 == 0) remove(keyspace, key);
      put(keyspace, "l" + key);
    }
    keyspace.compact(keyspace.revision());
    std::size_t max = SIZE_MAX, max_bytes = SIZE_MAX;
    keyspace.trim(max, max_bytes);
  }
  CHECK(found == 1000);
}
