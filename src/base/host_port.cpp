#include "base/host_port.hpp"

#include <fmt/core.h>

#include <charconv>

namespace vesper {

std::string_view prefix_of(Scheme scheme) {
  return scheme == Scheme::https ? "https://" : "http://";
}

std::optional<Scheme> take_scheme(std::string_view& text) {
  for (const Scheme scheme : {Scheme::http, Scheme::https}) {
    if (!text.starts_with(prefix_of(scheme))) continue;
    text.remove_prefix(prefix_of(scheme).size());
    return scheme;
  }
  return std::nullopt;
}

std::string authority_of(const HostPort& address) {
  const bool v6 = address.host.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}", v6 ? "[" : "", address.host, v6 ? "]" : "", address.port);
}

std::string url_of(const HostPort& address) {
  return std::string(prefix_of(address.scheme)) + authority_of(address);
}

std::optional<HostPort> parse_url(std::string_view url) {
  constexpr std::size_t kMaxUrl = 300;
  std::string_view rest = url;
  const auto scheme = take_scheme(rest);
  if (url.size() > kMaxUrl || !scheme) return std::nullopt;
  const std::size_t colon = rest.rfind(':');
  const std::string_view digits = rest.substr(colon + 1);
  HostPort address{std::string(rest.substr(0, colon)), 0, *scheme};
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), address.port);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  if (address.host.starts_with('[') && address.host.ends_with(']'))
    address.host = address.host.substr(1, address.host.size() - 2);
  if (address.host.empty() || url_of(address) != url) return std::nullopt;
  return address;
}

}  // namespace vesper
