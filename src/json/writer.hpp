// JSON out: appends compact JSON (RFC 8259) straight to a buffer that it borrows. It allocates
// nothing of its own and does not check nesting: the caller's code is the grammar.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace vesper::json {

// Commas are written where they are due. `Writer w(out); w.begin_object(); w.key("a");
// w.number(1); w.end_object();` appends {"a":1}.
class Writer {
 public:
  explicit Writer(std::string& out) : out_(out) {}

  void begin_object() { open('{'); }
  void end_object() { close('}'); }
  void begin_array() { open('['); }
  void end_array() { close(']'); }

  // The name of a member: UTF-8, as in string(). What comes next is its value.
  void key(std::string_view name);

  // Requires UTF-8 (json::is_utf8); other bytes would pass through unseen. Escapes what must be.
  void string(std::string_view utf8);
  // A string in base64 (RFC 4648 §4).
  void base64(std::string_view bytes);
  // Keep integers below 2^53: that is as far as every reader of JSON goes.
  void number(std::uint64_t value);
  void signed_number(std::int64_t value);
  void boolean(bool value);
  void null();
  // One complete JSON value, as it is: the caller answers for it.
  void raw(std::string_view json_text);

  // A member: its name and its value.
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
  // A member whose value is an object, up to the next end_object() of its depth.
  void begin_object(std::string_view name) {
    key(name);
    begin_object();
  }

  // A member whose value is bytes: "name":"text", or "name_base64":"..." where the bytes are no
  // UTF-8.
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
  bool need_comma_ = false;  // a value ended here and none was begun since
};

}  // namespace vesper::json
