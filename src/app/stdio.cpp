#include "app/stdio.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

namespace vesper::app {
namespace {

// 0, or the errno of the write that failed. Waits for a slow reader, also when another process has
// made the open file description that we share with it non-blocking.
int write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t wrote = write(fd, bytes.data(), bytes.size());
    if (wrote >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(wrote));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      pollfd until{fd, POLLOUT, 0};
      poll(&until, 1, -1);
    } else if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

}  // namespace

void prepare_standard_descriptors() {
  // A closed pipe as stdout leads to an exit code of the table, not in a signal.
  std::signal(SIGPIPE, SIG_IGN);
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (fcntl(fd, F_GETFD) != -1) continue;
    // open() takes the lowest number that is free, which is this one. A root directory is there
    // even when /dev is not.
    if (open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0) open("/", O_RDONLY);
  }
}

int print(std::string_view bytes, int code, std::string_view lost_hint) {
  const int failure = write_all(STDOUT_FILENO, bytes);
  if (failure == 0) return code;
  complain(fmt::format("cannot write to stdout: {}", std::strerror(failure)));
  if (!lost_hint.empty()) hint(lost_hint);
  return code == kExitOk ? kExitError : code;
}

void print_error(std::string_view bytes) {
  write_all(STDERR_FILENO, bytes);  // there is no place left to say that this failed
}

void complain(std::string_view line) {
  print_error(fmt::format("vesper: {}\n", line));
}

void hint(std::string_view line) {
  print_error(fmt::format("hint: {}\n", line));
}

}  // namespace vesper::app
