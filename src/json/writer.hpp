// Writes JSON: appends compact JSON (RFC 8259) to a buffer of the caller. Does not allocate
// otherwise, and does not check nesting: the caller must make the calls in a valid order.
#pragma once

#include <charconv>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "base/literal.hpp"

namespace vesper::json {

// Printable ASCII without anything to escape.
constexpr bool needs_no_escape(std::string_view text) {
  for (const char c : text)
    if (c < 0x20 || c > 0x7e || c == '"' || c == '\\') return false;
  return true;
}

// The name of a member, as a literal. To write it costs no more than a copy.
using Name = Literal<needs_no_escape>;

// Inserts commas as needed. `Writer w(out); w.begin_object(); w.key("a"); w.number(1);
// w.end_object();` appends {"a":1}.
class Writer {
 public:
  explicit Writer(std::string& out) : out_(out) {}

  void begin_object() { open('{'); }
  void end_object() { close('}'); }
  void begin_array() { open('['); }
  void end_array() { close(']'); }

  // Appends a member's name. The next call must append its value. A name that is no literal must be
  // UTF-8.
  void key(Name name) {
    char text[kMaxStart];
    out_.append(text, static_cast<std::size_t>(put_start(text, name) - text));
    need_comma_ = false;
  }
  template <std::same_as<std::string_view> Text>
  void key(Text name) {
    separate();
    quoted(name);
    out_.push_back(':');
    need_comma_ = false;
  }

  // Requires UTF-8 (json::is_utf8); other bytes are not detected. Escapes what RFC 8259 requires.
  void string(std::string_view utf8);
  // Appends `bytes` as a base64 string (RFC 4648 §4).
  void base64(std::string_view bytes);
  // Use integers below 2^53 only: not every JSON reader represents larger ones exactly.
  void number(std::uint64_t value);
  void signed_number(std::int64_t value);
  void boolean(bool value);
  void null();
  // Appends a complete JSON value unchanged. The caller must ensure that it is valid.
  void raw(std::string_view json_text);

  // Appends a member: its name and its value.
  void member(Name name, std::string_view utf8) {
    key(name);
    string(utf8);
  }
  template <std::unsigned_integral Value>
  void member(Name name, Value value) {
    if constexpr (std::same_as<Value, bool>) {
      key(name);
      boolean(value);
    } else {
      char text[kMaxStart + kMaxDigits];
      char* const digits = put_start(text, name);
      const char* const end = std::to_chars(digits, digits + kMaxDigits, value).ptr;
      out_.append(text, static_cast<std::size_t>(end - text));
      need_comma_ = true;
    }
  }
  // Begins a member whose value is an object. The matching end_object() ends it.
  void begin_object(Name name) {
    key(name);
    begin_object();
  }

  // Appends a member whose value is a byte string: "name":"text" if it is UTF-8, otherwise
  // "name_base64":"...".
  void bytes_member(Name name, std::string_view bytes);

  // Appends such a member in parts. The caller has checked whether all of its bytes are UTF-8. In
  // base64, each part but the last has a multiple of three bytes.
  enum class Encoding : std::uint8_t { utf8, base64 };
  void begin_bytes_member(Name name, Encoding encoding);
  void bytes_part(std::string_view bytes, Encoding encoding);
  void end_bytes_member() { out_.push_back('"'); }

 private:
  static constexpr std::size_t kMaxStart = Name::kMax + 4;  // of a member: ,"name":
  static constexpr std::size_t kMaxDigits = 20;

  void open(char bracket);
  void close(char bracket);
  void separate() {
    if (need_comma_) out_.push_back(',');
    need_comma_ = true;
  }
  char* put_start(char* at, Name name) const {
    if (need_comma_) *at++ = ',';
    *at++ = '"';
    std::memcpy(at, name.text().data(), name.text().size());
    at += name.text().size();
    *at++ = '"';
    *at++ = ':';
    return at;
  }
  void quoted(std::string_view utf8);
  void escaped(std::string_view utf8);

  std::string& out_;
  bool need_comma_ = false;  // a value was written, so that the next one needs a comma
};

}  // namespace vesper::json
