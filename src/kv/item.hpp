// A key's state, and the conditions that a request may set on it. How a request spells them is
// HTTP's business; here is only what they mean.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.hpp"
#include "base/ids.hpp"

namespace vesper::kv {

inline constexpr std::size_t kMaxKey = 4096;          // bytes; the shortest key has 1
inline constexpr std::size_t kMaxValue = 8u << 20;    // bytes of a plain value
inline constexpr std::size_t kMaxJson = 16u << 20;    // bytes of a JSON text
inline constexpr std::size_t kMaxConditionList = 16;  // revisions in one condition

// What the store keeps for a key that exists.
struct Item {
  SharedBytes value;
  bool json = false;                  // the value is a JSON text, not a string of bytes
  std::uint64_t revision = 0;         // of the last write of this key; 2 at least
  std::uint64_t create_revision = 0;  // of the write that made it; <= revision
  std::uint64_t version = 0;          // writes since it was made, that one included; 1 at least
  Id128 digest;                       // of key, value and everything above; set by the store
};

// One If-Match or If-None-Match: `*`, or a list of revisions. An empty list names no revision, so
// that it never matches (If-Match with nothing but weak tags). Requires: at most kMaxConditionList
// revisions, and none beside `any`.
struct Match {
  bool any = false;
  std::vector<std::uint64_t> revisions;

  bool operator==(const Match&) const = default;
};

struct Conditions {
  std::optional<Match> if_match;
  std::optional<Match> if_none_match;

  bool operator==(const Conditions&) const = default;
  bool empty() const { return !if_match && !if_none_match; }
};

// Is this item one that `match` names? Null stands for an absent key, which nothing names.
bool matches(const Match& match, const Item* item);

// RFC 9110 §13.2.2: If-Match is looked at first, both must hold. A read tells the two refusals
// apart (412 and 304), a write does not.
enum class Verdict { holds, if_match_failed, if_none_match_failed };
Verdict evaluate(const Conditions& conditions, const Item* item);
inline bool holds(const Conditions& conditions, const Item* item) {
  return evaluate(conditions, item) == Verdict::holds;
}

}  // namespace vesper::kv
