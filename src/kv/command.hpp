// The byte form of a client's write, the payload of a log entry of type command. Little-endian:
//
//   u8 version = 1   u8 op   u8 flags   [condition] [condition] [idempotency key]   u16 length, key
//   op put only: u32 length, value
//
//   op 1 put, 2 remove · flags 1 json, 2 has If-Match, 4 has If-None-Match, 8 has an idempotency
//   key; conditions in that order, each u8 any, u8 count, then u64 revisions; idempotency key: u8
//   length, text, u64 fingerprint.high, u64 fingerprint.low
//
// One command has exactly one byte form. Nothing in here knows of the store.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "kv/item.hpp"

namespace vesper::kv {

inline constexpr std::uint8_t kCommandVersion = 1;

inline constexpr std::size_t kMaxIdempotencyKey = 255;  // bytes; the shortest has 1

enum class Op : std::uint8_t { put = 1, remove = 2 };

// Under which a write is applied once however often it comes (thesis 6.3). Its client has drawn the
// text; the fingerprint says what the text stands for, so that it is not used for another request.
struct IdempotencyKey {
  std::string text;   // visible ASCII, 1 to kMaxIdempotencyKey bytes
  Id128 fingerprint;  // fingerprint_of
};
bool is_idempotency_key(std::string_view text);

// Of what a client asked for: method, target (path, and the parameters that change what is done),
// conditions, body. Fixed for good, since a request may be repeated to a node of another version.
// Not against forgers: a client that collides two requests deceives only itself.
Id128 fingerprint_of(std::string_view method, std::string_view target, const Conditions& conditions,
                     std::string_view body);

struct Command {
  Op op = Op::put;
  bool json = false;  // put only
  Conditions conditions;
  bool has_idempotency_key = false;  // and with it the two below
  SharedBytes idempotency_key;
  Id128 fingerprint;
  SharedBytes key;    // 1 to kMaxKey bytes
  SharedBytes value;  // put only; up to kMaxValue bytes, kMaxJson if json
};

// Requires key, value, conditions and idempotency key within their bounds (kv/item.hpp): the caller
// has validated the request.
std::string encode_put(std::string_view key, std::string_view value, bool json,
                       const Conditions& conditions,
                       const std::optional<IdempotencyKey>& request = std::nullopt);
std::string encode_remove(std::string_view key, const Conditions& conditions,
                          const std::optional<IdempotencyKey>& request = std::nullopt);

// Key, value and idempotency key of the result are slices of `payload`. Everything is checked and
// bounded; what is wrong is named. An error means that the log holds what this build cannot apply:
// the node stops, since a skipped command would make its store differ from the others.
Result<Command> decode_command(const SharedBytes& payload);

}  // namespace vesper::kv
