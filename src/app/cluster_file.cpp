// Parses the list of a cluster's servers, and reads input files.
#include "app/cluster_file.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/bytes.hpp"
#include "raft/types.hpp"

namespace vesper::app {
namespace {

constexpr std::size_t kMaxListBytes = 1u << 20;
constexpr std::string_view kExpected = "http://host:port or https://host:port";

std::string_view trim(std::string_view text) {
  const auto is_space = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

Error at_line(std::string_view name, std::size_t line, std::string_view found,
              std::string_view expected) {
  return {fmt::format("{}:{}: found {}, expected {}", escaped(name, 4096), line, found, expected),
          0};
}

}  // namespace

Result<HostPort> ClusterFile::find(std::uint64_t id) const {
  if (id < servers.size()) return servers[static_cast<std::size_t>(id)];
  return Error{
      fmt::format("{}:{}: found server {} as the last one, expected an id from 0 to {}, not {}",
                  escaped(name, 4096), last_line, servers.size() - 1, servers.size() - 1, id),
      0};
}

std::optional<Error> ClusterFile::refuse_mixed() const {
  if (first_mixed == 0) return std::nullopt;
  const bool is_tls = servers.front().scheme == Scheme::https;
  return at_line(name, first_mixed,
                 fmt::format("{} after {} lines", is_tls ? "http://" : "https://",
                             is_tls ? "https://" : "http://"),
                 "one scheme for all servers; --allow-mixed permits both while you migrate");
}

Result<ClusterFile> parse_cluster_file(std::string_view text, std::string_view name) {
  ClusterFile file;
  file.name = name;
  std::vector<std::size_t> lines;  // line numbers of file.servers
  if (text.substr(0, 3) == "\xef\xbb\xbf") text.remove_prefix(3);
  std::size_t number = 0;
  while (!text.empty()) {
    ++number;
    const std::size_t line_end = text.find('\n');
    const std::string_view line = trim(text.substr(0, line_end));
    text.remove_prefix(line_end == text.npos ? text.size() : line_end + 1);
    if (line.empty() || line.front() == '#') continue;

    const std::string found = fmt::format("\"{}\"", escaped(line));
    std::string_view authority = line;
    const auto scheme = take_scheme(authority);
    if (!scheme) return at_line(name, number, found, kExpected);
    if (!authority.empty() && authority.back() == '/') authority.remove_suffix(1);
    auto server = parse_host_port(authority);
    if (!server)
      return at_line(name, number, fmt::format("{}: {}", found, server.error().what), kExpected);
    server->scheme = *scheme;
    if (http::is_unspecified(*server))
      return at_line(
          name, number, fmt::format("{}, which means every interface", found),
          "an address at which other nodes can reach this one; pass this address to --listen");
    const auto twin =
        std::find_if(file.servers.begin(), file.servers.end(),
                     [&](const HostPort& other) { return other.is_same_port(*server); });
    if (twin != file.servers.end()) {
      const auto first = lines[static_cast<std::size_t>(twin - file.servers.begin())];
      return at_line(name, number, fmt::format("{}, which is also in line {}", found, first),
                     "each host and port only once");
    }
    if (file.first_mixed == 0 && !file.servers.empty() &&
        file.servers.front().scheme != server->scheme)
      file.first_mixed = number;
    if (file.servers.size() == raft::kMaxServers)
      return at_line(name, number, fmt::format("server number {}", raft::kMaxServers + 1),
                     fmt::format("at most {} servers", raft::kMaxServers));
    file.servers.push_back(std::move(*server));
    lines.push_back(number);
  }
  if (file.servers.empty())
    return at_line(name, number == 0 ? 1 : number, "no server",
                   fmt::format("at least one line of the form {}", kExpected));
  file.last_line = lines.back();
  return file;
}

Result<ClusterFile> read_cluster_file(const std::string& path) {
  auto text = read_file(path, kMaxListBytes);
  if (!text) return text.error();
  return parse_cluster_file(*text, path);
}

Result<std::string> read_file(const std::string& path, std::size_t limit) {
  const bool standard_input = path == "-";
  const std::string name = standard_input ? "standard input" : escaped(path, 4096);
  const auto failed = [&]() -> Error {
    const int code = errno;
    return {fmt::format("{}: {}", name, std::strerror(code)), code};
  };
  const int fd = standard_input ? STDIN_FILENO : open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return failed();
  Result<std::string> result = std::string();
  std::string& bytes = *result;
  while (true) {
    constexpr std::size_t kStep = 64 * 1024;
    const std::size_t had = bytes.size();
    bytes.resize(had + kStep);
    const ssize_t got = read(fd, bytes.data() + had, kStep);
    bytes.resize(had + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (got < 0 && errno == EINTR) continue;
    // Another process made the shared file description non-blocking.
    if (got < 0 && errno == EAGAIN) {
      pollfd until{fd, POLLIN, 0};
      poll(&until, 1, -1);
      continue;
    }
    if (got < 0) result = failed();
    else if (bytes.size() > limit)
      result = Error{fmt::format("{}: more than {} bytes", name, limit), 0};
    else if (got > 0) continue;
    break;
  }
  if (!standard_input) close(fd);
  return result;
}

}  // namespace vesper::app
