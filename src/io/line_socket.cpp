#include "io/line_socket.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace vesper::io {

LineSocket::LineSocket(Loop& loop, int fd, Delegate<void, std::string_view> line,
                       Delegate<void> ended)
    : line_(line), ended_(ended), handle_(new Handle{{}, this, fd}) {
  // A descriptor that is no socket ends the connection at the first use.
  ::fcntl(fd, F_SETFL, O_NONBLOCK);
  handle_->poll.data = handle_;
  if (uv_poll_init(loop.raw(), &handle_->poll, fd) != 0) {
    delete std::exchange(handle_, nullptr);
    return;
  }
  uv_poll_start(&handle_->poll, UV_READABLE, [](uv_poll_t* poll, int, int) {
    LineSocket* owner = static_cast<Handle*>(poll->data)->owner;
    if (owner != nullptr) owner->on_readable();
  });
}

LineSocket::~LineSocket() {
  close();
}

void LineSocket::close() {
  if (handle_ == nullptr) return;
  handle_->owner = nullptr;
  uv_close(reinterpret_cast<uv_handle_t*>(&handle_->poll), [](uv_handle_t* raw) {
    auto* handle = static_cast<Handle*>(raw->data);
    ::close(handle->fd);
    delete handle;
  });
  handle_ = nullptr;
}

void LineSocket::end() {
  close();
  ended_();
}

bool LineSocket::send(std::string_view line) {
  if (handle_ == nullptr) return false;
  std::string text(line);
  text += '\n';
  const ssize_t sent = ::send(handle_->fd, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  return sent == static_cast<ssize_t>(text.size());
}

void LineSocket::on_readable() {
  char bytes[4096];
  const ssize_t got = ::recv(handle_->fd, bytes, sizeof bytes, MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) return end();
  input_.append(bytes, static_cast<std::size_t>(got));
  take_lines();
  if (handle_ != nullptr && input_.size() > kMaxLine) end();
}

void LineSocket::take_lines() {
  std::size_t at = 0;
  for (std::size_t end; (end = input_.find('\n', at)) != std::string::npos; at = end + 1)
    line_(std::string_view(input_).substr(at, end - at));
  input_.erase(0, at);
}

}  // namespace vesper::io
