// The byte classes of HTTP's grammar as tables, and locale-independent comparisons.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace vesper::http {

namespace grammar {

inline constexpr std::uint8_t kTokenByte = 1;       // tchar, RFC 9110 §5.6.2
inline constexpr std::uint8_t kTargetByte = 2;      // accepted in a request target
inline constexpr std::uint8_t kUnreservedByte = 4;  // RFC 3986 §2.3

constexpr bool is_alphanumeric(unsigned c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

constexpr std::array<std::uint8_t, 256> make_classes() {
  std::array<std::uint8_t, 256> classes{};
  for (unsigned c = 0; c < 256; ++c) {
    unsigned bits = 0;
    if (is_alphanumeric(c)) bits |= kTokenByte | kUnreservedByte;
    for (const char t : std::string_view("!#$%&'*+-.^_`|~"))
      if (c == static_cast<unsigned char>(t)) bits |= kTokenByte;
    for (const char t : std::string_view("-._~"))
      if (c == static_cast<unsigned char>(t)) bits |= kUnreservedByte;
    // Wider than RFC 3986: characters that curl sends unencoded ({}, |, ", ...) are harmless here.
    // '#' never belongs to a target, and bytes above 0x7e must be percent-encoded.
    if (c > 0x20 && c < 0x7f && c != '#') bits |= kTargetByte;
    classes[c] = static_cast<std::uint8_t>(bits);
  }
  return classes;
}

inline constexpr std::array<std::uint8_t, 256> kClasses = make_classes();

}  // namespace grammar

constexpr bool is_token_byte(char c) {
  return (grammar::kClasses[static_cast<unsigned char>(c)] & grammar::kTokenByte) != 0;
}
constexpr bool is_unreserved(char c) {
  return (grammar::kClasses[static_cast<unsigned char>(c)] & grammar::kUnreservedByte) != 0;
}
constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// True if every byte belongs to the class. True for an empty text.
constexpr bool all_of_class(std::string_view text, std::uint8_t byte_class) {
  std::uint8_t common = byte_class;
  for (const char c : text) common &= grammar::kClasses[static_cast<unsigned char>(c)];
  return common == byte_class;
}
// True if every byte is allowed in a field value, RFC 9110 §5.5; includes HTAB. Without a table,
// the compiler tests 16 bytes at a time.
constexpr bool all_field_bytes(std::string_view text) {
  unsigned char bad = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    bad |= static_cast<unsigned char>((byte < 0x20 && byte != '\t') || byte == 0x7f);
  }
  return bad == 0;
}
constexpr bool is_token(std::string_view text) {
  return !text.empty() && all_of_class(text, grammar::kTokenByte);
}

// Returns 0 to 15, or -1 if `c` is not a hex digit.
constexpr int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

constexpr char to_lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}
constexpr bool equal_ignoring_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (to_lower(a[i]) != to_lower(b[i])) return false;
  return true;
}

// Removes surrounding spaces and tabs (OWS, RFC 9110 §5.6.3).
constexpr std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Iterates over a comma-separated list (RFC 9110 §5.6.1). Not suitable for elements with quoted
// commas.
class ListReader {
 public:
  explicit constexpr ListReader(std::string_view list) : rest_(list) {}

  // Sets `element` to the next element, trimmed and possibly empty. Returns false at the end.
  constexpr bool next(std::string_view& element) {
    if (!more_) return false;
    const std::size_t comma = rest_.find(',');
    element = trim(rest_.substr(0, comma));
    more_ = comma != std::string_view::npos;
    if (more_) rest_.remove_prefix(comma + 1);
    return true;
  }

 private:
  std::string_view rest_;
  bool more_ = true;
};

}  // namespace vesper::http
