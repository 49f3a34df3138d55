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
  std::uint64_t index = 0;
};

class Steps {
 public:
  Step next(Choices& choices, const Store& store) {
    clock_ += choices.one_in(4) ? static_cast<std::int64_t>(choices.below(200)) * 500'000'000 : 0;
    std::string next = choices.one_in(2) ? timed(choices, store) : command(choices, store);
    return {std::move(next), LogTime(clock_), ++index_};
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
    switch (choices.below(6)) {
      case 0: put.lease = 1 + choices.below(60); break;
      case 1: put.ttl = ttl(choices); break;
      case 2: put.keep_lease = true; break;
      default: break;
    }
    return put;
  }

  static Duration ttl(Choices& choices) {
    return choices.one_in(12) ? kMaxTtl
                              : milliseconds(1 + 700 * static_cast<int>(choices.below(99)));
  }
  // An active lease, if there is one.
  static std::uint64_t lease(Choices& choices, const Store& store) {
    if (store.leases().empty()) return 1;
    return std::next(store.leases().items().begin(),
                     static_cast<std::ptrdiff_t>(choices.below(store.leases().size())))
        ->first;
  }
  static LockName lock(Choices& choices) {
    return {choices.one_in(3) ? Space::elections : Space::locks,
            "l" + std::to_string(choices.below(3))};
  }
  static std::uint64_t token(Choices& choices, const Store& store, const LockName& lock) {
    const LockHolder* holder = store.locks().holder(lock);
    return holder == nullptr || choices.one_in(5) ? 2 + choices.below(20) : holder->token;
  }

  // A command about leases, locks and elections, or what is due by now.
  std::string timed(Choices& choices, const Store& store) const {
    const LockName name = lock(choices);
    const std::uint64_t boot = 1 + choices.below(3);
    const std::uint64_t newest = store.locks().queue(name).empty()
                                     ? choices.below(index_ + 1) + 1
                                     : *store.locks().queue(name).rbegin();
    switch (choices.below(12)) {
      case 0: return encode(GrantLease{ttl(choices), 30});
      case 1: return encode(RenewLease{lease(choices, store)});
      case 2: return encode(EndLease{lease(choices, store)});
      case 3:
      case 4:
      case 5: {
        AcquireLock acquire{name, ttl(choices), boot, AcquireLock::IfHeld::queue, 5, 20, {}};
        if (name.space == Space::elections) acquire.value = bytes("candidate");
        if (choices.one_in(4)) acquire.if_held = AcquireLock::IfHeld::refuse;
        const std::string id = "l" + std::to_string(choices.below(30));
        return encode(acquire,
                      choices.one_in(3) ? std::optional(IdempotencyKey{id, {}}) : std::nullopt);
      }
      case 6: {
        RenewLock renew{name, token(choices, store, name), std::nullopt};
        if (name.space == Space::elections && choices.one_in(2)) renew.value = bytes("again");
        return encode(renew);
      }
      case 7: return encode(ReleaseLock{name, token(choices, store, name)});
      case 8:
        return encode(LeaveQueue{name, newest, newest, boot,
                                 static_cast<LeaveQueue::Manner>(1 + choices.below(3))});
      case 9: return encode(KeepPlaces{boot});
      default: return encode(due(store));
    }
  }
  // What a leader would name, whether it is due or not.
  static Expire due(const Store& store) {
    Expire expire;
    for (const Version* version : store.keyspace().temporary_keys().by_deadline())
      expire.keys.push_back({bytes(std::string(version->key())), version->deadline()});
    for (const auto& [id, lease] : store.leases().items()) expire.leases.push_back(id);
    for (const auto& [name, holder] : store.locks().holders())
      expire.locks.push_back({name, holder.token});
    for (const auto& [deadline, session] : store.locks().sessions_by_deadline())
      expire.sessions.push_back(session);
    return expire;
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

  std::int64_t clock_ = 1;
  std::uint64_t index_ = 0;
};

std::string apply(Store& store, const Step& step) {
  const auto result = store.apply(SharedBytes::copy_of(step.command), step.now, step.index);
  RC_ASSERT(result.ok());
  store.forget_left_queue();
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
    RC_ASSERT(copy.next_expiry() == undisturbed.next_expiry());
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
