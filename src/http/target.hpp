// Request targets: path and query, percent-encoding, query parameters and host[:port]. No meaning
// of paths or parameters here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vesper::http {

struct TargetParts {
  std::string_view path;
  std::string_view query;  // without the '?'
  bool has_query = false;
};

// Cuts at the first '?'.
TargetParts split_target(std::string_view target);

// Appends `text` with every %XX decoded once; '+' stays a plus (RFC 3986 §2.1). False, with `out`
// as it was, where a % is not followed by two hex digits.
[[nodiscard]] bool percent_decode(std::string_view text, std::string& out);

// Appends `bytes` for use in a path: everything but unreserved bytes and '/' is encoded.
void percent_encode_path(std::string_view bytes, std::string& out);
// Appends `bytes` for use as a parameter's name or value: all but unreserved bytes is encoded.
void percent_encode_query(std::string_view bytes, std::string& out);

struct QueryParameter {
  std::string name;  // decoded
  std::string value;
  bool has_value = false;  // false: no '='
};

inline constexpr std::size_t kMaxQueryParameters = 64;

enum class QueryError : std::uint8_t {
  none,
  bad_percent,  // a % without two hex digits; `name` of the result is the raw piece
  empty_name,   // "a&&b", "=x", a trailing '&'
  repeated,     // `name` came twice
  too_many,     // more than kMaxQueryParameters
};

struct QueryOutcome {
  QueryError error = QueryError::none;
  std::string name;  // of the parameter at fault
};

// Reads name=value&name... in the form encoding: '+' and %20 are a space, %2B is a plus. An empty
// query has no parameters. `out` is replaced; with an error it holds what came before.
[[nodiscard]] QueryOutcome parse_query(std::string_view query, std::vector<QueryParameter>& out);

struct Authority {
  std::string_view host;  // without brackets; not empty
  bool is_ipv6 = false;   // it stood in brackets
  std::optional<std::uint16_t> port;
};

// host[:port] as in Host, Origin and absolute targets (RFC 3986 §3.2), without user information.
// A host is unreserved bytes, or an IPv6 address in brackets of which only the alphabet is checked;
// an empty port ("host:") is none. Nothing where it is anything else.
std::optional<Authority> parse_authority(std::string_view text);

}  // namespace vesper::http
