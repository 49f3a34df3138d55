// Small values in headers and parameters: numbers, durations, flags, token lists, dates. Strict:
// one spelling for one value, nothing guessed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.hpp"

namespace vesper::http {

// 0 to 2^64-1 in decimal digits, without sign, spaces or leading zeros.
std::optional<std::uint64_t> parse_decimal(std::string_view text);

inline constexpr std::int64_t kMaxDurationMs = std::int64_t{3650} * 24 * 3600 * 1000;

// A whole number and its unit, ms s m h d: "500ms", "2h". 1 ms to 3650 days; nothing otherwise.
std::optional<Duration> parse_duration(std::string_view text);

// The value of a flag in a query: "" (?f and ?f=), "1", "true" set it, "0" and "false" do not.
std::optional<bool> parse_flag(std::string_view value);

// A field's value that is a text as it is or, where it begins with a quote, a string of RFC 8941
// §3.3.3: then its content. Nothing where such a string is malformed or something stands behind it.
std::optional<std::string> unquote(std::string_view value);

// Whether a comma-separated list of tokens has this one; case is ignored.
bool list_contains(std::string_view list, std::string_view token);

// Appends a time as IMF-fixdate, 29 bytes (RFC 9110 §5.6.7): "Sun, 06 Nov 1994 08:49:37 GMT".
// Years 0 to 9999.
void append_http_date(std::int64_t unix_seconds, std::string& out);

// The text of the current second, made once a second.
class DateCache {
 public:
  // Valid until the next call with another second.
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
