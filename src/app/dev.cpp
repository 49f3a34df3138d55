// `vesper dev`: starts a cluster of child processes on this machine, prints the address of its
// page, and ends them all when it is interrupted.
#include <fcntl.h>
#include <fmt/core.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/child_process.hpp"
#include "app/client_tls.hpp"
#include "app/cluster_file.hpp"
#include "app/commands.hpp"
#include "app/connector.hpp"
#include "app/http_client.hpp"
#include "app/pki.hpp"
#include "app/stdio.hpp"
#include "app/supervisor.hpp"
#include "base/bytes.hpp"

namespace vesper::app {
namespace {

constexpr std::uint16_t kFirstPort = 5000;
constexpr std::uint16_t kLastPort = 30'000;  // below those that the kernel gives to clients
constexpr std::uint16_t kPortStep = 10;
constexpr Duration kServesWithin = seconds(30);
constexpr Duration kEndsWithin = seconds(10);  // after SIGTERM
constexpr Duration kProbeInterval = milliseconds(20);
constexpr std::size_t kShownLog = 2'000;  // bytes of the log of a node that failed

bool is_free(std::uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool bound = bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
                     listen(fd, 1) == 0;
  close(fd);
  return bound;
}

bool are_free(std::uint16_t first, std::uint64_t count) {
  for (std::uint64_t i = 0; i < count; ++i)
    if (!is_free(static_cast<std::uint16_t>(first + i))) return false;
  return true;
}

// The first of `count` consecutive ports that are free.
std::optional<std::uint16_t> find_ports(std::uint64_t count) {
  for (std::uint16_t first = kFirstPort; first < kLastPort; first += kPortStep)
    if (are_free(first, count)) return first;
  return std::nullopt;
}

// The directory of the cluster. A temporary one is removed at the end.
class Place {
 public:
  ~Place() {
    std::error_code ignored;
    if (is_temporary_) std::filesystem::remove_all(path_, ignored);
  }

  // Returns false, and complains, if there is no such directory and none can be made.
  bool make(const std::optional<std::string>& wanted) {
    std::error_code error;
    if (wanted) {
      path_ = *wanted;
      std::filesystem::create_directories(path_, error);
    } else {
      const auto parent = std::filesystem::temp_directory_path(error);
      std::string name = (parent / "vesper-dev-XXXXXX").string();
      if (!error && mkdtemp(name.data()) == nullptr) error.assign(errno, std::generic_category());
      is_temporary_ = !error;
      path_ = name;
    }
    if (error)
      complain(fmt::format("cannot make the directory \"{}\": {}", escaped(path_.string()),
                           error.message()));
    return !error;
  }

  std::string file(std::string_view name) const { return (path_ / name).string(); }
  bool has(std::string_view name) const {
    std::error_code ignored;
    return std::filesystem::exists(path_ / name, ignored);
  }
  std::string path() const { return path_.string(); }
  bool is_temporary() const { return is_temporary_; }

 private:
  std::filesystem::path path_;
  bool is_temporary_ = false;
};

class DevCluster {
 public:
  explicit DevCluster(const DevOptions& options) : options_(options) {}

  int run() {
    if (signals_.fd() < 0) {
      complain("no file descriptor is left");
      return kExitError;
    }
    if (!place_.make(options_.dir)) return kExitError;
    if (const int code = read_or_make_list()) return code;
    if (const int code = prepare_tls()) return code;
    int code = start();
    if (code == kExitOk && !wants_end_) code = wait_until_it_serves();
    if (code == kExitOk && !wants_end_) code = announce();
    if (code == kExitOk) code = wait_for_signal();
    end();
    return code;
  }

 private:
  // A directory that has a list keeps it, because the data belongs to those nodes.
  int read_or_make_list() {
    list_ = place_.file("ip_list.txt");
    if (!place_.has("ip_list.txt")) return make_list();
    const auto list = read_cluster_file(list_);
    if (!list) {
      complain(list.error().what);
      return kExitUsage;
    }
    const std::size_t count = list->servers.size();
    addresses_ = list->servers;
    const bool other_scheme = options_.tls && !speaks_tls();
    if (options_.port || options_.nodes.value_or(count) != count || other_scheme) {
      complain(fmt::format("{}: the directory has a cluster of {} nodes{} already",
                           escaped(list_, list_.size()), count,
                           other_scheme ? " without TLS" : ""));
      hint("leave out --nodes, --port and --tls, or choose another directory");
      return kExitUsage;
    }
    return kExitOk;
  }

  int make_list() {
    const std::uint64_t count = options_.nodes.value_or(DevOptions::kDefaultNodes);
    const auto first = options_.port ? options_.port : find_ports(count);
    if (!first || *first + count - 1 > 65'535) {
      complain(first
                   ? fmt::format("--port {}: {} ports from there on end above 65535", *first, count)
                   : "no free ports were found");
      return first ? kExitUsage : kExitError;
    }
    std::string text;
    for (std::uint64_t i = 0; i < count; ++i) {
      addresses_.push_back({"127.0.0.1", static_cast<std::uint16_t>(*first + i), false,
                            options_.tls ? Scheme::https : Scheme::http});
      text += addresses_.back().url() + '\n';
    }
    const int fd = open(list_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    const bool wrote =
        fd >= 0 && write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    const int error = errno;
    if (fd >= 0) close(fd);
    if (wrote) return kExitOk;
    complain(
        fmt::format("cannot write \"{}\": {}", escaped(list_, list_.size()), std::strerror(error)));
    return kExitError;
  }

  bool speaks_tls() const { return addresses_.front().scheme == Scheme::https; }
  PkiFiles pki() const { return {place_.file("pki")}; }

  // Makes the certificates, unless the directory has them.
  int prepare_tls() {
    if (!speaks_tls()) return kExitOk;
    if (!place_.has("pki")) {
      PkiOptions wanted;
      wanted.directory = pki().directory;
      for (const HostPort& address : addresses_) wanted.hosts.push_back(address.host);
      std::vector<std::string> written;
      if (const int code = make_certificates(wanted, written)) return code;
    }
    set_client_tls({.cacert = pki().authority()});
    if (const auto& tls = client_tls(); !tls) {
      complain(tls.error().what);
      return kExitError;
    }
    return kExitOk;
  }

  void add(const HostPort& address) {
    std::vector<std::string> flags;
    if (speaks_tls())
      flags = {"--tls-cert", pki().certificate(address.host),
               "--tls-key",  pki().key(address.host),
               "--tls-ca",   pki().authority()};
    nodes_.add(address, place_.file(fmt::format("{}.log", nodes_.size())), std::move(flags));
  }

  int start() {
    for (const HostPort& address : addresses_) add(address);
    nodes_.set_list(list_);
    for (std::size_t id = 0; id < nodes_.size(); ++id) {
      const int error = nodes_.start(id);
      if (error == 0) continue;
      complain(fmt::format("cannot start node {}: {}", id, std::strerror(error)));
      return kExitError;
    }
    return kExitOk;
  }

  // Waits until node 0, which serves the page, has a leader. Returns early if the user wants the
  // end.
  int wait_until_it_serves() {
    const Instant give_up = monotonic_now() + kServesWithin;
    const HostPort& server = nodes_.address(0);
    while (!wants_end_) {
      std::vector<std::unique_ptr<Exchange>> probe;
      probe.push_back(std::make_unique<Exchange>(server, make_request(server, "GET", "/readyz"),
                                                 seconds(1), monotonic_now() + seconds(1)));
      while (run_until(probe, signals_.fd(), kNever) == Woken::readable && !wants_end_) look();
      look();
      if (probe.front()->end() == Exchange::End::reply && probe.front()->reply().status == 200)
        return kExitOk;
      if (const auto id = nodes_.next_ended()) return complain_of_start(*id);
      if (monotonic_now() > give_up) {
        complain(fmt::format("no leader serves after {} s; logs: {}", kServesWithin.ms() / 1000,
                             place_.path()));
        return kExitUnavailable;
      }
      run_until({}, signals_.fd(), monotonic_now() + kProbeInterval);
    }
    return kExitOk;
  }

  // Takes the signals that have come, and notes which nodes have ended.
  void look() {
    while (const auto signal = signals_.next())
      if (*signal != SIGCHLD) wants_end_ = true;
    nodes_.look();
  }

  int complain_of_start(std::size_t id) {
    complain(fmt::format("node {} ended with exit code {} before the cluster served; its log:", id,
                         nodes_.exit_code(id)));
    if (const auto log = read_file(nodes_.log(id), std::size_t{1} << 20))
      print_error(log->substr(log->size() - std::min(log->size(), kShownLog)));
    return kExitError;
  }

  int announce() const {
    const std::string url = nodes_.address(0).url();
    note(fmt::format("{} nodes run; data and logs: {}{}", nodes_.size(), place_.path(),
                     place_.is_temporary() ? " (removed at the end)" : ""));
    const std::string trust = speaks_tls() ? " --cacert " + pki().authority() : "";
    note(fmt::format("try in another terminal: vesper put name 'Kyle Chard' --endpoints {}{}", url,
                     trust));
    if (speaks_tls())
      note(fmt::format("curl{} {}/ui/ trusts the page; a browser does once you import that file",
                       trust, url));
    note("Ctrl-C ends them all; open this page:");
    return print(url + "/ui/\n");
  }

  int wait_for_signal() {
    while (true) {
      look();
      if (wants_end_) return kExitOk;
      while (const auto id = nodes_.next_ended())
        complain(fmt::format("node {} has ended with exit code {}; its log: {}", *id,
                             nodes_.exit_code(*id), nodes_.log(*id)));
      if (!nodes_.has_running()) return kExitError;
      nodes_.wait(signals_.fd());
    }
  }

  // A second signal, or a node that takes too long, ends the wait.
  void end() {
    nodes_.send(SIGTERM);
    nodes_.send(SIGCONT);  // a paused node sees it, too
    const Instant deadline = monotonic_now() + kEndsWithin;
    wants_end_ = false;
    while (nodes_.has_running() && !wants_end_ && monotonic_now() < deadline) {
      nodes_.wait(signals_.fd(), deadline);
      look();
    }
    if (nodes_.has_running()) complain("a node did not end in time, and was killed");
  }

  const DevOptions& options_;
  Signals signals_;
  Place place_;
  std::string list_;
  std::vector<HostPort> addresses_;
  Supervisor nodes_;  // kills those that still run, before the directory is removed
  bool wants_end_ = false;
};

}  // namespace

int run_dev(const DevOptions& options) {
  return DevCluster(options).run();
}

}  // namespace vesper::app
