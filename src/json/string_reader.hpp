// Decodes a JSON string (RFC 8259 §7) that arrives in parts, as line_reader.hpp needs it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace vesper::json {

class StringReader {
 public:
  enum class Step : std::uint8_t {
    need_more,  // all input was taken
    end,        // the closing quote was taken
    error,      // see error()
  };

  // The opening quote was taken. Begins a new string.
  void begin() { *this = StringReader(); }
  // Reads up to the end of the string, appends what it decodes to `out`, and sets `consumed`.
  // Reports bytes that are not UTF-8, lone surrogates and control characters as errors.
  Step read(std::string_view input, std::size_t& consumed, std::string& out);
  // After Step::error; static text.
  std::string_view error() const { return error_; }

 private:
  enum class State : std::uint8_t {
    plain,
    escape,  // after a backslash
    code,    // inside the digits of \uXXXX
  };

  bool take_plain(std::string_view bytes, bool ends_here);
  bool take_escape(char c, std::string& out);
  bool take_digit(char c, std::string& out);
  bool take_code(std::string& out);
  bool fail(std::string_view error) {
    error_ = error;
    return false;
  }

  State state_ = State::plain;
  std::uint32_t code_ = 0;
  unsigned digits_ = 0;     // of code_, so far
  std::uint32_t high_ = 0;  // a high surrogate, which the low one must follow; 0: none
  char cut_[4] = {};        // the bytes of a character that the end of the input has cut
  std::uint8_t cut_size_ = 0;
  std::string_view error_;
};

}  // namespace vesper::json
