// Snapshots of a store with history: an export is the state at its mark, byte for byte, whatever
// happens meanwhile and whatever has been trimmed; and what is imported goes on like the original.
#include <doctest/doctest.h>

#include <memory>
#include <string>

#include "kv/import.hpp"
#include "kv/property.hpp"
#include "kv/store_helpers.hpp"

using namespace vesper;
using namespace vesper::kv;
using test::Choices;

namespace {

struct Step {
  std::string command;
  LogTime now;
};

class Steps {
 public:
  Step next(Choices& choices, const Store& store) {
    clock_ += choices.one_in(4) ? static_cast<std::int64_t>(choices.below(200)) * 500'000'000 : 0;
    return {command(choices, store), LogTime(clock_)};
  }

 private:
  static std::string key(Choices& choices) { return "k" + std::to_string(choices.below(12)); }
  static SharedBytes bytes(const std::string& text) { return SharedBytes::copy_of(text); }

  static Put put(Choices& choices) {
    Put put;
    put.key = bytes(key(choices));
    // Values on both sides of what is inline, and of what is assembled as it arrives.
    static constexpr std::size_t kSizes[] = {0, 3, 3, 3, 10, 10, 4096, 4097, 70'000, 200'000};
    put.value = bytes(std::string(kSizes[choices.below(choices.one_in(6) ? 10 : 6)], 'v'));
    put.json = choices.one_in(4);
    put.lease = choices.below(3);
    return put;
  }

  static std::string command(Choices& choices, const Store& store) {
    const std::optional<IdempotencyKey> id =
        choices.one_in(4)
            ? std::optional(IdempotencyKey{"t" + std::to_string(choices.below(30)), {}})
            : std::nullopt;
    switch (choices.below(8)) {
      case 0: return encode({}, Delete{KeyRange::of_key(key(choices)), Prev::include}, id);
      case 1: return encode({}, Delete{KeyRange::of_prefix("k1"), Prev::omit}, id);
      case 2: {
        Transaction transaction;
        for (std::size_t n = choices.below(5); n > 0; --n)
          transaction.then.emplace_back(put(choices));
        GetRange get;
        get.query.range = KeyRange::of_prefix("k1");
        transaction.then.emplace_back(std::move(get));
        return encode(transaction, id);
      }
      case 3:
        if (choices.one_in(2)) return encode(Compact{1 + choices.below(store.revision() + 1)}, id);
        return encode(SetQuota{choices.one_in(10)});
      default: return encode({}, put(choices), id);
    }
  }

  std::int64_t clock_ = 0;
};

std::string apply(Store& store, const Step& step) {
  const auto result = store.apply(SharedBytes::copy_of(step.command), step.now);
  RC_ASSERT(result.ok());
  return is_decided(*result) && !std::holds_alternative<SetQuota>(
                                    decode_command(SharedBytes::copy_of(step.command))->body)
             ? encode_result(*result)
             : std::to_string(static_cast<int>(result->kind));
}

}  // namespace

TEST_CASE("an export is the state at its mark, and an import goes on like the original") {
  test::holds_for_choices("snapshot", 1500, [](Choices& choices) {
    Store store, undisturbed, swept;
    Steps steps;
    const std::size_t before = choices.below(200);
    for (std::size_t i = 0; i < before && choices.any_left(); ++i) {
      const Step step = steps.next(choices, store);
      const std::string result = apply(store, step);
      RC_ASSERT(apply(undisturbed, step) == result);
      RC_ASSERT(apply(swept, step) == result);
      while (!swept.sweep(1 + choices.below(50), SIZE_MAX)) {
      }
      store.sweep(choices.below(3), SIZE_MAX);
      RC_ASSERT(store.digest() == undisturbed.digest());
      RC_ASSERT(store.digest() == swept.digest());
    }
    const std::string expected = test::content_of(undisturbed);
    RC_ASSERT(test::content_of(swept) == expected);

    std::vector<Step> meanwhile;
    std::string content;
    {
      Export exported(store);
      std::size_t limit = 0;
      do {
        for (std::size_t n = choices.below(4); n > 0; --n) {
          meanwhile.push_back(steps.next(choices, store));
          apply(store, meanwhile.back());
        }
        while (choices.one_in(3) && !store.sweep(1 + choices.below(9), SIZE_MAX)) {
        }
        limit = content.size() + 1 + choices.below(3000);
      } while (!exported.read(content, limit, 1 + choices.below(4)));
    }
    RC_ASSERT(content == expected);
    RC_ASSERT(store.digest() == store.recomputed_digest());

    auto imported = test::import_in(content, 1 + choices.below(100'000));
    RC_ASSERT(imported.ok());
    Store& copy = **imported;
    RC_ASSERT(test::content_of(copy) == content);
    RC_ASSERT(copy.recomputed_digest() == undisturbed.digest());
    RC_ASSERT(copy.cost() == undisturbed.cost());
    RC_ASSERT(copy.bytes() == undisturbed.bytes());
    RC_ASSERT(copy.keyspace().events() == undisturbed.keyspace().events());
    for (const Step& step : meanwhile) {
      const std::string result = apply(undisturbed, step);
      RC_ASSERT(apply(copy, step) == result);
      RC_ASSERT(copy.digest() == undisturbed.digest());
    }
    RC_ASSERT(store.digest() == undisturbed.digest());
    RC_ASSERT(test::content_of(copy) == test::content_of(store));
    RC_ASSERT(copy.keyspace().revision_for_history(5000) ==
              store.keyspace().revision_for_history(5000));
  });
}

TEST_CASE("every missing byte and every flipped bit of a snapshot with history is detected") {
  Store store;
  const auto run = [&](const std::string& command, std::int64_t s) {
    test::run(store, command, test::at_second(s));
  };
  run(encode_put("base", "1", ValueForm::bytes, {}), 1);
  run(encode_put("a", "1", ValueForm::bytes, {}), 2);
  run(encode_put("a", "2", ValueForm::json, {}, IdempotencyKey{"t", {}}), 4);
  run(encode(Compact{3}), 4);
  run(encode_remove("a", {}, IdempotencyKey{"u", {}}), 6);
  run(encode_put("a", "3", ValueForm::bytes, {}), 8);
  const std::string content = test::content_of(store);
  REQUIRE(test::import_in(content, 9).ok());
  test::check_damage_is_detected(content);
}
