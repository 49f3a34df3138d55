// The address on which a server listens: a host and a port.
#pragma once

#include <cstdint>
#include <string>

namespace vesper {

struct HostPort {
  std::string host;  // a name or an address; an IPv6 address has no brackets
  std::uint16_t port = 0;
};

// "http://host:port". An IPv6 address is in brackets.
std::string url_of(const HostPort& address);

}  // namespace vesper
