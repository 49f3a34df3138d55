// Lines to and from another process of this machine, over a socket that it has handed to this one.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "io/delegate.hpp"
#include "io/loop.hpp"

namespace vesper::io {

class LineSocket {
 public:
  static constexpr std::size_t kMaxLine = 64u << 10;  // bytes

  // Owns the connected stream socket `fd`. `line` gets each line without its line feed; the view is
  // valid until it returns. `ended`: the other side is gone, or has sent a line that is too long.
  // Neither may destroy this object.
  LineSocket(Loop& loop, int fd, Delegate<void, std::string_view> line, Delegate<void> ended);
  ~LineSocket();
  LineSocket(const LineSocket&) = delete;
  LineSocket& operator=(const LineSocket&) = delete;

  bool is_open() const { return handle_ != nullptr; }
  // Sends a line, without its line feed. Returns false if it could not be sent at once: the other
  // side is gone, or reads nothing.
  bool send(std::string_view line);

 private:
  struct Handle {
    uv_poll_t poll;
    LineSocket* owner;
    int fd;
  };
  void on_readable();
  void take_lines();
  void close();
  void end();

  const Delegate<void, std::string_view> line_;
  const Delegate<void> ended_;
  Handle* handle_;  // null if closed; freed by its close callback
  std::string input_;
};

}  // namespace vesper::io
