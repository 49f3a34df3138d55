#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/prng.hpp"
#include "kv/key_tree.hpp"

using namespace vesper;
using namespace vesper::kv;

namespace {

constexpr std::size_t kLeaf = 64;  // slots of a full leaf

VersionRef version_of(std::string_view key, std::uint64_t revision = 2, bool tombstone = false,
                      std::string_view value = "v") {
  VersionFields fields;
  fields.revision = revision;
  fields.tombstone = tombstone;
  return Version::make(key, tombstone ? std::string_view() : value, fields);
}

// Keys in the order of their numbers, of different lengths.
std::string key_of(std::size_t number) {
  std::string digits = std::to_string(number);
  digits.insert(0, 7 - digits.size(), '0');
  return "common/prefix/" + digits + std::string(number % 5, 'x');
}

KeyTree tree_of(std::size_t count) {
  KeyTree tree;
  for (std::size_t i = 0; i < count; ++i) tree.put(version_of(key_of(i)));
  return tree;
}

std::vector<std::string> keys_of(const KeyTree& tree) {
  std::vector<std::string> keys;
  for (auto at = tree.first(); !at.at_end(); at.next()) keys.emplace_back(at.slot().key());
  return keys;
}

std::string key_at(const KeyTree::Position& at) {
  return at.at_end() ? "(end)" : std::string(at.slot().key());
}

// A tree, and a map that must stay equal to it.
class Pair {
 public:
  // `numbers`: the keys are drawn from so many.
  Pair(std::uint64_t seed, std::size_t numbers) : prng_(seed), numbers_(numbers) {}

  KeyTree& tree() { return tree_; }
  std::size_t size() const { return model_.size(); }
  std::size_t draw(std::size_t below) { return prng_.next() % below; }
  std::string draw_key() { return key_of(draw(numbers_)); }

  void put(const std::string& key, bool tombstone) {
    auto& [versions, is_tombstone] = model_[key];
    versions.push_back(++revision_);
    is_tombstone = tombstone;
    const Version* replaced = tree_.put(version_of(key, revision_, tombstone), hint_);
    REQUIRE((replaced == nullptr) == (versions.size() == 1));
    if (replaced != nullptr) REQUIRE(replaced->revision() == versions[versions.size() - 2]);
  }
  // Erases the first key at or after `key`, if there is one.
  void erase_from(const std::string& key) {
    const auto found = model_.lower_bound(key);
    if (found == model_.end()) return;
    tree_.erase(found->first);
    hint_ = KeyTree::Hint();
    model_.erase(found);
  }
  void erase_any() { erase_from(draw_key()); }
  // Puts and looks up some of the keys of a run, in their order.
  void put_run(std::size_t length) {
    const std::size_t first = draw(numbers_), every = 1 + draw(3);
    for (std::size_t i = first; i < std::min(first + length, numbers_); i += every)
      put(key_of(i), draw(3) == 0);
    KeyTree::Hint hint;
    for (std::size_t i = first; i < std::min(first + length, numbers_); ++i)
      REQUIRE(tree_.find(key_of(i), hint) == tree_.find(key_of(i)));
  }

  // Compares a few answers.
  void probe() {
    const std::string start = draw_key(), end = draw_key() + (draw(2) == 0 ? "y" : "");
    const auto found = model_.find(start);
    const KeyTree::Slot* slot = tree_.find(start);
    REQUIRE((slot != nullptr) == (found != model_.end()));
    if (slot != nullptr) REQUIRE(slot->newest->revision() == found->second.first.back());

    const auto from = model_.lower_bound(start);
    REQUIRE(key_at(tree_.lower_bound(start)) == key_of_model(from));
    REQUIRE(key_at(tree_.below(start)) ==
            (from == model_.begin() ? "(end)" : std::prev(from)->first));
    const std::uint64_t live = count(from, end.empty() ? model_.end() : model_.lower_bound(end));
    REQUIRE(tree_.live_in({start, end}) == (start < end ? live : 0));
  }

  // Compares everything.
  void compare() {
    tree_.check_invariants();
    REQUIRE(tree_.slots() == model_.size());
    REQUIRE(tree_.live() == count(model_.begin(), model_.end()));
    auto at = tree_.first();
    auto live_at = tree_.first();
    if (!live_at.at_end() && !live_at.slot().is_live()) live_at.next_live();
    for (const auto& [key, entry] : model_) {
      REQUIRE(key_at(at) == key);
      compare_slot(at.slot(), entry);
      at.next();
      if (entry.second) continue;
      REQUIRE(key_at(live_at) == key);
      live_at.next_live();
    }
    REQUIRE(at.at_end());
    REQUIRE(live_at.at_end());
    compare_backwards();
  }

 private:
  using Entry = std::pair<std::vector<std::uint64_t>, bool>;  // revisions, tombstone
  using Model = std::map<std::string, Entry>;

  static void compare_slot(const KeyTree::Slot& slot, const Entry& entry) {
    const auto& [versions, tombstone] = entry;
    REQUIRE(slot.newest->revision() == versions.back());
    REQUIRE(slot.is_live() == !tombstone);
    REQUIRE(slot.older.size() == versions.size() - 1);
    for (std::size_t i = 0; i + 1 < versions.size(); ++i)
      REQUIRE(slot.older.at(i).revision() == versions[i]);
  }
  void compare_backwards() {
    auto at = tree_.last();
    auto live_at = tree_.last();
    if (!live_at.at_end() && !live_at.slot().is_live()) live_at.previous_live();
    for (auto entry = model_.rbegin(); entry != model_.rend(); ++entry) {
      REQUIRE(key_at(at) == entry->first);
      at.previous();
      if (entry->second.second) continue;
      REQUIRE(key_at(live_at) == entry->first);
      live_at.previous_live();
    }
    REQUIRE(at.at_end());
    REQUIRE(live_at.at_end());
  }
  std::string key_of_model(Model::const_iterator at) const {
    return at == model_.end() ? "(end)" : at->first;
  }
  std::uint64_t count(Model::const_iterator from, Model::const_iterator to) const {
    std::uint64_t live = 0;
    for (; from != to && from != model_.end(); ++from) live += from->second.second ? 0u : 1u;
    return live;
  }

  Prng prng_;
  std::size_t numbers_;
  std::uint64_t revision_ = 1;
  KeyTree tree_;
  KeyTree::Hint hint_;
  Model model_;
};

}  // namespace

TEST_CASE("an empty tree has no slots and no positions") {
  KeyTree tree;
  CHECK(tree.slots() == 0);
  CHECK(tree.live() == 0);
  CHECK(tree.live_in(KeyRange::all()) == 0);
  CHECK(tree.find("a") == nullptr);
  CHECK(tree.first().at_end());
  CHECK(tree.last().at_end());
  CHECK(tree.lower_bound("").at_end());
  CHECK(tree.below("a").at_end());
  std::size_t max = 1, max_bytes = 1;
  CHECK(tree.free_some(max, max_bytes));
  CHECK(max == 1);
  CHECK(max_bytes == 1);
  tree.check_invariants();
}

TEST_CASE("put adds a slot for a new key, and keeps what it replaces") {
  KeyTree tree;
  CHECK(tree.put(version_of("a", 2)) == nullptr);
  const Version* replaced = tree.put(version_of("a", 3));
  REQUIRE(replaced != nullptr);
  CHECK(replaced->revision() == 2);
  CHECK(tree.put(version_of("a", 4, true))->revision() == 3);
  CHECK(tree.slots() == 1);
  CHECK(tree.live() == 0);
  const KeyTree::Slot* slot = tree.find("a");
  REQUIRE(slot != nullptr);
  CHECK_FALSE(slot->is_live());
  CHECK(slot->newest->revision() == 4);
  CHECK(slot->older.size() == 2);
  CHECK(slot->older.oldest().revision() == 2);
  tree.put(version_of("a", 5));
  CHECK(tree.live() == 1);
  tree.check_invariants();
}

TEST_CASE("a key that is a prefix of another comes before it, and bytes compare as unsigned") {
  KeyTree tree;
  const std::vector<std::string> keys{std::string("a\0", 2), "a", "\xff", "b", "a\xff", "\x7f"};
  for (const auto& key : keys) tree.put(version_of(key));
  CHECK(keys_of(tree) ==
        std::vector<std::string>{"a", std::string("a\0", 2), "a\xff", "b", "\x7f", "\xff"});
  CHECK(key_at(tree.lower_bound("aa")) == "a\xff");
  CHECK(tree.live_in(KeyRange::of_prefix("a")) == 3);
  CHECK(tree.live_in(KeyRange::of_key("a")) == 1);
  CHECK(tree.live_in(KeyRange::of_prefix("\xff")) == 1);
  CHECK(tree.live_in({"b", "a"}) == 0);
}

TEST_CASE("long keys that differ late or are prefixes of each other are separated") {
  KeyTree tree;
  std::vector<std::string> keys;
  for (std::size_t i = 1; i <= 500; ++i) keys.emplace_back(i * 5, 'k');
  keys.emplace_back(65'535, 'k');
  for (std::size_t i = 0; i < keys.size(); ++i) tree.put(version_of(keys[i * 211 % keys.size()]));
  tree.check_invariants();
  CHECK(keys_of(tree) == keys);
  for (const auto& key : keys) CHECK(tree.find(key) != nullptr);
  CHECK(tree.live_in({keys[100], keys[400]}) == 300);
}

TEST_CASE("positions move over the boundaries of leaves in both directions") {
  const KeyTree tree = tree_of(3 * kLeaf + 1);
  for (std::size_t i = 0; i < tree.slots(); ++i) {
    auto at = tree.lower_bound(key_of(i));
    CHECK(key_at(at) == key_of(i));
    at.next();
    CHECK(key_at(at) == (i + 1 < tree.slots() ? key_of(i + 1) : "(end)"));
    at = tree.lower_bound(key_of(i) + "y");  // between two keys
    CHECK(key_at(at) == (i + 1 < tree.slots() ? key_of(i + 1) : "(end)"));
    at = tree.below(key_of(i) + "y");
    CHECK(key_at(at) == key_of(i));
    at.previous();
    CHECK(key_at(at) == (i > 0 ? key_of(i - 1) : "(end)"));
    CHECK(key_at(tree.below(key_of(i))) == (i > 0 ? key_of(i - 1) : "(end)"));
  }
  CHECK(key_at(tree.first()) == key_of(0));
  CHECK(key_at(tree.last()) == key_of(tree.slots() - 1));
  CHECK(key_at(tree.lower_bound("")) == key_of(0));
}

TEST_CASE("next_live and previous_live pass deleted keys and whole leaves of them") {
  KeyTree tree = tree_of(10 * kLeaf);
  const std::vector<std::size_t> live{0, 63, 64, 127, 300, 639};
  for (std::size_t i = 0; i < 10 * kLeaf; ++i)
    if (std::find(live.begin(), live.end(), i) == live.end())
      tree.put(version_of(key_of(i), 3, true));
  tree.check_invariants();
  CHECK(tree.live() == live.size());
  auto at = tree.first();
  for (const std::size_t i : live) {
    CHECK(key_at(at) == key_of(i));
    at.next_live();
  }
  CHECK(at.at_end());
  at = tree.last();
  for (auto i = live.rbegin(); i != live.rend(); ++i) {
    CHECK(key_at(at) == key_of(*i));
    at.previous_live();
  }
  CHECK(at.at_end());
  at = tree.lower_bound(key_of(200));  // deleted
  at.next_live();
  CHECK(key_at(at) == key_of(300));
  at = tree.lower_bound(key_of(200));
  at.previous_live();
  CHECK(key_at(at) == key_of(127));
}

TEST_CASE("live_in counts without the deleted keys, on every boundary") {
  KeyTree tree = tree_of(400);
  for (std::size_t i = 0; i < 400; i += 3) tree.put(version_of(key_of(i), 3, true));
  const auto live_before = [](std::size_t i) { return i - (i + 2) / 3; };
  for (std::size_t start = 0; start < 400; start += 7) {
    CHECK(tree.live_in({key_of(start), ""}) == live_before(400) - live_before(start));
    CHECK(tree.live_in({"", key_of(start)}) == live_before(start));
    for (std::size_t end = start; end < 400; end += 5)
      CHECK(tree.live_in({key_of(start), key_of(end)}) == live_before(end) - live_before(start));
  }
  CHECK(tree.live_in(KeyRange::of_prefix("common/")) == tree.live());
  CHECK(tree.live_in(KeyRange::of_prefix("other/")) == 0);
}

TEST_CASE("appends fill the leaves and inner nodes completely") {
  // Three levels: the last inner node gets its first child, then its second.
  const std::size_t full = kLeaf * kLeaf;
  KeyTree tree = tree_of(full - 1);
  for (std::size_t i = full - 1; i < full + 2 * kLeaf; ++i) {
    tree.put(version_of(key_of(i)));
    tree.check_invariants();
  }
  CHECK(tree.slots() == full + 2 * kLeaf);
  CHECK(tree.live_in({key_of(1), key_of(full + 1)}) == full);
  // The last leaf is removed and added again.
  for (int round = 0; round < 3; ++round) {
    for (std::size_t i = full + 2 * kLeaf; i-- > full - 2;) {
      tree.erase(key_of(i));
      tree.check_invariants();
    }
    for (std::size_t i = full - 2; i < full + 2 * kLeaf; ++i) {
      tree.put(version_of(key_of(i)));
      tree.check_invariants();
    }
  }
}

TEST_CASE("puts in descending order, and puts in order between other keys") {
  KeyTree tree;
  for (std::size_t i = 5000; i-- > 4000;) {
    tree.put(version_of(key_of(i)));
    if (i % 16 == 0) tree.check_invariants();
  }
  for (std::size_t i = 0; i < 1000; ++i) tree.put(version_of(key_of(i)));
  for (std::size_t i = 1000; i < 4000; ++i) {
    tree.put(version_of(key_of(i)));
    if (i % 16 == 0) tree.check_invariants();
  }
  tree.check_invariants();
  CHECK(tree.slots() == 5000);
  CHECK(keys_of(tree) == keys_of(tree_of(5000)));
}

TEST_CASE("erase takes the key of the slot that it removes") {
  KeyTree tree = tree_of(1000);
  while (tree.slots() > 0) {
    auto at = tree.lower_bound(key_of(300));
    if (at.at_end()) at = tree.first();
    tree.erase(at.slot().key());
    if (tree.slots() % 10 == 0) tree.check_invariants();
  }
  CHECK(tree.first().at_end());
  tree.put(version_of("a"));
  CHECK(tree.slots() == 1);
  tree.check_invariants();
}

TEST_CASE("a leaf is found after its first key, which separated it, has been erased") {
  KeyTree tree = tree_of(kLeaf + 2);
  tree.erase(key_of(kLeaf));
  tree.check_invariants();
  CHECK(tree.find(key_of(kLeaf)) == nullptr);
  CHECK(tree.find(key_of(kLeaf + 1)) != nullptr);
  tree.put(version_of(key_of(kLeaf)));
  CHECK(tree.find(key_of(kLeaf)) != nullptr);
  tree.check_invariants();
}

TEST_CASE("a moved tree leaves an empty and usable one") {
  KeyTree tree = tree_of(500);
  KeyTree taken(std::move(tree));
  CHECK(taken.slots() == 500);
  tree.check_invariants();
  CHECK(tree.slots() == 0);
  CHECK(tree.live() == 0);
  CHECK(tree.first().at_end());
  tree.put(version_of("a"));
  CHECK(tree.slots() == 1);
  taken = std::move(tree);
  CHECK(keys_of(taken) == std::vector<std::string>{"a"});
  CHECK(tree.slots() == 0);
  tree.put(version_of("b"));
  CHECK(keys_of(tree) == std::vector<std::string>{"b"});
  KeyTree& same = taken;
  taken = std::move(same);
  CHECK(taken.slots() == 1);
  taken.check_invariants();
}

TEST_CASE("free_some frees from the end, within its limits") {
  KeyTree tree = tree_of(300);
  for (std::uint64_t revision = 3; revision < 13; ++revision)
    tree.put(version_of(key_of(299), revision));
  std::size_t max = 5, max_bytes = SIZE_MAX;
  CHECK_FALSE(tree.free_some(max, max_bytes));
  CHECK(max == 0);
  CHECK(tree.slots() == 300);  // five of the eleven versions of the last key
  CHECK(tree.find(key_of(299))->older.size() == 5);
  tree.check_invariants();
  max = 7;
  CHECK_FALSE(tree.free_some(max, max_bytes));
  CHECK(tree.slots() == 298);
  CHECK(tree.live() == 298);
  CHECK(key_at(tree.last()) == key_of(297));
  tree.check_invariants();

  // A version of up to the rest of the bytes, or the first above it, ends a call.
  const std::size_t cost = tree.last().slot().newest->cost();
  max = 100;
  max_bytes = cost + 1;
  CHECK_FALSE(tree.free_some(max, max_bytes));
  CHECK(tree.slots() == 296);
  CHECK(max == 98);
  CHECK(max_bytes == 0);
  max = 0;
  max_bytes = 100;
  CHECK_FALSE(tree.free_some(max, max_bytes));
  CHECK(tree.slots() == 296);
  max = 1000;
  max_bytes = SIZE_MAX;
  CHECK(tree.free_some(max, max_bytes));
  CHECK(max == 1000 - 296);
  tree.check_invariants();
  tree.put(version_of("a"));
  CHECK(tree.live() == 1);
}

TEST_CASE("free_some keeps the tree consistent over three levels") {
  KeyTree tree = tree_of(2 * kLeaf * kLeaf + 100);
  const VersionRef kept = tree.first().slot().newest;
  std::size_t freed = 0;
  while (true) {
    std::size_t max = 37, max_bytes = SIZE_MAX;
    const bool empty = tree.free_some(max, max_bytes);
    freed += 37 - max;
    tree.check_invariants();
    if (empty) break;
  }
  CHECK(freed == 2 * kLeaf * kLeaf + 100);
  CHECK(kept->key() == key_of(0));  // a shared version outlives the tree
}

TEST_CASE("random changes of a small tree equal those of a map") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    Pair pair(seed, 20 + seed * 20);
    for (int step = 0; step < 1500; ++step) {
      // Long phases of growth and of decline pass all boundaries in both directions.
      const bool growing = step / 300 % 2 == 0;
      if (pair.draw(10) < (growing ? 8 : 2)) pair.put(pair.draw_key(), pair.draw(3) == 0);
      else pair.erase_any();
      pair.tree().check_invariants();
      if (step % 4 == 0) pair.probe();
      if (step % 50 == 0) pair.compare();
    }
  }
}

TEST_CASE("random changes of a large tree equal those of a map") {
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    CAPTURE(seed);
    Pair pair(100 + seed, 30'000);
    while (pair.size() < 15'000) pair.put(pair.draw_key(), pair.draw(4) == 0);
    pair.compare();
    for (int step = 0; pair.size() > 0; ++step) {
      // Runs of neighbours empty whole leaves and inner nodes.
      const std::string from = pair.draw_key();
      for (std::size_t run = pair.draw(150); run > 0; --run) pair.erase_from(from);
      for (std::size_t i = pair.draw(40); i > 0; --i) pair.erase_any();
      for (std::size_t i = pair.draw(20); i > 0 && step < 500; --i)
        pair.put(pair.draw_key(), pair.draw(3) == 0);
      pair.probe();
      if (step % 16 == 0) pair.tree().check_invariants();
      if (step % 100 == 0) pair.compare();
    }
    pair.compare();
  }
}

TEST_CASE("runs of puts and lookups in key order equal those of a map") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    Pair pair(300 + seed, 40 + seed * 300);
    for (int step = 0; step < 60; ++step) {
      pair.put_run(pair.draw(300));
      for (std::size_t run = pair.draw(100); run > 0; --run) pair.erase_any();
      pair.put(pair.draw_key(), false);
      pair.probe();
    }
    pair.compare();
  }
}

TEST_CASE("a hint of another tree is not used") {
  KeyTree one = tree_of(200), two = tree_of(100);
  KeyTree::Hint hint;
  CHECK(one.find(key_of(98), hint) == one.find(key_of(98)));
  CHECK(two.find(key_of(99), hint) == two.find(key_of(99)));
  CHECK(two.find(key_of(100), hint) == nullptr);
}

TEST_CASE("erases from either end and from the middle keep the tree consistent") {
  const std::size_t count = 2 * kLeaf * kLeaf;
  for (const int way : {0, 1, 2}) {
    CAPTURE(way);
    Pair pair(200, count);
    for (std::size_t i = 0; i < count; ++i) pair.put(key_of(i), i % 7 == 0);
    pair.compare();
    for (std::size_t i = 0; pair.size() > 0; ++i) {
      if (way == 0) pair.erase_from("");
      else if (way == 1) pair.erase_from(key_of(count - 1 - i));
      else pair.erase_from(i % 2 == 0 && i / 2 < count / 2 ? key_of(count / 2) : "");
      if (i % 97 == 0) pair.tree().check_invariants();
    }
    pair.compare();
  }
}
