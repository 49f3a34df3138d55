// The index of those who wait for changes, against a scan over all of them.
#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "base/prng.hpp"
#include "node/range_waits.hpp"

namespace test_range_waits {

using namespace vesper;
using namespace vesper::node;

namespace {

struct Waiter final : RangeWaiter {
  kv::Space space = kv::Space::keys;
  kv::KeyRange range;
  RangeWaits::Id id = 0;
  std::size_t told = 0, expected = 0;
  void on_change(const kv::Version&) override { ++told; }
};

kv::VersionRef event(kv::Space space, const std::string& key) {
  kv::VersionFields fields{.revision = 2, .create_revision = 2, .version = 1};
  fields.space = space;
  return kv::Version::make(key, std::string_view("v"), fields);
}

std::string random_name(Prng& prng) {
  std::string name;
  for (auto left = prng.between(1, 3); left > 0; --left)
    name += static_cast<char>('a' + prng.between(0, 3));
  return name;
}

kv::KeyRange random_range(Prng& prng) {
  switch (prng.between(0, 3)) {
    case 0: return kv::KeyRange::of_key(random_name(prng));
    case 1: return kv::KeyRange::of_prefix(random_name(prng));
    case 2: return {random_name(prng), ""};
    default: return {random_name(prng), random_name(prng)};
  }
}

}  // namespace

TEST_CASE("an event finds exactly the waiters of the ranges that hold its key") {
  Prng prng(7);
  for (int round = 0; round < 30; ++round) {
    RangeWaits waits;
    std::vector<std::unique_ptr<Waiter>> waiters;
    for (int step = 0; step < 300; ++step) {
      if (waiters.empty() || prng.between(0, 2) != 0) {
        auto waiter = std::make_unique<Waiter>();
        waiter->space = static_cast<kv::Space>(prng.between(0, 2));
        waiter->range = random_range(prng);
        waiter->id = waits.add(waiter->space, waiter->range, *waiter);
        waiters.push_back(std::move(waiter));
      } else {
        const auto at = prng.between(0, static_cast<std::int64_t>(waiters.size()) - 1);
        waits.remove(waiters[static_cast<std::size_t>(at)]->space,
                     waiters[static_cast<std::size_t>(at)]->range,
                     waiters[static_cast<std::size_t>(at)]->id);
        waiters.erase(waiters.begin() + at);
      }
      REQUIRE(waits.size() == waiters.size());
      const auto space = static_cast<kv::Space>(prng.between(0, 2));
      const std::string key = random_name(prng);
      for (const auto& waiter : waiters)
        if (waiter->space == space && waiter->range.contains(key)) ++waiter->expected;
      waits.tell(*event(space, key));
      for (const auto& waiter : waiters) REQUIRE(waiter->told == waiter->expected);
    }
    waits.check_invariants();
    for (const auto& waiter : waiters) waits.remove(waiter->space, waiter->range, waiter->id);
    CHECK(waits.size() == 0);
    waits.check_invariants();
  }
}

TEST_CASE("waiters of one range are all told, and each leaves by itself") {
  RangeWaits waits;
  std::vector<Waiter> waiters(1000);
  for (Waiter& waiter : waiters) {
    waiter.range = kv::KeyRange::of_key("k");
    waiter.id = waits.add(kv::Space::keys, waiter.range, waiter);
  }
  waits.tell(*event(kv::Space::keys, "k"));
  waits.tell(*event(kv::Space::locks, "k"));
  waits.tell(*event(kv::Space::keys, "l"));
  CHECK(std::all_of(waiters.begin(), waiters.end(), [](const Waiter& w) { return w.told == 1; }));
  for (Waiter& waiter : waiters) {
    waits.remove(kv::Space::keys, waiter.range, waiter.id);
    waits.check_invariants();
  }
}

}  // namespace test_range_waits
