#include "json/string_reader.hpp"

#include <cstring>

#include "json/text.hpp"

namespace vesper::json {
namespace {

constexpr std::uint32_t kHighSurrogates = 0xd800, kLowSurrogates = 0xdc00, kSurrogatesEnd = 0xe000;
constexpr std::string_view kLoneSurrogate = "a lone surrogate in a string";

bool is_high_surrogate(std::uint32_t code) {
  return code >= kHighSurrogates && code < kLowSurrogates;
}

bool is_low_surrogate(std::uint32_t code) {
  return code >= kLowSurrogates && code < kSurrogatesEnd;
}

void append_utf8(std::uint32_t code, std::string& out) {
  const auto tail = [&](unsigned shift) {
    out.push_back(static_cast<char>(0x80 | ((code >> shift) & 0x3f)));
  };
  if (code < 0x80) {
    out.push_back(static_cast<char>(code));
  } else if (code < 0x800) {
    out.push_back(static_cast<char>(0xc0 | (code >> 6)));
    tail(0);
  } else if (code < 0x10000) {
    out.push_back(static_cast<char>(0xe0 | (code >> 12)));
    tail(6);
    tail(0);
  } else {
    out.push_back(static_cast<char>(0xf0 | (code >> 18)));
    tail(12);
    tail(6);
    tail(0);
  }
}

// The character of a simple escape; 0 if there is no such escape.
char unescaped(char c) {
  switch (c) {
    case '"':
    case '\\':
    case '/': return c;
    case 'b': return '\b';
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    default: return '\0';
  }
}

}  // namespace

StringReader::Step StringReader::read(std::string_view input, std::size_t& consumed,
                                      std::string& out) {
  std::size_t at = 0;
  const auto done = [&](Step step) {
    consumed = at;
    return step;
  };
  while (at < input.size()) {
    if (state_ != State::plain) {
      const char c = input[at++];
      const bool ok = state_ == State::escape ? take_escape(c, out) : take_digit(c, out);
      if (!ok) return done(Step::error);
      continue;
    }
    const std::string_view rest = input.substr(at);
    const std::size_t run = unescaped_prefix(rest);
    if (run != 0 || cut_size_ != 0) {
      if (!take_plain(rest.substr(0, run), run < rest.size())) return done(Step::error);
      out.append(rest, 0, run);
      at += run;
      if (at == input.size()) break;
    }
    const char c = input[at++];
    if (c == '\\') {
      state_ = State::escape;
    } else if (high_ != 0) {
      fail(kLoneSurrogate);
      return done(Step::error);
    } else if (c == '"') {
      return done(Step::end);
    } else {
      fail("a control character in a string");
      return done(Step::error);
    }
  }
  return done(Step::need_more);
}

// Checks a run of bytes without escapes. `ends_here`: the run is complete.
bool StringReader::take_plain(std::string_view bytes, bool ends_here) {
  if (high_ != 0 && !bytes.empty()) return fail(kLoneSurrogate);
  std::string joined;
  if (cut_size_ != 0) {
    joined.assign(cut_, cut_size_);
    joined.append(bytes);
    bytes = joined;
    cut_size_ = 0;
  }
  if (!ends_here) {
    const std::size_t cut = incomplete_tail(bytes);
    cut_size_ = static_cast<std::uint8_t>(cut);
    std::memcpy(cut_, bytes.data() + bytes.size() - cut, cut);
    bytes.remove_suffix(cut);
  }
  return is_utf8(bytes) || fail("bytes in a string that are not UTF-8");
}

bool StringReader::take_escape(char c, std::string& out) {
  if (c == 'u') {
    state_ = State::code;
    code_ = 0;
    digits_ = 0;
    return true;
  }
  if (high_ != 0) return fail(kLoneSurrogate);
  const char character = unescaped(c);
  if (character == '\0') return fail("an escape that JSON does not have");
  state_ = State::plain;
  out.push_back(character);
  return true;
}

bool StringReader::take_digit(char c, std::string& out) {
  std::uint32_t digit = 0;
  if (c >= '0' && c <= '9') digit = static_cast<std::uint32_t>(c - '0');
  else if (c >= 'a' && c <= 'f') digit = static_cast<std::uint32_t>(c - 'a') + 10;
  else if (c >= 'A' && c <= 'F') digit = static_cast<std::uint32_t>(c - 'A') + 10;
  else return fail("\\u without four hex digits");
  code_ = code_ << 4 | digit;
  if (++digits_ < 4) return true;
  state_ = State::plain;
  return take_code(out);
}

bool StringReader::take_code(std::string& out) {
  if (high_ != 0) {
    if (!is_low_surrogate(code_)) return fail(kLoneSurrogate);
    const std::uint32_t high = (high_ - kHighSurrogates) << 10;
    append_utf8(0x10000 + high + (code_ - kLowSurrogates), out);
    high_ = 0;
    return true;
  }
  if (is_low_surrogate(code_)) return fail(kLoneSurrogate);
  if (is_high_surrogate(code_)) high_ = code_;
  else append_utf8(code_, out);
  return true;
}

}  // namespace vesper::json
