#include "server/audit_file.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/log.hpp"

namespace vesper::server {

Result<void> AuditFile::open() {
  const int fd = ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return Error{fmt::format("--audit-log {}: {}", path_, std::strerror(errno))};
  close();
  fd_ = fd;
  output_ = std::make_unique<log::LogOutput>(
      fd, [](std::uint64_t dropped) { return fmt::format("{{\"dropped\":{}}}\n", dropped); });
  output_->stop_blocking();
  return {};
}

void AuditFile::write(std::string_view line) {
  if (output_ == nullptr) return;
  output_->write(line);
  report();
}

void AuditFile::flush() {
  output_->flush();
  report();
}

void AuditFile::report() {
  if (std::exchange(failure_, output_->failure()) == output_->failure()) return;
  if (failure_ == 0) log::info("--audit-log {}: it takes lines again", path_);
  else
    log::error("--audit-log {}: {} -> lines are lost until it takes them again", path_,
               std::strerror(failure_));
}

std::uint64_t AuditFile::dropped() const {
  return dropped_before_ + (output_ == nullptr ? 0 : output_->dropped());
}

void AuditFile::close() {
  if (fd_ < 0) return;
  dropped_before_ = dropped();
  output_.reset();
  ::close(fd_);
  fd_ = -1;
}

}  // namespace vesper::server
