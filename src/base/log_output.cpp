#include "base/log_output.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace vesper::log {
namespace {

constexpr std::size_t kMostQueued = std::size_t{64} << 10;
// The bytes per write to a descriptor that could not be opened a second time: as much as a pipe or
// terminal takes at once if it reports room.
constexpr std::size_t kPolledBytes = 512;
constexpr int kFinishTries = 10;
constexpr int kFinishWaitMs = 10;  // per try

}  // namespace

LogOutput::LogOutput(int fd, std::function<std::string(std::uint64_t)> notice)
    : fd_(fd), notice_(std::move(notice)) {}

LogOutput::~LogOutput() {
  close_own();
}

void LogOutput::close_own() {
  if (own_fd_ >= 0) ::close(own_fd_);
  own_fd_ = -1;
}

void LogOutput::stop_blocking() {
  close_own();
  way_ = Way::plain;
  struct stat what {};
  const int flags = ::fcntl(fd_, F_GETFL);
  // A descriptor that is not open for writing is not opened for it. Each write fails and is
  // counted.
  if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY || ::fstat(fd_, &what) != 0) return;
  if (S_ISREG(what.st_mode)) return;
  if (S_ISSOCK(what.st_mode)) {
    way_ = Way::socket;
    return;
  }
  const std::string path = "/proc/self/fd/" + std::to_string(fd_);
  own_fd_ = ::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  // Causes: another user's terminal, no /proc, or a pipe without a reader.
  if (own_fd_ < 0) way_ = Way::polled;
}

// Returns and sets errno like write(2).
long LogOutput::attempt(std::string_view bytes) const {
  const int fd = own_fd_ >= 0 ? own_fd_ : fd_;
  switch (way_) {
    case Way::plain: return ::write(fd, bytes.data(), bytes.size());
    case Way::socket: return ::send(fd, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    case Way::polled: {
      pollfd room{fd, POLLOUT, 0};
      if (::poll(&room, 1, 0) == 1)
        return ::write(fd, bytes.data(), std::min(bytes.size(), kPolledBytes));
      errno = EAGAIN;
      return -1;
    }
  }
  return -1;
}

void LogOutput::write(std::string_view line) {
  if (push()) {
    announce();
  } else if (unannounced_ > 0 || queued_bytes_ + line.size() > kMostQueued) {
    // The notice has to appear where the gap is, so no line is queued until the queue is empty.
    ++unannounced_;
    ++dropped_;
    return;
  }
  add(std::string(line), 1, false);
  push();
}

void LogOutput::flush() {
  if (waiting() && push()) announce();
}

void LogOutput::finish() {
  for (int i = 0; waiting() && i < kFinishTries; ++i) {
    pollfd room{own_fd_ >= 0 ? own_fd_ : fd_, POLLOUT, 0};
    ::poll(&room, 1, kFinishWaitMs);
    flush();
  }
}

void LogOutput::add(std::string text, std::uint64_t stands_for, bool is_notice) {
  queued_bytes_ += text.size();
  queue_.push_back({std::move(text), stands_for, is_notice});
}

// Writes line by line, because a pipe takes a line of up to PIPE_BUF bytes atomically, so that it
// does not mix with the lines of other processes. Returns true if nothing is queued any more.
bool LogOutput::push() {
  while (!queue_.empty()) {
    const std::string& text = queue_.front().text;
    const long wrote = attempt(torn_ ? "\n" : std::string_view(text).substr(sent_));
    if (wrote < 0) {
      if (errno == EINTR) continue;
      const bool full = errno == EAGAIN || errno == EWOULDBLOCK;
      failure_ = full ? 0 : errno;
      if (full) return false;
      drop_all();
      return true;
    }
    failure_ = 0;
    if (std::exchange(torn_, false)) continue;
    sent_ += static_cast<std::size_t>(wrote);
    if (sent_ < text.size()) continue;
    queued_bytes_ -= text.size();
    queue_.pop_front();
    sent_ = 0;
  }
  return true;
}

void LogOutput::announce() {
  if (unannounced_ == 0) return;
  const std::uint64_t count = std::exchange(unannounced_, 0);
  add(notice_(count), count, true);
  push();
}

void LogOutput::drop_all() {
  if (sent_ > 0) torn_ = true;
  for (const Line& line : queue_) {
    unannounced_ += line.stands_for;
    if (!line.is_notice) ++dropped_;
  }
  queue_.clear();
  queued_bytes_ = sent_ = 0;
}

}  // namespace vesper::log
