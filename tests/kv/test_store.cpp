#include <doctest/doctest.h>

#include <map>
#include <string>

#include "base/prng.hpp"
#include "kv/import.hpp"
#include "kv/store.hpp"
#include "kv/store_helpers.hpp"

using namespace vesper;
using namespace vesper::kv;
using Kind = WriteResult::Kind;
using test::at_second;
using test::if_absent;
using test::if_exists;
using test::is_put;
using test::run;

namespace {

WriteResult put(Store& store, std::string_view key, std::string_view value,
                const Conditions& conditions = {}, ValueForm form = ValueForm::bytes) {
  return run(store, encode_put(key, value, form, conditions));
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

// A result in one line: what happened, then its numbers.
std::string show(const WriteResult& result) {
  const auto number = [](std::uint64_t n) { return " " + std::to_string(n); };
  if (result.kind == Kind::precondition_failed)
    return "failed" + number(result.revision) + " current" + number(result.current_revision);
  if (!result.is_done()) return "refused" + number(static_cast<std::uint64_t>(result.kind));
  if (const auto* done = test::put_in(result))
    return "put" + number(result.revision) + number(done->create_revision) + number(done->version);
  return "deleted" + number(std::get<DeleteResult>(result.result).deleted) + " at" +
         number(result.revision);
}

}  // namespace

TEST_CASE("an empty store is at revision 1 and the first write makes 2") {
  Store store;
  CHECK(store.revision() == 1);
  CHECK(store.find("name") == nullptr);
  CHECK(show(put(store, "name", "Kyle")) == "put 2 2 1");
  CHECK(store.revision() == 2);
  REQUIRE(store.find("name") != nullptr);
  CHECK(store.find("name")->value() == "Kyle");
}

TEST_CASE("a put of the same bytes increments the revision") {
  Store store;
  put(store, "a", "x");
  CHECK(show(put(store, "a", "x")) == "put 3 2 2");
}

TEST_CASE("a delete of an absent key changes nothing") {
  Store store;
  put(store, "a", "x");
  const Id128 before = store.digest();
  CHECK(show(remove(store, "b")) == "deleted 0 at 2");
  CHECK(store.revision() == 2);
  CHECK(store.digest() == before);
}

TEST_CASE("a deleted key that is created again has version 1 and a new create_revision") {
  Store store;
  put(store, "a", "x");
  put(store, "a", "y");
  CHECK(show(remove(store, "a")) == "deleted 1 at 4");
  CHECK(store.find("a") == nullptr);
  CHECK(store.size() == 0);
  CHECK(store.bytes() == 0);
  CHECK(show(put(store, "a", "z")) == "put 5 5 1");
}

TEST_CASE("the last put decides whether a value is JSON") {
  Store store;
  put(store, "a", "[1]", {}, ValueForm::json);
  CHECK(store.find("a")->json());
  put(store, "a", "[1]");
  CHECK_FALSE(store.find("a")->json());
}

TEST_CASE("If-Match holds for the named revisions of a key that exists") {
  Store store;
  put(store, "a", "x");
  put(store, "b", "x");
  CHECK(show(put(store, "a", "y", if_match({3}))) == "failed 3 current 2");
  CHECK(store.find("a")->value() == "x");
  CHECK(is_put(put(store, "a", "y", if_match({9, 2}))));
  CHECK(is_put(put(store, "a", "z", if_exists())));
  CHECK(show(put(store, "c", "x", if_exists())) == "failed 5 current 0");
  CHECK(put(store, "a", "x", if_match({})).kind == Kind::precondition_failed);
}

TEST_CASE("a DELETE of an absent key with If-Match fails, with If-None-Match it does nothing") {
  Store store;
  CHECK(show(remove(store, "a", if_exists())) == "failed 1 current 0");
  CHECK(show(remove(store, "a", if_match({2}))) == "failed 1 current 0");
  CHECK(show(remove(store, "a", if_absent())) == "deleted 0 at 1");
}

TEST_CASE("If-None-Match holds for absent keys and other revisions") {
  Store store;
  CHECK(is_put(put(store, "a", "x", if_absent())));
  CHECK(show(put(store, "a", "y", if_absent())) == "failed 2 current 2");
  CHECK(put(store, "a", "y", if_none_match({2, 3})).kind == Kind::precondition_failed);
  CHECK(is_put(put(store, "a", "y", if_none_match({3}))));
  CHECK(is_put(put(store, "b", "y", if_none_match({2}))));
  CHECK(is_put(put(store, "a", "y", if_none_match({}))));
}

TEST_CASE("both conditions must hold, and If-Match is evaluated first") {
  VersionFields fields;
  fields.revision = 7;
  const VersionRef version = Version::make("k", std::string_view("v"), fields);
  const Version* item = version.get();
  Conditions conditions = if_match({7});
  conditions.if_none_match = Match{false, {7}};
  CHECK(evaluate(conditions, item) == Verdict::if_none_match_failed);
  conditions.if_match = Match{false, {8}};
  CHECK(evaluate(conditions, item) == Verdict::if_match_failed);
  conditions.if_match = Match{true, {}};
  conditions.if_none_match = Match{false, {8}};
  CHECK(evaluate(conditions, item) == Verdict::holds);
  CHECK(evaluate(conditions, nullptr) == Verdict::if_match_failed);
}

TEST_CASE("a command that cannot be decoded is an error and changes nothing") {
  Store store;
  put(store, "a", "x");
  const Id128 before = store.digest();
  CHECK_FALSE(store.apply(SharedBytes::copy_of("\x03\x01\x00"), LogTime(), 1).ok());
  CHECK_FALSE(store.apply(SharedBytes(), LogTime(), 1).ok());
  CHECK(store.revision() == 2);
  CHECK(store.digest() == before);
}

TEST_CASE("keys are any bytes, in the order of unsigned bytes") {
  Store store;
  for (const std::string& key :
       {std::string("\xff"), std::string("a"), std::string("\0", 1), std::string("a\0", 2)})
    put(store, key, "x");
  std::string order;
  for (auto at = store.keyspace().tree().first(); !at.at_end(); at.next())
    order.append(at.slot().key()).append("|");
  CHECK(order == std::string("\0|a|a\0|\xff|", 9));
}

TEST_CASE("the digest covers every field and does not depend on the order of the items") {
  Store a, b;
  put(a, "x", "1");
  const Id128 one = a.digest();
  put(b, "x", "2");
  CHECK(b.digest() != one);  // the value
  Store marked;
  put(marked, "x", "1", {}, ValueForm::json);
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
  CHECK(to_hex(store.digest()) == "d50e5306211d0678e7235926f424b7df");
}

TEST_CASE("a large value that came alone is shared, not copied") {
  Store store;
  const auto payload = SharedBytes::copy_of(
      encode_put("a", std::string(Version::kInline + 1, 'x'), ValueForm::bytes, {}));
  REQUIRE(store.apply(payload, LogTime(), 1).ok());
  CHECK(store.find("a")->value().data() >= payload.data());
  CHECK(store.find("a")->value().data() < payload.data() + payload.size());
  // So is one that is kept or restored.
  Put keep;
  keep.key = SharedBytes::copy_of("a");
  keep.keep_value = true;
  run(store, encode({}, keep));
  run(store, encode_remove("a", {}));
  run(store, encode({}, Restore{SharedBytes::copy_of("a"), 2}));
  CHECK(store.find("a")->value().data() >= payload.data());
  CHECK(store.find("a")->value().data() < payload.data() + payload.size());
  CHECK(store.digest() == store.recomputed_digest());
}

TEST_CASE("a value does not keep the large batch that contained it alive") {
  for (const std::size_t size : {std::size_t{5}, std::size_t{5000}}) {
    Store store;
    const std::string bytes = encode_put("a", std::string(size, 's'), ValueForm::bytes, {});
    const auto batch = SharedBytes::copy_of(bytes + std::string(100'000, 'x'));
    REQUIRE(store.apply(batch.slice(0, bytes.size()), LogTime(), 1).ok());
    const std::string_view value = store.find("a")->value();
    CHECK(value == std::string(size, 's'));
    CHECK((value.data() < batch.data() || value.data() >= batch.data() + batch.size()));
    CHECK(store.find("a")->share_value().buffer_size() == size);
  }
}

TEST_CASE("compaction: the oldest readable revision rises, and the revision stays") {
  Store store;
  put(store, "a", "1");
  put(store, "a", "2");
  run(store, encode_remove("a", {}));
  const WriteResult done = run(store, encode(Compact{3}));
  REQUIRE(done.is_done());
  CHECK(std::get<CompactResult>(done.result).oldest_revision == 3);
  CHECK(done.revision == 4);
  CHECK(store.digest() == store.recomputed_digest());
  // Done already: nothing changes. Below: refused. In the future: refused.
  const Id128 digest = store.digest();
  CHECK(run(store, encode(Compact{3})).is_done());
  const WriteResult below = run(store, encode(Compact{2}));
  CHECK(below.kind == Kind::compacted);
  CHECK(below.limit == 3);
  CHECK(run(store, encode(Compact{5})).kind == Kind::future_revision);
  CHECK(store.digest() == digest);
  CHECK(store.keyspace().oldest_revision() == 3);
}

TEST_CASE("the quota is part of the state: it is in the digest and in snapshots") {
  Store store;
  put(store, "a", "1");
  const Id128 digest = store.digest();
  CHECK(run(store, encode(SetQuota{true})).is_done());
  CHECK(store.digest() != digest);
  CHECK(put(store, "a", "2").kind == Kind::quota_exceeded);
  CHECK(show(run(store, encode_remove("a", {}))) == "deleted 1 at 3");
  CHECK(run(store, encode(SetQuota{false})).is_done());
  CHECK(show(put(store, "a", "2")) == "put 4 4 1");
}

TEST_CASE("at the quota, deletes make room even if nothing is written after them") {
  Store store;
  put(store, "a", "1");
  put(store, "b", "1");
  run(store, encode(SetQuota{true}));
  run(store, encode({}, Delete{KeyRange::all(), Prev::omit}));
  REQUIRE(store.revision() == 4);
  // An older revision can be compacted yet.
  CHECK_FALSE(store.is_stuck_at_quota());
  run(store, encode(SetQuota{true}));
  CHECK(store.revision() == 4);
  // Compaction to the newest revision keeps what its events replaced.
  run(store, encode(Compact{4}));
  CHECK(store.is_stuck_at_quota());
  CHECK(store.cost() > 0);
  const WriteResult reported = run(store, encode(SetQuota{true}), at_second(7));
  CHECK(reported.revision == 5);
  CHECK(store.revision() == 5);
  CHECK(store.keyspace().oldest_revision() == 5);
  CHECK(store.cost() == 0);
  CHECK(store.times().revision_at(at_second(7)) == 5);
  CHECK(store.quota_exceeded());
  CHECK_FALSE(store.is_stuck_at_quota());
  CHECK(store.digest() == store.recomputed_digest());
  const auto copy = test::import_in(test::content_of(store), 100);
  REQUIRE(copy.ok());
  CHECK((*copy)->digest() == store.digest());
  CHECK_FALSE((*copy)->is_stuck_at_quota());
  // A further report changes nothing.
  run(store, encode(SetQuota{true}));
  CHECK(store.revision() == 5);
  run(store, encode(SetQuota{false}));
  CHECK(show(put(store, "a", "2")) == "put 6 6 1");
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

  std::string apply(bool is_put, const std::string& key, const std::string& value, bool json,
                    const Conditions& c) {
    const auto text = [](auto... n) { return ((" " + std::to_string(n)) + ...); };
    const auto at = entries.find(key);
    Entry* old = at == entries.end() ? nullptr : &at->second;
    const bool good = (!c.if_match || names(*c.if_match, old)) &&
                      (!c.if_none_match || !names(*c.if_none_match, old));
    if (!good) return "failed" + text(revision) + " current" + text(old ? old->revision : 0);
    if (!is_put && old == nullptr) return "deleted 0 at" + text(revision);
    ++revision;
    if (!is_put) {
      entries.erase(at);
      return "deleted 1 at" + text(revision);
    }
    const Entry entry{value, json, revision, old ? old->create_revision : revision,
                      old ? old->version + 1 : 1};
    entries[key] = entry;
    return "put" + text(revision, entry.create_revision, entry.version);
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
  for (const auto& [key, expected] : model.entries) {
    const Version* version = store.find(key);
    REQUIRE(version != nullptr);
    CHECK(version->value() == expected.value);
    CHECK(version->json() == expected.json);
    CHECK(version->revision() == expected.revision);
    CHECK(version->create_revision() == expected.create_revision);
    CHECK(version->version() == expected.version);
    bytes += key.size() + expected.value.size();
  }
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
          is_put ? encode_put(key, value, json ? ValueForm::json : ValueForm::bytes, conditions)
                 : encode_remove(key, conditions);
      const std::string expected = model.apply(is_put, key, value, json, conditions);
      CHECK(show(run(store, bytes)) == expected);
      // The twin reads the same command out of the middle of a larger buffer.
      const auto batch = SharedBytes::copy_of("head" + bytes + std::string(3000, 't'));
      const auto twins = twin.apply(batch.slice(4, bytes.size()), LogTime(), 1);
      REQUIRE(twins.ok());
      CHECK(show(*twins) == expected);
      CHECK(store.digest() == twin.digest());
    }
    check_equal(store, model);
    check_equal(twin, model);
  }
}
