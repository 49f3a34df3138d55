#include "http/chunk_line.hpp"

#include "base/assert.hpp"
#include "http/grammar.hpp"

namespace vesper::http {

namespace {

// Enough for a 64-bit size. More digits could only be leading zeros.
constexpr std::uint8_t kMaxDigits = 16;

constexpr bool is_white(char c) {
  return c == ' ' || c == '\t';
}
// Allowed in a quoted string, also after a backslash (RFC 9110 §5.6.4). Line ends are not allowed:
// if only one of two readers accepted them, a quoted string could hide a chunk from it.
constexpr bool is_quotable(char c) {
  return all_field_bytes({&c, 1});
}

}  // namespace

ChunkLine::Verdict ChunkLine::take(char c) {
  if (at_ == At::line_feed)
    return c == '\n' ? Verdict::complete : refuse("a carriage return without a line feed");
  if (at_ != At::size) return take_extension(c);
  if (const int digit = hex_value(c); digit >= 0) return take_digit(digit);
  const bool may_end = digits_ > 0 && (c == '\r' || c == ';' || is_white(c));
  return may_end ? end_part(c) : refuse("a chunk's size is not a plain hexadecimal number");
}

ChunkLine::Verdict ChunkLine::take_digit(int digit) {
  if (++digits_ > kMaxDigits) return refuse("a chunk's size is too long");
  size_ = size_ * 16 + static_cast<unsigned>(digit);
  return Verdict::more;
}

// Handles what may follow the size, a name without a value, or a value.
ChunkLine::Verdict ChunkLine::end_part(char c) {
  if (c == '\r') return go(At::line_feed);
  if (c == ';') return go(At::before_name);
  if (is_white(c)) return go(at_ == At::name ? At::before_equals : At::before_semicolon);
  return refuse("a chunk extension is malformed");
}

// chunk-ext = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] ), RFC 9112 §7.1.1.
ChunkLine::Verdict ChunkLine::take_extension(char c) {
  switch (at_) {
    case At::before_semicolon:
      if (is_white(c) || c == ';') return end_part(c);
      break;
    case At::before_name:
      if (is_white(c)) return Verdict::more;
      if (is_token_byte(c)) return go(At::name);
      break;
    case At::name:
      if (is_token_byte(c)) return Verdict::more;
      if (c == '=') return go(At::before_value);
      return end_part(c);
    case At::before_equals:
      if (is_white(c)) return Verdict::more;
      if (c == '=') return go(At::before_value);
      if (c == ';') return go(At::before_name);
      break;
    case At::before_value:
      if (is_white(c)) return Verdict::more;
      if (c == '"') return go(At::quoted);
      if (is_token_byte(c)) return go(At::value);
      break;
    case At::value:
      if (is_token_byte(c)) return Verdict::more;
      return end_part(c);
    case At::quoted:
      if (c == '"') return go(At::behind_quoted);
      if (c == '\\') return go(At::quoted_pair);
      if (is_quotable(c)) return Verdict::more;
      break;
    case At::quoted_pair:
      if (is_quotable(c)) return go(At::quoted);
      break;
    case At::behind_quoted: return end_part(c);
    case At::size:
    case At::line_feed: VESPER_UNREACHABLE();
  }
  return refuse("a chunk extension is malformed");
}

}  // namespace vesper::http
