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

// Checks the bytes from `from` on of a request line of which `line` has come so far, so that what
// is no HTTP (a TLS handshake) is refused by its first bytes instead of waited for. Allows one
// empty line in place of the request line (RFC 9112 §2.2) unless `empty_line_seen`.
std::optional<ParseError> check_method_prefix(std::string_view line, std::size_t from,
                                              bool empty_line_seen);

// A whole request line with its line end, after check_method_prefix (RFC 9112 §3). Fills in method,
// target, path, query, version and, of an absolute target, the authority.
std::optional<ParseError> check_request_line(std::string_view line, std::size_t max_target,
                                             RequestHead& head);

// A whole status line with its line end (RFC 9112 §4). Fills in version and status.
std::optional<ParseError> check_status_line(std::string_view line, ResponseHead& head);

// A whole line of the header section that ends with LF (RFC 9112 §5); an empty one is good.
std::optional<ParseError> check_field_line(std::string_view line);

}  // namespace vesper::http
