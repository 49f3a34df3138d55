#include "http/host_port.hpp"

#include <arpa/inet.h>
#include <fmt/core.h>

#include <algorithm>

#include "base/bytes.hpp"
#include "http/grammar.hpp"
#include "http/values.hpp"

namespace vesper::http {
namespace {

constexpr std::size_t kMaxName = 253;  // RFC 1035 §2.3.4, in text form

bool is_name_byte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

Result<std::string> canonical_ipv6(std::string_view host) {
  in6_addr address{};
  char text[INET6_ADDRSTRLEN];
  if (inet_pton(AF_INET6, std::string(host).c_str(), &address) != 1 ||
      inet_ntop(AF_INET6, &address, text, sizeof(text)) == nullptr)
    return Error{fmt::format("\"{}\" is not an IPv6 address", escaped(host)), 0};
  return std::string(text);
}

// Checks a name or an IPv4 address and returns it in lower case.
Result<std::string> check_host(std::string_view host) {
  std::string name(host);
  for (char& c : name) c = to_lower(c);
  // RFC 1034 §3.1: a trailing dot stands for the root and does not change the name. /etc/hosts does
  // not know that spelling.
  if (name.ends_with('.')) name.pop_back();
  if (name.empty()) return Error{"the host is missing", 0};
  if (name.size() > kMaxName)
    return Error{fmt::format("a host name has at most {} bytes (RFC 1035 §2.3.4)", kMaxName), 0};
  if (!std::all_of(name.begin(), name.end(), is_name_byte))
    return Error{fmt::format("\"{}\" is not a host name", escaped(host)), 0};
  // Some parsers read a name whose last label is numeric as an IPv4 address (WHATWG URL).
  const auto label = name.substr(name.rfind('.') + 1);
  const bool numeric = std::all_of(label.begin(), label.end(), is_digit);
  in_addr address{};
  if (numeric && inet_pton(AF_INET, name.c_str(), &address) != 1)
    return Error{fmt::format("\"{}\" is not an IPv4 address", escaped(host)), 0};
  return name;
}

}  // namespace

bool is_unspecified(const HostPort& server) {
  return server.host == "0.0.0.0" || server.host == "::" || server.host == "::ffff:0.0.0.0";
}

std::string HostPort::authority() const {
  return is_ipv6 ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

std::string HostPort::url() const {
  return std::string(prefix_of(scheme)) + authority();
}

Result<HostPort> parse_host_port(std::string_view text) {
  HostPort server;
  std::string_view rest;
  if (!text.empty() && text.front() == '[') {
    const std::size_t bracket = text.find(']');
    if (bracket == text.npos) return Error{"the closing ] is missing", 0};
    auto host = canonical_ipv6(text.substr(1, bracket - 1));
    if (!host) return host.error();
    server.host = std::move(*host);
    server.is_ipv6 = true;
    rest = text.substr(bracket + 1);
  } else {
    const std::size_t colon = text.find(':');
    if (text.find(':', std::min(colon, text.size() - 1) + 1) != text.npos &&
        text.find('/') == text.npos)
      return Error{"more than one colon (an IPv6 address must be in brackets)", 0};
    auto host = check_host(text.substr(0, colon));
    if (!host) return host.error();
    server.host = std::move(*host);
    rest = colon == text.npos ? std::string_view() : text.substr(colon);
  }
  if (rest.empty()) return Error{"the port is missing", 0};
  if (rest.front() != ':') return Error{fmt::format("\"{}\" after the ]", escaped(rest)), 0};
  const auto port = http::parse_decimal(rest.substr(1));
  if (!port || *port < 1 || *port > 65535)
    return Error{
        fmt::format("port \"{}\" is not a number from 1 to 65535", escaped(rest.substr(1))), 0};
  server.port = static_cast<std::uint16_t>(*port);
  return server;
}

Result<HostPort> parse_server_url(std::string_view text) {
  const auto wrong = [text](std::string_view why) {
    return Error{fmt::format("\"{}\" {}; expected http://host:port or https://host:port",
                             escaped(text), why),
                 0};
  };
  std::string_view authority = text;
  const auto scheme = take_scheme(authority);
  if (!scheme) return wrong("is not a URL");
  if (authority.ends_with('/')) authority.remove_suffix(1);
  auto server = parse_host_port(authority);
  if (!server) return wrong("is not an address: " + server.error().what);
  if (is_unspecified(*server)) return wrong("means every interface, not one server");
  server->scheme = *scheme;
  return server;
}

}  // namespace vesper::http
