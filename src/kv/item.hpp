// The bounds of keys and values, and the conditions that a request may set on a key. The HTTP layer
// parses the conditions; this file defines their meaning.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "kv/version.hpp"

namespace vesper::kv {

inline constexpr std::size_t kMaxKey = 4096;            // bytes; at least 1
inline constexpr std::size_t kMaxValue = 8u << 20;      // bytes of a plain value
inline constexpr std::size_t kMaxJson = 16u << 20;      // bytes of a JSON text
inline constexpr std::size_t kMaxElectionValue = 4096;  // bytes
inline constexpr std::size_t kMaxConditionList = 16;    // revisions in one condition

// One If-Match or If-None-Match: `*`, or a list of revisions. An empty list never matches (If-Match
// with only weak tags). Holds at most kMaxConditionList revisions, and none if `any`.
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

// True if `match` names this version. Null is an absent key, which never matches.
bool matches(const Match& match, const Version* version);

// RFC 9110 §13.2.2: If-Match is evaluated first, and both must hold. A read distinguishes the two
// failures (412 and 304), a write does not.
enum class Verdict { holds, if_match_failed, if_none_match_failed };
Verdict evaluate(const Conditions& conditions, const Version* version);
inline bool holds(const Conditions& conditions, const Version* version) {
  return evaluate(conditions, version) == Verdict::holds;
}

}  // namespace vesper::kv
