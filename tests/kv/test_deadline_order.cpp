// The order of deadlines against a std::set, with keys that come and go in any order.
#include <doctest/doctest.h>

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/prng.hpp"
#include "kv/deadline_order.hpp"

using namespace vesper;
using namespace vesper::kv;

namespace {

VersionRef version_of(std::int64_t deadline, const std::string& key) {
  VersionFields fields;
  fields.revision = fields.create_revision = 2;
  fields.version = 1;
  fields.deadline = LogTime{deadline};
  return Version::make(key, std::string_view("v"), fields);
}

using Place = std::pair<std::int64_t, std::string>;

Place place_of(const Version* version) {
  return {version->deadline().value, std::string(version->key())};
}

std::vector<Place> places(DeadlineOrder::Iterator at, DeadlineOrder::Iterator end) {
  std::vector<Place> all;
  for (; at != end; ++at) all.push_back(place_of(*at));
  return all;
}

struct ByPlace {
  bool operator()(const VersionRef& a, const VersionRef& b) const {
    return place_of(a.get()) < place_of(b.get());
  }
};

}  // namespace

TEST_CASE("versions with a deadline are in the order of deadline and key") {
  Prng prng(3);
  DeadlineOrder order;
  std::set<VersionRef, ByPlace> all;
  for (int step = 0; step < 20'000; ++step) {
    // It grows, shrinks, and grows again.
    const bool adds = prng.between(0, 9) < (step / 4000 % 2 == 0 ? 7 : 3);
    if (adds || all.empty()) {
      auto version = version_of(prng.between(1, step % 2 == 0 ? 20 : 2000),
                                std::to_string(prng.between(0, 999)));
      if (!all.insert(version).second) continue;
      order.insert(*version);
    } else {
      const auto one = prng.between(0, 2) == 0
                           ? all.begin()
                           : all.lower_bound(version_of(prng.between(1, 2000), "5"));
      if (one == all.end()) continue;
      order.erase(**one);
      all.erase(one);
    }
    if (step % 100 != 0) continue;
    order.check_invariants();
    std::vector<Place> expected;
    for (const VersionRef& one : all) expected.push_back(place_of(one.get()));
    REQUIRE(places(order.begin(), order.end()) == expected);
    const auto after = version_of(prng.between(0, 2001), std::to_string(prng.between(0, 999)));
    expected.clear();
    for (auto at = all.upper_bound(after); at != all.end(); ++at)
      expected.push_back(place_of(at->get()));
    REQUIRE(places(order.upper_bound({after->deadline(), after->key()}), order.end()) == expected);
  }
  std::size_t discarded = 0;
  while (!order.empty()) discarded += order.discard_chunk();
  CHECK(discarded == all.size());
}

TEST_CASE("what expires in order is erased from the front, down to nothing") {
  DeadlineOrder order;
  std::vector<VersionRef> all;
  for (int i = 0; i < 1000; ++i) {
    all.push_back(version_of(1 + i / 100, std::to_string(1000 + i)));
    order.insert(*all.back());
  }
  order.check_invariants();
  for (const VersionRef& one : all) {
    REQUIRE(*order.begin() == one.get());
    order.erase(*one);
    order.check_invariants();
  }
  CHECK(order.empty());
  CHECK(order.begin() == order.end());
  CHECK(order.upper_bound({LogTime{1}, "k"}) == order.end());
}
