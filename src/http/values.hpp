// Parses small values in headers and parameters: numbers, durations, flags, lists, media
// types and dates.
// Strict: each value has a single spelling, and nothing is guessed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.hpp"
#include "http/message.hpp"

namespace vesper::http {

// Accepts 0 to 2^64-1 in decimal digits, without sign, spaces or leading zeros.
std::optional<std::uint64_t> parse_decimal(std::string_view text);

inline constexpr std::int64_t kMaxDurationMs = std::int64_t{3650} * 24 * 3600 * 1000;

// Accepts a whole number with a unit (ms, s, m, h or d), such as "500ms" or "2h", from 1 ms to 3650
// days.
std::optional<Duration> parse_duration(std::string_view text);

// Accepts a number of bytes, alone or with a unit (KiB, MiB, GiB or TiB), such as "65536" or
// "64MiB", up to 2^64-1 bytes.
std::optional<std::uint64_t> parse_size(std::string_view text);

// Parses a flag in a query: "" (from ?f and ?f=), "1" and "true" are true, "0" and "false" are
// false.
std::optional<bool> parse_flag(std::string_view value);

// Returns a field value unchanged, or, if it begins with a quote, the content of the string (RFC
// 8941 §3.3.3). Returns nothing if the string is malformed or followed by anything.
std::optional<std::string> unquote(std::string_view value);

// True if a comma-separated list of tokens contains `token`, ignoring case.
bool list_contains(std::string_view list, std::string_view token);

// The weight that the Accept fields give a media type, 0 to 1000 (RFC 9110 §12.5.1). Nothing if
// they do not name it: ranges such as */* do not count, and neither does an element that is
// malformed.
std::optional<unsigned> accept_weight(const Fields& fields, std::string_view media_type);

// True if the Accept-Encoding fields name this coding, or "*", with a weight above 0 (RFC 9110
// §12.5.3). A request without such a field gets no coding.
bool accepts_coding(const Fields& fields, std::string_view coding);

// True if a Content-Type names this media type, whatever its parameters (RFC 9110 §8.3.1).
bool is_media_type(std::string_view content_type, std::string_view media_type);

// Appends a time as IMF-fixdate, 29 bytes (RFC 9110 §5.6.7): "Sun, 06 Nov 1994 08:49:37 GMT".
// Requires a year from 0 to 9999.
void append_http_date(std::int64_t unix_seconds, std::string& out);

// Caches the formatted date, so that it is made only once per second.
class DateCache {
 public:
  // The view is valid until the next call with a different second.
  std::string_view at(std::int64_t unix_seconds) {
    if (text_.empty() || unix_seconds != second_) {
      text_.clear();
      append_http_date(unix_seconds, text_);
      second_ = unix_seconds;
    }
    return text_;
  }

 private:
  std::int64_t second_ = 0;
  std::string text_;
};

}  // namespace vesper::http
