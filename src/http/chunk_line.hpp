// The line in front of a chunk (RFC 9112 §7.1): its size and its extensions. Extensions are checked
// by their grammar and dropped. How many bytes of them are taken is the parser's decision.
#pragma once

#include <cstdint>
#include <string_view>

namespace vesper::http {

class ChunkLine {
 public:
  enum class Verdict : std::uint8_t {
    more,      // the line goes on
    complete,  // its line feed was taken: size() is valid
    wrong,     // no further byte can make it valid: detail() says why
  };

  Verdict take(char c);

  std::uint64_t size() const { return size_; }
  // The last byte belonged to an extension, or to the white space around one.
  bool in_extension() const { return at_ != At::size && at_ != At::line_feed; }
  std::string_view detail() const { return detail_; }  // static text

 private:
  // What the next byte may be. White space is allowed around ';' and '=' only (BWS).
  enum class At : std::uint8_t {
    size,
    before_semicolon,
    before_name,
    name,
    before_equals,
    before_value,
    value,
    quoted,
    quoted_pair,
    behind_quoted,
    line_feed,
  };

  Verdict take_digit(int digit);
  Verdict take_extension(char c);
  Verdict go(At at) {
    at_ = at;
    return Verdict::more;
  }
  Verdict end_part(char c);
  Verdict refuse(std::string_view detail) {
    detail_ = detail;
    return Verdict::wrong;
  }

  At at_ = At::size;
  std::uint8_t digits_ = 0;
  std::uint64_t size_ = 0;
  std::string_view detail_;
};

}  // namespace vesper::http
