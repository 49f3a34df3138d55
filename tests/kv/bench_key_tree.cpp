// Run by hand: a KeyTree against a std::map, in nanoseconds of CPU time, and the memory of both.
//
//   ninja -C build tests/kv/bench_key_tree && build/tests/kv/bench_key_tree
#include <malloc.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/prng.hpp"
#include "kv/key_tree.hpp"
#include "support/bench.hpp"

using namespace vesper;
using namespace vesper::kv;
using test::cpu_ns;
using test::measure;

namespace {

constexpr std::size_t kKeys = 1'000'000;
constexpr std::size_t kCounts = 200'000;

struct Entry {
  VersionRef newest;
  OlderVersions older;
};
using Map = std::map<std::string_view, Entry>;

std::size_t heap_bytes() {
  return mallinfo2().uordblks + mallinfo2().hblkhd;
}

// Keeps the compiler from removing the computation of a result.
std::uint64_t checksum = 0;
void sink(std::uint64_t result) {
  checksum += result;
}
void sink(const Version* result) {
  checksum += reinterpret_cast<std::uintptr_t>(result);
}

// 32 bytes with a common prefix.
std::string key(std::size_t i) {
  char text[40];
  std::snprintf(text, sizeof(text), "/registry/pods/default/%09zu", i);
  return text;
}

std::vector<std::size_t> shuffled(std::size_t count, Prng& prng) {
  std::vector<std::size_t> order(count);
  for (std::size_t i = 0; i < count; ++i) order[i] = i;
  for (std::size_t i = count; i > 1; --i) std::swap(order[i - 1], order[prng.next() % i]);
  return order;
}

VersionRef version_of(const std::string& key_bytes, std::uint64_t revision, bool tombstone) {
  VersionFields fields;
  fields.revision = revision;
  fields.tombstone = tombstone;
  return Version::make(key_bytes, std::string_view(tombstone ? "" : "a value of some bytes"),
                       fields);
}

void put(KeyTree& tree, VersionRef version) {
  tree.put(std::move(version));
}
void put(Map& map, VersionRef version) {
  const std::string_view bytes = version->key();
  map[bytes].newest = std::move(version);
}

const Version* find(const KeyTree& tree, std::string_view key_bytes) {
  const KeyTree::Slot* slot = tree.find(key_bytes);
  return slot == nullptr ? nullptr : slot->newest.get();
}
const Version* find(const Map& map, std::string_view key_bytes) {
  const auto found = map.find(key_bytes);
  return found == map.end() ? nullptr : found->second.newest.get();
}

void visit_all(const KeyTree& tree) {
  for (auto at = tree.first(); !at.at_end(); at.next()) sink(at.slot().newest.get());
}
void visit_all(const Map& map) {
  for (const auto& [bytes, entry] : map) sink(entry.newest.get());
}

template <typename Index>
void fill(Index& index, const std::vector<VersionRef>& versions,
          const std::vector<std::size_t>& order) {
  const std::size_t before = heap_bytes();
  measure("put of a new key", order.size(), [&](std::size_t i) { put(index, versions[order[i]]); });
  std::printf("  %-40s %7.1f bytes\n", "memory of a key",
              static_cast<double>(heap_bytes() - before) / static_cast<double>(order.size()));
}

// `probes`: the keys in random order. Neighbours in the vector are neighbours in memory, so that
// the cache misses measured are those of the index.
template <typename Index>
void look_up(const Index& index, const std::vector<std::string>& probes) {
  measure("find", kKeys, [&](std::size_t i) { sink(find(index, probes[i])); });
  measure("find of a key of 1000", kKeys,
          [&](std::size_t i) { sink(find(index, probes[i % 1000])); });
  const double begin = cpu_ns();
  visit_all(index);
  std::printf("  %-40s %7.1f ns\n", "step to the next key",
              (cpu_ns() - begin) / static_cast<double>(kKeys));
}

std::vector<KeyRange> ranges(std::size_t span, Prng& prng) {
  std::vector<KeyRange> drawn;
  for (std::size_t i = 0; i < kCounts; ++i) {
    std::size_t start = prng.next() % (kKeys - 100), end = prng.next() % kKeys;
    if (span != 0) end = start + span;
    drawn.push_back({key(std::min(start, end)), key(std::max(start, end))});
  }
  return drawn;
}

void count(const KeyTree& tree, Prng& prng) {
  const auto wide = ranges(0, prng), narrow = ranges(100, prng);
  measure("count of a random range", kCounts, [&](std::size_t i) { sink(tree.live_in(wide[i])); });
  measure("count of a range of 100", kCounts,
          [&](std::size_t i) { sink(tree.live_in(narrow[i])); });
}
void count(const Map& map, Prng& prng) {
  const auto narrow = ranges(100, prng);
  measure("count of a range of 100", kCounts, [&](std::size_t i) {
    std::uint64_t live = 0;
    const auto end = map.lower_bound(narrow[i].end);
    for (auto at = map.lower_bound(narrow[i].start); at != end; ++at)
      live += at->second.newest->is_tombstone() ? 0u : 1u;
    sink(live);
  });
}

}  // namespace

int main() {
  Prng prng(1);
  std::vector<std::string> probes;
  std::vector<VersionRef> versions(kKeys), newer(kKeys);
  const std::vector<std::size_t> order = shuffled(kKeys, prng);
  std::vector<std::size_t> ascending(kKeys);
  for (std::size_t i = 0; i < kKeys; ++i) ascending[i] = i;
  // In the order of the puts, as in a running server.
  for (const std::size_t i : order) versions[i] = version_of(key(i), 2, i % 10 == 0);
  for (const std::size_t i : shuffled(kKeys, prng)) {
    probes.push_back(key(i));
    newer[i] = version_of(probes.back(), 3, i % 10 == 0);
  }
  const std::vector<std::size_t> updates = shuffled(kKeys, prng);

  std::puts("map, random order");
  {
    Map map;
    fill(map, versions, order);
    look_up(map, probes);
    count(map, prng);
    measure("erase", kKeys, [&](std::size_t i) { map.erase(probes[i]); });
  }
  std::puts("map, ascending order");
  {
    Map map;
    fill(map, versions, ascending);
  }
  std::puts("tree, random order");
  {
    KeyTree tree;
    fill(tree, versions, order);
    look_up(tree, probes);
    count(tree, prng);
    measure("put of a newer version", kKeys, [&](std::size_t i) { put(tree, newer[updates[i]]); });
    measure("erase", kKeys, [&](std::size_t i) { tree.erase(probes[i]); });
  }
  std::puts("tree, ascending order");
  {
    KeyTree tree;
    fill(tree, versions, ascending);
    look_up(tree, probes);
    const double begin = cpu_ns();
    std::size_t max = SIZE_MAX, max_bytes = SIZE_MAX;
    VESPER_ASSERT(tree.free_some(max, max_bytes));
    std::printf("  %-40s %7.1f ns\n", "free_some", (cpu_ns() - begin) / static_cast<double>(kKeys));
  }
  // Keys are unlikely to be put in the order of the heap, as they are here.
  std::puts("tree, ascending order of keys and memory");
  {
    for (std::size_t i = 0; i < kKeys; ++i) versions[i] = version_of(key(i), 2, i % 10 == 0);
    KeyTree tree;
    fill(tree, versions, ascending);
    look_up(tree, probes);
  }
  std::printf("(checksum %llx)\n", static_cast<unsigned long long>(checksum));
}
