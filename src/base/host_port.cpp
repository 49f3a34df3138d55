#include "base/host_port.hpp"

#include <fmt/core.h>

namespace vesper {

std::string url_of(const HostPort& address) {
  const bool v6 = address.host.find(':') != std::string::npos;
  return fmt::format("http://{}{}{}:{}", v6 ? "[" : "", address.host, v6 ? "]" : "", address.port);
}

}  // namespace vesper
