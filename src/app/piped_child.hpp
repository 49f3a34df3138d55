// Runs a call that blocks for as long as it likes in a child process, which can be killed. What the
// call finds comes through a pipe.
#pragma once

#include <sys/types.h>

#include <functional>

namespace vesper::app {

class PipedChild {
 public:
  PipedChild() = default;
  ~PipedChild() { stop(); }
  PipedChild(const PipedChild&) = delete;
  PipedChild& operator=(const PipedChild&) = delete;

  // Runs `work` in a child, which ends when `work` returns, or when this process ends. `out`: where
  // it writes. Returns false, with errno set, if there can be no child. Call only once.
  bool start(const std::function<void(int out)>& work);
  // The other end of the pipe. -1: there is no child.
  int fd() const { return fd_; }
  void stop();

 private:
  pid_t child_ = -1;
  int fd_ = -1;
};

}  // namespace vesper::app
