#include <doctest/doctest.h>

#include <map>
#include <string>

#include "base/prng.hpp"
#include "kv/store.hpp"

using namespace vesper;
using namespace vesper::kv;
using Kind = WriteResult::Kind;

namespace {

WriteResult run(Store& store, const std::string& bytes) {
  const auto result = store.apply(SharedBytes::copy_of(bytes), LogTime());
  REQUIRE(result.ok());
  return *result;
}

WriteResult put(Store& store, std::string_view key, std::string_view value,
                const Conditions& conditions = {}, bool json = false) {
  return run(store, encode_put(key, value, json, conditions));
}

WriteResult remove(Store& store, std::string_view key, const Conditions& conditions = {}) {
  return run(store, encode_remove(key, conditions));
}

Conditions if_match(std::vector<std::uint64_t> revisions) {
  Conditions conditions;
  conditions.if_match = Match{false, std::move(revisions)};
  return conditions;
}

Conditions if_none_match(std::vector<std::uint64_t> revisions) {
  Conditions conditions;
  conditions.if_none_match = Match{false, std::move(revisions)};
  return conditions;
}

Conditions if_exists() {
  Conditions conditions;
  conditions.if_match = Match{true, {}};
  return conditions;
}

Conditions if_absent() {
  Conditions conditions;
  conditions.if_none_match = Match{true, {}};
  return conditions;
}

bool same(const WriteResult& a, const WriteResult& b) {
  return a.kind == b.kind && a.revision == b.revision && a.create_revision == b.create_revision &&
         a.version == b.version && a.current_revision == b.current_revision &&
         a.replayed == b.replayed;
}

}  // namespace

TEST_CASE("an empty store is at revision 1 and the first write makes 2") {
  Store store;
  CHECK(store.revision() == 1);
  CHECK(store.find("name") == nullptr);
  CHECK(same(put(store, "name", "Kyle"), {Kind::put, 2, 2, 1, 2}));
  CHECK(store.revision() == 2);
  REQUIRE(store.find("name") != nullptr);
  CHECK(store.find("name")->value.view() == "Kyle");
}

TEST_CASE("a put of the same bytes increments the revision") {
  Store store;
  put(store, "a", "x");
  CHECK(same(put(store, "a", "x"), {Kind::put, 3, 2, 2, 3}));
}

TEST_CASE("a delete of an absent key changes nothing") {
  Store store;
  put(store, "a", "x");
  const Id128 before = store.digest();
  CHECK(same(remove(store, "b"), {Kind::absent, 2, 0, 0, 0}));
  CHECK(store.revision() == 2);
  CHECK(store.digest() == before);
}

TEST_CASE("a deleted key that is created again has version 1 and a new create_revision") {
  Store store;
  put(store, "a", "x");
  put(store, "a", "y");
  CHECK(same(remove(store, "a"), {Kind::removed, 4, 0, 0, 0}));
  CHECK(store.find("a") == nullptr);
  CHECK(store.size() == 0);
  CHECK(store.bytes() == 0);
  CHECK(same(put(store, "a", "z"), {Kind::put, 5, 5, 1, 5}));
}

TEST_CASE("the last put decides whether a value is JSON") {
  Store store;
  put(store, "a", "[1]", {}, true);
  CHECK(store.find("a")->json);
  put(store, "a", "[1]");
  CHECK_FALSE(store.find("a")->json);
}

TEST_CASE("If-Match holds for the named revisions of a key that exists") {
  Store store;
  put(store, "a", "x");
  put(store, "b", "x");
  CHECK(same(put(store, "a", "y", if_match({3})), {Kind::precondition_failed, 3, 0, 0, 2}));
  CHECK(store.find("a")->value.view() == "x");
  CHECK(put(store, "a", "y", if_match({9, 2})).kind == Kind::put);
  CHECK(put(store, "a", "z", if_exists()).kind == Kind::put);
  CHECK(same(put(store, "c", "x", if_exists()), {Kind::precondition_failed, 5, 0, 0, 0}));
  CHECK(put(store, "a", "x", if_match({})).kind == Kind::precondition_failed);
}

TEST_CASE("a DELETE of an absent key with If-Match fails, with If-None-Match it does nothing") {
  Store store;
  CHECK(same(remove(store, "a", if_exists()), {Kind::precondition_failed, 1, 0, 0, 0}));
  CHECK(same(remove(store, "a", if_match({2})), {Kind::precondition_failed, 1, 0, 0, 0}));
  CHECK(same(remove(store, "a", if_absent()), {Kind::absent, 1, 0, 0, 0}));
}

TEST_CASE("If-None-Match holds for absent keys and other revisions") {
  Store store;
  CHECK(put(store, "a", "x", if_absent()).kind == Kind::put);
  CHECK(same(put(store, "a", "y", if_absent()), {Kind::precondition_failed, 2, 0, 0, 2}));
  CHECK(put(store, "a", "y", if_none_match({2, 3})).kind == Kind::precondition_failed);
  CHECK(put(store, "a", "y", if_none_match({3})).kind == Kind::put);
  CHECK(put(store, "b", "y", if_none_match({2})).kind == Kind::put);
  CHECK(put(store, "a", "y", if_none_match({})).kind == Kind::put);
}

TEST_CASE("both conditions must hold, and If-Match is evaluated first") {
  Item item;
  item.revision = 7;
  Conditions conditions = if_match({7});
  conditions.if_none_match = Match{false, {7}};
  CHECK(evaluate(conditions, &item) == Verdict::if_none_match_failed);
  conditions.if_match = Match{false, {8}};
  CHECK(evaluate(conditions, &item) == Verdict::if_match_failed);
  conditions.if_match = Match{true, {}};
  conditions.if_none_match = Match{false, {8}};
  CHECK(evaluate(conditions, &item) == Verdict::holds);
  CHECK(evaluate(conditions, nullptr) == Verdict::if_match_failed);
}

TEST_CASE("a command that cannot be decoded is an error and changes nothing") {
  Store store;
  put(store, "a", "x");
  const Id128 before = store.digest();
  CHECK_FALSE(store.apply(SharedBytes::copy_of("\x02\x01\x00"), LogTime()).ok());
  CHECK_FALSE(store.apply(SharedBytes(), LogTime()).ok());
  CHECK(store.revision() == 2);
  CHECK(store.digest() == before);
}

TEST_CASE("keys are any bytes, in the order of unsigned bytes") {
  Store store;
  for (const std::string& key :
       {std::string("\xff"), std::string("a"), std::string("\0", 1), std::string("a\0", 2)})
    put(store, key, "x");
  std::string order;
  store.for_each([&](std::string_view key, const Item&) { order.append(key).append("|"); });
  CHECK(order == std::string("\0|a|a\0|\xff|", 9));
}

TEST_CASE("the digest covers every field and does not depend on the order of the items") {
  Store a, b;
  put(a, "x", "1");
  const Id128 one = a.digest();
  put(b, "x", "2");
  CHECK(b.digest() != one);  // the value
  Store marked;
  put(marked, "x", "1", {}, true);
  CHECK(marked.digest() != one);  // the mark
  Store other;
  put(other, "y", "1");
  CHECK(other.digest() != one);  // the key
  Store shifted;
  put(shifted, "x1", "");
  CHECK(shifted.digest() != one);  // where the key ends
  Store swapped, straight;
  put(straight, "x", "1"), put(straight, "y", "1");
  put(swapped, "y", "1"), put(swapped, "x", "1");
  CHECK(swapped.digest() != straight.digest());  // the revisions
  Store empty, again;
  put(again, "x", "1"), remove(again, "x");
  CHECK(again.digest() != empty.digest());  // the store's revision
}

TEST_CASE("a digest is the same on every machine and never changes") {
  Store store;
  put(store, "name", "Kyle Chard");
  CHECK(to_hex(store.digest()) == "d51aeb2c392ea752fb6aa93b157ae734");
}

TEST_CASE("an entry that came alone is shared, not copied") {
  Store store;
  const auto payload = SharedBytes::copy_of(encode_put("a", std::string(5000, 'x'), false, {}));
  REQUIRE(store.apply(payload, LogTime()).ok());
  CHECK(store.find("a")->value.data() >= payload.data());
  CHECK(store.find("a")->value.data() < payload.data() + payload.size());
}

TEST_CASE("a small command does not keep the large batch that contained it alive") {
  Store store;
  const std::string bytes = encode_put("a", "small", false, {});
  const auto batch = SharedBytes::copy_of(bytes + std::string(100'000, 'x'));
  REQUIRE(store.apply(batch.slice(0, bytes.size()), LogTime()).ok());
  CHECK(store.find("a")->value.view() == "small");
  CHECK(store.find("a")->value.buffer_size() < 100);
}

TEST_CASE("an overwritten key does not keep its previous entry alive") {
  Store store;
  put(store, "a", std::string(1 << 20, 'x'));
  put(store, "a", "small");
  store.for_each([](std::string_view key, const Item& item) {
    CHECK(key == "a");
    // Key and value are neighbours in one buffer, the small one.
    CHECK(item.value.data() - key.data() < 100);
    CHECK(item.value.buffer_size() < 100);
  });
  CHECK(store.bytes() == 6);
}

namespace {

// As plain as can be: what the store is compared with.
struct Model {
  struct Entry {
    std::string value;
    bool json;
    std::uint64_t revision, create_revision, version;
  };
  std::map<std::string, Entry> entries;
  std::uint64_t revision = 1;

  static bool names(const Match& match, const Entry* entry) {
    if (entry == nullptr) return false;
    bool found = match.any;
    for (const std::uint64_t r : match.revisions) found = found || r == entry->revision;
    return found;
  }

  WriteResult apply(bool is_put, const std::string& key, const std::string& value, bool json,
                    const Conditions& c) {
    const auto at = entries.find(key);
    Entry* old = at == entries.end() ? nullptr : &at->second;
    const bool good = (!c.if_match || names(*c.if_match, old)) &&
                      (!c.if_none_match || !names(*c.if_none_match, old));
    if (!good) return {Kind::precondition_failed, revision, 0, 0, old ? old->revision : 0};
    if (!is_put && old == nullptr) return {Kind::absent, revision, 0, 0, 0};
    ++revision;
    if (!is_put) {
      entries.erase(at);
      return {Kind::removed, revision, 0, 0, 0};
    }
    const Entry entry{value, json, revision, old ? old->create_revision : revision,
                      old ? old->version + 1 : 1};
    entries[key] = entry;
    return {Kind::put, revision, entry.create_revision, entry.version, revision};
  }
};

Match random_match(Prng& random, std::uint64_t revision) {
  Match match;
  match.any = random.between(0, 3) == 0;
  if (match.any) return match;
  for (auto n = random.between(0, 16); n > 0; --n)
    match.revisions.push_back(
        static_cast<std::uint64_t>(random.between(0, static_cast<std::int64_t>(revision) + 1)));
  return match;
}

void check_equal(const Store& store, const Model& model) {
  CHECK(store.revision() == model.revision);
  CHECK(store.size() == model.entries.size());
  CHECK(store.digest() == store.recomputed_digest());
  std::uint64_t bytes = 0;
  auto expected = model.entries.begin();
  store.for_each([&](std::string_view key, const Item& item) {
    REQUIRE(expected != model.entries.end());
    CHECK(key == expected->first);
    CHECK(item.value.view() == expected->second.value);
    CHECK(item.json == expected->second.json);
    CHECK(item.revision == expected->second.revision);
    CHECK(item.create_revision == expected->second.create_revision);
    CHECK(item.version == expected->second.version);
    CHECK(store.find(key) == &item);
    bytes += key.size() + item.value.size();
    ++expected;
  });
  CHECK(store.bytes() == bytes);
}

}  // namespace

TEST_CASE("any sequence of commands leaves the store equal to the plain model") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    Prng random(seed);
    Store store, twin;
    Model model;
    for (int step = 0; step < 500; ++step) {
      CAPTURE(step);
      const std::string key(static_cast<std::size_t>(random.between(1, 3)),
                            static_cast<char>(random.between(0, 1) == 0 ? 'a' : 0xff));
      const std::string value(static_cast<std::size_t>(random.between(0, 400)),
                              static_cast<char>(random.between('a', 'z')));
      const bool is_put = random.between(0, 2) != 0;
      const bool json = is_put && random.between(0, 3) == 0;
      Conditions conditions;
      if (random.between(0, 3) == 0) conditions.if_match = random_match(random, model.revision);
      if (random.between(0, 3) == 0)
        conditions.if_none_match = random_match(random, model.revision);
      const std::string bytes =
          is_put ? encode_put(key, value, json, conditions) : encode_remove(key, conditions);
      const WriteResult expected = model.apply(is_put, key, value, json, conditions);
      CHECK(same(run(store, bytes), expected));
      // The twin reads the same command out of the middle of a larger buffer.
      const auto batch = SharedBytes::copy_of("head" + bytes + std::string(3000, 't'));
      const auto twins = twin.apply(batch.slice(4, bytes.size()), LogTime());
      REQUIRE(twins.ok());
      CHECK(same(*twins, expected));
      CHECK(store.digest() == twin.digest());
    }
    check_equal(store, model);
    check_equal(twin, model);
  }
}
