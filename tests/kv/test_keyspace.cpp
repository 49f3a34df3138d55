// The keyspace with its history against the plain model: whatever is written, compacted, trimmed
// and pinned.
#include <doctest/doctest.h>

#include <list>
#include <string>

#include "kv/model.hpp"
#include "kv/property.hpp"

using namespace vesper;
using namespace vesper::kv;
using test::Choices;
using test::Model;
using test::ModelVersion;

namespace {

void check_find(const Keyspace& keyspace, const Model& model, std::uint64_t revision) {
  for (const auto& [key, versions] : model.keys)
    RC_ASSERT(test::same(model.find(key, revision), keyspace.find(key, revision)));
}

void check_history(const Keyspace& keyspace, const Model& model) {
  for (const auto& [key, versions] : model.keys) {
    const auto expected = model.history(key);
    const auto got = keyspace.history(key, SIZE_MAX);
    RC_ASSERT(got.size() == expected.size());
    for (std::size_t i = 0; i < got.size(); ++i) RC_ASSERT(expected[i]->is(got[i].get()));
    RC_ASSERT(keyspace.history(key, 2).size() == std::min<std::size_t>(2, expected.size()));
  }
  RC_ASSERT(keyspace.history("never there", 9).empty());
}

void check_events(const Keyspace& keyspace, const Model& model) {
  std::uint64_t number = keyspace.first_event();
  std::uint64_t last_revision = 0;
  for (const ModelVersion& event : model.events) {
    if (event.fields.revision < model.oldest) continue;
    RC_ASSERT(number < keyspace.end_of_events());
    RC_ASSERT(event.is(keyspace.event(number).get()));
    RC_ASSERT(test::same(model.find(event.key, event.fields.revision - 1),
                         keyspace.replaced_by(*keyspace.event(number))));
    if (event.fields.revision != last_revision)
      RC_ASSERT(keyspace.find_event(event.fields.revision) == number);
    last_revision = event.fields.revision;
    ++number;
  }
  RC_ASSERT(number == keyspace.end_of_events());
  RC_ASSERT(keyspace.find_event(model.revision + 1) == number);
  RC_ASSERT(keyspace.events() == number - keyspace.first_event());
}

void check_sums(const Keyspace& keyspace, const Model& model) {
  RC_ASSERT(keyspace.revision() == model.revision);
  RC_ASSERT(keyspace.oldest_revision() == model.oldest);
  std::uint64_t bytes = 0;
  const auto present = model.range(KeyRange::all(), UINT64_MAX);
  for (const ModelVersion* version : present) bytes += version->key.size() + version->value.size();
  RC_ASSERT(keyspace.size() == present.size());
  RC_ASSERT(keyspace.bytes() == bytes);
  RC_ASSERT(keyspace.live_cost() == model.live_cost());
  RC_ASSERT(keyspace.history_cost() == model.history_cost(model.oldest));
  RC_ASSERT(keyspace.digest() == model.digest());
  RC_ASSERT(keyspace.recomputed_digest() == keyspace.digest());
}

void check_all(const Keyspace& keyspace, const Model& model) {
  check_sums(keyspace, model);
  for (std::uint64_t revision = model.oldest; revision <= model.revision; ++revision)
    check_find(keyspace, model, revision);
  for (const auto& [key, versions] : model.keys)
    RC_ASSERT(test::same(model.find(key), keyspace.find(key)));
  check_history(keyspace, model);
  check_events(keyspace, model);
  keyspace.tree().check_invariants();
}

// Trims with random small budgets, up to `slices` times.
void trim(Keyspace& keyspace, Choices& choices, std::size_t slices) {
  for (; slices > 0; --slices) {
    std::size_t max = 1 + choices.below(5), max_bytes = 1 + choices.below(1000);
    if (keyspace.trim(max, max_bytes)) return;
  }
}

// One keyspace is trimmed at once, one never, one now and then while pins come and go.
struct Trial {
  Model model;
  Keyspace eager, lazy, pinned;
  std::list<Keyspace::Pin> pins;

  void commit() {
    const std::vector<ModelVersion> written = model.commit();
    if (written.empty()) return;
    for (Keyspace* keyspace : {&eager, &lazy, &pinned}) {
      if (written.size() == 1) {
        keyspace->commit(written.front().make());
        continue;
      }
      std::vector<VersionRef> versions;
      for (const ModelVersion& version : written) versions.push_back(version.make());
      keyspace->commit(std::move(versions));
    }
  }

  std::string key(Choices& choices, bool wide) {
    const std::size_t n = choices.below(wide ? 400 : 6);
    return n % 7 == 3 ? std::string(1 + n % 5, '\xff') : "key" + std::to_string(n);
  }

  void write(Choices& choices, const std::string& key) {
    const std::size_t size = choices.one_in(20) ? 4000 + choices.below(200) : choices.below(30);
    model.write(key, std::string(size, 'v'), choices.one_in(4), choices.below(3));
  }

  void compact(std::uint64_t revision) {
    if (revision <= model.oldest) return;
    model.oldest = revision;
    for (Keyspace* keyspace : {&eager, &lazy, &pinned}) keyspace->compact(revision);
  }

  void step(Choices& choices) {
    switch (choices.below(12)) {
      case 0:
      case 1:
      case 2:
        write(choices, key(choices, false));
        commit();
        break;
      case 3:
      case 4:
        model.remove(key(choices, false));
        commit();
        break;
      case 5: transaction(choices, choices.below(10), false); break;
      case 6: transaction(choices, choices.below(150), true); break;
      case 7:
        for (std::size_t n = choices.below(70); n > 0; --n) {
          write(choices, key(choices, true));
          commit();
        }
        break;
      case 8: compact(1 + choices.below(model.revision)); break;
      case 9: {
        const std::uint64_t most = choices.below(20'000);
        const std::uint64_t to = lazy.revision_for_history(most);
        RC_ASSERT(to == model.revision_for_history(most));
        RC_ASSERT(to == pinned.revision_for_history(most));
        if (choices.one_in(2)) compact(to);
        break;
      }
      case 10: trim(pinned, choices, choices.below(8)); break;
      case 11:
        if (choices.one_in(2) && !pins.empty()) {
          auto pin = pins.begin();
          std::advance(pin, choices.below(pins.size()));
          pins.erase(pin);
        } else {
          const std::uint64_t revision =
              model.oldest + choices.below(model.revision - model.oldest + 1);
          pins.emplace_back(pinned, revision);
        }
        break;
    }
    trim(eager, choices, SIZE_MAX);
  }

  void transaction(Choices& choices, std::size_t writes, bool wide) {
    std::set<std::string> used;
    for (; writes > 0; --writes) {
      const std::string name = key(choices, wide);
      if (!used.insert(name).second) continue;
      if (choices.one_in(3)) model.remove(name);
      else write(choices, name);
    }
    commit();
  }

  void check() {
    for (const Keyspace* keyspace : {&eager, &lazy, &pinned}) check_all(*keyspace, model);
    for (const Keyspace::Pin& pin : pins) {
      check_find(pinned, model, pin.revision());
      // Its events, too.
      std::uint64_t number = pinned.find_event(pin.revision());
      for (const ModelVersion& event : model.events) {
        if (event.fields.revision < pin.revision()) continue;
        RC_ASSERT(event.is(pinned.event(number++).get()));
      }
    }
  }
};

void check_counts(const Keyspace& keyspace, const Model& model, Choices& choices) {
  for (int i = 0; i < 10; ++i) {
    KeyRange range{"key" + std::to_string(choices.below(400)),
                   "key" + std::to_string(choices.below(400))};
    if (choices.one_in(4)) range.start.clear();
    if (choices.one_in(4)) range.end.clear();
    const auto expected = model.range(range, UINT64_MAX);
    RC_ASSERT(keyspace.count(range) == expected.size());
    const auto first = keyspace.tree().first_live(range), last = keyspace.tree().last_live(range);
    RC_ASSERT(first.at_end() == expected.empty());
    RC_ASSERT(last.at_end() == expected.empty());
    if (expected.empty()) continue;
    RC_ASSERT(first.slot().key() == expected.front()->key);
    RC_ASSERT(last.slot().key() == expected.back()->key);
  }
}

}  // namespace

TEST_CASE("a keyspace equals the plain model, whatever is written, compacted, trimmed and pinned") {
  test::holds_for_choices("keyspace", 6000, [](Choices& choices) {
    Trial trial;
    for (int steps = 1; choices.any_left(); ++steps) {
      trial.step(choices);
      for (const Keyspace* keyspace : {&trial.eager, &trial.lazy, &trial.pinned})
        RC_ASSERT(keyspace->digest() == trial.lazy.digest());
      if (steps % 16 == 0) check_sums(trial.pinned, trial.model);
      if (steps % 64 == 0) trial.check();
    }
    trial.check();
    check_counts(trial.lazy, trial.model, choices);
    check_counts(trial.eager, trial.model, choices);
  });
}

TEST_CASE("after a compaction to the present, the memory holds nothing superfluous") {
  test::holds_for_choices("nothing superfluous", 2000, [](Choices& choices) {
    Trial trial;
    while (choices.any_left()) trial.step(choices);
    trial.pins.clear();
    // The present revision keeps its own events, so that it must be one that says little.
    trial.model.write("zzz", "v", false, 0);
    trial.commit();
    trial.compact(trial.model.revision);
    for (Keyspace* keyspace : {&trial.eager, &trial.lazy, &trial.pinned}) {
      std::size_t max = SIZE_MAX, max_bytes = SIZE_MAX;
      RC_ASSERT(keyspace->trim(max, max_bytes));
      check_all(*keyspace, trial.model);
      RC_ASSERT(keyspace->tree().slots() == keyspace->tree().live());
      RC_ASSERT(keyspace->events() == 1u);
      for (auto at = keyspace->tree().first(); !at.at_end(); at.next())
        RC_ASSERT((at.slot().older.empty() || at.slot().key() == "zzz"));
      // It is freed in slices.
      std::size_t slices = 1;
      for (std::size_t some = 10, bytes = SIZE_MAX; !keyspace->retire_some(some, bytes); ++slices)
        some = 10;
      RC_ASSERT(slices >= keyspace->size() / 10);
    }
  });
}

TEST_CASE("a bound on the history drops what a transaction replaced, not only single writes") {
  Keyspace keyspace;
  VersionFields fields;
  std::vector<VersionRef> first, second;
  for (std::uint32_t i = 0; i < 200; ++i) {
    const std::string key = "k" + std::to_string(1000 + i);
    fields = {.revision = 2, .create_revision = 2, .version = 1, .place = i + 1};
    first.push_back(Version::make(key, std::string(100, 'a'), fields));
    fields = {.revision = 3, .create_revision = 2, .version = 2, .place = i + 1};
    second.push_back(Version::make(key, std::string(100, 'b'), fields));
  }
  const std::uint64_t each = first.front()->cost();
  keyspace.commit(std::move(first));
  keyspace.commit(std::move(second));
  fields = {.revision = 4, .create_revision = 4, .version = 1, .place = 1};
  keyspace.commit(Version::make("z", std::string_view("v"), fields));
  CHECK(keyspace.history_cost() == 200 * each);
  CHECK(keyspace.revision_for_history(200 * each) == 1);
  CHECK(keyspace.revision_for_history(200 * each - 1) == 4);
  keyspace.compact(4);
  CHECK(keyspace.history_cost() == 0);
}

TEST_CASE("a key that is overwritten a hundred thousand times is compacted and trimmed in slices") {
  Keyspace keyspace;
  for (std::uint64_t i = 2; i < 100'002; ++i)
    keyspace.commit(
        Version::make("k", std::string_view("v"),
                      VersionFields{.revision = i, .create_revision = 2, .version = i - 1}));
  CHECK(keyspace.find("k", 50'000)->revision() == 50'000);
  CHECK(keyspace.history("k", 3).back()->revision() == 99'999);
  keyspace.compact(90'000);
  std::size_t slices = 1;
  for (std::size_t max = 1000, bytes = SIZE_MAX; !keyspace.trim(max, bytes); ++slices) max = 1000;
  CHECK(slices >= 90);
  CHECK(keyspace.find("k", 90'000)->revision() == 90'000);
  // That which the event of the oldest revision replaced stays.
  CHECK(keyspace.tree().find("k")->older.oldest().revision() == 89'999);
  CHECK(keyspace.digest() == keyspace.recomputed_digest());
}
