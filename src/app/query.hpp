// Builds the query of a request target, and ranges of keys for it.
#pragma once

#include <string>
#include <string_view>

#include "http/target.hpp"
#include "json/problem.hpp"
#include "kv/key_range.hpp"

namespace vesper::app {

class Query {
 public:
  Query() = default;
  explicit Query(std::string encoded) : text_(std::move(encoded)) {}

  Query& add(std::string_view name, std::string_view value) {
    flag(name);
    text_ += '=';
    http::percent_encode_query(value, text_);
    return *this;
  }
  Query& add(std::string_view name, std::uint64_t value) {
    return add(name, std::to_string(value));
  }
  Query& flag(std::string_view name) { return append(name); }
  // Appends parameters that are encoded already. Empty: none.
  Query& append(std::string_view encoded) {
    if (encoded.empty()) return *this;
    if (!text_.empty()) text_ += '&';
    text_ += encoded;
    return *this;
  }

  const std::string& text() const { return text_; }

 private:
  std::string text_;  // percent-encoded, without '?'
};

// Adds the bounds of a range.
inline void add_range(Query& query, const kv::KeyRange& range) {
  if (!range.start.empty()) query.add("start", range.start);
  if (!range.end.empty()) query.add("end", range.end);
}

// The smallest key above `key`. Empty: there is none.
inline std::string key_after(const std::string& key) {
  return key.size() < json::kMaxKey ? key + '\0' : kv::KeyRange::end_of_prefix(key);
}

}  // namespace vesper::app
