#include "http/line_check.hpp"

#include "http/grammar.hpp"
#include "http/target.hpp"

namespace vesper::http {

namespace {

// Cuts CRLF off. A bare LF is no line end (RFC 9112 §2.2 would allow it; two readers that differ
// about it are how requests are smuggled).
bool cut_line_end(std::string_view& line) {
  if (!line.ends_with("\r\n")) return false;
  line.remove_suffix(2);
  return true;
}

// "HTTP/1.0" or "HTTP/1.1" gives the minor version; another version of the same form is 505.
std::optional<ParseError> check_version(std::string_view text, std::uint8_t& minor) {
  const bool has_form = text.size() == 8 && text.starts_with("HTTP/") && is_digit(text[5]) &&
                        text[6] == '.' && is_digit(text[7]);
  if (!has_form) return malformed("the request line does not end with a space and HTTP/1.1");
  if (text[5] != '1' || text[7] > '1')
    return ParseError{505, "http_version", "only HTTP/1.1 and HTTP/1.0 are spoken here", 0};
  minor = static_cast<std::uint8_t>(text[7] - '0');
  return std::nullopt;
}

void set_path_and_query(std::string_view text, RequestHead& head) {
  const TargetParts parts = split_target(text);
  head.path = parts.path;
  head.query = parts.query;
  head.has_query = parts.has_query;
}

// http://authority[/path][?query] (RFC 9112 §3.2.2).
std::optional<ParseError> check_absolute_target(RequestHead& head) {
  constexpr std::string_view kScheme = "http://";
  if (!equal_ignoring_case(head.target.substr(0, kScheme.size()), kScheme))
    return malformed("the request target is neither a path nor an http:// address");
  const std::string_view rest = head.target.substr(kScheme.size());
  const std::size_t end = rest.find_first_of("/?");
  head.authority = rest.substr(0, end);
  if (!parse_authority(head.authority))
    return malformed("the address in the request target has no valid host");
  set_path_and_query(end == std::string_view::npos ? std::string_view() : rest.substr(end), head);
  if (head.path.empty())  // §3.2.4: of OPTIONS it means the server itself
    head.path = head.method == Method::options && !head.has_query ? "*" : "/";
  return std::nullopt;
}

// RFC 9112 §3.2: the four forms of a target.
std::optional<ParseError> check_target(RequestHead& head) {
  if (head.target.empty()) return malformed("two spaces, or no target, in the request line");
  if (!all_of_class(head.target, grammar::kTargetByte))
    return malformed("a byte in the request target has to be percent-encoded");
  if (head.target.front() == '/' && head.method != Method::connect) {
    set_path_and_query(head.target, head);
    return std::nullopt;
  }
  if (head.method == Method::connect) {  // answered like any method that is not served
    if (!parse_authority(head.target)) return malformed("the target of CONNECT is not host:port");
    return std::nullopt;
  }
  if (head.target == "*") {
    if (head.method != Method::options) return malformed("the target * is for OPTIONS only");
    head.path = head.target;
    return std::nullopt;
  }
  return check_absolute_target(head);
}

}  // namespace

std::optional<ParseError> check_method_prefix(std::string_view line, std::size_t from,
                                              bool empty_line_seen) {
  for (std::size_t i = from; i < line.size(); ++i) {
    const char c = line[i];
    if (line.front() == '\r' && !empty_line_seen) {
      if (i == 0) continue;
      if (i == 1 && c == '\n') return std::nullopt;
      return malformed("a carriage return without a line feed");
    }
    if (c == ' ') {
      if (i == 0) return malformed("a space before the method");
      return std::nullopt;  // what follows is looked at when the line is whole
    }
    if (i == 0 && c == '\x16') return malformed("this looks like TLS; this port speaks plain HTTP");
    if (!is_token_byte(c)) return malformed("this does not begin like an HTTP request");
    if (i == kMaxMethod)
      return ParseError{501, "not_implemented", "no method has so long a name", 0};
  }
  return std::nullopt;
}

std::optional<ParseError> check_request_line(std::string_view line, std::size_t max_target,
                                             RequestHead& head) {
  if (!cut_line_end(line)) return malformed("a line ends without a carriage return");
  const std::size_t space = line.find(' ');
  head.method_text = line.substr(0, space);
  head.method = method_from(head.method_text);
  line.remove_prefix(space + 1);
  const std::size_t end = line.find(' ');
  head.target = line.substr(0, end);
  if (head.target.size() > max_target)
    return ParseError{414, "uri_too_long", "the request target is too long", max_target};
  if (end == std::string_view::npos) return malformed("the request line names no HTTP version");
  if (auto error = check_version(line.substr(end + 1), head.minor_version)) return error;
  return check_target(head);
}

std::optional<ParseError> check_status_line(std::string_view line, ResponseHead& head) {
  if (!cut_line_end(line)) return malformed("a line ends without a carriage return");
  if (line.size() < 12) return malformed("the status line is too short");
  if (auto error = check_version(line.substr(0, 8), head.minor_version)) return error;
  if (line[8] != ' ' || !is_digit(line[9]) || !is_digit(line[10]) || !is_digit(line[11]))
    return malformed("the status line has no status of three digits");
  head.status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
  if (head.status < 100 || head.status > 599) return malformed("the status is not 100 to 599");
  if (line.size() > 12 && line[12] != ' ') return malformed("no space behind the status");
  if (!all_of_class(line.substr(12), grammar::kFieldByte))
    return malformed("a control character in the status line");
  return std::nullopt;
}

std::optional<ParseError> check_field_line(std::string_view line) {
  if (!cut_line_end(line)) return malformed("a line ends without a carriage return");
  if (line.empty()) return std::nullopt;
  if (line.front() == ' ' || line.front() == '\t')
    return malformed("a header field is continued on a second line");
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return malformed("a header line without a colon");
  if (!is_token(line.substr(0, colon))) return malformed("a header field's name is not a token");
  if (!all_of_class(line.substr(colon + 1), grammar::kFieldByte))
    return malformed("a control character in a header field's value");
  return std::nullopt;
}

}  // namespace vesper::http
