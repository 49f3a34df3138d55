// Parses the line in front of a chunk (RFC 9112 §7.1): its size and its extensions. Extensions are
// checked against their grammar and discarded. The parser limits how long they may be.
#pragma once

#include <cstdint>
#include <string_view>

namespace vesper::http {

class ChunkLine {
 public:
  enum class Verdict : std::uint8_t {
    more,      // the line is not complete yet
    complete,  // the line feed was taken; size() is valid
    wrong,     // no further byte can make the line valid; see detail()
  };

  Verdict take(char c);

  std::uint64_t size() const { return size_; }
  // True if the last byte belonged to an extension or to the white space around one.
  bool in_extension() const { return at_ != At::size && at_ != At::line_feed; }
  std::string_view detail() const { return detail_; }  // static text

 private:
  // What the next byte may be. White space is allowed only around ';' and '=' (BWS).
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
