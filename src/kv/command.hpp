// The byte form of a client's write, which is the payload of a log entry of type command.
// Little-endian:
//
//   u8 version = 2   u8 kind   u8 flags   [condition] [condition] [idempotency key]   body
//
//   kind: 1 one operation, 2 transaction, 3 compaction, 4 quota
//   flags: 1 has If-Match, 2 has If-None-Match (one operation only), 4 has an idempotency key
//   each condition, If-Match first: u8 any, u8 count, then `count` u64 revisions
//   idempotency key: u8 length, text, u64 fingerprint.high, u64 fingerprint.low
//   compaction: u64 revision    quota: u8 exceeded
//   transaction: u16 count, compares   u16 count, operations ("then")   u16 count, operations
//   compare: range   u8 target   u8 op   u64 number, or for a value: u32 length, value
//   range: u16 length, start   u16 length, end
//   operation: u8 kind, then
//     1 put        u8 flags (1 json, 2 keep value, 4 keep lease, 8 prev)   u64 lease   key   value
//     2 get        key   u64 revision
//     3 get range  range   u64 revision   u64 limit   u8 order   u8 content   u16 prefix size
//                  u16 length, separator
//     4 delete     u8 flags (1 prev)   range
//     5 modify     u8 kind   key   i64 operand, or for append: u32 length, suffix
//     6 restore    key   u64 revision
//     7 nested     transaction
//   key: u16 length, key   value: u32 length, value
//
// Every command has exactly one byte form. The store that applies commands is in store.hpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "kv/item.hpp"
#include "kv/operation.hpp"

namespace vesper::kv {

inline constexpr std::uint8_t kCommandVersion = 2;

inline constexpr std::size_t kMaxIdempotencyKey = 255;  // bytes; at least 1
inline constexpr std::size_t kMaxSeparator = 4096;      // bytes

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

// One operation, as a single request asks for it.
struct Single {
  Conditions conditions;
  Operation operation;
};
// Compacts the history: `revision` becomes the oldest readable one.
struct Compact {
  std::uint64_t revision = 0;  // at least 1
};
// Tells all nodes whether the store has reached the leader's quota.
struct SetQuota {
  bool exceeded = false;
};

struct Command {
  bool has_idempotency_key = false;  // if so, the next two fields are set
  SharedBytes idempotency_key;
  Id128 fingerprint;
  std::variant<Single, Transaction, Compact, SetQuota> body;
};

// How the bytes of a value are to be understood.
enum class ValueForm : std::uint8_t { bytes, json };

// The encoders require keys, values, conditions and counts within their bounds (kv/item.hpp,
// kv/operation.hpp). The caller has validated the request.
std::string encode_put(std::string_view key, std::string_view value, ValueForm form,
                       const Conditions& conditions,
                       const std::optional<IdempotencyKey>& request = std::nullopt);
std::string encode_remove(std::string_view key, const Conditions& conditions,
                          const std::optional<IdempotencyKey>& request = std::nullopt);
std::string encode(const Conditions& conditions, const Operation& operation,
                   const std::optional<IdempotencyKey>& request = std::nullopt);
std::string encode(const Transaction& transaction,
                   const std::optional<IdempotencyKey>& request = std::nullopt);
std::string encode(const Compact& compact,
                   const std::optional<IdempotencyKey>& request = std::nullopt);
std::string encode(const SetQuota& quota);

// Keys and values of the result are slices of `payload`. Every field is checked and bounded, and
// the error names the faulty one. An error means that this build cannot apply an entry of the log.
// The node must stop, because skipping a command would make its store differ from the others.
Result<Command> decode_command(const SharedBytes& payload);

}  // namespace vesper::kv
