#include "api/host_rules.hpp"

#include <arpa/inet.h>

#include "http/grammar.hpp"
#include "http/target.hpp"

namespace vesper::api {
namespace {

// A trailing root dot does not change a name (RFC 1034 §3.1).
std::string_view without_root_dot(std::string_view name) {
  if (name.size() > 1 && name.ends_with('.')) name.remove_suffix(1);
  return name;
}

bool is_ipv4(const std::string& host) {
  in_addr address{};
  return ::inet_pton(AF_INET, host.c_str(), &address) == 1;
}

// Origin is scheme "://" authority (RFC 6454 §7). "null" or a malformed origin matches no host.
bool same_origin(std::string_view origin, std::string_view host) {
  std::uint16_t default_port = 80;
  const std::string_view http = "http://", https = "https://";
  if (origin.starts_with(http)) {
    origin.remove_prefix(http.size());
  } else if (origin.starts_with(https)) {
    origin.remove_prefix(https.size());
    default_port = 443;
  } else {
    return false;
  }
  const auto from = http::parse_authority(origin);
  const auto to = http::parse_authority(host);
  return from && to && http::equal_ignoring_case(from->host, to->host) &&
         from->port.value_or(default_port) == to->port.value_or(default_port);
}

}  // namespace

bool host_allowed(const Settings& settings, std::string_view authority) {
  const auto parsed = http::parse_authority(authority);
  if (!parsed) return false;
  const std::string host(without_root_dot(parsed->host));
  if (parsed->is_ipv6 || is_ipv4(host) || host.find('.') == std::string::npos) return true;
  if (http::equal_ignoring_case(settings.address.host, host)) return true;
  for (const HostPort& listed : settings.list)
    if (http::equal_ignoring_case(listed.host, host)) return true;
  for (const std::string& allowed : settings.allow_hosts)
    if (allowed == "*" || http::equal_ignoring_case(without_root_dot(allowed), host)) return true;
  return false;
}

bool cross_origin(const http::RequestHead& head) {
  for (const http::Field& field : head.fields) {
    if (http::equal_ignoring_case(field.name, "Origin") &&
        !same_origin(field.value, head.authority))
      return true;
    if (http::equal_ignoring_case(field.name, "Sec-Fetch-Site") && field.value != "same-origin" &&
        field.value != "none")
      return true;
  }
  return false;
}

}  // namespace vesper::api
