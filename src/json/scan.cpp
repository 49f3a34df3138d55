// What scan.hpp adds to RapidJSON: the grammar of numbers, plain strings, a check for surrogates,
// and error texts.
#include "json/scan.hpp"

#include <cstring>

namespace vesper::json {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Returns where the digits that begin at `at` end.
std::size_t skip_digits(std::string_view text, std::size_t at) {
  while (at < text.size() && is_digit(text[at])) ++at;
  return at;
}

}  // namespace

std::size_t number_run(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    const char c = text[at];
    if (!is_digit(c) && c != '-' && c != '+' && c != '.' && c != 'e' && c != 'E') break;
    ++at;
  }
  return at;
}

bool is_number(std::string_view text) {
  std::size_t at = 0;
  if (at < text.size() && text[at] == '-') ++at;
  std::size_t end = skip_digits(text, at);
  if (end == at || (text[at] == '0' && end - at > 1)) return false;
  at = end;
  if (at < text.size() && text[at] == '.') {
    end = skip_digits(text, at + 1);
    if (end == at + 1) return false;
    at = end;
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
    end = skip_digits(text, at);
    if (end == at) return false;
    at = end;
  }
  return at == text.size();
}

std::optional<std::string_view> plain_string(std::string_view text) {
  std::size_t size = plain_prefix(text);
  if (size < text.size() && static_cast<unsigned char>(text[size]) >= 0x80) {
    size += unescaped_prefix(text.substr(size));
    if (!is_utf8(text.substr(0, size))) return std::nullopt;
  }
  if (size == text.size() || text[size] != '"') return std::nullopt;
  return text.substr(0, size);
}

bool holds_surrogate(std::string_view text) {
  // In UTF-8, U+D800 to U+DFFF would be ED A0..BF xx.
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at != end) {
    at = static_cast<const char*>(std::memchr(at, 0xed, static_cast<std::size_t>(end - at)));
    if (at == nullptr || end - at < 2) return false;
    if (static_cast<unsigned char>(at[1]) >= 0xa0) return true;
    ++at;
  }
  return false;
}

std::string describe(std::string_view what, std::size_t offset) {
  return fmt::format("byte {}: {}", offset, what);
}

std::string scan_error(std::string_view text, const ScanStream& stream,
                       const rapidjson::ParseResult& result) {
  if (text.substr(0, 3) == "\xef\xbb\xbf") return "a byte order mark, expected JSON";
  if (stream.at_nul()) return "a NUL byte";
  if (stream.at_bad_number()) return "not a JSON number";
  if (!result.IsError()) return "bytes after the JSON value";
  return rapidjson::GetParseError_En(result.Code());
}

}  // namespace vesper::json
