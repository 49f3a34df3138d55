#include "http/conditions.hpp"

#include "http/grammar.hpp"
#include "http/values.hpp"

namespace vesper::http {

namespace {

// etagc: visible ASCII except the quote, and obs-text (RFC 9110 §8.8.3).
bool is_tag_byte(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte == 0x21 || (byte >= 0x23 && byte != 0x7f);
}

// Takes one tag from the front of `rest`.
bool take_tag(std::string_view& rest, EntityTags& tags) {
  const bool weak = rest.starts_with("W/");
  if (weak) rest.remove_prefix(2);
  std::string_view opaque;
  if (rest.starts_with('"')) {
    const std::size_t close = rest.find('"', 1);
    if (close == std::string_view::npos) return false;
    opaque = rest.substr(1, close - 1);
    for (const char c : opaque)
      if (!is_tag_byte(c)) return false;
    rest.remove_prefix(close + 1);
  } else {
    std::size_t digits = 0;
    while (digits < rest.size() && is_digit(rest[digits])) ++digits;
    if (weak || digits == 0) return false;
    opaque = rest.substr(0, digits);
    rest.remove_prefix(digits);
  }
  if (++tags.count > kMaxEntityTags) return false;
  if (const auto revision = parse_decimal(opaque); revision && *revision != 0)
    (weak ? tags.weak : tags.strong).push_back(*revision);
  return true;
}

}  // namespace

bool add_entity_tags(std::string_view value, EntityTags& tags) {
  const bool first_line = !tags.present;
  tags.present = true;
  std::string_view rest = trim(value);
  if (rest == "*") {
    tags.any = true;
    return first_line;
  }
  if (tags.any) return false;
  const std::size_t before = tags.count;
  std::size_t commas = 0;
  while (!rest.empty()) {
    if (rest.front() == ',') {  // RFC 9110 §5.6.1.2: a few empty elements are ignored
      if (++commas > 2 * kMaxEntityTags) return false;
      rest = trim(rest.substr(1));
      continue;
    }
    if (!take_tag(rest, tags)) return false;
    rest = trim(rest);
    if (!rest.empty() && rest.front() != ',') return false;
  }
  return tags.count > before;
}

}  // namespace vesper::http
