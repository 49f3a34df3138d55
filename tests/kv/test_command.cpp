#include <doctest/doctest.h>

#include <string>

#include "kv/command.hpp"

using namespace vesper;
using namespace vesper::kv;

namespace {

const Single& single_of(const Command& command) {
  return std::get<Single>(command.body);
}
const Put& put_of(const Command& command) {
  return std::get<Put>(single_of(command).operation);
}

Conditions both() {
  Conditions conditions;
  conditions.if_match = Match{false, {7, 9}};
  conditions.if_none_match = Match{true, {}};
  return conditions;
}

Result<Command> decode(std::string_view bytes) {
  return decode_command(SharedBytes::copy_of(bytes));
}

}  // namespace

TEST_CASE("a put comes back from its byte form unchanged") {
  const std::string bytes =
      encode_put(std::string_view("a\0b", 3), "value", ValueForm::json, both());
  const auto command = decode(bytes);
  REQUIRE(command.ok());
  CHECK(put_of(*command).json);
  CHECK(single_of(*command).conditions == both());
  CHECK(put_of(*command).key.view() == std::string_view("a\0b", 3));
  CHECK(put_of(*command).value.view() == "value");
}

TEST_CASE("a remove comes back from its byte form unchanged") {
  Conditions conditions;
  conditions.if_match = Match{};
  const auto command = decode(encode_remove("k", conditions));
  REQUIRE(command.ok());
  CHECK(single_of(*command).conditions == conditions);
  const auto& remove = std::get<Delete>(single_of(*command).operation);
  CHECK(remove.range == KeyRange::of_key("k"));
  CHECK(remove.prev == Prev::omit);
}

TEST_CASE("the byte form matches the documentation") {
  CHECK(encode_put("k", "vw", ValueForm::json, {}) ==
        std::string("\x03\x01\x00\x01\x01\x01\x00k\x02\x00\x00\x00vw", 14));
  Conditions conditions;
  conditions.if_match = Match{false, {5}};
  conditions.if_none_match = Match{true, {}};
  CHECK(encode_remove("k", conditions) ==
        std::string("\x03\x01\x03\x00\x01\x05\0\0\0\0\0\0\0\x01\x00\x04\x00\x01\x00k\x02\x00k\x00",
                    24));
  CHECK(encode(Compact{258}) == std::string("\x03\x03\x00\x02\x01\0\0\0\0\0\0", 11));
  CHECK(encode(SetQuota{true}) == std::string("\x03\x04\x00\x01", 4));
}

TEST_CASE("the byte form of an idempotency key and its fingerprint matches the documentation") {
  const IdempotencyKey id{"to", {0x0102, 0x0304}};
  const std::string bytes = encode(Compact{1}, id);
  CHECK(bytes == std::string("\x03\x03\x04\x02to\x02\x01\0\0\0\0\0\0\x04\x03\0\0\0\0\0\0"
                             "\x01\0\0\0\0\0\0\0",
                             30));
  const auto command = decode(bytes);
  REQUIRE(command.ok());
  CHECK(command->has_idempotency_key);
  CHECK(command->idempotency_key.view() == "to");
  CHECK(command->fingerprint == id.fingerprint);
  CHECK_FALSE(decode(encode_remove("k", {}))->has_idempotency_key);
  CHECK(decode(encode_remove("k", both(), IdempotencyKey{std::string(255, '~'), {}})).ok());
}

TEST_CASE("an idempotency key that is empty or not visible ASCII is refused") {
  for (const char bad : {'\0', ' ', '\x7f', '\x80', '\t'}) {
    std::string bytes = encode_remove("k", {}, IdempotencyKey{"t", {}});
    bytes[4] = bad;
    CHECK(decode(bytes).error().what ==
          "command: its idempotency key is not 1 to 255 bytes of visible ASCII");
  }
  std::string empty = encode_remove("k", {}, IdempotencyKey{"t", {}});
  empty.erase(4, 1);
  empty[3] = 0;
  CHECK_FALSE(decode(empty).ok());
}

TEST_CASE("a fingerprint covers every part of the request, and never changes") {
  const Id128 one = fingerprint_of("PUT", "/kv/a", {}, "body");
  CHECK(to_hex(one) == "34abc2607a1bd49de18e68567fab8e2e");
  CHECK(fingerprint_of("PUT", "/kv/a", {}, "body") == one);
  CHECK(fingerprint_of("DELETE", "/kv/a", {}, "body") != one);
  CHECK(fingerprint_of("PUT", "/kv/b", {}, "body") != one);
  CHECK(fingerprint_of("PUT", "/kv/a", {}, "bodY") != one);
  CHECK(fingerprint_of("PUT", "/kv/a", both(), "body") != one);
  CHECK(fingerprint_of("PUT/", "kv/a", {}, "body") != one);
  Conditions only, other;
  only.if_match = Match{true, {}};
  other.if_none_match = Match{true, {}};
  CHECK(fingerprint_of("PUT", "/kv/a", only, "body") !=
        fingerprint_of("PUT", "/kv/a", other, "body"));
}

TEST_CASE("key and value share the payload's buffer") {
  const auto payload = SharedBytes::copy_of(encode_put("key", "value", ValueForm::bytes, {}));
  const auto command = decode_command(payload);
  REQUIRE(command.ok());
  const Put& put = put_of(*command);
  CHECK(put.key.data() >= payload.data());
  CHECK(put.value.data() + put.value.size() == payload.data() + payload.size());
}

namespace {

SharedBytes bytes_of(std::string_view text) {
  return SharedBytes::copy_of(text);
}

// Every operation, with every field set to something of its own.
Transaction everything(std::size_t depth) {
  Transaction transaction;
  transaction.compares.push_back(
      {KeyRange::of_key("c"), Compare::Target::version, Compare::Op::less, 77, {}});
  transaction.compares.push_back({KeyRange::of_prefix("d/"), Compare::Target::value,
                                  Compare::Op::not_equal, 0, bytes_of("held")});
  transaction.compares.push_back(
      {KeyRange::all(), Compare::Target::exists, Compare::Op::greater, 1, {}});
  Put put;
  put.key = bytes_of("p");
  put.keep_value = true;
  put.lease = 1234567890123456789u;
  put.prev = Prev::include;
  transaction.then.emplace_back(std::move(put));
  transaction.then.emplace_back(Get{bytes_of("g"), 9});
  GetRange get;
  get.query = {.range = {"from", "to"},
               .revision = 11,
               .limit = 12,
               .order = Order::descending,
               .content = Content::keys,
               .separator = "/",
               .prefix_size = 3};
  transaction.then.emplace_back(std::move(get));
  transaction.then.emplace_back(Delete{KeyRange::of_prefix("x"), Prev::include});
  transaction.otherwise.emplace_back(Modify{Modify::Kind::increment, bytes_of("n"), INT64_MIN, {}});
  transaction.otherwise.emplace_back(
      Modify{Modify::Kind::append, bytes_of("a"), 0, bytes_of("suffix")});
  transaction.otherwise.emplace_back(Restore{bytes_of("r"), 5});
  if (depth > 0)
    transaction.otherwise.emplace_back(
        Nested{std::make_unique<Transaction>(everything(depth - 1))});
  return transaction;
}

}  // namespace

TEST_CASE("a transaction with every operation comes back from its byte form unchanged") {
  const std::string bytes = encode(everything(kMaxDepth));
  const auto command = decode(bytes);
  REQUIRE(command.ok());
  const auto& transaction = std::get<Transaction>(command->body);
  CHECK(encode(transaction) == bytes);
  REQUIRE(transaction.compares.size() == 3);
  CHECK(transaction.compares[0].number == 77);
  CHECK(transaction.compares[1].value.view() == "held");
  CHECK(transaction.compares[1].range == KeyRange::of_prefix("d/"));
  CHECK(transaction.compares[2].target == Compare::Target::exists);
  const auto& put = std::get<Put>(transaction.then[0]);
  CHECK((put.keep_value && !put.keep_lease && put.prev == Prev::include && !put.json));
  CHECK(put.lease == 1234567890123456789u);
  const RangeQuery& query = std::get<GetRange>(transaction.then[2]).query;
  CHECK(query.range == KeyRange{"from", "to"});
  CHECK((query.revision == 11 && query.limit == 12 && query.order == Order::descending));
  CHECK((query.content == Content::keys && query.separator == "/" && query.prefix_size == 3));
  CHECK(std::get<Modify>(transaction.otherwise[0]).operand == INT64_MIN);
  CHECK(std::get<Modify>(transaction.otherwise[1]).suffix.view() == "suffix");
  CHECK(std::get<Restore>(transaction.otherwise[2]).revision == 5);
}

TEST_CASE("a transaction is refused if it is nested too deeply or has too many parts") {
  CHECK(decode(encode(everything(kMaxDepth + 1))).error().what ==
        "command: transactions are nested deeper than 8");
  Transaction many;
  for (std::size_t i = 0; i < kMaxOperations; ++i) many.then.emplace_back(Get{bytes_of("k"), 0});
  CHECK(decode(encode(many)).ok());
  many.otherwise.emplace_back(Get{bytes_of("k"), 0});
  CHECK(decode(encode(many)).error().what == "command: too many operations");
  Transaction compares;
  compares.compares.resize(kMaxCompares);
  CHECK(decode(encode(compares)).ok());
  Transaction inside;
  inside.compares.resize(1);
  compares.then.emplace_back(Nested{std::make_unique<Transaction>(std::move(inside))});
  CHECK(decode(encode(compares)).error().what == "command: too many compares");
}

TEST_CASE("conditions stand only before a write of one key") {
  CHECK(decode(encode(both(), Restore{bytes_of("k"), 2})).ok());
  CHECK(decode(encode(both(), Modify{Modify::Kind::max, bytes_of("k"), 2, {}})).ok());
  for (const std::string& bytes :
       {encode(both(), Get{bytes_of("k"), 0}), encode(both(), GetRange{}),
        encode(both(), Delete{KeyRange::of_prefix("k"), Prev::omit})})
    CHECK(decode(bytes).error().what == "command: conditions belong to a write of one key");
  std::string quota = encode(Compact{1}, IdempotencyKey{"t", {}});
  quota[1] = 4;
  CHECK(decode(quota).error().what == "command: kind 4 takes no idempotency key");
}

TEST_CASE("a truncated command is refused, and so is one with trailing bytes") {
  for (const std::string& bytes :
       {encode_put("key", "value", ValueForm::bytes, both()), encode_remove("key", both()),
        encode_put("key", "value", ValueForm::bytes, both(), IdempotencyKey{"token", {1, 2}}),
        encode(everything(3)), encode(Compact{7}), encode(SetQuota{false})}) {
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      CAPTURE(size);
      CHECK_FALSE(decode(std::string_view(bytes).substr(0, size)).ok());
    }
    CHECK_FALSE(decode(bytes + '\0').ok());
  }
}

TEST_CASE("the error about an unknown version names it") {
  std::string bytes = encode_put("k", "v", ValueForm::bytes, {});
  bytes[0] = 1;
  const auto command = decode(bytes);
  REQUIRE_FALSE(command.ok());
  CHECK(command.error().what == "command: version 1 is unknown; this build knows 3");
}

TEST_CASE("unknown kinds, operations and flags are refused, never skipped") {
  const std::string put = encode_put("k", "v", ValueForm::bytes, {});
  const auto refused_with = [&](std::size_t at, char byte) {
    std::string bytes = put;
    bytes[at] = byte;
    return !decode(bytes).ok();
  };
  for (const char kind : {'\0', '\x0e', '\xff'}) CHECK(refused_with(1, kind));
  for (const char operation : {'\0', '\x07', '\x08', '\xff'}) CHECK(refused_with(3, operation));
  for (int bit = 4; bit < 8; ++bit) CHECK(refused_with(2, static_cast<char>(1 << bit)));
  for (int bit = 6; bit < 8; ++bit) CHECK(refused_with(4, static_cast<char>(1 << bit)));
}

TEST_CASE("lengths above their bounds are refused") {
  std::string head = encode_put("k", "", ValueForm::bytes, {});
  SUBCASE("the key is empty") {
    head[5] = 0;
    CHECK(decode(head).error().what == "command: a key of 0 bytes, expected 1 to 4096");
  }
  SUBCASE("the key has 4097 bytes") {
    head[5] = 1;
    head[6] = 16;
    CHECK(decode(head + std::string(4097, 'x')).error().what ==
          "command: a key of 4097 bytes, expected 1 to 4096");
  }
  SUBCASE("the value claims 4 GiB") {
    for (std::size_t i = 8; i < 12; ++i) head[i] = '\xff';
    CHECK_FALSE(decode(head).ok());
  }
  SUBCASE("a plain value is above 8 MiB, which a JSON value may be") {
    std::string bytes = encode_put("k", std::string(kMaxValue + 1, 'x'), ValueForm::json, {});
    CHECK(decode(bytes).ok());
    bytes[4] = 0;
    CHECK_FALSE(decode(bytes).ok());
  }
}

TEST_CASE("a condition with more than 16 revisions, or with any and a list, is refused") {
  Conditions conditions;
  conditions.if_match = Match{false, std::vector<std::uint64_t>(16, 3)};
  std::string bytes = encode_remove("k", conditions);
  CHECK(decode(bytes).ok());
  bytes[4] = 17;
  CHECK_FALSE(decode(bytes).ok());
  bytes[4] = 16;
  bytes[3] = 1;
  CHECK_FALSE(decode(bytes).ok());
  bytes[3] = 2;
  CHECK_FALSE(decode(bytes).ok());
}

TEST_CASE("decoding flipped bytes returns a result and never reads out of bounds") {
  for (const std::string& bytes : {encode_put("key", "value", ValueForm::json, both()),
                                   encode(everything(2), IdempotencyKey{"t", {1, 2}})})
    for (std::size_t at = 0; at < bytes.size(); ++at)
      for (int bit = 0; bit < 8; ++bit) {
        std::string damaged = bytes;
        damaged[at] = static_cast<char>(damaged[at] ^ (1 << bit));
        const auto command = decode(damaged);
        if (!command.ok() || command->identity) continue;
        // Every command has exactly one byte form.
        if (const auto* transaction = std::get_if<Transaction>(&command->body))
          CHECK(encode(*transaction, command->has_idempotency_key
                                         ? std::optional(IdempotencyKey{
                                               std::string(command->idempotency_key.view()),
                                               command->fingerprint})
                                         : std::nullopt) == damaged);
      }
}
