// The address on which a server listens: a host and a port.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace vesper {

struct HostPort {
  std::string host;  // a name or an address; an IPv6 address has no brackets
  std::uint16_t port = 0;
};

// "http://host:port". An IPv6 address is in brackets.
std::string url_of(const HostPort& address);
// Reads what url_of() has written. Nothing if it is something else, or longer than 300 bytes.
std::optional<HostPort> parse_url(std::string_view url);

}  // namespace vesper
