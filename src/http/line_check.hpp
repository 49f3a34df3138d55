// What a line of a head may look like: the strict half of the parser, which refuses what llhttp
// lets through before llhttp sees it. Pure functions of one line; the meaning of fields is in
// framing.
#pragma once

#include <optional>
#include <string_view>

#include "http/message.hpp"

namespace vesper::http {

// A method longer than this is none of HTTP's.
inline constexpr std::size_t kMaxMethod = 32;
// What a request line has beside its target: the method, two spaces, the version and CRLF.
inline constexpr std::size_t kRequestLineOverhead = kMaxMethod + 2 + 8 + 2;
inline constexpr std::size_t kMaxStatusLine = 8 * 1024;

// The three checks below look at the bytes from `from` on of a line of which `line` has come so
// far, its line end included once that is there. The bytes before `from` were checked before. They
// refuse a line with the first byte behind which nothing could make it good, so that no half line
// is waited for in vain. Whatever a line consists of is refused at the same byte with the same
// words.

// A request line (RFC 9112 §3). Allows one empty line in its place (§2.2) unless `empty_line_seen`.
std::optional<ParseError> check_request_line_so_far(std::string_view line, std::size_t from,
                                                    std::size_t max_target, bool empty_line_seen);

// A status line (RFC 9112 §4): its bytes alone.
std::optional<ParseError> check_status_line_so_far(std::string_view line, std::size_t from);

// A line of the header or trailer section (RFC 9112 §5); an empty one is good.
std::optional<ParseError> check_field_line_so_far(std::string_view line, std::size_t from);

// A whole request line with its line end, after check_request_line_so_far. Fills in method, target,
// path, query, version and, of an absolute target, the authority.
std::optional<ParseError> check_request_line(std::string_view line, RequestHead& head);

// A whole status line with its line end, after check_status_line_so_far. Fills in version and
// status.
std::optional<ParseError> check_status_line(std::string_view line, ResponseHead& head);

}  // namespace vesper::http
