// A snapshot's content is the state at its mark, whatever is written while it is given out.
#include <doctest/doctest.h>

#include <string>

#include "base/prng.hpp"
#include "kv/import.hpp"
#include "kv/snapshot.hpp"
#include "kv/store_helpers.hpp"

using namespace vesper;

namespace {

void put(kv::Store& store, std::string_view key, std::string_view value,
         kv::ValueForm form = kv::ValueForm::bytes) {
  REQUIRE(store.apply(SharedBytes::copy_of(kv::encode_put(key, value, form, {})), {}, 1).ok());
}

void remove(kv::Store& store, std::string_view key) {
  REQUIRE(store.apply(SharedBytes::copy_of(kv::encode_remove(key, {})), {}, 1).ok());
}

void random_write(kv::Store& store, Prng& random, int keys) {
  const std::string key = "k" + std::to_string(random.between(0, keys));
  if (random.between(0, 2) == 0) remove(store, key);
  else
    put(store, key, std::string(static_cast<std::size_t>(random.between(0, 40)), 'v'),
        random.between(0, 3) == 0 ? kv::ValueForm::json : kv::ValueForm::bytes);
}

}  // namespace

TEST_CASE("an empty store comes back") {
  kv::Store store;
  auto copy = test::import_in(test::content_of(store), 3);
  REQUIRE(copy.ok());
  CHECK((*copy)->revision() == 1);
  CHECK((*copy)->digest() == store.digest());
}

TEST_CASE("a store comes back equal, whatever the size of the pieces") {
  Prng random(1);
  kv::Store store;
  for (int i = 0; i < 500; ++i) random_write(store, random, 60);
  put(store, "large", std::string(100'000, 'x'));
  const std::string content = test::content_of(store);
  for (const std::size_t piece : {std::size_t{1}, std::size_t{13}, content.size()}) {
    auto copy = test::import_in(content, piece);
    REQUIRE(copy.ok());
    CHECK((*copy)->digest() == store.digest());
    CHECK((*copy)->recomputed_digest() == store.recomputed_digest());
    CHECK((*copy)->size() == store.size());
    CHECK((*copy)->bytes() == store.bytes());
    // It goes on like the original.
    put(**copy, "k1", "again");
    CHECK(test::content_of(**copy) != content);
  }
}

TEST_CASE("S9: writes during an export do not change a byte of it") {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    Prng random(seed);
    kv::Store store;
    const int keys = static_cast<int>(random.between(0, 30));
    const std::int64_t writes = random.between(0, 80);
    for (std::int64_t i = 0; i < writes; ++i) random_write(store, random, keys);
    const std::string expected = test::content_of(store);

    kv::Export exported(store);
    std::string content;
    std::size_t limit = 0;
    do {
      for (std::int64_t n = random.between(0, 4); n > 0; --n) random_write(store, random, keys);
      limit = content.size() + static_cast<std::size_t>(random.between(1, 60));
    } while (!exported.read(content, limit, static_cast<std::size_t>(random.between(1, 3))));
    CHECK(content == expected);
    CHECK(store.digest() == store.recomputed_digest());
  }
}

TEST_CASE("an export skips newly created keys in bounded slices") {
  kv::Store store;
  put(store, "a", "1");
  put(store, "z", "2");
  const std::string expected = test::content_of(store);
  kv::Export exported(store);
  for (int i = 0; i < 1000; ++i) put(store, "m" + std::to_string(i), "new");
  std::string content;
  int slices = 1;
  while (!exported.read(content, SIZE_MAX, 10)) {
    REQUIRE(slices < 1000);
    ++slices;
  }
  CHECK(slices >= 100);
  CHECK(content == expected);
}

TEST_CASE("an abandoned export leaves nothing behind") {
  kv::Store store;
  for (int i = 0; i < 100; ++i) put(store, "k" + std::to_string(i), "v");
  {
    kv::Export exported(store);
    for (int i = 0; i < 100; ++i) remove(store, "k" + std::to_string(i));
    test::run(store, kv::encode(kv::Compact{store.revision()}));
    CHECK(store.sweep(1000, SIZE_MAX));
    CHECK(store.keyspace().tree().slots() == 100);  // the pin keeps them
  }
  int sweeps = 1;
  while (!store.sweep(10, SIZE_MAX)) ++sweeps;
  CHECK(sweeps >= 10);
  put(store, "a", "b");
  CHECK(test::import_in(test::content_of(store), 5).ok());
}

TEST_CASE("a retired store is freed in slices of keys and of bytes") {
  kv::Store store;
  for (int i = 0; i < 20; ++i) put(store, "k" + std::to_string(i), std::string(100'000, 'v'));
  store.retire();
  int sweeps = 1;
  while (!store.sweep(1000, 250'000)) ++sweeps;
  CHECK(sweeps == 7);
}

TEST_CASE("large values are reassembled from pieces, whatever precedes and follows them") {
  kv::Store store;
  put(store, "a", "small");
  put(store, "b", std::string(3'000'000, 'x'), kv::ValueForm::json);
  put(store, "c", std::string(65'536, 'y'));
  put(store, "d", "small");
  const std::string content = test::content_of(store);
  for (const std::size_t piece : {std::size_t{1000}, std::size_t{253'952}, content.size()}) {
    auto copy = test::import_in(content, piece);
    REQUIRE(copy.ok());
    CHECK((*copy)->digest() == store.digest());
    CHECK((*copy)->recomputed_digest() == store.digest());
    CHECK((*copy)->bytes() == store.bytes());
    CHECK(test::content_of(**copy) == content);
  }
  std::string damaged = content;
  damaged[damaged.size() / 2] = '?';
  CHECK_FALSE(test::import_in(damaged, 253'952).ok());
  CHECK_FALSE(test::import_in(content.substr(0, 2'000'000), 253'952).ok());
}

TEST_CASE("every flipped bit and every missing byte is detected") {
  kv::Store store;
  put(store, "key", "value");
  put(store, "other", "{}", kv::ValueForm::json);
  const std::string content = test::content_of(store);
  test::check_damage_is_detected(content);
  CHECK(test::error_of(content + "x").find("after its end") != std::string::npos);
}

TEST_CASE("the error about content of an older version names it") {
  kv::Store store;
  std::string content = test::content_of(store);
  content[0] = 2;
  CHECK(test::error_of(content) == "its content has format 2, but this build reads only 5");
}

TEST_CASE("the error about an item of a newer version names it") {
  kv::Store store;
  std::string content = test::content_of(store);
  content[46] = 9;
  CHECK(test::error_of(content) ==
        "mark 9 is unknown to this build: a newer version of Vesper wrote it");
}

TEST_CASE("an import that is given up is freed, whatever has arrived") {
  kv::Store store;
  for (int round = 0; round < 3; ++round)
    for (int i = 0; i < 500; ++i)
      test::run(store, kv::encode_put("key" + std::to_string(i), "v", kv::ValueForm::bytes, {}));
  const std::string content = test::content_of(store);
  for (const std::size_t part : {std::size_t{0}, std::size_t{60}, content.size() / 3,
                                 content.size() / 2, content.size() - 1}) {
    CAPTURE(part);
    kv::Import import;
    REQUIRE(import.add(std::string_view(content).substr(0, part)).ok());
    const auto half = import.give_up();
    half->retire();
    int sweeps = 0;
    while (!half->sweep(100, SIZE_MAX)) REQUIRE(++sweeps < 100);
  }
}
