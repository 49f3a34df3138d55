// Writes JSON: appends compact JSON (RFC 8259) to a buffer of the caller. Does not allocate
// otherwise, and does not check nesting: the caller must make the calls in a valid order.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace vesper::json {

// Inserts commas as needed. `Writer w(out); w.begin_object(); w.key("a"); w.number(1);
// w.end_object();` appends {"a":1}.
class Writer {
 public:
  explicit Writer(std::string& out) : out_(out) {}

  void begin_object() { open('{'); }
  void end_object() { close('}'); }
  void begin_array() { open('['); }
  void end_array() { close(']'); }

  // Appends a member's name, which must be UTF-8. The next call must append its value.
  void key(std::string_view name);

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
  void member(std::string_view name, std::string_view utf8) {
    key(name);
    string(utf8);
  }
  template <std::unsigned_integral Value>
  void member(std::string_view name, Value value) {
    key(name);
    if constexpr (std::same_as<Value, bool>) boolean(value);
    else number(value);
  }
  // Begins a member whose value is an object. The matching end_object() ends it.
  void begin_object(std::string_view name) {
    key(name);
    begin_object();
  }

  // Appends a member whose value is a byte string: "name":"text" if it is UTF-8, otherwise
  // "name_base64":"...".
  void bytes_member(std::string_view name, std::string_view bytes);

 private:
  void open(char bracket);
  void close(char bracket);
  void separate() {
    if (need_comma_) out_.push_back(',');
    need_comma_ = true;
  }
  void quoted(std::string_view utf8);

  std::string& out_;
  bool need_comma_ = false;  // a value was written, so that the next one needs a comma
};

}  // namespace vesper::json
