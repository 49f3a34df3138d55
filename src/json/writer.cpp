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
constexpr std::string_view kBase64 = "_base64\":\"";  // replaces `":` after a name

template <typename Integer>
void append_integer(std::string& out, Integer value) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof(digits), value).ptr;
  out.append(digits, static_cast<std::size_t>(end - digits));
}

// Requires a byte that needs an escape.
void append_escape(std::string& out, unsigned char byte) {
  const char escape = kEscapes[byte];
  out.push_back('\\');
  out.push_back(escape);
  if (escape != 'u') return;
  out.append("00");
  out.push_back(kHex[byte >> 4]);
  out.push_back(kHex[byte & 0xf]);
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
  escaped(utf8);
  out_.push_back('"');
}

void Writer::escaped(std::string_view utf8) {
  std::size_t clean = unescaped_prefix(utf8);
  out_.append(utf8, 0, clean);
  while (clean < utf8.size()) {
    append_escape(out_, static_cast<unsigned char>(utf8[clean]));
    utf8.remove_prefix(clean + 1);
    clean = unescaped_prefix(utf8);
    out_.append(utf8, 0, clean);
  }
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

void Writer::bytes_member(Name name, std::string_view bytes) {
  const std::size_t plain = plain_prefix(bytes);
  const bool is_text = plain == bytes.size() || is_utf8(bytes.substr(plain));
  begin_bytes_member(name, is_text ? Encoding::utf8 : Encoding::base64);
  if (plain == bytes.size()) out_.append(bytes);
  else bytes_part(bytes, is_text ? Encoding::utf8 : Encoding::base64);
  end_bytes_member();
}

void Writer::begin_bytes_member(Name name, Encoding encoding) {
  char text[kMaxStart + kBase64.size()];
  char* at = put_start(text, name);
  if (encoding == Encoding::base64) {
    at -= 2;  // the suffix precedes the closing quote
    std::memcpy(at, kBase64.data(), kBase64.size());
    at += kBase64.size();
  } else {
    *at++ = '"';
  }
  out_.append(text, static_cast<std::size_t>(at - text));
  need_comma_ = true;
}

void Writer::bytes_part(std::string_view bytes, Encoding encoding) {
  if (encoding == Encoding::base64) append_base64(out_, bytes);
  else escaped(bytes);
}

}  // namespace vesper::json
