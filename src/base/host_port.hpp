// Where a server listens, by name or by address.
#pragma once

#include <cstdint>
#include <string>

namespace vesper {

struct HostPort {
  std::string host;  // a name or an address, an IPv6 one without its brackets
  std::uint16_t port = 0;
};

// "http://host:port", an IPv6 address in brackets.
std::string url_of(const HostPort& address);

}  // namespace vesper
