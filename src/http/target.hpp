// Parses request targets: path and query, percent-encoding, query parameters and host[:port]. The
// api library interprets paths and parameters.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vesper::http {

struct TargetParts {
  std::string_view path;
  std::string_view query;  // without the '?'
  bool has_query = false;
};

// Splits at the first '?'.
TargetParts split_target(std::string_view target);

// Appends `text` with each %XX decoded once; '+' stays a plus (RFC 3986 §2.1). Returns false and
// leaves `out` unchanged if a % is not followed by two hex digits.
[[nodiscard]] bool percent_decode(std::string_view text, std::string& out);

// Appends `bytes` for use in a path. Encodes everything except unreserved bytes and '/'.
void percent_encode_path(std::string_view bytes, std::string& out);
// Appends `bytes` for use as a parameter's name or value. Encodes everything except unreserved
// bytes.
void percent_encode_query(std::string_view bytes, std::string& out);

struct QueryParameter {
  std::string name;  // decoded
  std::string value;
  bool has_value = false;  // false: there was no '='
};

inline constexpr std::size_t kMaxQueryParameters = 64;

enum class QueryError : std::uint8_t {
  none,
  bad_percent,  // a % without two hex digits; `name` is the raw parameter
  empty_name,   // "a&&b", "=x", a trailing '&'
  repeated,     // `name` occurred twice
  too_many,     // more than kMaxQueryParameters, without those that may be repeated
};

struct QueryOutcome {
  QueryError error = QueryError::none;
  std::string name;  // of the parameter in question
};

// Parses name=value&name... in form encoding: '+' and %20 are a space, %2B is a plus. An empty
// query has no parameters. Replaces `out`. In case of an error, `out` has the parameters before it.
// Parameters named in `repeatable` may occur any number of times.
[[nodiscard]] QueryOutcome parse_query(std::string_view query, std::vector<QueryParameter>& out,
                                       std::span<const std::string_view> repeatable = {});

struct Authority {
  std::string_view host;  // without brackets; not empty
  bool is_ipv6 = false;   // the host was in brackets
  std::optional<std::uint16_t> port;
};

// Parses host[:port] as in Host, Origin and absolute targets (RFC 3986 §3.2), without user
// information. A host consists of unreserved bytes, or is an IPv6 address in brackets, of which
// only the alphabet is checked. An empty port ("host:") counts as none. Returns nothing if the text
// has any other form.
std::optional<Authority> parse_authority(std::string_view text);

}  // namespace vesper::http
