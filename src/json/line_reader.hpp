// Reads NDJSON with a key and its value in each line, as POST /kv takes it. It reads a line as far
// as the line has arrived, and holds the decoded key and value only. That is why it does not use
// RapidJSON, which needs a text as a whole: a value of 8 MiB may have 48 MiB of text. The tests
// compare what it accepts with document.hpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "json/problem.hpp"
#include "json/string_reader.hpp"

namespace vesper::json {

class LineReader {
 public:
  enum class Step : std::uint8_t {
    need_more,  // all input was taken
    blank,      // a line of white space has ended
    line,       // a line has ended, see line()
    error,      // see problem(); final
  };
  // {"key" or "key_base64": a string, "value" or "value_base64": a string, "json": a boolean}, the
  // members in any order, "json" optional.
  struct Line {
    std::string key;    // 1 to kMaxKey bytes
    std::string value;  // if `json`, a JSON text in compact form
    bool json = false;
  };

  // `max_value`: bytes of a value, after decoding.
  explicit LineReader(std::size_t max_value) : max_value_(max_value) {}

  // Reads up to the end of the current line and sets `consumed`. Call it again with the rest.
  Step read(std::string_view input, std::size_t& consumed);
  // The input has ended. Reports the last line if it has no line feed, otherwise need_more.
  Step finish();

  // After Step::line, until the next call of read(). The caller may move its strings.
  Line& line() { return line_; }
  // The number of the line that has ended, or of the current one; counts from 1.
  std::uint64_t number() const { return number_; }
  // The number of lines that have ended, blank ones included.
  std::uint64_t lines() const { return number_ - (has_ended_ ? 0 : 1); }
  // The error. Its offset counts from the begin of the line.
  const Problem& problem() const { return problem_; }
  // The memory that an unfinished line occupies, in bytes.
  std::size_t held() const { return line_.key.size() + line_.value.size() + text_.size(); }

 private:
  enum class State : std::uint8_t {
    object,      // expects an object
    first_name,  // expects a name, or the end of the object
    name,        // expects a name
    in_name,
    colon,  // expects a colon
    value,  // expects a value
    in_string,
    in_literal,
    comma,     // expects a comma, or the end of the object
    line_end,  // expects the end of the line
  };
  enum class Member : std::uint8_t { key, value, json };
  enum class Part : std::uint8_t { more_follows, last };

  bool take(std::string_view& input);
  bool take_structure(char c);
  bool take_string(std::string_view& input);
  bool take_literal(char c);
  bool begin_value(char c);
  bool end_name();
  bool absorb_string(Part part);
  bool decode_base64_part(Part part);
  bool is_short_enough();
  Step end_line();
  bool is_complete();
  bool compact_value();
  void begin_line();

  bool once(bool& seen);
  bool wrong_type(std::string_view what);
  bool malformed(std::string_view detail);
  bool fail(Problem::Code code, std::string_view detail, std::uint64_t limit = 0);

  const std::size_t max_value_;
  Line line_;
  bool has_ended_ = false;  // line_ is the one that has ended
  std::uint64_t number_ = 1;
  std::size_t offset_ = 0;  // of the next byte in the line
  Problem problem_;

  State state_ = State::object;
  Member member_ = Member::key;  // whose value is read
  bool is_base64_ = false;
  std::string name_;  // of that member
  bool has_key_ = false, has_value_ = false, has_json_ = false;
  StringReader string_;
  std::string text_;        // a name, a literal, or what is not decoded yet of a base64 string
  bool is_padded_ = false;  // the base64 string has its padding
};

}  // namespace vesper::json
