// Parses endpoints and chooses where to take them from.
#include "app/endpoints.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>

#include "base/bytes.hpp"

namespace vesper::app {
namespace {

constexpr const char* kListFile = "ip_list.txt";

std::string_view trim_spaces(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

Result<std::vector<HostPort>> named(Result<std::vector<HostPort>> endpoints, const char* source) {
  if (endpoints) return endpoints;
  return Error{fmt::format("{}: {}", source, endpoints.error().what), 0};
}

}  // namespace

Result<HostPort> parse_endpoint(std::string_view text) {
  const std::string_view given = text;
  const Scheme scheme = take_scheme(text).value_or(Scheme::http);
  if (!text.empty() && text.back() == '/') text.remove_suffix(1);
  auto server = parse_host_port(text);
  if (!server)
    return Error{fmt::format("found \"{}\": {}, expected http://host:port or https://host:port",
                             escaped(given), server.error().what),
                 0};
  server->scheme = scheme;
  return server;
}

Result<std::vector<HostPort>> parse_endpoints(std::string_view text) {
  std::vector<HostPort> endpoints;
  while (true) {
    const std::size_t comma = text.find(',');
    auto server = parse_endpoint(trim_spaces(text.substr(0, comma)));
    if (!server) return server.error();
    if (std::find(endpoints.begin(), endpoints.end(), *server) == endpoints.end())
      endpoints.push_back(std::move(*server));
    if (comma == text.npos) return endpoints;
    text.remove_prefix(comma + 1);
  }
}

Result<std::vector<HostPort>> find_endpoints(const std::string* flag, const char* variable) {
  if (flag != nullptr) return named(parse_endpoints(*flag), "--endpoints");
  if (variable != nullptr && *variable != '\0')
    return named(parse_endpoints(variable), "VESPER_ENDPOINTS");
  if (access(kListFile, F_OK) == 0) {
    auto file = read_cluster_file(kListFile);
    if (!file) return file.error();
    return std::move(file->servers);
  }
  return parse_endpoints("http://127.0.0.1:5000");
}

}  // namespace vesper::app
