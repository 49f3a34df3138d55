#include "http/line_check.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "http/grammar.hpp"
#include "http/target.hpp"

namespace vesper::http {

namespace {

constexpr std::string_view kScheme = "http://";

// What has arrived of a line: its text and its line end, either of which may be incomplete.
struct Line {
  std::string_view text;
  std::string_view end;  // from the first CR or LF on

  bool over() const { return !end.empty(); }
};

// `from`: the bytes before it were checked, so that only the last of them can be a CR.
Line split_line(std::string_view line, std::size_t from) {
  std::size_t end = line.find('\r', from > 0 ? from - 1 : 0);
  if (end == line.npos && line.ends_with('\n')) end = line.size() - 1;
  if (end == line.npos) return {line, {}};
  return {line.substr(0, end), line.substr(end)};
}

// The bytes from `from` on; empty if there are none.
std::string_view tail(std::string_view text, std::size_t from) {
  return text.substr(std::min(from, text.size()));
}

// Only CRLF ends a line. RFC 9112 §2.2 would allow a bare LF, but two readers that disagree about
// it enable request smuggling.
std::optional<ParseError> check_line_end(std::string_view end) {
  if (end == "\r\n" || end == "\r" || end.empty()) return std::nullopt;
  if (end.front() == '\r') return malformed("a carriage return without a line feed");
  return malformed("a line ends without a carriage return");
}

// Removes the CRLF from a line that check_line_end() accepted.
std::string_view without_line_end(std::string_view line) {
  VESPER_ASSERT(line.ends_with("\r\n"));
  return line.substr(0, line.size() - 2);
}

// Checks the part of "HTTP/1.0" or "HTTP/1.1" that has arrived; if the line is `over`, that is all
// of it. Another version of the same form is a 505.
std::optional<ParseError> check_version_so_far(std::string_view text, bool over) {
  constexpr std::string_view kForm = "HTTP/d.d";
  constexpr ParseError kNone = malformed("the request line does not end with a space and HTTP/1.1");
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (i == kForm.size()) return kNone;
    const bool fits = kForm[i] == 'd' ? is_digit(text[i]) : text[i] == kForm[i];
    if (!fits) return kNone;
    if ((i == 5 && text[i] != '1') || (i == 7 && text[i] > '1'))
      return ParseError{505, "http_version", "only HTTP/1.1 and HTTP/1.0 are supported", 0};
  }
  if (over && text.size() < kForm.size()) return kNone;
  return std::nullopt;
}

void set_path_and_query(std::string_view text, RequestHead& head) {
  const TargetParts parts = split_target(text);
  head.path = parts.path;
  head.query = parts.query;
  head.has_query = parts.has_query;
}

// RFC 9112 §3.2: tells the four forms of a target by how it begins. `whole`: the target is
// complete.
std::optional<ParseError> check_target_begin(Method method, std::string_view target, bool whole) {
  if (target.empty() || target.front() == '/' || method == Method::connect) return std::nullopt;
  if (target == "*") return std::nullopt;
  const std::string_view expected = kScheme.substr(0, whole ? kScheme.size() : target.size());
  if (!equal_ignoring_case(target.substr(0, expected.size()), expected))
    return malformed("the request target is neither a path nor an http:// URL");
  return std::nullopt;
}

// http://authority[/path][?query] (RFC 9112 §3.2.2).
std::optional<ParseError> check_absolute_target(RequestHead& head) {
  const std::string_view rest = head.target.substr(kScheme.size());
  const std::size_t end = rest.find_first_of("/?");
  head.authority = rest.substr(0, end);
  if (!parse_authority(head.authority))
    return malformed("the URL in the request target has no valid host");
  set_path_and_query(end == std::string_view::npos ? std::string_view() : rest.substr(end), head);
  if (head.path.empty())  // RFC 9112 §3.2.4: an OPTIONS target without a path means the server
    head.path = head.method == Method::options && !head.has_query ? "*" : "/";
  return std::nullopt;
}

// Fast path for a complete line, the usual case: one pass over its bytes shows that it is valid.
// False proves nothing; the full checks then decide.
bool is_good_request_line(std::string_view line, std::size_t max_target) {
  constexpr std::string_view kEnd = " HTTP/1.1\r\n";
  if (!line.ends_with(kEnd)) return false;
  line.remove_suffix(kEnd.size());
  const std::size_t space = line.find(' ');
  if (space == 0 || space > kMaxMethod) return false;
  const std::string_view target = tail(line, space + 1);
  return target.starts_with('/') && target.size() <= max_target &&
         all_of_class(line.substr(0, space), grammar::kTokenByte) &&
         all_of_class(target, grammar::kTargetByte);
}

bool is_good_field_line(std::string_view line) {
  if (!line.ends_with("\r\n")) return false;
  line.remove_suffix(2);
  const std::size_t colon = line.find(':');
  if (colon == 0 || colon == line.npos) return line.empty();
  return all_of_class(line.substr(0, colon), grammar::kTokenByte) &&
         all_field_bytes(line.substr(colon + 1));
}

// Completes the check of a target that passed check_target_begin() and the byte classes.
std::optional<ParseError> check_target(RequestHead& head) {
  if (head.method == Method::connect) {  // answered like any method that is not implemented
    if (!parse_authority(head.target)) return malformed("the target of CONNECT is not host:port");
    return std::nullopt;
  }
  if (head.target.front() == '/') {
    set_path_and_query(head.target, head);
    return std::nullopt;
  }
  if (head.target == "*") {
    if (head.method != Method::options) return malformed("the target * is valid only for OPTIONS");
    head.path = head.target;
    return std::nullopt;
  }
  return check_absolute_target(head);
}

// `whole`: the space after the method has arrived.
std::optional<ParseError> check_method(std::string_view method, std::size_t from, bool whole) {
  for (std::size_t i = from; i < method.size(); ++i) {
    if (i == 0 && method[i] == '\x16')
      return malformed("this looks like TLS; this port speaks plain HTTP");
    if (!is_token_byte(method[i])) return malformed("this is not the beginning of an HTTP request");
    if (i == kMaxMethod)
      return ParseError{501, "not_implemented", "the method name is too long", 0};
  }
  if (whole && method.empty()) return malformed("the request line begins with a space");
  return std::nullopt;
}

}  // namespace

std::optional<ParseError> check_request_line_so_far(std::string_view line, std::size_t from,
                                                    std::size_t max_target, EmptyLine empty_line) {
  if (from == 0 && is_good_request_line(line, max_target)) return std::nullopt;
  const Line parts = split_line(line, from);
  if (parts.text.empty() && parts.end.starts_with('\r') && empty_line == EmptyLine::allowed)
    return check_line_end(parts.end);
  const std::size_t space = parts.text.find(' ');
  const std::string_view method = parts.text.substr(0, space);
  if (from <= method.size())
    if (auto error = check_method(method, from, space != line.npos)) return error;
  if (space == line.npos) {
    if (parts.over()) return malformed("this is not the beginning of an HTTP request");
    return std::nullopt;
  }
  const std::string_view rest = parts.text.substr(space + 1);
  const std::size_t end = rest.find(' ');
  const std::string_view target = rest.substr(0, end);
  const bool whole = end != rest.npos || parts.over();
  if (end == 0) return malformed("two spaces, or no target, in the request line");
  if (auto error = check_target_begin(method_from(method), target, whole)) return error;
  const std::size_t target_from = from > space + 1 ? from - (space + 1) : 0;
  if (!all_of_class(tail(target.substr(0, max_target), target_from), grammar::kTargetByte))
    return malformed("a byte in the request target must be percent-encoded");
  if (target.size() > max_target)
    return ParseError{414, "uri_too_long", "the request target is too long", max_target};
  if (end == rest.npos) {
    if (parts.over()) return malformed("the request line names no HTTP version");
    return std::nullopt;
  }
  if (auto error = check_version_so_far(rest.substr(end + 1), parts.over())) return error;
  return check_line_end(parts.end);
}

std::optional<ParseError> check_request_line(std::string_view line, RequestHead& head) {
  line = without_line_end(line);
  const std::size_t space = line.find(' ');
  head.method_text = line.substr(0, space);
  head.method = method_from(head.method_text);
  line.remove_prefix(space + 1);
  const std::size_t end = line.find(' ');
  head.target = line.substr(0, end);
  head.minor_version = static_cast<std::uint8_t>(line.back() - '0');
  return check_target(head);
}

std::optional<ParseError> check_status_line_so_far(std::string_view line, std::size_t from) {
  const Line parts = split_line(line, from);
  if (!all_field_bytes(tail(parts.text, from)))
    return malformed("a control character in the status line");
  return check_line_end(parts.end);
}

std::optional<ParseError> check_status_line(std::string_view line, ResponseHead& head) {
  line = without_line_end(line);
  if (line.size() < 12) return malformed("the status line is too short");
  if (auto error = check_version_so_far(line.substr(0, 8), true)) return error;
  head.minor_version = static_cast<std::uint8_t>(line[7] - '0');
  if (line[8] != ' ' || !is_digit(line[9]) || !is_digit(line[10]) || !is_digit(line[11]))
    return malformed("the status line has no status of three digits");
  head.status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
  if (head.status < 100 || head.status > 599) return malformed("the status is not from 100 to 599");
  if (line.size() > 12 && line[12] != ' ') return malformed("there is no space after the status");
  return std::nullopt;
}

std::optional<ParseError> check_field_line_so_far(std::string_view line, std::size_t from) {
  if (from == 0 && is_good_field_line(line)) return std::nullopt;
  const Line parts = split_line(line, from);
  if (parts.text.starts_with(' ') || parts.text.starts_with('\t'))
    return malformed("a header field continues on a second line");
  const std::size_t colon = parts.text.find(':');
  const std::string_view name = parts.text.substr(0, colon);
  if (colon == 0 || !all_of_class(tail(name, from), grammar::kTokenByte))
    return malformed("a header field's name is not a token");
  if (colon == line.npos) {
    if (parts.over() && !name.empty()) return malformed("a header line without a colon");
  } else if (!all_field_bytes(tail(parts.text, std::max(from, colon + 1)))) {
    return malformed("a control character in a header field's value");
  }
  return check_line_end(parts.end);
}

}  // namespace vesper::http
