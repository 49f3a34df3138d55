// The heads of HTTP/1.x messages that the parser returns, and its errors. Plain data: views into
// the parser's buffer, valid as long as Parser::request() and Parser::response() say.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace vesper::http {

// RFC 9110 §9. `other` is any valid token that this server does not implement; its text is in the
// head.
enum class Method : std::uint8_t { get, head, put, post, delete_, options, connect, other };

Method method_from(std::string_view text);  // case-sensitive (RFC 9110 §9.1)

struct Field {
  std::string_view name;   // as sent
  std::string_view value;  // trimmed; bytes 0x09, 0x20-0x7e, 0x80-0xff
};

// The fields in the order in which they arrived. Lookups ignore case (RFC 9110 §5.1).
class Fields {
 public:
  const Field* find(std::string_view name) const;       // the first one of that name, or null
  const Field* find_only(std::string_view name) const;  // null also if there are several
  std::size_t count(std::string_view name) const;

  std::size_t size() const { return fields_.size(); }
  const Field& operator[](std::size_t i) const { return fields_[i]; }
  auto begin() const { return fields_.begin(); }
  auto end() const { return fields_.end(); }

  void clear() { fields_.clear(); }
  void add(Field field) { fields_.push_back(field); }

 private:
  std::vector<Field> fields_;
};

// How the end of a body is found (RFC 9112 §6.3). until_close: responses only.
enum class BodyFraming : std::uint8_t { none, length, chunked, until_close };

// RFC 9110 §10.1.1. Always `none` for an HTTP/1.0 request, whose expectations are ignored.
enum class Expectation : std::uint8_t { none, continue_100, other };

struct RequestHead {
  Method method = Method::other;
  std::string_view method_text;
  std::string_view target;     // as sent
  std::string_view path;       // still encoded; begins with '/', or is "*" (OPTIONS only); empty
                               // for CONNECT, whose target is an authority
  std::string_view query;      // still encoded, without the '?'
  bool has_query = false;      // false: there is no '?'
  std::string_view authority;  // host[:port] from an absolute target, otherwise from Host; its
                               // grammar was checked; empty only in HTTP/1.0
  std::uint8_t minor_version = 1;  // HTTP/1.<0 or 1>
  bool keep_alive = true;  // false: Connection: close, or HTTP/1.0 without Connection: keep-alive
  BodyFraming framing = BodyFraming::none;
  bool has_content_length = false;   // also true for Content-Length: 0, whose framing is `none`
  std::uint64_t content_length = 0;  // if framing is `length`
  Expectation expectation = Expectation::none;
  std::string_view upgrade;  // the value of Upgrade if Connection lists it (RFC 9110 §7.8),
                             // otherwise empty; the parser never switches protocols itself
  Fields fields;
};

struct ResponseHead {
  int status = 0;                  // 100..599
  std::uint8_t minor_version = 1;  // HTTP/1.<0 or 1>
  bool keep_alive = true;
  BodyFraming framing = BodyFraming::none;
  std::uint64_t content_length = 0;  // if framing is `length`
  std::string_view upgrade;          // as in RequestHead; relevant for status 101
  Fields fields;
};

// Why a message was refused: the status and code of the answer (docs/http-api.md), a text for
// people and, for 414 and 431, the limit in bytes or fields. All texts are static. For a response,
// only the detail has a meaning.
struct ParseError {
  std::uint16_t status = 400;
  std::string_view code;
  std::string_view detail;
  std::size_t limit = 0;
};

// 400 "malformed", the most common refusal.
constexpr ParseError malformed(std::string_view detail) {
  return {400, "malformed", detail, 0};
}

// The reason phrase of a status that Vesper sends (RFC 9110 §15); "Status" for any other.
std::string_view status_phrase(int status);

}  // namespace vesper::http
