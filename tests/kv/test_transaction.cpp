// Transactions against a naive model: what they decide, write and answer, and that a refused one
// changes nothing.
#include <doctest/doctest.h>

#include <string>

#include "kv/naive_transaction.hpp"
#include "kv/property.hpp"

using namespace vesper;
using namespace vesper::kv;
using test::bytes_of;
using test::Choices;
using test::Kind;
using test::Model;
using test::Naive;
using test::show;
using test::show_path;

namespace {

// ---- random transactions

std::string random_key(Choices& choices) {
  static constexpr const char* kKeys[] = {"a", "b", "c", "d", "d/1", "d/2", "d/x/1", "e", "f", "g"};
  return kKeys[choices.below(10)];
}
KeyRange random_range(Choices& choices) {
  switch (choices.below(6)) {
    case 0: return KeyRange::of_prefix("d/");
    case 1: return {random_key(choices), random_key(choices)};
    case 2: return {random_key(choices), {}};
    case 3: return choices.one_in(4) ? KeyRange::all() : KeyRange::of_prefix("z");
    default: return KeyRange::of_key(random_key(choices));
  }
}
std::string random_value(Choices& choices) {
  static constexpr const char* kValues[] = {"",
                                            "0",
                                            "-1",
                                            "7",
                                            "9223372036854775807",
                                            "-9223372036854775808",
                                            "9223372036854775808",
                                            "007",
                                            "-0",
                                            "+1",
                                            "x",
                                            "12 "};
  return kValues[choices.below(12)];
}
std::int64_t random_operand(Choices& choices) {
  static constexpr std::int64_t kOperands[] = {1, -1, 5, INT64_MAX, INT64_MIN, 0};
  return kOperands[choices.below(6)];
}

Transaction random_transaction(Choices& choices, const Model& model, std::size_t depth);

Operation random_operation(Choices& choices, const Model& model, std::size_t depth) {
  const auto revision = [&] { return choices.below(model.revision + 2); };
  switch (choices.below(10)) {
    case 0:
    case 1:
    case 2: {
      Put put;
      put.key = bytes_of(random_key(choices));
      put.keep_value = choices.one_in(5);
      put.keep_lease = choices.one_in(3);
      const std::uint64_t lease = choices.below(3);
      if (!put.keep_lease) put.lease = lease;
      put.prev = choices.one_in(2) ? Prev::include : Prev::omit;
      if (put.keep_value) return put;
      put.json = choices.one_in(3);
      put.value = bytes_of(random_value(choices));
      return put;
    }
    case 3: return Get{bytes_of(random_key(choices)), choices.one_in(3) ? revision() : 0};
    case 4: {
      GetRange get;
      get.query.range = random_range(choices);
      get.query.revision = choices.one_in(3) ? revision() : 0;
      get.query.limit = choices.below(4);
      get.query.order = choices.one_in(2) ? Order::descending : Order::ascending;
      get.query.content = static_cast<Content>(choices.below(3));
      if (choices.one_in(2)) get.query.separator = "/";
      return get;
    }
    case 5: return Delete{random_range(choices), choices.one_in(2) ? Prev::include : Prev::omit};
    case 6:
    case 7:
      return Modify{static_cast<Modify::Kind>(1 + choices.below(4)), bytes_of(random_key(choices)),
                    random_operand(choices), bytes_of(random_value(choices))};
    case 8: return Restore{bytes_of(random_key(choices)), std::max<std::size_t>(1, revision())};
    default: break;
  }
  if (depth == 0) return Get{bytes_of("a"), 0};
  return Nested{std::make_unique<Transaction>(random_transaction(choices, model, depth - 1))};
}

Transaction random_transaction(Choices& choices, const Model& model, std::size_t depth) {
  Transaction transaction;
  for (std::size_t n = choices.below(3); n > 0; --n) {
    Compare compare;
    compare.range = random_range(choices);
    compare.target = static_cast<Compare::Target>(1 + choices.below(6));
    compare.op = static_cast<Compare::Op>(1 + choices.below(4));
    compare.number = compare.target == Compare::Target::exists ? choices.below(2)
                                                               : choices.below(model.revision + 2);
    if (compare.target == Compare::Target::value) compare.value = bytes_of(random_value(choices));
    transaction.compares.push_back(std::move(compare));
  }
  for (std::size_t n = choices.below(4); n > 0; --n)
    transaction.then.push_back(random_operation(choices, model, depth));
  for (std::size_t n = choices.below(4); n > 0; --n)
    transaction.otherwise.push_back(random_operation(choices, model, depth));
  return transaction;
}

}  // namespace

TEST_CASE("a transaction does what the naive model does, or nothing at all") {
  int done = 0, refused[32] = {};
  test::holds_for_choices("transactions", 3000, [&](Choices& choices) {
    Model model;
    Keyspace keyspace;
    Leases leases;
    for (const std::uint64_t id : {1u, 2u}) leases.grant(id, seconds(10), LogTime{});
    while (choices.any_left()) {
      if (choices.one_in(20) && model.oldest < model.revision) {
        model.oldest += 1 + choices.below(model.revision - model.oldest);
        keyspace.compact(model.oldest);
        std::size_t max = choices.below(9), max_bytes = SIZE_MAX;
        keyspace.trim(max, max_bytes);
      }
      const Transaction transaction = random_transaction(choices, model, 3);
      ExecutionContext context;
      context.leases = &leases;
      if (choices.one_in(8)) context.max_reply = 64 * choices.below(20);
      context.quota_exceeded = choices.one_in(10);
      const std::uint64_t before = keyspace.revision(), events = keyspace.events();
      const std::string expected = Naive(model, context).execute(transaction);
      if (is_read_only(transaction) && context.max_reply == kMaxReply)
        RC_ASSERT(show(read(keyspace, transaction)) == expected);
      const WriteResult result = execute(keyspace, transaction, context);
      std::string got = show(result);
      if (result.kind == Kind::conflicting_operations) {
        RC_ASSERT(!result.path.empty());
        got = "refused 23 *";
      }
      RC_ASSERT(got == expected);
      RC_ASSERT(keyspace.revision() == model.revision);
      RC_ASSERT(result.revision == model.revision);
      RC_ASSERT(keyspace.digest() == model.digest());
      if (keyspace.revision() == before) RC_ASSERT(keyspace.events() == events);
      if (!result.is_done()) {
        RC_ASSERT(keyspace.revision() == before);
        ++refused[static_cast<std::size_t>(result.kind)];
        continue;
      }
      ++done;
      const std::string encoded = encode_result(result);
      RC_ASSERT(encoded.size() <= reply_size(result.result));
      RC_ASSERT(reply_size(result.result) <= context.max_reply);
      const auto decoded = decode_result(encoded);
      RC_ASSERT(decoded.ok());
      RC_ASSERT(show(*decoded) == show(result));
      RC_ASSERT(encode_result(*decoded) == encoded);
    }
    RC_ASSERT(keyspace.digest() == keyspace.recomputed_digest());
  });
  // The choices are such that every kind of result occurs.
  CHECK(done > 100);
  for (const Kind kind : {Kind::not_an_integer, Kind::out_of_range, Kind::reply_too_large,
                          Kind::compacted, Kind::future_revision, Kind::conflicting_operations,
                          Kind::key_not_found, Kind::quota_exceeded}) {
    CAPTURE(static_cast<int>(kind));
    CHECK(refused[static_cast<std::size_t>(kind)] > 10);
  }
}

namespace {

WriteResult put(Keyspace& keyspace, std::string_view key, std::string_view value) {
  Put put;
  put.key = bytes_of(key);
  put.value = bytes_of(value);
  return execute(keyspace, {}, std::move(put), {});
}

Put put_of(std::string_view key, std::string_view value = "v") {
  Put put;
  put.key = bytes_of(key);
  put.value = bytes_of(value);
  return put;
}

template <typename... Operations>
Transaction of(Operations... operations) {
  Transaction transaction;
  (transaction.then.emplace_back(std::move(operations)), ...);
  return transaction;
}

Nested nested(Transaction transaction) {
  return {std::make_unique<Transaction>(std::move(transaction))};
}

Keyspace& with_keys(Keyspace& keyspace, std::size_t count) {
  std::vector<VersionRef> versions;
  const std::uint64_t revision = keyspace.revision() + 1;
  for (std::size_t i = 0; i < count; ++i) {
    const VersionFields fields{.revision = revision,
                               .create_revision = revision,
                               .version = 1,
                               .place = static_cast<std::uint32_t>(i + 1)};
    versions.push_back(
        Version::make("k" + std::to_string(100'000 + i), std::string_view("v"), fields));
  }
  keyspace.commit(std::move(versions));
  return keyspace;
}

}  // namespace

TEST_CASE("the path of a conflict names the second write, or the write that is deleted") {
  Keyspace keyspace;
  const auto path = [&](const Transaction& transaction) {
    const WriteResult result = execute(keyspace, transaction, {});
    CHECK(result.kind == Kind::conflicting_operations);
    CHECK(keyspace.revision() == 1);
    return show_path(result.path);
  };
  CHECK(path(of(put_of("a"), put_of("b"), put_of("a"))) == "then[2]");
  CHECK(path(of(put_of("a"), nested(of(put_of("b"), put_of("a"))))) == "then[1]then[1]");
  CHECK(path(of(Delete{KeyRange::of_prefix("a"), {}}, put_of("b"), put_of("ab"))) == "then[2]");
  CHECK(path(of(nested(of(nested(of(put_of("x"))))), Delete{KeyRange::all(), {}})) ==
        "then[0]then[0]then[0]");
  Transaction other;
  other.compares.push_back(
      {KeyRange::of_key("a"), Compare::Target::exists, Compare::Op::equal, 1, {}});
  other.then.emplace_back(put_of("a"));
  other.then.emplace_back(put_of("a"));
  other.otherwise.emplace_back(Restore{bytes_of("a"), 1});
  other.otherwise.emplace_back(Delete{KeyRange{"0", "a"}, {}});
  other.otherwise.emplace_back(Modify{Modify::Kind::max, bytes_of("a"), 3, {}});
  CHECK(path(other) == "else[2]");
  // The end of a range is not in it, and neighbours of it are free.
  CHECK(execute(keyspace,
                of(Delete{KeyRange{"a", "b"}, {}}, Delete{KeyRange{"b", "c"}, {}}, put_of("c"),
                   put_of("Z")),
                {})
            .is_done());
}

TEST_CASE(
    "all writes of a transaction share one revision, and their events are numbered in order") {
  Keyspace keyspace;
  for (const char* key : {"d/1", "d/2", "d/3"}) put(keyspace, key, "v");
  REQUIRE(execute(keyspace,
                  of(put_of("z"), nested(of(put_of("a"))), Delete{KeyRange::of_prefix("d/"), {}},
                     Delete{KeyRange::of_key("d/2"), {}}, put_of("b")),
                  {})
              .is_done());
  CHECK(keyspace.revision() == 5);
  std::string order;
  for (std::uint64_t n = keyspace.find_event(5); n < keyspace.end_of_events(); ++n) {
    CHECK(keyspace.event(n)->place() == n - keyspace.find_event(5) + 1);
    order += std::string(keyspace.event(n)->key()) + " ";
  }
  CHECK(order == "z a d/1 d/2 d/3 b ");
}

TEST_CASE("a transaction may visit ten thousand keys and no more") {
  Keyspace keyspace;
  with_keys(keyspace, kMaxVisited + 1);
  const auto refused = [&](const Transaction& transaction) {
    const Id128 digest = keyspace.digest();
    const WriteResult result = execute(keyspace, transaction, {});
    CHECK(result.kind == Kind::range_too_large);
    CHECK(result.limit == kMaxVisited);
    CHECK(result.count == kMaxVisited + 1);
    CHECK(keyspace.digest() == digest);
    return show_path(result.path);
  };
  GetRange get;
  get.query.range = KeyRange::of_prefix("k");
  CHECK(refused(of(get)) == "then[0]");
  Transaction compare;
  compare.compares.push_back(
      {KeyRange::of_key("a"), Compare::Target::exists, Compare::Op::equal, 0, {}});
  compare.compares.push_back(
      {KeyRange::of_prefix("k"), Compare::Target::lease, Compare::Op::equal, 0, {}});
  CHECK(refused(compare) == "if[1]");
  // A count visits none, and a limit helps.
  get.query.content = Content::count;
  CHECK(execute(keyspace, of(get, put_of("a")), {}).is_done());
  get.query.content = Content::keys;
  get.query.limit = kMaxVisited;
  CHECK(execute(keyspace, of(get), {}).is_done());
}

TEST_CASE("range deletes of a transaction delete up to five thousand keys, which count twice") {
  Keyspace keyspace;
  with_keys(keyspace, kMaxRangeDelete + 1);
  const auto refused = [&](const Transaction& transaction) {
    const Id128 digest = keyspace.digest();
    const WriteResult result = execute(keyspace, transaction, {});
    CHECK(result.kind == Kind::range_too_large);
    CHECK(result.limit == kMaxRangeDelete);
    CHECK(result.count == kMaxRangeDelete + 1);
    CHECK(keyspace.digest() == digest);
    return show_path(result.path);
  };
  const Delete all{KeyRange::of_prefix("k"), {}};
  CHECK(execute(keyspace, {}, all, {}).kind == Kind::range_too_large);
  CHECK(refused(of(all)) == "then[0]");
  // The same if the transaction has writes that its range deletes must see.
  CHECK(refused(of(put_of("a"), all)) == "then[1]");
  CHECK(execute(keyspace, of(Delete{KeyRange::of_key("k100000"), {}}), {}).is_done());
  // A read leaves less for deletes.
  GetRange get;
  get.query.range = KeyRange::of_prefix("k");
  get.query.limit = 1;
  CHECK(execute(keyspace, of(get, all), {}).kind == Kind::range_too_large);
  CHECK(execute(keyspace, of(all, put_of("a")), {}).is_done());
  CHECK(keyspace.size() == 1);
  CHECK(keyspace.digest() == keyspace.recomputed_digest());
}

TEST_CASE("a compare of long values over a range is bounded, too") {
  Keyspace keyspace;
  const std::string large(8u << 20, 'x');
  for (int i = 0; i < 6; ++i) put(keyspace, "k" + std::to_string(i), large);
  Transaction transaction;
  transaction.compares.push_back(
      {KeyRange::of_prefix("k"), Compare::Target::value, Compare::Op::equal, 0, bytes_of(large)});
  CHECK(execute(keyspace, transaction, {}).kind == Kind::range_too_large);
  transaction.compares.front().value = bytes_of("short");
  CHECK(execute(keyspace, transaction, {}).is_done());
}

TEST_CASE("an append keeps to the limit of a value") {
  Keyspace keyspace;
  put(keyspace, "a", std::string(kMaxValue - 1, 'x'));
  Modify append{Modify::Kind::append, bytes_of("a"), 0, bytes_of("yz")};
  const WriteResult refused = execute(keyspace, {}, append, {});
  CHECK(refused.kind == Kind::value_too_large);
  CHECK(refused.limit == kMaxValue);
  append.suffix = bytes_of("y");
  CHECK(execute(keyspace, {}, append, {}).is_done());
  CHECK(keyspace.find("a")->value().size() == kMaxValue);
  CHECK(keyspace.digest() == keyspace.recomputed_digest());
}

TEST_CASE("a refused operation leaves everything before it unwritten, at every position") {
  const auto bad_ones = [] {
    std::vector<Operation> bad;
    Put keep;
    keep.key = bytes_of("absent");
    keep.keep_value = true;
    bad.emplace_back(keep);
    bad.emplace_back(Modify{Modify::Kind::increment, bytes_of("text"), 1, {}});
    bad.emplace_back(Modify{Modify::Kind::increment, bytes_of("most"), 1, {}});
    bad.emplace_back(Restore{bytes_of("r"), 1000});
    bad.emplace_back(Get{bytes_of("r"), 1});
    bad.emplace_back(put_of("k1"));
    return bad;
  };
  Keyspace keyspace;
  put(keyspace, "text", "x");
  put(keyspace, "most", "9223372036854775807");
  keyspace.compact(3);
  const Id128 digest = keyspace.digest();
  for (std::size_t kind = 0; kind < bad_ones().size(); ++kind)
    for (std::size_t position = 0; position < 4; ++position) {
      Transaction transaction;
      for (std::size_t i = 0; i < 4; ++i) {
        if (i == position) transaction.then.push_back(std::move(bad_ones()[kind]));
        transaction.then.emplace_back(put_of("k" + std::to_string(i)));
      }
      CHECK_FALSE(execute(keyspace, transaction, {}).is_done());
      CHECK(keyspace.revision() == 3);
      CHECK(keyspace.digest() == digest);
      CHECK(keyspace.size() == 2);
    }
}
