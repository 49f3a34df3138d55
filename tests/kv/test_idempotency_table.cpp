// Exactly once (thesis 6.3): a token is decided once, its reply is given again, kept and forgotten
// by log time, and goes with the store into digest and snapshot.
#include <doctest/doctest.h>

#include <map>
#include <string>
#include <vector>

#include "base/prng.hpp"
#include "kv/import.hpp"
#include "kv/snapshot.hpp"
#include "kv/store_helpers.hpp"

using namespace vesper;
using namespace vesper::kv;
using Kind = WriteResult::Kind;
using test::deleted_in;
using test::if_absent;
using test::is_put;
using test::put_in;
using test::run;

namespace {

constexpr LogTime at(std::int64_t s) {
  return test::at_second(s);
}

IdempotencyKey request(std::string token, std::uint64_t what = 1) {
  return {std::move(token), {what, what + 1}};
}

WriteResult put(Store& store, std::string_view key, const IdempotencyKey& id, LogTime now,
                std::string_view value = "v", const Conditions& conditions = {}) {
  return run(store, encode_put(key, value, ValueForm::bytes, conditions, id), now);
}

WriteResult remove(Store& store, std::string_view key, const IdempotencyKey& id, LogTime now) {
  return run(store, encode_remove(key, {}, id), now);
}

WriteResult plain(Store& store, LogTime now) {
  return run(store, encode_put("plain", "v", ValueForm::bytes, {}), now);
}

}  // namespace

TEST_CASE("K1: a repeated request gets the same reply and changes nothing") {
  Store store;
  const WriteResult first = put(store, "a", request("t1"), at(1));
  CHECK(is_put(first));
  CHECK_FALSE(first.replayed);
  plain(store, at(2));
  put(store, "a", request("t2"), at(2), "other");
  const WriteResult again = put(store, "a", request("t1"), at(3));
  CHECK(again.replayed);
  CHECK(is_put(again));
  CHECK(again.revision == 2);
  CHECK(put_in(again)->create_revision == 2);
  CHECK(put_in(again)->version == 1);
  CHECK(store.find("a")->value() == "other");
  CHECK(store.revision() == 4);
  CHECK(store.digest() == store.recomputed_digest());
  CHECK(store.idempotency_table().size() == 2);
}

TEST_CASE("the table also keeps the results of failed conditions and of deletes of absent keys") {
  Store store;
  put(store, "a", request("t0"), at(0));
  const WriteResult failed = put(store, "a", request("t1"), at(1), "v", if_absent());
  CHECK(failed.kind == Kind::precondition_failed);
  const WriteResult nothing = remove(store, "b", request("t2"), at(1));
  CHECK(deleted_in(nothing) == 0);
  remove(store, "a", request("t3"), at(2));
  put(store, "b", request("t4"), at(2));
  CHECK(store.revision() == 4);
  // Both would come out otherwise now.
  const WriteResult still = put(store, "a", request("t1"), at(3), "v", if_absent());
  CHECK(still.replayed);
  CHECK(still.kind == Kind::precondition_failed);
  CHECK(still.revision == 2);
  CHECK(still.current_revision == 2);
  const WriteResult none = remove(store, "b", request("t2"), at(3));
  CHECK(none.replayed);
  CHECK(deleted_in(none) == 0);
  CHECK(none.revision == 2);
  CHECK(store.find("b") != nullptr);
}

TEST_CASE("an idempotency key that is reused for another request is refused and keeps its reply") {
  Store store;
  put(store, "a", request("t", 1), at(1));
  const Id128 digest = store.digest();
  const WriteResult reused = put(store, "b", request("t", 2), at(2));
  CHECK(reused.kind == Kind::key_reused);
  CHECK(reused.revision == 2);
  CHECK_FALSE(reused.replayed);
  CHECK(store.find("b") == nullptr);
  CHECK(store.digest() == digest);
  CHECK(put(store, "a", request("t", 1), at(3)).replayed);
}

// The second that an entry may wait for its decision comes on top.
constexpr std::int64_t kKept = 601;

TEST_CASE("K2: a reply is kept for ten minutes after an entry that was decided late") {
  Store store;
  put(store, "a", request("t"), at(10));
  CHECK(kIdempotencyKeyKept == seconds(600));
  SUBCASE("it is not kept for less") {
    CHECK(put(store, "a", request("t"), LogTime(at(11 + 600).value - 1)).replayed);
  }
  SUBCASE("it is not kept for longer") {
    const WriteResult anew = put(store, "a", request("t"), at(11 + 600));
    CHECK_FALSE(anew.replayed);
    CHECK(anew.revision == 3);
    // And also for another request.
    CHECK(is_put(put(store, "b", request("t", 9), at(11 + 600 + kKept))));
    CHECK(store.idempotency_table().size() == 1);
  }
  CHECK(store.digest() == store.recomputed_digest());
}

TEST_CASE("K2: a replay keeps the reply for the full time again") {
  Store store;
  put(store, "a", request("t"), at(10));
  put(store, "a", request("u"), at(20));
  const Id128 before = store.digest();
  CHECK(put(store, "a", request("t"), at(500)).replayed);
  CHECK(store.digest() != before);
  CHECK(store.digest() == store.recomputed_digest());
  // Another request of this token is no replay.
  CHECK(put(store, "a", request("t", 9), at(900)).kind == Kind::key_reused);
  CHECK(store.idempotency_table().size() == 1);  // that of u is over
  CHECK(put(store, "a", request("t"), LogTime(at(500 + kKept).value - 1)).replayed);
  CHECK(put(store, "a", request("t"), at(500 + 2 * kKept - 1)).revision == 2);
  CHECK_FALSE(put(store, "a", request("t"), at(500 + 3 * kKept)).replayed);
  CHECK(store.digest() == store.recomputed_digest());
}

TEST_CASE("replies are forgotten in the order in which they were last requested") {
  Store store;
  for (int i = 0; i < 10; ++i) put(store, "a", request("t" + std::to_string(i)), at(i));
  CHECK(put(store, "a", request("t0"), at(100)).replayed);
  const std::string content = test::content_of(store);
  CHECK(content.find("\2t0") > content.find("\2t9"));
  auto copy = test::import_in(content, 9);
  REQUIRE(copy.ok());
  for (Store* store_or_copy : {&store, copy->get()}) {
    for (int i = 0; i < 3; ++i) plain(*store_or_copy, at(9 + kKept));
    CHECK(store_or_copy->idempotency_table().size() == 1);
    CHECK(put(*store_or_copy, "a", request("t0"), at(9 + kKept)).replayed);
  }
  CHECK(store.digest() == (*copy)->digest());
  // A second replay of the same instant changes nothing.
  const Id128 digest = store.digest();
  CHECK(put(store, "a", request("t0"), at(9 + kKept)).replayed);
  CHECK(store.digest() == digest);
}

TEST_CASE("any command that is applied forgets a few expired replies") {
  Store store;
  for (int i = 0; i < 10; ++i) put(store, "a", request("t" + std::to_string(i)), at(i));
  plain(store, at(604));
  CHECK(store.idempotency_table().size() == 6);
  plain(store, at(604));
  CHECK(store.idempotency_table().size() == 6);
  // One whose turn to be forgotten has not come, but that is over, is not found all the same.
  CHECK_FALSE(put(store, "a", request("t9"), at(700)).replayed);
  CHECK(store.idempotency_table().size() == 2);
  plain(store, at(700));
  CHECK(store.idempotency_table().size() == 1);
  CHECK(put(store, "a", request("t9"), at(701)).replayed);
  CHECK(store.digest() == store.recomputed_digest());
}

TEST_CASE("K2: a full table refuses new keys, forgets none early, and has room once keys expire") {
  Store store;
  for (std::size_t i = 0; i < kMaxIdempotencyKeys; ++i)
    REQUIRE(is_put(put(store, "a", request("t" + std::to_string(i)), at(i == 0 ? 0 : 1))));
  const std::uint64_t revision = store.revision();
  const Id128 digest = store.digest();
  const WriteResult refused = put(store, "b", request("new"), at(599));
  CHECK(refused.kind == Kind::table_full);
  CHECK(refused.revision == revision);
  CHECK(put(store, "b", request("new"), at(599)).kind == Kind::table_full);
  CHECK(store.revision() == revision);
  CHECK(store.digest() == digest);
  CHECK(store.find("b") == nullptr);
  // What is known is answered, what has no token is carried out.
  CHECK(put(store, "a", request("t1"), at(599)).replayed);
  CHECK(put(store, "a", request("t1", 7), at(599)).kind == Kind::key_reused);
  CHECK(is_put(plain(store, at(599))));
  // One has had its time, so there is room for one.
  CHECK(is_put(put(store, "b", request("new"), at(kKept))));
  CHECK(store.idempotency_table().size() == kMaxIdempotencyKeys);
  CHECK(put(store, "b", request("newer"), at(kKept)).kind == Kind::table_full);
  // All have: there is room whatever comes, though they go a few at a time.
  for (int i = 0; i < 1000; ++i)
    REQUIRE(is_put(put(store, "b", request("late" + std::to_string(i)), at(1 + kKept))));
  CHECK(store.idempotency_table().size() == kMaxIdempotencyKeys - 3000);

  // It is taken apart in slices.
  store.retire();
  int slices = 1;
  while (!store.sweep(1000, SIZE_MAX)) ++slices;
  CHECK(slices >= static_cast<int>(kMaxIdempotencyKeys - 3000) / 1000);
  CHECK(store.idempotency_table().size() == 0);
}

TEST_CASE("a snapshot contains the replies in their order, and ends with them") {
  Store store;
  plain(store, at(1));
  const std::string bare = test::content_of(store);
  CHECK(bare.back() == '\0');
  CHECK(bare.find("token-") == std::string::npos);
  put(store, "a", request("token-z"), at(2));
  put(store, "a", request("token-a"), at(2), "v", if_absent());
  remove(store, "a", request("token-m"), at(3));
  remove(store, "a", request("token-b"), at(3));
  const std::string content = test::content_of(store);
  CHECK(content.find("token-z") < content.find("token-a"));
  for (const std::size_t piece : {std::size_t{1}, std::size_t{13}, content.size()}) {
    auto copy = test::import_in(content, piece);
    REQUIRE(copy.ok());
    Store& twin = **copy;
    CHECK(twin.digest() == store.digest());
    CHECK(twin.recomputed_digest() == store.digest());
    CHECK(twin.idempotency_table().size() == 4);
    CHECK(test::content_of(twin) == content);
    for (const char* token : {"token-z", "token-a", "token-m", "token-b"})
      CHECK(run(twin, encode_remove("x", {}, request(token)), at(4)).replayed);
  }
}

TEST_CASE("damage in a snapshot's replies is detected") {
  Store store;
  put(store, "a", request("one"), at(2));
  put(store, "a", request("two"), at(3));
  const std::string content = test::content_of(store);
  test::check_damage_is_detected(content);
  // What the digest would not tell from the truth, were it forged, too.
  const std::size_t one = content.find("\3one"), two = content.find("\3two");
  const std::size_t size = two - one - 1;  // without the mark between them
  REQUIRE(content.size() == two + size + 1);
  const auto with = [&](const std::string& first, const std::string& second) {
    return content.substr(0, one) + first + '\1' + second + '\0';
  };
  const std::string item = content.substr(one, size), other = content.substr(two, size);
  REQUIRE(with(item, other) == content);
  CHECK(test::error_of(with(other, item)) == "the result of idempotency key 'one' is out of order");
  CHECK(test::error_of(with(item, item)) == "the result of idempotency key 'one' is out of order");
  std::string blank = content;
  blank[one + 1] = ' ';
  CHECK(test::error_of(blank) == "' ne' is not an idempotency key");
  Import few(1);
  CHECK(few.add(content).error().what ==
        "more idempotency keys than are kept (1 or 67108864 bytes)");
  std::string kind = content;
  kind[one + 4 + 16 + 8 + 4 + 1] = static_cast<char>(Kind::key_reused);
  CHECK(
      test::error_of(kind) ==
      "the result of idempotency key 'one' is malformed: result: kind 16 is unknown to this build");
}

TEST_CASE("the table is bounded in bytes, and a snapshot of a table that is full is accepted") {
  Store store;
  run(store, encode_put("large", std::string(60'000, 'x'), ValueForm::bytes, {}), at(0));
  // The small result is kept first, but it is the last one in the snapshot.
  put(store, "a", request("small"), at(1));
  Put again;
  again.key = SharedBytes::copy_of("large");
  again.keep_value = true;
  again.prev = Prev::include;
  std::size_t kept = 1;
  for (;; ++kept) {
    const WriteResult result =
        run(store, encode({}, again, request("t" + std::to_string(kept))), at(2));
    if (result.kind == Kind::table_full) {
      CHECK(result.limit == kMaxIdempotencyBytes);
      break;
    }
    REQUIRE(is_put(result));
  }
  CHECK(kept > 1000);
  CHECK(kept < 1200);
  CHECK(store.idempotency_table().bytes() <= kMaxIdempotencyBytes);
  CHECK(put(store, "a", request("small"), at(3)).replayed);
  auto copy = test::import_in(test::content_of(store), SIZE_MAX);
  REQUIRE_MESSAGE(copy.ok(), (copy.ok() ? "" : copy.error().what));
  CHECK((*copy)->digest() == store.digest());
  CHECK((*copy)->idempotency_table().bytes() == store.idempotency_table().bytes());
}

TEST_CASE("an export contains the replies as of its mark, whatever is written in the meantime") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    Prng random(seed);
    Store store;
    std::int64_t clock = 0;
    const auto something = [&] {
      clock += random.between(0, 90);
      const std::string key = "k" + std::to_string(random.between(0, 5));
      const IdempotencyKey id = request("t" + std::to_string(random.between(0, 40)));
      if (random.between(0, 3) == 0) plain(store, at(clock));
      else if (random.between(0, 3) == 0) remove(store, key, id, at(clock));
      else put(store, key, id, at(clock));
    };
    for (std::int64_t n = random.between(0, 80); n > 0; --n) something();
    const std::string expected = test::content_of(store);
    Export exported(store);
    std::string content;
    std::size_t limit = 0;
    do {
      for (std::int64_t n = random.between(0, 4); n > 0; --n) something();
      limit = content.size() + static_cast<std::size_t>(random.between(1, 60));
    } while (!exported.read(content, limit, static_cast<std::size_t>(random.between(1, 3))));
    CHECK(content == expected);
    CHECK(store.digest() == store.recomputed_digest());
    CHECK(test::import_in(content, 31).ok());
  }
}

TEST_CASE("an export shows a result as it was, even if another one is kept instead meanwhile") {
  IdempotencyTable table(9);
  WriteResult before;
  before.revision = 1;
  for (const char* key : {"a", "b"})
    REQUIRE(table.keep({key, {}, at(0), SharedBytes::copy_of(encode_result(before))}));
  const auto exported = [&table](auto&& meanwhile) {
    std::string out;
    ByteWriter w(out);
    table.begin_export();
    CHECK(table.export_next(w));
    meanwhile();
    while (table.export_next(w)) {
    }
    table.end_export();
    return out;
  };
  const std::string expected = exported([] {});
  WriteResult after = before;
  after.revision = 2;
  CHECK(exported([&] {
          table.replace("a", encode_result(after), at(0));
          table.replace("b", encode_result(after), at(0));
        }) == expected);
  CHECK(exported([] {}) != expected);
  CHECK(table.digest() == table.recomputed_digest());
}

TEST_CASE("an abandoned export leaves no replies behind") {
  Store store;
  for (int i = 0; i < 100; ++i) put(store, "a", request("t" + std::to_string(i)), at(0));
  {
    Export exported(store);
    for (int i = 0; i < 25; ++i) plain(store, at(kKept));
    CHECK(store.idempotency_table().size() == 0);
  }
  int sweeps = 1;
  while (!store.sweep(10, SIZE_MAX)) ++sweeps;
  CHECK(sweeps >= 10);
}

namespace {

// As plain as can be: what the table is compared with.
struct Model {
  struct Kept {
    std::uint64_t what;
    std::int64_t asked;  // when it was asked for last
    WriteResult result;
  };
  std::map<std::string, Kept> kept;
};

}  // namespace

TEST_CASE("any sequence of requests, repeats and pauses gives the results of the plain model") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    Prng random(seed);
    auto store = std::make_unique<Store>();
    Store unkeyed;  // gets only what is to be carried out
    Model model;
    std::int64_t clock = 0;
    for (int step = 0; step < 400; ++step) {
      CAPTURE(step);
      clock += random.between(0, 3) == 0 ? random.between(0, 200) : 0;
      const std::string token = "t" + std::to_string(random.between(0, 30));
      const auto what = static_cast<std::uint64_t>(random.between(0, 5) == 0 ? 2 : 1);
      const std::string key(1, static_cast<char>(random.between('a', 'd')));
      const bool is_put = random.between(0, 2) != 0;
      const Conditions conditions = random.between(0, 2) == 0 ? if_absent() : Conditions{};
      const auto bytes = [&](const std::optional<IdempotencyKey>& id) {
        return is_put ? encode_put(key, "v", ValueForm::bytes, conditions, id)
                      : encode_remove(key, conditions, id);
      };
      const WriteResult got = run(*store, bytes(request(token, what)), at(clock));
      const auto known = model.kept.find(token);
      if (known != model.kept.end() && clock - known->second.asked < kKept) {
        if (known->second.what != what) {
          CHECK(got.kind == Kind::key_reused);
        } else {
          CHECK(got.replayed);
          CHECK(got.kind == known->second.result.kind);
          CHECK(got.revision == known->second.result.revision);
          CHECK(got.current_revision == known->second.result.current_revision);
          if (got.is_done()) CHECK(encode_result(got) == encode_result(known->second.result));
          known->second.asked = clock;
        }
      } else {
        const WriteResult expected = run(unkeyed, bytes({}), at(clock));
        CHECK_FALSE(got.replayed);
        CHECK(got.kind == expected.kind);
        CHECK(got.revision == expected.revision);
        if (got.is_done()) CHECK(encode_result(got) == encode_result(expected));
        model.kept[token] = {what, clock, got};
      }
      CHECK(store->revision() == unkeyed.revision());
      // Now and then the store goes on as what comes out of its snapshot.
      if (random.between(0, 49) == 0) {
        auto copy = test::import_in(test::content_of(*store), 64);
        REQUIRE(copy.ok());
        CHECK((*copy)->digest() == store->digest());
        store = std::move(*copy);
      }
    }
    CHECK(store->digest() == store->recomputed_digest());
  }
}

TEST_CASE("the digest covers every field of a reply") {
  const auto digest = [](std::string token, std::uint64_t what, std::int64_t time) {
    Store store;
    remove(store, "x", request(std::move(token), what), at(time));
    return store.digest();
  };
  const Id128 one = digest("t", 1, 1);
  CHECK(digest("u", 1, 1) != one);
  CHECK(digest("t", 2, 1) != one);
  CHECK(digest("t", 1, 2) != one);
  Store failed;
  Conditions exists;
  exists.if_match = Match{true, {}};
  run(failed, encode_remove("x", exists, request("t", 1)), at(1));
  CHECK(failed.digest() != one);
  // The same on every machine and for good.
  CHECK(to_hex(one) == "f637b23c18cf614c56da332dfb4f6b33");
}
