// Entity tags of If-Match and If-None-Match (RFC 9110 §8.8.3, §13.1). What they are compared with,
// and what follows, is decided where an entry is applied, not here.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace vesper::http {

inline constexpr std::size_t kMaxEntityTags = 16;

// The tags of one condition. Only tags that can be a revision of ours are kept as numbers: "abc",
// "007" and "0" are valid and never match. A condition that is present and names nothing that can
// match is still a condition: `present` says so.
struct EntityTags {
  bool present = false;
  bool any = false;                   // "*"
  std::vector<std::uint64_t> strong;  // "7", or a bare 7
  std::vector<std::uint64_t> weak;    // W/"7": matches in If-None-Match only
  std::size_t count = 0;              // of all tags, those that never match included

  bool operator==(const EntityTags&) const = default;
};

// Adds one field line's list to `tags`; lines of one name make one list (RFC 9110 §5.3). False,
// with `tags` in any state, where it is no list of tags, has more than kMaxEntityTags of them, or
// puts
// "*" beside others.
[[nodiscard]] bool add_entity_tags(std::string_view value, EntityTags& tags);

}  // namespace vesper::http
