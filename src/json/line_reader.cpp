#include "json/line_reader.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "base/bytes.hpp"
#include "json/request.hpp"
#include "json/text.hpp"

namespace vesper::json {
namespace {

constexpr std::size_t kMaxName = 64;  // bytes of a name; a longer one is unknown anyway
// The longest line is that of a value whose every byte is an escape of six. Beyond that, a line
// can only be filled up with white space.
constexpr std::size_t kTextPerByte = 6;
constexpr std::size_t kMaxRest = 64u << 10;

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\r';
}

// What a value begins with that is not the one expected; empty if no value begins like that.
std::string_view kind_of(char c) {
  switch (c) {
    case '{': return "an object";
    case '[': return "an array";
    case '"': return "a string";
    case 't':
    case 'f': return "a boolean";
    case 'n': return "null";
    default: return c == '-' || (c >= '0' && c <= '9') ? "a number" : "";
  }
}

}  // namespace

LineReader::Step LineReader::read(std::string_view input, std::size_t& consumed) {
  if (has_ended_) begin_line();
  const std::size_t size = input.size();
  const auto done = [&](Step step) {
    consumed = size - input.size();
    return step;
  };
  while (!input.empty()) {
    if (input.front() == '\n' && state_ != State::in_name && state_ != State::in_string) {
      input.remove_prefix(1);
      return done(end_line());
    }
    if (!take(input) || !is_short_enough()) return done(Step::error);
  }
  return done(Step::need_more);
}

bool LineReader::is_short_enough() {
  const std::size_t most = kTextPerByte * (max_value_ + kMaxKey) + kMaxRest;
  return offset_ <= most ||
         fail(Problem::Code::malformed, "the line goes on, no more is read", most);
}

LineReader::Step LineReader::finish() {
  if (has_ended_) begin_line();
  return offset_ == 0 ? Step::need_more : end_line();
}

bool LineReader::take(std::string_view& input) {
  if (state_ == State::in_name || state_ == State::in_string) return take_string(input);
  const char c = input.front();
  input.remove_prefix(1);
  ++offset_;
  if (state_ == State::in_literal) return take_literal(c);
  return is_space(c) || take_structure(c);
}

// Requires a character that is not white space.
bool LineReader::take_structure(char c) {
  switch (state_) {
    case State::object:
      if (c == '{') return state_ = State::first_name, true;
      return malformed(kind_of(c).empty() ? "no JSON, expected an object" : "not an object");
    case State::first_name:
    case State::name:
      if (c == '}' && state_ == State::first_name) return state_ = State::line_end, true;
      if (c != '"') return malformed("expected the name of a member");
      state_ = State::in_name;
      string_.begin();
      text_.clear();
      return true;
    case State::colon:
      if (c != ':') return malformed("expected a colon after the name of a member");
      state_ = State::value;
      return true;
    case State::value: return begin_value(c);
    case State::comma:
      if (c == ',') return state_ = State::name, true;
      if (c == '}') return state_ = State::line_end, true;
      return malformed("expected a comma or the end of the object");
    case State::line_end: return malformed("expected the end of the line after the object");
    case State::in_name:
    case State::in_string:
    case State::in_literal: break;
  }
  VESPER_UNREACHABLE();
}

bool LineReader::begin_value(char c) {
  const std::string_view kind = kind_of(c);
  if (kind.empty()) return malformed("expected a value");
  text_.clear();
  if (member_ == Member::json) {
    if (kind != "a boolean") return wrong_type(kind);
    state_ = State::in_literal;
    text_ = c;
    return true;
  }
  if (c != '"') return wrong_type(kind);
  state_ = State::in_string;
  string_.begin();
  is_padded_ = false;
  return true;
}

bool LineReader::take_literal(char c) {
  text_ += c;
  if (text_ == "true" || text_ == "false") {
    line_.json = text_ == "true";
    state_ = State::comma;
    return true;
  }
  const auto begins = [&](std::string_view word) { return word.starts_with(text_); };
  return begins("true") || begins("false") || malformed("no JSON value");
}

// ---- strings

bool LineReader::take_string(std::string_view& input) {
  const bool in_name = state_ == State::in_name;
  std::string& out = in_name || is_base64_    ? text_
                     : member_ == Member::key ? line_.key
                                              : line_.value;
  std::size_t consumed = 0;
  const StringReader::Step step = string_.read(input, consumed, out);
  input.remove_prefix(consumed);
  offset_ += consumed;
  if (step == StringReader::Step::error) return malformed(string_.error());
  const bool ends = step == StringReader::Step::end;
  if (in_name) {
    if (!ends && text_.size() <= kMaxName) return true;
    return end_name();
  }
  if (!absorb_string(ends ? Part::last : Part::more_follows)) return false;
  if (ends) state_ = State::comma;
  return true;
}

bool LineReader::end_name() {
  name_ = text_;
  state_ = State::colon;
  is_base64_ = name_ == "key_base64" || name_ == "value_base64";
  if (name_ == "key" || name_ == "key_base64") return member_ = Member::key, once(has_key_);
  if (name_ == "value" || name_ == "value_base64") return member_ = Member::value, once(has_value_);
  if (name_ == "json") return member_ = Member::json, once(has_json_);
  name_ = escaped(name_, kMaxName);
  return fail(Problem::Code::invalid_field, "there is no such member");
}

// Decodes what has arrived of a key or value, and checks its size.
bool LineReader::absorb_string(Part part) {
  if (is_base64_ && !decode_base64_part(part))
    return fail(Problem::Code::invalid_field, "no base64 with padding (RFC 4648 section 4)");
  if (line_.value.size() > max_value_)
    return fail(Problem::Code::value_too_large,
                fmt::format("a value has up to {} bytes", max_value_), max_value_);
  if (line_.key.size() > kMaxKey)
    return fail(Problem::Code::invalid_key, fmt::format("a key has up to {} bytes", kMaxKey),
                kMaxKey);
  const bool is_key = member_ == Member::key;
  if (is_key && part == Part::last && line_.key.empty())
    return fail(Problem::Code::invalid_key, "an empty string, expected a key");
  return true;
}

bool LineReader::decode_base64_part(Part part) {
  // Four digits are three bytes. Fewer wait for the rest.
  const std::size_t size = part == Part::last ? text_.size() : text_.size() / 4 * 4;
  if (size == 0) return true;
  if (is_padded_) return false;
  const auto bytes = decode_base64(std::string_view(text_).substr(0, size));
  if (!bytes) return false;
  is_padded_ = text_[size - 1] == '=';
  (member_ == Member::key ? line_.key : line_.value).append(*bytes);
  text_.erase(0, size);
  return true;
}

// ---- lines

LineReader::Step LineReader::end_line() {
  has_ended_ = true;
  if (state_ == State::object) return Step::blank;
  if (state_ != State::line_end) {
    malformed("the line ends inside the object");
    return Step::error;
  }
  return is_complete() && compact_value() ? Step::line : Step::error;
}

bool LineReader::is_complete() {
  name_ = has_key_ ? "value" : "key";
  return (has_key_ && has_value_) || fail(Problem::Code::invalid_field, "missing");
}

bool LineReader::compact_value() {
  if (!line_.json) return true;
  std::string text;
  name_ = "value";
  if (const auto problem = compact(line_.value, text))
    return fail(Problem::Code::invalid_field,
                fmt::format("\"json\" is true, and the value is no JSON: {}", problem->detail));
  line_.value = std::move(text);
  return true;
}

void LineReader::begin_line() {
  ++number_;
  has_ended_ = false;
  offset_ = 0;
  line_.key.clear();
  line_.value.clear();
  line_.json = false;
  state_ = State::object;
  has_key_ = has_value_ = has_json_ = false;
}

// ---- errors

bool LineReader::once(bool& seen) {
  if (seen) {
    const std::string_view also = member_ == Member::json ? "" : ", as text or base64";
    return fail(Problem::Code::invalid_field, fmt::format("there twice{}", also));
  }
  seen = true;
  return true;
}

bool LineReader::wrong_type(std::string_view what) {
  return fail(
      Problem::Code::invalid_field,
      fmt::format("{}, expected {}", what, member_ == Member::json ? "a boolean" : "a string"));
}

bool LineReader::malformed(std::string_view detail) {
  return fail(Problem::Code::malformed, detail);
}

bool LineReader::fail(Problem::Code code, std::string_view detail, std::uint64_t limit) {
  problem_.code = code;
  problem_.limit = limit;
  problem_.offset = offset_;
  if (code != Problem::Code::malformed) problem_.field = name_;
  problem_.detail = fmt::format("line {}, byte {}: ", number_, offset_);
  if (!problem_.field.empty()) problem_.detail += fmt::format("`{}`: ", problem_.field);
  problem_.detail += detail;
  return false;
}

}  // namespace vesper::json
