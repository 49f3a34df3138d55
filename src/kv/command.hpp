// The byte form of a client's write, the payload of a log entry of type command. Little-endian:
//
//   u8 version = 1   u8 op   u8 flags   [condition] [condition]   u16 length, key
//   op put only: u32 length, value
//
//   op 1 put, 2 remove · flags 1 json, 2 has If-Match, 4 has If-None-Match; conditions in that
//   order, each u8 any, u8 count, then u64 revisions
//
// One command has exactly one byte form. Nothing in here knows of the store.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "kv/item.hpp"

namespace vesper::kv {

inline constexpr std::uint8_t kCommandVersion = 1;

enum class Op : std::uint8_t { put = 1, remove = 2 };

struct Command {
  Op op = Op::put;
  bool json = false;  // put only
  Conditions conditions;
  SharedBytes key;    // 1 to kMaxKey bytes
  SharedBytes value;  // put only; up to kMaxValue bytes, kMaxJson where json
};

// Requires key, value and conditions within their bounds (kv/item.hpp): whoever takes a request in
// has checked them.
std::string encode_put(std::string_view key, std::string_view value, bool json,
                       const Conditions& conditions);
std::string encode_remove(std::string_view key, const Conditions& conditions);

// Key and value of the result are slices of `payload`. Everything is checked and bounded; what is
// wrong is named. An error means that the log holds what this build cannot apply: who gets one
// stops, since a skipped command would make this store differ from the others'.
Result<Command> decode_command(const SharedBytes& payload);

}  // namespace vesper::kv
