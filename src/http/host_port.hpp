// Parses the addresses of servers as people write them: a host, which may be a name, and a port.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/host_port.hpp"
#include "base/result.hpp"

namespace vesper::http {

// The address of a server. Spellings that mean the same host and port (case, a trailing dot, forms
// of IPv6) compare equal.
struct HostPort {
  std::string host;        // lower case, or canonical IPv6 without brackets; not empty
  std::uint16_t port = 0;  // 1 to 65535
  bool is_ipv6 = false;
  Scheme scheme = Scheme::http;

  bool operator==(const HostPort&) const = default;
  // True if both mean the same port of the same host, whatever the scheme.
  bool is_same_port(const HostPort& other) const {
    return host == other.host && port == other.port;
  }
  std::string authority() const;  // host:port or [v6]:port
  std::string url() const;        // http://host:port or https://host:port
};

// Accepts "host:port", "1.2.3.4:port" or "[v6]:port" and nothing else. The error says what is wrong
// (`port "0" is not a number from 1 to 65535`), but not where.
Result<HostPort> parse_host_port(std::string_view text);

// True for a wildcard address: a server can listen on it, but no other machine can connect to it.
bool is_unspecified(const HostPort& server);

// The address under which other servers reach this one, as "http://host:port" or
// "https://host:port" with an optional trailing '/'. Refuses a wildcard address. The error names
// the text.
Result<HostPort> parse_server_url(std::string_view text);

}  // namespace vesper::http
