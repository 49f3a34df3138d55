#include "base/host_port.hpp"

#include <fmt/core.h>

#include <charconv>

namespace vesper {

std::string url_of(const HostPort& address) {
  const bool v6 = address.host.find(':') != std::string::npos;
  return fmt::format("http://{}{}{}:{}", v6 ? "[" : "", address.host, v6 ? "]" : "", address.port);
}

std::optional<HostPort> parse_url(std::string_view url) {
  constexpr std::string_view kScheme = "http://";
  constexpr std::size_t kMaxUrl = 300;
  if (url.size() > kMaxUrl || !url.starts_with(kScheme)) return std::nullopt;
  const std::size_t colon = url.rfind(':');
  const std::string_view digits = url.substr(colon + 1);
  HostPort address{std::string(url.substr(kScheme.size(), colon - kScheme.size())), 0};
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), address.port);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  if (address.host.starts_with('[') && address.host.ends_with(']'))
    address.host = address.host.substr(1, address.host.size() - 2);
  if (address.host.empty() || url_of(address) != url) return std::nullopt;
  return address;
}

}  // namespace vesper
