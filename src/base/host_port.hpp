// The address of a server: a host, a port, and whether it speaks TLS there.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace vesper {

enum class Scheme : std::uint8_t {
  http,
  https,  // TLS on this port
};

struct HostPort {
  std::string host;  // a name or an address; an IPv6 address has no brackets
  std::uint16_t port = 0;
  Scheme scheme = Scheme::http;

  bool operator==(const HostPort&) const = default;
};

// "http://" or "https://".
std::string_view prefix_of(Scheme scheme);
// The scheme of a text that begins with such a prefix, which is cut off.
std::optional<Scheme> take_scheme(std::string_view& text);

// "host:port". An IPv6 address is in brackets.
std::string authority_of(const HostPort& address);
// "http://host:port" or "https://host:port".
std::string url_of(const HostPort& address);
// Reads what url_of() has written. Nothing if it is something else, or longer than 300 bytes.
std::optional<HostPort> parse_url(std::string_view url);

}  // namespace vesper
