// Parses the entity tags of If-Match and If-None-Match (RFC 9110 §8.8.3, §13.1). kv/ evaluates the
// conditions when an entry is applied.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace vesper::http {

inline constexpr std::size_t kMaxEntityTags = 16;

// The tags of one condition. Only tags that can be one of our revisions are kept, as numbers:
// "abc", "007" and "0" are valid but never match. A condition without any tag that can match is
// still a condition; `present` records that.
struct EntityTags {
  bool present = false;
  bool any = false;                   // "*"
  std::vector<std::uint64_t> strong;  // "7", or a bare 7
  std::vector<std::uint64_t> weak;    // W/"7": matches in If-None-Match only
  std::size_t count = 0;              // of all tags, including those that never match

  bool operator==(const EntityTags&) const = default;
};

// Adds the list in one field line to `tags`. Several lines of one name form a single list (RFC 9110
// §5.3). Returns false if the value is not a list of tags, if there are more than kMaxEntityTags,
// or if "*" is combined with tags. `tags` is then unspecified.
[[nodiscard]] bool add_entity_tags(std::string_view value, EntityTags& tags);

}  // namespace vesper::http
