// The byte form of a client's write, which is the payload of a log entry of type command.
// Little-endian:
//
//   u8 version = 1   u8 op   u8 flags   [condition] [condition] [idempotency key]   u16 length, key
//   op put only: u32 length, value
//
//   op: 1 put, 2 remove
//   flags: 1 json, 2 has If-Match, 4 has If-None-Match, 8 has an idempotency key
//   each condition, If-Match first: u8 any, u8 count, then `count` u64 revisions
//   idempotency key: u8 length, text, u64 fingerprint.high, u64 fingerprint.low
//
// Every command has exactly one byte form. The store that applies commands is in store.hpp.
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

inline constexpr std::size_t kMaxIdempotencyKey = 255;  // bytes; at least 1

enum class Op : std::uint8_t { put = 1, remove = 2 };

// Identifies a write that is applied once, however often it arrives (thesis 6.3). The client
// chooses the text. The fingerprint identifies the request, so that the text cannot be reused for
// another request.
struct IdempotencyKey {
  std::string text;   // visible ASCII, 1 to kMaxIdempotencyKey bytes
  Id128 fingerprint;  // fingerprint_of
};
bool is_idempotency_key(std::string_view text);

// The fingerprint of a request: its method, target (path, and the parameters that change what is
// done), conditions and body. It must never change, because a request may be repeated to a node of
// another version. It is no protection against forgers: a client that makes two of its requests
// collide deceives only itself.
Id128 fingerprint_of(std::string_view method, std::string_view target, const Conditions& conditions,
                     std::string_view body);

struct Command {
  Op op = Op::put;
  bool json = false;  // put only
  Conditions conditions;
  bool has_idempotency_key = false;  // if so, the next two fields are set
  SharedBytes idempotency_key;
  Id128 fingerprint;
  SharedBytes key;    // 1 to kMaxKey bytes
  SharedBytes value;  // put only; up to kMaxValue bytes, kMaxJson if json
};

// Requires key, value, conditions and idempotency key within their bounds (kv/item.hpp). The caller
// has validated the request.
std::string encode_put(std::string_view key, std::string_view value, bool json,
                       const Conditions& conditions,
                       const std::optional<IdempotencyKey>& request = std::nullopt);
std::string encode_remove(std::string_view key, const Conditions& conditions,
                          const std::optional<IdempotencyKey>& request = std::nullopt);

// Key, value and idempotency key of the result are slices of `payload`. Every field is checked and
// bounded, and the error names the faulty one. An error means that this build cannot apply an entry
// of the log. The node must stop, because skipping a command would make its store differ from the
// others.
Result<Command> decode_command(const SharedBytes& payload);

}  // namespace vesper::kv
