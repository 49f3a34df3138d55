// What a request covers: one type for single keys, prefixes and ranges, in reads, deletes and
// compares.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace vesper::kv {

// The keys from `start` up to, but not including, `end`, in byte order. An empty `end` means "to
// the end"; an empty `start` means "from the beginning", because no key is empty.
struct KeyRange {
  std::string start;
  std::string end;

  bool operator==(const KeyRange&) const = default;

  // Exactly this key: its successor in byte order is the key followed by a zero byte.
  static KeyRange of_key(std::string_view key) {
    KeyRange range{std::string(key), std::string(key)};
    range.end.push_back('\0');
    return range;
  }
  // All keys that begin with `prefix`. An empty prefix covers all keys.
  static KeyRange of_prefix(std::string_view prefix) {
    return {std::string(prefix), end_of_prefix(prefix)};
  }
  static KeyRange all() { return {}; }

  bool is_to_the_end() const { return end.empty(); }
  // True for what of_key() makes. Then `start` is the key.
  bool is_single_key() const {
    return !start.empty() && end.size() == start.size() + 1 && end.back() == '\0' &&
           std::string_view(end).substr(0, start.size()) == start;
  }
  // True if no key can lie in the range.
  bool is_empty() const { return !end.empty() && end <= start; }
  bool contains(std::string_view key) const { return key >= start && (end.empty() || key < end); }

  // The smallest string above every string that begins with `prefix`. Empty if there is none.
  static std::string end_of_prefix(std::string_view prefix) {
    std::string end(prefix);
    while (!end.empty() && static_cast<unsigned char>(end.back()) == 0xff) end.pop_back();
    if (!end.empty()) end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
    return end;
  }
};

}  // namespace vesper::kv
