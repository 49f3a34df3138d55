// The byte forms of the commands about leases, locks, elections and expiry: each comes back
// unchanged, and every damage is refused or is another command with one byte form.
#include <doctest/doctest.h>

#include <string>
#include <type_traits>
#include <vector>

#include "kv/command.hpp"
#include "kv/leases.hpp"

using namespace vesper;
using namespace vesper::kv;

namespace {

SharedBytes bytes_of(std::string_view text) {
  return SharedBytes::copy_of(text);
}

Result<Command> decode(std::string_view bytes) {
  return decode_command(SharedBytes::copy_of(bytes));
}

// The byte form of what was decoded; empty for commands that this file does not test.
std::string encode_again(const Command& command) {
  std::optional<IdempotencyKey> request;
  if (command.has_idempotency_key)
    request = IdempotencyKey{std::string(command.idempotency_key.view()), command.fingerprint};
  return std::visit(
      [&](const auto& body) -> std::string {
        using Body = std::decay_t<decltype(body)>;
        if constexpr (std::is_same_v<Body, Single>)
          return encode(body.conditions, body.operation, request, command.fence);
        else if constexpr (std::is_same_v<Body, Transaction>)
          return encode(body, request, command.fence);
        else if constexpr (std::is_same_v<Body, LeaveQueue> || std::is_same_v<Body, KeepPlaces> ||
                           std::is_same_v<Body, Expire>)
          return encode(body);
        else if constexpr (std::is_same_v<Body, Compact> || std::is_same_v<Body, SetQuota> ||
                           std::is_same_v<Body, EnableAuth> || std::is_same_v<Body, DisableAuth> ||
                           std::is_same_v<Body, AddToken> || std::is_same_v<Body, RevokeToken>)
          return {};
        else return encode(body, request);
      },
      command.body);
}

std::vector<std::string> all_forms() {
  const LockName lock{Space::locks, "a/b"}, election{Space::elections, std::string(1, '\0')};
  const IdempotencyKey id{"t", {1, 2}};
  AcquireLock acquire{election, seconds(15), 9, AcquireLock::IfHeld::queue, 5, 6, bytes_of("me")};
  Expire expire;
  expire.keys = {{bytes_of("k"), LogTime{7}}, {bytes_of("l"), LogTime{8}}};
  expire.leases = {3};
  expire.locks = {{lock, 4}, {election, 5}};
  expire.sessions = {{9, 0}, {0, 12}};
  Put leased, expiring, kept;
  leased.key = expiring.key = kept.key = bytes_of("k");
  leased.lease = 7;
  expiring.ttl = kMaxTtl;
  kept.keep_lease = true;
  Transaction held;
  Compare compare;
  compare.range = KeyRange::of_key("a/b");
  compare.target = Compare::Target::lock;
  compare.number = 17;
  held.compares.push_back(compare);
  return {encode(GrantLease{seconds(10), 100'000}),
          encode(GrantLease{nanoseconds(1), 1}, id),
          encode(RenewLease{7}, id),
          encode(EndLease{UINT64_MAX}),
          encode(acquire, id),
          encode(AcquireLock{lock, kMaxTtl, 1, AcquireLock::IfHeld::refuse, 1, 0, {}}),
          encode(RenewLock{lock, 17, std::nullopt}),
          encode(RenewLock{election, 17, bytes_of("")}),
          encode(RenewLock{election, 17, bytes_of("you")}, id),
          encode(ReleaseLock{lock, 17}),
          encode(LeaveQueue{lock, 21, 22, 9, LeaveQueue::Manner::timed_out}),
          encode(LeaveQueue{election, 21, 21, 9, LeaveQueue::Manner::hung_up}),
          encode(LeaveQueue{lock, 21, 21, 9, LeaveQueue::Manner::disconnected}),
          encode(KeepPlaces{9}),
          encode(expire),
          encode({}, leased),
          encode({}, expiring, id),
          encode({}, kept, std::nullopt, Fence{"a/b", 17}),
          encode(held, id, Fence{"a/b", 17})};
}

}  // namespace

TEST_CASE("a command about what ends by itself comes back from its byte form unchanged") {
  for (const std::string& bytes : all_forms()) {
    const auto command = decode(bytes);
    REQUIRE(command.ok());
    CHECK(encode_again(*command) == bytes);
  }
}

TEST_CASE("the byte forms of leases and locks match the documentation") {
  CHECK(encode(GrantLease{nanoseconds(5), 6}) ==
        std::string("\x03\x05\x00\x05\0\0\0\0\0\0\0\x06\0\0\0\0\0\0\0", 19));
  CHECK(encode(ReleaseLock{{Space::elections, "n"}, 17}) ==
        std::string("\x03\x0a\x00\x02\x01\x00n\x11\0\0\0\0\0\0\0", 15));
  CHECK(encode(LeaveQueue{{Space::locks, "n"}, 2, 4, 3, LeaveQueue::Manner::timed_out}) ==
        std::string(
            "\x03\x0b\x00\x01\x01\x00n\x02\0\0\0\0\0\0\0\x04\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\x01",
            32));
  CHECK(encode(KeepPlaces{9}) == std::string("\x03\x0c\x00\x09\0\0\0\0\0\0\0", 11));
  Expire expire;
  expire.keys = {{bytes_of("k"), LogTime{7}}};
  expire.sessions = {{9, 0}};
  CHECK(encode(expire) == std::string("\x03\x0d\x00\x01\x00\x01\x00k\x07\0\0\0\0\0\0\0\0\0\0\0"
                                      "\x01\x00\x09\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
                                      38));
}

TEST_CASE("a truncated command about leases or locks is refused, and so is one that is too long") {
  for (const std::string& bytes : all_forms()) {
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      CAPTURE(size);
      CHECK_FALSE(decode(std::string_view(bytes).substr(0, size)).ok());
    }
    CHECK_FALSE(decode(bytes + '\0').ok());
  }
}

TEST_CASE("flipped bits of a command about leases or locks give an error or another command") {
  for (const std::string& bytes : all_forms())
    for (std::size_t at = 0; at < bytes.size(); ++at)
      for (int bit = 0; bit < 8; ++bit) {
        std::string damaged = bytes;
        damaged[at] = static_cast<char>(damaged[at] ^ (1 << bit));
        const auto command = decode(damaged);
        if (!command.ok()) continue;
        const std::string again = encode_again(*command);
        if (!again.empty()) CHECK(again == damaged);
      }
}

TEST_CASE("a lease, a ttl and keep_lease exclude each other, and their ranges are checked") {
  Put put;
  put.key = bytes_of("k");
  put.lease = 7;
  std::string bytes = encode({}, put);
  REQUIRE(decode(bytes).ok());
  bytes[4] = static_cast<char>(bytes[4] | 4);  // keep lease
  CHECK_FALSE(decode(bytes).ok());
  std::string grant = encode(GrantLease{nanoseconds(1), 1});
  grant[3] = 0;
  CHECK_FALSE(decode(grant).ok());
  for (std::size_t i = 3; i < 11; ++i) grant[i] = '\xff';
  CHECK_FALSE(decode(grant).ok());
  grant[10] = '\x7f';  // more than kMaxTtl
  CHECK_FALSE(decode(grant).ok());
}
