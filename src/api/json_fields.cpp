#include "api/json_fields.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "base/assert.hpp"
#include "http/values.hpp"
#include "json/request.hpp"
#include "json/text.hpp"
#include "kv/item.hpp"
#include "kv/operation.hpp"

namespace vesper::api {
namespace {

std::string_view name_of(json::Kind kind) {
  switch (kind) {
    case json::Kind::missing: return "missing";
    case json::Kind::null: return "null";
    case json::Kind::boolean: return "a boolean";
    case json::Kind::number: return "a number";
    case json::Kind::string: return "a string";
    case json::Kind::array: return "an array";
    case json::Kind::object: return "an object";
  }
  VESPER_UNREACHABLE();
}

// The digits of a number, or of a string that holds a number. Empty for any other value.
std::string_view digits_of(json::Value value) {
  if (const auto text = value.string()) return *text;
  return value.number().value_or(std::string_view());
}

}  // namespace

std::string JsonPath::to_string() const {
  if (parent_ == nullptr) return {};
  std::string text = parent_->to_string();
  if (index_ != kNoIndex) return text + fmt::format("[{}]", index_);
  if (!text.empty()) text += '.';
  return text + json::name_in_path(name_);
}

bool FieldReader::fail(const JsonPath& path, std::string_view what) {
  problem_ = Problem{.status = 400, .code = "invalid_field"};
  problem_.field = path.to_string();
  problem_.detail = problem_.field.empty() ? fmt::format("the body {}", what)
                                           : fmt::format("`{}` {}", problem_.field, what);
  return false;
}

bool FieldReader::fail_limit(const JsonPath& path, std::string_view what, std::uint64_t limit) {
  fail(path, what);
  problem_.limit = limit;
  return false;
}

bool FieldReader::fail_type(const JsonPath& path, json::Value value, std::string_view expected) {
  if (!value.exists()) return fail_missing(path);
  return fail(path, fmt::format("is {}, expected {}", name_of(value.kind()), expected));
}

bool FieldReader::check_members(const JsonPath& path, json::Value value,
                                std::initializer_list<std::string_view> names) {
  if (value.kind() != json::Kind::object) return fail_type(path, value, "an object");
  for (const auto& member : value) {
    if (std::find(names.begin(), names.end(), member.name) != names.end()) continue;
    std::string known;
    for (const std::string_view name : names)
      known += (known.empty() ? "" : ", ") + std::string(name);
    return fail(path.member(member.name), "is unknown; expected one of: " + known);
  }
  return true;
}

bool FieldReader::read_unsigned(const JsonPath& path, json::Value value, std::uint64_t min,
                                std::uint64_t max, std::uint64_t& out) {
  const auto number = http::parse_decimal(digits_of(value));
  if (!number || *number < min || *number > max)
    return fail(path, fmt::format("must be a whole number from {} to {}", min, max));
  out = *number;
  return true;
}

bool FieldReader::read_signed(const JsonPath& path, json::Value value, std::int64_t& out) {
  return kv::parse_integer(digits_of(value), out) ||
         fail(path, "must be a whole number from -2^63 to 2^63-1");
}

bool FieldReader::read_flag(const JsonPath& path, json::Value object, std::string_view name,
                            bool& out) {
  const json::Value value = object.find(name);
  if (!value.exists()) return true;
  if (value.kind() != json::Kind::boolean)
    return fail_type(path.member(name), value, "true or false");
  out = *value.boolean();
  return true;
}

bool FieldReader::read_duration(const JsonPath& path, json::Value object, std::string_view name,
                                Duration& out) {
  const json::Value value = object.find(name);
  if (!value.exists()) return true;
  if (value.kind() != json::Kind::string)
    return fail_type(path.member(name), value, "a duration such as \"500ms\"");
  const auto duration = http::parse_duration(*value.string());
  if (!duration)
    return fail(path.member(name), "must be a duration from 1ms to 3650d, such as \"500ms\"");
  out = *duration;
  return true;
}

bool FieldReader::read_bytes(const JsonPath& path, json::Value object, const BytesName& name,
                             JsonBytes& out) {
  const json::Value text = object.find(name.text);
  const json::Value base64 = object.find(name.base64);
  if (text.exists()) {
    if (base64.exists())
      return fail(path.member(name.base64), fmt::format("conflicts with {}", name.text));
    if (text.kind() != json::Kind::string)
      return fail_type(path.member(name.text), text, "a string");
    out.member_ = name.text;
    out.text_ = *text.string();
  } else if (base64.exists()) {
    if (base64.kind() != json::Kind::string)
      return fail_type(path.member(name.base64), base64, "a string");
    out.member_ = name.base64;
    out.decoded_ = json::decode_base64(*base64.string());
    if (!out.decoded_)
      return fail(path.member(name.base64), "must be base64 with padding (RFC 4648 section 4)");
  }
  return true;
}

bool FieldReader::read_bound(const JsonPath& path, json::Value object, const BytesName& name,
                             Empty empty, JsonBytes& out) {
  if (!read_bytes(path, object, name, out)) return false;
  const std::size_t least = empty == Empty::allowed || !out.exists() ? 0 : 1;
  const std::size_t size = out.view().size();
  if (size >= least && size <= kv::kMaxKey) return true;
  return fail_limit(path.member(out.member()),
                    fmt::format("must be {} to {} bytes, and has {}", least, kv::kMaxKey, size),
                    kv::kMaxKey);
}

bool FieldReader::read_key(const JsonPath& path, json::Value object, SharedBytes& out) {
  JsonBytes key;
  if (!read_bound(path, object, kKey, Empty::refused, key)) return false;
  if (!key.exists()) return fail_missing(path.member(kKey.text));
  out = SharedBytes::copy_of(key.view());
  return true;
}

bool FieldReader::check_size(const JsonPath& path, std::size_t bytes) {
  if (bytes <= max_value_) return true;
  fail_limit(path, fmt::format("must be at most {} bytes", max_value_), max_value_);
  problem_.status = 413;
  problem_.code = "value_too_large";
  return false;
}

bool FieldReader::read_value(const JsonPath& path, json::Value object, SharedBytes& out) {
  JsonBytes value;
  if (!read_bytes(path, object, kValue, value)) return false;
  if (!value.exists()) return fail_missing(path.member(kValue.text));
  if (!check_size(path.member(value.member()), value.view().size())) return false;
  out = SharedBytes::copy_of(value.view());
  return true;
}

bool FieldReader::read_json_value(const JsonPath& path, json::Value object, SharedBytes& out) {
  JsonBytes value;
  if (!read_bytes(path, object, kValue, value)) return false;
  if (!value.exists()) return fail_missing(path.member(kValue.text));
  const JsonPath member = path.member(value.member());
  std::string compact;
  if (const auto wrong = json::compact(value.view(), compact))
    return fail(member, fmt::format("is not JSON: {}", wrong->detail));
  if (!check_size(member, compact.size())) return false;
  out = SharedBytes::copy_of(compact);
  return true;
}

}  // namespace vesper::api
