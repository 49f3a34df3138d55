// The one place that includes RapidJSON: walks a JSON text and tells a handler what it meets. For
// the .cpp files of this room only; others include document.hpp or request.hpp.
//
// RapidJSON does the grammar, iteratively, so that the stack does not grow with the depth. Four
// things are kept from it: numbers, which it would turn into a double or refuse ("1e999999") and
// which reach the handler as the text they are; the end of the input, since its UTF-8 reader takes
// bytes without looking for it; lone low surrogates, which it lets through; and NUL bytes, which
// end the text for it.
#pragma once

#define RAPIDJSON_ASSERT(condition) VESPER_ASSERT(condition)
#include <fmt/core.h>

#include <optional>
#include <string>
#include <string_view>

#include "base/assert.hpp"
#include "json/problem.hpp"
// Last, since it uses the macro above.
#include <rapidjson/error/en.h>
#include <rapidjson/reader.h>

namespace vesper::json {

// The length of the longest run of characters at the start of `text` that a number is made of.
std::size_t number_run(std::string_view text);
// RFC 8259 §6: -? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?
bool is_number(std::string_view text);

// RapidJSON's input stream. Outside of strings, a number appears as the one character 0, and what
// merely begins like a number as the character 1, which is no token.
class ScanStream {
 public:
  using Ch = char;

  explicit ScanStream(std::string_view text)
      : begin_(text.data()), at_(text.data()), next_(text.data()), end_(at_ + text.size()) {
    settle();
  }

  Ch Peek() const { return shown_; }
  Ch Take() {
    const char taken = shown_;
    if (in_string_) {
      if (escaped_) escaped_ = false;
      else if (taken == '\\') escaped_ = true;
      else if (taken == '"') in_string_ = false;
    } else if (taken == '"') {
      in_string_ = true;
    }
    at_ = next_;
    settle();
    return taken;
  }
  std::size_t Tell() const { return static_cast<std::size_t>(at_ - begin_); }
  Ch* PutBegin() { return nullptr; }
  void Put(Ch) {}
  void Flush() {}
  std::size_t PutEnd(Ch*) { return 0; }

  // The last number taken or looked at.
  std::string_view number() const { return number_; }
  bool at_end() const { return at_ == end_; }
  bool at_nul() const { return at_ != end_ && *at_ == '\0'; }
  bool at_bad_number() const { return shown_ == kBadNumber && at_ != end_ && *at_ != kBadNumber; }

 private:
  static constexpr char kBadNumber = '\x01';

  void settle() {
    if (at_ == end_) {
      shown_ = '\0';
      return;
    }
    shown_ = *at_;
    next_ = at_ + 1;
    if (!in_string_ && (shown_ == '-' || (shown_ >= '0' && shown_ <= '9'))) settle_number();
  }
  void settle_number() {
    const std::string_view rest(at_, static_cast<std::size_t>(end_ - at_));
    number_ = rest.substr(0, number_run(rest));
    shown_ = is_number(number_) ? '0' : kBadNumber;
    next_ = at_ + number_.size();
  }

  const char* begin_;
  const char* at_;
  const char* next_;  // where Take() goes
  const char* end_;
  char shown_ = '\0';
  bool in_string_ = false;
  bool escaped_ = false;  // the next character of the string stands behind a backslash
  std::string_view number_;
};

// Whether decoded text holds a surrogate. The input was checked, so it can only be from an escape.
bool holds_surrogate(std::string_view text);

// Between RapidJSON and a handler: limits depth, hands over numbers as text. A handler has
//   bool on_null(), on_boolean(bool), on_number(std::string_view text),
//   on_string(std::string_view),
//        on_key(std::string_view), on_begin_object(), on_end_object(), on_begin_array(),
//        on_end_array()
// whose views live until it returns, and which return false to stop.
template <typename Handler>
class ScanAdapter {
 public:
  ScanAdapter(const ScanStream& stream, Handler& handler, std::size_t max_depth)
      : stream_(stream), handler_(handler), max_depth_(max_depth) {}

  bool Null() { return handler_.on_null(); }
  bool Bool(bool value) { return handler_.on_boolean(value); }
  bool Uint(unsigned) { return handler_.on_number(stream_.number()); }
  bool Int(int) { return false; }
  bool Int64(std::int64_t) { return false; }
  bool Uint64(std::uint64_t) { return false; }
  bool Double(double) { return false; }
  bool RawNumber(const char*, rapidjson::SizeType, bool) { return false; }
  bool String(const char* text, rapidjson::SizeType size, bool) {
    return text_ok({text, size}) && handler_.on_string({text, size});
  }
  bool Key(const char* text, rapidjson::SizeType size, bool) {
    return text_ok({text, size}) && handler_.on_key({text, size});
  }
  bool StartObject() { return deeper() && handler_.on_begin_object(); }
  bool EndObject(rapidjson::SizeType) {
    --depth_;
    return handler_.on_end_object();
  }
  bool StartArray() { return deeper() && handler_.on_begin_array(); }
  bool EndArray(rapidjson::SizeType) {
    --depth_;
    return handler_.on_end_array();
  }

  bool too_deep() const { return too_deep_; }
  bool lone_surrogate() const { return lone_surrogate_; }

 private:
  bool deeper() {
    too_deep_ = depth_ == max_depth_;
    ++depth_;
    return !too_deep_;
  }
  bool text_ok(std::string_view text) {
    lone_surrogate_ = holds_surrogate(text);
    return !lone_surrogate_;
  }

  const ScanStream& stream_;
  Handler& handler_;
  std::size_t max_depth_;
  std::size_t depth_ = 0;
  bool too_deep_ = false;
  bool lone_surrogate_ = false;
};

// What RapidJSON (or the stream below it) found wrong, for people.
std::string scan_error(std::string_view text, const ScanStream& stream,
                       const rapidjson::ParseResult& result);
std::string describe(std::string_view what, std::size_t offset);

// Walks `text` to its end. Nothing: it was one JSON value with nothing but white space around it
// and no handler said stop. Where a handler did, the problem has an empty detail, and the handler
// knows more; its offset is just behind what was met.
template <typename Handler>
std::optional<Problem> scan(std::string_view text, std::size_t max_depth, Handler& handler) {
  VESPER_ASSERT(text.size() <= UINT32_MAX);
  ScanStream stream(text);
  ScanAdapter<Handler> adapter(stream, handler, max_depth);
  rapidjson::Reader reader;
  constexpr unsigned kFlags =
      rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag;
  const rapidjson::ParseResult result = reader.Parse<kFlags>(stream, adapter);
  if (!result.IsError() && stream.at_end()) return std::nullopt;

  Problem problem;
  problem.offset = result.IsError() ? result.Offset() : stream.Tell();
  if (adapter.too_deep()) {
    problem.limit = max_depth;
    problem.detail = fmt::format("byte {}: nested deeper than {}", problem.offset, max_depth);
  } else if (adapter.lone_surrogate()) {
    problem.detail = describe("a lone surrogate in the string that ends here", problem.offset);
  } else if (result.Code() != rapidjson::kParseErrorTermination) {
    problem.detail = describe(scan_error(text, stream, result), problem.offset);
  }
  return problem;
}

}  // namespace vesper::json
