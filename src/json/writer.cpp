// String escaping and the output of single values.
#include "json/writer.hpp"

#include <array>
#include <charconv>

#include "json/text.hpp"

namespace vesper::json {
namespace {

// The character after the backslash; 'u' for \u00XX; 0 if the byte needs no escape (RFC 8259 §7).
constexpr std::array<char, 256> make_escapes() {
  std::array<char, 256> escapes{};
  for (std::size_t c = 0; c < 0x20; ++c) escapes[c] = 'u';
  escapes['\b'] = 'b';
  escapes['\t'] = 't';
  escapes['\n'] = 'n';
  escapes['\f'] = 'f';
  escapes['\r'] = 'r';
  escapes['"'] = '"';
  escapes['\\'] = '\\';
  return escapes;
}
constexpr auto kEscapes = make_escapes();
constexpr std::string_view kHex = "0123456789abcdef";

template <typename Integer>
void append_integer(std::string& out, Integer value) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof(digits), value).ptr;
  out.append(digits, static_cast<std::size_t>(end - digits));
}

}  // namespace

void Writer::open(char bracket) {
  separate();
  out_.push_back(bracket);
  need_comma_ = false;
}

void Writer::close(char bracket) {
  out_.push_back(bracket);
  need_comma_ = true;
}

void Writer::quoted(std::string_view utf8) {
  out_.push_back('"');
  std::size_t clean = 0;  // start of the current run that needs no escape
  for (std::size_t i = 0; i < utf8.size(); ++i) {
    const auto c = static_cast<unsigned char>(utf8[i]);
    const char escape = kEscapes[c];
    if (escape == 0) [[likely]]
      continue;
    out_.append(utf8, clean, i - clean);
    clean = i + 1;
    out_.push_back('\\');
    out_.push_back(escape);
    if (escape == 'u') {
      out_.append("00");
      out_.push_back(kHex[c >> 4]);
      out_.push_back(kHex[c & 0xf]);
    }
  }
  out_.append(utf8, clean, utf8.size() - clean);
  out_.push_back('"');
}

void Writer::key(std::string_view name) {
  separate();
  quoted(name);
  out_.push_back(':');
  need_comma_ = false;
}

void Writer::string(std::string_view utf8) {
  separate();
  quoted(utf8);
}

void Writer::base64(std::string_view bytes) {
  separate();
  out_.push_back('"');
  append_base64(out_, bytes);
  out_.push_back('"');
}

void Writer::number(std::uint64_t value) {
  separate();
  append_integer(out_, value);
}

void Writer::signed_number(std::int64_t value) {
  separate();
  append_integer(out_, value);
}

void Writer::boolean(bool value) {
  separate();
  out_.append(value ? "true" : "false");
}

void Writer::null() {
  separate();
  out_.append("null");
}

void Writer::raw(std::string_view json_text) {
  separate();
  out_.append(json_text);
}

void Writer::bytes_member(std::string_view name, std::string_view bytes) {
  if (is_utf8(bytes)) {
    key(name);
    string(bytes);
    return;
  }
  separate();
  quoted(name);
  out_.pop_back();  // replaces the closing quote by the suffix
  out_.append("_base64\":");
  need_comma_ = false;
  base64(bytes);
}

}  // namespace vesper::json
