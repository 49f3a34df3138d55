// The strict half of the parser: checks each line of a head before llhttp sees it, and refuses what
// llhttp would tolerate. Pure functions of one line. framing.hpp interprets the fields.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "http/message.hpp"

namespace vesper::http {

// No HTTP method has a longer name.
inline constexpr std::size_t kMaxMethod = 32;
// The bytes of a request line apart from its target: the method, two spaces, the version and CRLF.
inline constexpr std::size_t kRequestLineOverhead = kMaxMethod + 2 + 8 + 2;
inline constexpr std::size_t kMaxStatusLine = 8 * 1024;

// The next three functions check an incomplete line. `line` is what has arrived so far, including
// its line end if that has arrived. Bytes before `from` were checked by an earlier call. A line is
// refused at the first byte after which it cannot become valid, so the parser never waits for the
// rest of an invalid line. Where a line is refused, and why, does not depend on how its bytes were
// split over calls.

// Whether an empty line may stand before the request line (RFC 9112 §2.2).
enum class EmptyLine : std::uint8_t { allowed, refused };

// A request line (RFC 9112 §3), or an empty line in its place if that is allowed.
std::optional<ParseError> check_request_line_so_far(std::string_view line, std::size_t from,
                                                    std::size_t max_target, EmptyLine empty_line);

// A status line (RFC 9112 §4). Checks only which bytes it has.
std::optional<ParseError> check_status_line_so_far(std::string_view line, std::size_t from);

// A line of the header or trailer section (RFC 9112 §5). An empty line is valid.
std::optional<ParseError> check_field_line_so_far(std::string_view line, std::size_t from);

// Checks a complete request line with its line end. Requires that check_request_line_so_far()
// accepted it. Fills in method, target, path, query and version, and, for an absolute target, the
// authority.
std::optional<ParseError> check_request_line(std::string_view line, RequestHead& head);

// Checks a complete status line with its line end. Requires that check_status_line_so_far()
// accepted it. Fills in version and status.
std::optional<ParseError> check_status_line(std::string_view line, ResponseHead& head);

}  // namespace vesper::http
