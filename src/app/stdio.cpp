#include "app/stdio.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "app/terminal.hpp"

namespace vesper::app {
namespace {

// Returns 0, or the errno of the failed write. Waits for a slow reader, even if another process
// made the shared open file description non-blocking.
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

std::string labelled(std::string_view label, Style style, std::string_view line) {
  std::string out;
  append_styled(out, label, shows_colours(STDERR_FILENO) ? style : Style::plain);
  return fmt::format("{} {}\n", out, line);
}

}  // namespace

void prepare_standard_descriptors() {
  // With SIGPIPE ignored, a closed stdout leads to a documented exit code instead of death by
  // signal.
  std::signal(SIGPIPE, SIG_IGN);
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (fcntl(fd, F_GETFD) != -1) continue;
    // open() returns the lowest free number, which is this one. The root directory exists even if
    // /dev does not.
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
  write_all(STDERR_FILENO, bytes);  // a failure here cannot be reported anywhere
}

void complain(std::string_view line) {
  print_error(labelled("vesper:", Style::red, line));
}

void hint(std::string_view line) {
  print_error(labelled("hint:", Style::yellow, line));
}

void note(std::string_view line) {
  print_error(labelled("vesper:", Style::plain, line));
}

}  // namespace vesper::app
