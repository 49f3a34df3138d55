// Writes log lines to a descriptor that may be full, slow or gone. The writer never waits for the
// reader (except on a regular file). Lines that the descriptor does not take are kept up to a
// bound, then dropped and counted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>

namespace vesper::log {

class LogOutput {
 public:
  // Writes to `fd`, which the caller still owns. `notice` creates the line that reports how many
  // lines were dropped.
  LogOutput(int fd, std::function<std::string(std::uint64_t dropped)> notice);
  ~LogOutput();
  LogOutput(const LogOutput&) = delete;
  LogOutput& operator=(const LogOutput&) = delete;

  // After this call no write blocks. Pipes and terminals are opened a second time for this, because
  // O_NONBLOCK on `fd` itself would affect every process that shares its open file description.
  void stop_blocking();

  // Writes one complete line, including its newline.
  void write(std::string_view line);
  // True if lines wait for the reader. The caller must then call flush() from time to time.
  bool waiting() const { return !queue_.empty(); }
  void flush();
  // Before the process ends: gives a live reader a moment to take the queued lines.
  void finish();
  // The errno of the last attempt to write. 0: it succeeded, or the descriptor was full.
  int failure() const { return failure_; }
  // The number of lines dropped so far.
  std::uint64_t dropped() const { return dropped_; }

 private:
  enum class Way : std::uint8_t { plain, socket, polled };
  struct Line {
    std::string text;
    std::uint64_t stands_for;  // 1, or the number of lines that a notice reports
    bool is_notice;
  };

  long attempt(std::string_view bytes) const;
  void add(std::string text, std::uint64_t stands_for, bool is_notice);
  bool push();
  void announce();
  void drop_all();
  void close_own();

  const int fd_;
  const std::function<std::string(std::uint64_t)> notice_;
  int own_fd_ = -1;  // has its own open file description, or -1
  Way way_ = Way::plain;
  std::deque<Line> queue_;
  std::size_t queued_bytes_ = 0;
  std::size_t sent_ = 0;           // bytes of the front line that were written
  bool torn_ = false;              // the last line that reached the descriptor is incomplete
  std::uint64_t unannounced_ = 0;  // dropped lines that no notice has reported yet
  std::uint64_t dropped_ = 0;
  int failure_ = 0;
};

}  // namespace vesper::log
