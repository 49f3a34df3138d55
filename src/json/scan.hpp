// The only file that includes RapidJSON: walks a JSON text and reports what it finds to a handler.
// For the .cpp files of json/ only; others include document.hpp or request.hpp.
//
// RapidJSON checks the grammar, iteratively, so that the stack does not grow with the depth. Five
// things are hidden from it. Numbers: it would convert them to double or refuse them ("1e999999"),
// so they reach the handler as text. Strings without escapes: it would copy them byte by byte. The
// end of the input: its UTF-8 reader takes bytes without checking for it. Lone low surrogates: it
// would accept them. NUL bytes: it would take them for the end of the text.
#pragma once

#define RAPIDJSON_ASSERT(condition) VESPER_ASSERT(condition)
#include <fmt/core.h>

#include <optional>
#include <string>
#include <string_view>

#include "base/assert.hpp"
#include "json/problem.hpp"
#include "json/text.hpp"
// Included last, because they use the macro above.
#include <rapidjson/error/en.h>
#include <rapidjson/reader.h>

namespace vesper::json {

// The length of the longest prefix of `text` that consists of characters a number may contain.
std::size_t number_run(std::string_view text);
// RFC 8259 §6: -? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?
bool is_number(std::string_view text);

// If `text` begins with characters that mean themselves, all of them UTF-8, and then a quote: the
// part before the quote.
std::optional<std::string_view> plain_string(std::string_view text);

// RapidJSON's input stream. Outside of strings, a number is shown as the single character 0. Text
// that only begins like a number is shown as the character 1, which is not a token. A string
// without escapes is shown as an empty one.
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
      string_ = plain_string({next_, static_cast<std::size_t>(end_ - next_)});
      if (string_) next_ += string_->size();
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

  // The number that was last taken or peeked at.
  std::string_view number() const { return number_; }
  // The string that was last taken, if it was shown as an empty one.
  std::optional<std::string_view> string() const { return string_; }
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
  const char* next_;  // the position after the next Take()
  const char* end_;
  char shown_ = '\0';
  bool in_string_ = false;
  bool escaped_ = false;  // the next character of the string follows a backslash
  std::string_view number_;
  std::optional<std::string_view> string_;
};

// True if decoded text contains a surrogate. The input's encoding was checked, so that it can only
// stem from an escape.
bool holds_surrogate(std::string_view text);

// Translates RapidJSON's events for a handler, limits the depth, and passes numbers as text. A
// handler must have these functions:
//   bool on_null(), on_boolean(bool), on_number(std::string_view text),
//        on_string(std::string_view), on_key(std::string_view),
//        on_begin_object(), on_end_object(), on_begin_array(), on_end_array()
// The views are valid until the function returns. A handler returns false to stop the scan.
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
    if (const auto plain = stream_.string()) return handler_.on_string(*plain);
    return text_ok({text, size}) && handler_.on_string({text, size});
  }
  bool Key(const char* text, rapidjson::SizeType size, bool) {
    if (const auto plain = stream_.string()) return handler_.on_key(*plain);
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

// Describes an error that RapidJSON or the stream found, for people.
std::string scan_error(std::string_view text, const ScanStream& stream,
                       const rapidjson::ParseResult& result);
std::string describe(std::string_view what, std::size_t offset);

// Walks `text` to its end. Returns nothing if it was exactly one JSON value, with white space
// around it at most, and the handler never returned false. If the handler stopped the scan, the
// problem has an empty detail, because the handler knows the reason; its offset is just after the
// last thing reported.
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
