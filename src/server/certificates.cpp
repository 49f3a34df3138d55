#include "server/certificates.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <utility>

#include "base/bytes.hpp"
#include "base/log.hpp"

namespace vesper::server {
namespace {

constexpr std::size_t kMaxFile = 1u << 20;
constexpr std::int64_t kSecondsPerDay = 86'400;

std::int64_t nanoseconds_of(const timespec& time) {
  return static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

crypto::CertificateDemand demand_of(const Options& options) {
  if (!options.tls.client_authorities.empty()) return crypto::CertificateDemand::required;
  // Peers prove themselves by their certificates, unless they have a key.
  return options.peer_key.empty() ? crypto::CertificateDemand::optional
                                  : crypto::CertificateDemand::none;
}

bool dials_over_tls(const Options& options) {
  const auto is_https = [](const HostPort& each) { return each.scheme == Scheme::https; };
  return !options.tls.certificate.empty() || !options.tls.authorities.empty() ||
         std::any_of(options.list.begin(), options.list.end(), is_https) ||
         std::any_of(options.join.begin(), options.join.end(), is_https);
}

}  // namespace

Result<std::string> read_credential(const std::string& path, Secrecy secrecy) {
  const auto failed = [&path](std::string_view why) {
    return Error{fmt::format("{}: {}", escaped(path, 4096), why), errno};
  };
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return failed(std::strerror(errno));
  std::string bytes(kMaxFile + 1, '\0');
  struct stat status {};
  std::size_t size = 0;
  ssize_t got = ::fstat(fd, &status) == 0 ? 1 : -1;
  while (got > 0 && size < bytes.size()) {
    got = ::read(fd, bytes.data() + size, bytes.size() - size);
    if (got > 0) size += static_cast<std::size_t>(got);
  }
  const int code = errno;
  ::close(fd);
  errno = code;
  if (got < 0) return failed(std::strerror(code));
  if (size > kMaxFile) return failed("the file has more than 1 MiB");
  if (secrecy == Secrecy::secret && (status.st_mode & (S_IROTH | S_IWOTH)) != 0)
    return failed("other users can read or write this secret; run chmod 600 on it");
  bytes.resize(size);
  return bytes;
}

Certificates::Certificates(const Options& options)
    : paths_(options.tls),
      demand_(demand_of(options)),
      accepts_(!options.tls.certificate.empty()),
      dials_(dials_over_tls(options)) {}

Certificates::Marks Certificates::marks() const {
  Marks marks;
  std::size_t at = 0;
  for (const std::string* path :
       {&paths_.certificate, &paths_.key, &paths_.authorities, &paths_.client_authorities}) {
    Mark& mark = marks[at++];
    struct stat status {};
    if (path->empty() || ::stat(path->c_str(), &status) != 0) continue;
    mark = {nanoseconds_of(status.st_mtim), nanoseconds_of(status.st_ctim),
            static_cast<std::uint64_t>(status.st_size), status.st_ino};
  }
  return marks;
}

Result<crypto::TlsMaterial> Certificates::read() const {
  crypto::TlsMaterial material;
  material.demand = demand_;
  struct Wanted {
    const std::string& path;
    std::string& text;
    Secrecy secrecy;
  };
  const Wanted all[] = {
      {paths_.certificate, material.certificate, Secrecy::known_to_all},
      {paths_.key, material.key, Secrecy::secret},
      {paths_.authorities, material.authorities, Secrecy::known_to_all},
      {paths_.client_authorities, material.client_authorities, Secrecy::known_to_all}};
  for (const Wanted& wanted : all) {
    if (wanted.path.empty()) continue;
    auto text = read_credential(wanted.path, wanted.secrecy);
    if (!text) return text.error();
    if (text->empty())
      return Error{fmt::format("{}: the file is empty", escaped(wanted.path, 4096))};
    wanted.text = std::move(text).value();
  }
  return material;
}

Result<void> Certificates::load() {
  if (!accepts_ && !dials_) return {};
  loaded_ = marks();
  const auto material = read();
  if (!material) return material.error();
  const auto with_files = [this](const Error& error) {
    return Error{fmt::format("TLS: {} (--tls-cert {}, --tls-key {}, --tls-ca {})", error.what,
                             escaped(paths_.certificate, 4096), escaped(paths_.key, 4096),
                             escaped(paths_.authorities, 4096))};
  };
  auto dialler = crypto::TlsContext::dialler(*material);
  if (!dialler) return with_files(dialler.error());
  if (accepts_) {
    auto acceptor = crypto::TlsContext::acceptor(*material);
    if (!acceptor) return with_files(acceptor.error());
    acceptor_ = std::move(acceptor).value();
  }
  dialler_ = std::move(dialler).value();
  return {};
}

void Certificates::load_changed() {
  if ((accepts_ || dials_) && marks() != loaded_) load_again();
}

void Certificates::load_again() {
  if (!accepts_ && !dials_) return;
  const auto loaded = load();
  if (!loaded) {
    if (std::exchange(why_not_new_, loaded.error().what) != loaded.error().what)
      log::error("{} -> keeping the certificates that were loaded before", loaded.error().what);
    return;
  }
  why_not_new_.clear();
  const auto shown = figures(std::time(nullptr));
  if (shown) log::info("the certificates are loaded again: {} days left", shown->days_left);
  else log::info("the certificates are loaded again");
}

std::optional<api::TlsFigures> Certificates::figures(std::int64_t now) const {
  if (!acceptor_) return std::nullopt;
  const std::int64_t left = acceptor_.expires_at() - now;
  // Rounded down, so that an expired certificate has a negative number.
  const std::int64_t days = left >= 0 ? left / kSecondsPerDay : -1 - (-left - 1) / kSecondsPerDay;
  return api::TlsFigures{
      .expires_at = acceptor_.expires_at(), .days_left = days, .why_not_reloaded = why_not_new_};
}

}  // namespace vesper::server
