#include "server/audit_file.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

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
  if (output_ != nullptr) output_->write(line);
}

void AuditFile::close() {
  if (fd_ < 0) return;
  output_.reset();
  ::close(fd_);
  fd_ = -1;
}

}  // namespace vesper::server
