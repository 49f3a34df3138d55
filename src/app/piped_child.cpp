#include "app/piped_child.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

namespace vesper::app {

bool PipedChild::start(const std::function<void(int out)>& work) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return false;
  child_ = fork();
  if (child_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    work(ends[1]);
    _exit(0);
  }
  const int error = errno;
  close(ends[1]);
  fd_ = ends[0];
  if (child_ > 0) return true;
  stop();
  errno = error;
  return false;
}

void PipedChild::stop() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
  if (child_ <= 0) return;
  kill(child_, SIGKILL);
  while (waitpid(child_, nullptr, 0) < 0 && errno == EINTR) continue;
  child_ = -1;
}

}  // namespace vesper::app
