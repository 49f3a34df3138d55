#include "api/version_parts.hpp"

#include <algorithm>

#include "api/render.hpp"
#include "json/text.hpp"

namespace vesper::api {
namespace {

// Bytes of a value that are checked or written at once. Divisible by three, for base64.
constexpr std::size_t kPart = 12u << 10;
constexpr std::size_t kBytesPerVisit = 64;  // that cost about as much as a visit

void spend(std::size_t bytes, std::size_t& work) {
  work -= std::min(work, bytes / kBytesPerVisit);
}

}  // namespace

// Checks a part of the value for UTF-8. Returns true if there are further ones.
bool VersionParts::check_some(std::size_t& work) {
  const std::string_view left = version_->value().substr(checked_);
  std::string_view part = left.substr(0, kPart);
  if (part.size() < left.size()) part.remove_suffix(json::incomplete_tail(part));
  const bool is_utf8 = json::is_utf8(part);
  checked_ += part.size();
  spend(part.size(), work);
  if (is_utf8 && part.size() < left.size()) return true;
  is_checked_ = true;
  encoding_ = is_utf8 ? Encoding::utf8 : Encoding::base64;
  return false;
}

bool VersionParts::append_some(json::Writer& json, std::size_t& work) {
  const std::string_view value = version_->value();
  if (content_ != kv::Content::values || value.size() <= kLongValue) {
    json.bytes_member("key", version_->key());
    append_version_members(json, *version_, content_, now_);
    return true;
  }
  if (!is_checked_) {
    if (check_some(work)) return false;
    json.bytes_member("key", version_->key());
    json.begin_bytes_member("value", encoding_);
    return false;
  }
  const std::string_view part = value.substr(written_, kPart);
  json.bytes_part(part, encoding_);
  written_ += part.size();
  spend(part.size(), work);
  if (written_ < value.size()) return false;
  json.end_bytes_member();
  append_version_fields(json, *version_, content_, now_);
  return true;
}

}  // namespace vesper::api
