#include "http/serializer.hpp"

#include <charconv>
#include <cstring>

#include "base/assert.hpp"
#include "http/grammar.hpp"
#include "http/message.hpp"

namespace vesper::http {

namespace {

void append_number(std::string& out, std::uint64_t value) {
  char digits[20];
  const auto [end, error] = std::to_chars(digits, digits + sizeof(digits), value);
  VESPER_ASSERT(error == std::errc());
  out.append(digits, end);
}

}  // namespace

void begin_response(std::string& out, int status) {
  VESPER_ASSERT(status >= 100 && status <= 599);
  if (status == 200) {
    out += "HTTP/1.1 200 OK\r\n";  // nearly always
    return;
  }
  out += "HTTP/1.1 ";
  append_number(out, static_cast<std::uint64_t>(status));
  out += ' ';
  out += status_phrase(status);
  out += "\r\n";
}

void begin_request(std::string& out, std::string_view method, std::string_view target,
                   std::string_view host) {
  VESPER_ASSERT(is_token(method));
  VESPER_ASSERT(!target.empty());
  VESPER_ASSERT(all_of_class(target, grammar::kTargetByte));
  out += method;
  out += ' ';
  out += target;
  out += " HTTP/1.1\r\n";
  append_field(out, "Host", host);
}

void append_standard_fields(std::string& out, const StandardFields& fields) {
  append_field(out, "Date", fields.date);
  out += "X-Content-Type-Options: nosniff\r\n";
  if (!fields.node.empty()) append_field(out, "Vesper-Node", fields.node);
  if (!fields.leader.empty()) append_field(out, "Vesper-Leader", fields.leader);
}

void append_field(std::string& out, FieldName name, std::string_view value) {
  VESPER_ASSERT(all_field_bytes(value));
  out += name.text();
  out += ": ";
  out += value;
  out += "\r\n";
}

void append_field(std::string& out, FieldName name, std::uint64_t value) {
  char line[FieldName::kMax + 24];  // name, ": ", up to 20 digits, CRLF
  char* at = line;
  const auto put = [&at](std::string_view text) {
    std::memcpy(at, text.data(), text.size());
    at += text.size();
  };
  put(name.text());
  put(": ");
  at = std::to_chars(at, line + sizeof(line) - 2, value).ptr;
  put("\r\n");
  out.append(line, at);
}

void append_etag(std::string& out, std::uint64_t revision) {
  out += "ETag: \"";
  append_number(out, revision);
  out += "\"\r\n";
}

void end_head(std::string& out) {
  out += "\r\n";
}

void append_chunk(std::string& out, std::string_view bytes) {
  VESPER_ASSERT(!bytes.empty());
  char digits[16];
  const auto [end, error] = std::to_chars(digits, digits + sizeof(digits), bytes.size(), 16);
  VESPER_ASSERT(error == std::errc());
  out.append(digits, end);
  out += "\r\n";
  out += bytes;
  out += "\r\n";
}

void append_last_chunk(std::string& out) {
  out += "0\r\n\r\n";
}

void append_continue(std::string& out) {
  out += "HTTP/1.1 100 Continue\r\n\r\n";
}

}  // namespace vesper::http
