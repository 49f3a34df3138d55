#include <doctest/doctest.h>

#include <string>

#include "kv/command.hpp"

using namespace vesper;
using namespace vesper::kv;

namespace {

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
  const std::string bytes = encode_put(std::string_view("a\0b", 3), "value", true, both());
  const auto command = decode(bytes);
  REQUIRE(command.ok());
  CHECK(command->op == Op::put);
  CHECK(command->json);
  CHECK(command->conditions == both());
  CHECK(command->key.view() == std::string_view("a\0b", 3));
  CHECK(command->value.view() == "value");
}

TEST_CASE("a remove comes back from its byte form unchanged") {
  Conditions conditions;
  conditions.if_match = Match{};
  const auto command = decode(encode_remove("k", conditions));
  REQUIRE(command.ok());
  CHECK(command->op == Op::remove);
  CHECK_FALSE(command->json);
  CHECK(command->conditions == conditions);
  CHECK(command->key.view() == "k");
  CHECK(command->value.empty());
}

TEST_CASE("the byte form matches the documentation") {
  CHECK(encode_put("k", "vw", true, {}) ==
        std::string("\x01\x01\x01\x01\x00k\x02\x00\x00\x00vw", 12));
  Conditions conditions;
  conditions.if_match = Match{false, {5}};
  conditions.if_none_match = Match{true, {}};
  CHECK(encode_remove("k", conditions) ==
        std::string("\x01\x02\x06\x00\x01\x05\0\0\0\0\0\0\0\x01\x00\x01\x00k", 18));
}

TEST_CASE("the byte form of an idempotency key and its fingerprint matches the documentation") {
  const IdempotencyKey id{"to", {0x0102, 0x0304}};
  const std::string bytes = encode_put("k", "v", false, {}, id);
  CHECK(bytes ==
        std::string("\x01\x01\x08\x02to\x02\x01\0\0\0\0\0\0\x04\x03\0\0\0\0\0\0\x01\0k\x01\0\0\0v",
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
  const auto payload = SharedBytes::copy_of(encode_put("key", "value", false, {}));
  const auto command = decode_command(payload);
  REQUIRE(command.ok());
  CHECK(command->key.data() >= payload.data());
  CHECK(command->value.data() + command->value.size() == payload.data() + payload.size());
}

TEST_CASE("a truncated command is refused, and so is one with trailing bytes") {
  for (const std::string& bytes :
       {encode_put("key", "value", false, both()), encode_remove("key", both()),
        encode_put("key", "value", false, both(), IdempotencyKey{"token", {1, 2}})}) {
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      CAPTURE(size);
      CHECK_FALSE(decode(std::string_view(bytes).substr(0, size)).ok());
    }
    CHECK_FALSE(decode(bytes + '\0').ok());
  }
}

TEST_CASE("the error about an unknown version names it") {
  std::string bytes = encode_put("k", "v", false, {});
  bytes[0] = 2;
  const auto command = decode(bytes);
  REQUIRE_FALSE(command.ok());
  CHECK(command.error().what == "command: version 2 is unknown; this build knows 1");
}

TEST_CASE("unknown operations and flags are refused, never skipped") {
  for (const char op : {'\0', '\x03', '\xff'}) {
    std::string bytes = encode_put("k", "v", false, {});
    bytes[1] = op;
    CHECK_FALSE(decode(bytes).ok());
  }
  for (int bit = 4; bit < 8; ++bit) {
    std::string bytes = encode_put("k", "v", false, {});
    bytes[2] = static_cast<char>(1 << bit);
    CHECK_FALSE(decode(bytes).ok());
  }
  std::string marked = encode_remove("k", {});
  marked[2] = 1;
  CHECK_FALSE(decode(marked).ok());
}

TEST_CASE("lengths above their bounds are refused") {
  std::string head = encode_put("k", "", false, {});
  SUBCASE("the key is empty") {
    head[3] = 0;
    CHECK(decode(head).error().what == "command: a key of 0 bytes, expected 1 to 4096");
  }
  SUBCASE("the key has 4097 bytes") {
    head[3] = 1;
    head[4] = 16;
    CHECK(decode(head + std::string(4097, 'x')).error().what ==
          "command: a key of 4097 bytes, expected 1 to 4096");
  }
  SUBCASE("the value claims 4 GiB") {
    for (std::size_t i = 6; i < 10; ++i) head[i] = '\xff';
    CHECK_FALSE(decode(head).ok());
  }
  SUBCASE("a plain value is above 8 MiB, which a JSON value may be") {
    std::string bytes = encode_put("k", std::string(kMaxValue + 1, 'x'), true, {});
    CHECK(decode(bytes).ok());
    bytes[2] = 0;
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
  const std::string bytes = encode_put("key", "value", true, both());
  for (std::size_t at = 0; at < bytes.size(); ++at)
    for (int bit = 0; bit < 8; ++bit) {
      std::string damaged = bytes;
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << bit));
      const auto command = decode(damaged);
      if (command.ok()) CHECK(command->key.size() + command->value.size() < damaged.size());
    }
}
