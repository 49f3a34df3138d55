// `vesper pki`: makes a small private authority, and certificates for nodes and one client.
#include "app/pki.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "app/cluster_file.hpp"
#include "app/commands.hpp"
#include "app/stdio.hpp"
#include "base/bytes.hpp"
#include "crypto/authority.hpp"
#include "server/certificates.hpp"

namespace vesper::app {
namespace {

constexpr const char* kAuthority = "ca";
constexpr const char* kClient = "client";
constexpr std::size_t kMaxPem = std::size_t{1} << 20;

struct NewFile {
  std::string path;
  std::string content;
  mode_t mode;
};

// A host in the form in which lists are compared: lower case, canonical IPv6.
Result<std::string> canonical_host(const std::string& host) {
  const bool v6 = host.find(':') != host.npos && !host.starts_with('[');
  const auto parsed = parse_host_port(v6 ? fmt::format("[{}]:1", host) : host + ":1");
  if (!parsed)
    return Error{fmt::format("--hosts \"{}\": {}; expected names or IP addresses without ports",
                             escaped(host), parsed.error().what)};
  if (is_unspecified(*parsed))
    return Error{fmt::format("--hosts \"{}\" means every interface, not one host", escaped(host))};
  if (parsed->host == kAuthority || parsed->host == kClient)
    return Error{fmt::format("--hosts \"{}\": {}.crt is the name of another file of the directory",
                             escaped(host), parsed->host)};
  return parsed->host;
}

class Pki {
 public:
  explicit Pki(const PkiOptions& options) : options_(options) {}

  int make() {
    for (const std::string& given : options_.hosts) {
      auto host = canonical_host(given);
      if (!host) return complain_of(host.error(), kExitUsage);
      if (std::find(hosts_.begin(), hosts_.end(), *host) == hosts_.end())
        hosts_.push_back(std::move(*host));
    }
    if (const auto prepared = prepare(); !prepared)
      return complain_of(prepared.error(), kExitError);
    for (const NewFile& file : files_)
      if (::access(file.path.c_str(), F_OK) == 0)
        return complain_of(
            Error{fmt::format("{} exists already; nothing was written", escaped(file.path, 4096))},
            kExitError);
    if (::mkdir(options_.directory.c_str(), 0700) != 0 && errno != EEXIST)
      return complain_of(at(options_.directory), kExitError);
    for (const NewFile& file : files_)
      if (const auto wrote = write(file); !wrote) return complain_of(wrote.error(), kExitError);
    return kExitOk;
  }

  std::vector<std::string> written() const {
    std::vector<std::string> paths;
    for (const NewFile& file : files_) paths.push_back(file.path);
    return paths;
  }

 private:
  static int complain_of(const Error& error, int code) {
    complain(error.what);
    return code;
  }

  static Error at(const std::string& path) {
    const int code = errno;
    return Error{fmt::format("{}: {}", escaped(path, 4096), std::strerror(code)), code};
  }

  void add(std::string_view name, const crypto::Credential& made) {
    files_.push_back({paths_.key(name), made.key, 0600});
    files_.push_back({paths_.certificate(name), made.certificate, 0644});
  }

  Result<void> prepare() {
    crypto::Credential authority;
    const bool begins = options_.action == PkiOptions::Action::init;
    if (begins) {
      authority = crypto::make_authority();
      add(kAuthority, authority);
    } else {
      auto certificate = read_file(paths_.authority(), kMaxPem);
      if (!certificate) return certificate.error();
      auto key = server::read_credential(paths_.key(kAuthority), server::Secrecy::secret);
      if (!key) return key.error();
      authority = {std::move(*certificate), std::move(*key)};
    }
    for (const std::string& host : hosts_) {
      const auto made = crypto::issue(authority, host, {host}, crypto::CertificateUse::server);
      if (!made) return Error{fmt::format("{}: {}", paths_.authority(), made.error().what)};
      add(host, *made);
    }
    if (!begins) return {};
    const auto client = crypto::issue(authority, kClient, {}, crypto::CertificateUse::client);
    if (!client) return client.error();
    add(kClient, *client);
    return {};
  }

  static Result<void> write(const NewFile& file) {
    const int fd = ::open(file.path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, file.mode);
    if (fd < 0) return at(file.path);
    const auto size = static_cast<ssize_t>(file.content.size());
    const bool wrote =
        ::write(fd, file.content.data(), file.content.size()) == size && ::fsync(fd) == 0;
    const int code = errno;
    ::close(fd);
    errno = code;
    if (!wrote) return at(file.path);
    return {};
  }

  const PkiOptions& options_;
  const PkiFiles paths_{options_.directory};
  std::vector<std::string> hosts_;
  std::vector<NewFile> files_;
};

}  // namespace

std::string PkiFiles::path(std::string_view name, std::string_view ending) const {
  return fmt::format("{}/{}.{}", directory, name, ending);
}

int make_certificates(const PkiOptions& options, std::vector<std::string>& written) {
  Pki pki(options);
  const int code = pki.make();
  if (code == kExitOk) written = pki.written();
  return code;
}

int run_pki(const PkiOptions& options) {
  std::vector<std::string> written;
  if (const int code = make_certificates(options, written)) return code;
  const PkiFiles paths{options.directory};
  note(
      fmt::format("each node needs {}, and its own .crt and .key; {} signs further nodes "
                  "(vesper pki add) and stays with you",
                  paths.authority(), paths.key(kAuthority)));
  std::string out;
  for (const std::string& path : written) out += path + "\n";
  return print(out);
}

}  // namespace vesper::app
