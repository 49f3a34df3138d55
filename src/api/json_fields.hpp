// Reads the members of a JSON body with exact errors: each names the path of the faulty member,
// such as then[3].put.key. Knows the forms that all JSON bodies share (keys, values, base64,
// numbers as strings, flags), but no body in particular.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "api/problem.hpp"
#include "base/bytes.hpp"
#include "base/time.hpp"
#include "json/document.hpp"

namespace vesper::api {

// The place of a value in a document. Refers to the path of its parent, which must outlive it.
// Costs nothing until an error needs its text.
class JsonPath {
 public:
  JsonPath() = default;
  JsonPath member(std::string_view name) const { return {this, name, kNoIndex}; }
  JsonPath element(std::size_t index) const { return {this, {}, index}; }
  std::string to_string() const;

 private:
  static constexpr std::size_t kNoIndex = SIZE_MAX;
  JsonPath(const JsonPath* parent, std::string_view name, std::size_t index)
      : parent_(parent), name_(name), index_(index) {}

  const JsonPath* parent_ = nullptr;
  std::string_view name_;
  std::size_t index_ = kNoIndex;
};

// The name of a member that holds bytes. It has two forms, and an object may have one of them.
struct BytesName {
  std::string_view text;
  std::string_view base64;
};
inline constexpr BytesName kKey{"key", "key_base64"};
inline constexpr BytesName kValue{"value", "value_base64"};
inline constexpr BytesName kPrefix{"prefix", "prefix_base64"};
inline constexpr BytesName kStart{"start", "start_base64"};
inline constexpr BytesName kEnd{"end", "end_base64"};
inline constexpr BytesName kLock{"lock", "lock_base64"};

// The bytes of such a member. Refers to the document.
class JsonBytes {
 public:
  bool exists() const { return !member_.empty(); }
  std::string_view member() const { return member_; }  // the form that was there
  std::string_view view() const { return decoded_ ? std::string_view(*decoded_) : text_; }

 private:
  friend class FieldReader;
  std::string_view member_;
  std::string_view text_;
  std::optional<std::string> decoded_;
};

// Every function returns true if it succeeded. After false, problem() says what was wrong, and the
// reader may not be used any more.
class FieldReader {
 public:
  // A value may have up to `max_value` bytes.
  explicit FieldReader(std::size_t max_value) : max_value_(max_value) {}

  Problem& problem() { return problem_; }

  // These record a problem and return false. `what` continues a sentence that begins with the path.
  bool fail(const JsonPath& path, std::string_view what);
  bool fail_limit(const JsonPath& path, std::string_view what, std::uint64_t limit);
  bool fail_missing(const JsonPath& path) { return fail(path, "is missing"); }
  bool fail_type(const JsonPath& path, json::Value value, std::string_view expected);

  // Requires an object whose members all have one of these names.
  bool check_members(const JsonPath& path, json::Value value,
                     std::initializer_list<std::string_view> names);

  // These read the value at `path`. A number may also be written as a string, because not every
  // JSON library has integers of 64 bits.
  bool read_unsigned(const JsonPath& path, json::Value value, std::uint64_t min, std::uint64_t max,
                     std::uint64_t& out);
  bool read_signed(const JsonPath& path, json::Value value, std::int64_t& out);

  // The following read a member of the object at `path`.

  // Leaves `out` unchanged if the member is missing.
  bool read_flag(const JsonPath& path, json::Value object, std::string_view name, bool& out);
  // A duration such as "500ms", from 1 ms to 3650 days. Leaves `out` unchanged if the member is
  // missing.
  bool read_duration(const JsonPath& path, json::Value object, std::string_view name,
                     Duration& out);
  // The result may be missing.
  bool read_bytes(const JsonPath& path, json::Value object, const BytesName& name, JsonBytes& out);
  // A key, a prefix, or an end of a range: at most kv::kMaxKey bytes. The result may be missing.
  enum class Empty : std::uint8_t { allowed, refused };
  bool read_bound(const JsonPath& path, json::Value object, const BytesName& name, Empty empty,
                  JsonBytes& out);
  bool read_key(const JsonPath& path, json::Value object, SharedBytes& out);
  bool read_value(const JsonPath& path, json::Value object, SharedBytes& out);
  // A value that is JSON text. Makes it compact.
  bool read_json_value(const JsonPath& path, json::Value object, SharedBytes& out);

 private:
  bool check_size(const JsonPath& path, std::size_t bytes);

  std::size_t max_value_;
  Problem problem_;
};

}  // namespace vesper::api
