// Log lines on their way to a descriptor that may be full, slow or gone. The writer never waits for
// the reader (except on a regular file): what is not taken is kept up to a bound, then dropped and
// counted.
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
  // Writes to `fd`, which stays the caller's. `notice` makes the line that says, where lines were
  // dropped, how many.
  LogOutput(int fd, std::function<std::string(std::uint64_t dropped)> notice);
  ~LogOutput();
  LogOutput(const LogOutput&) = delete;
  LogOutput& operator=(const LogOutput&) = delete;

  // From now on no write blocks. Pipes and terminals are opened a second time for it: O_NONBLOCK on
  // `fd` itself would also change it for every process that shares its open file description.
  void stop_blocking();

  // One whole line, with its newline.
  void write(std::string_view line);
  // Lines wait for the reader: flush() is to be called now and then.
  bool waiting() const { return !queue_.empty(); }
  void flush();
  // Before the process ends: gives a reader that lives a moment to take what waits.
  void finish();
  // Lines that were dropped, ever.
  std::uint64_t dropped() const { return dropped_; }

 private:
  enum class Way : std::uint8_t { plain, socket, polled };
  struct Line {
    std::string text;
    std::uint64_t stands_for;  // 1, or the lines that a notice speaks of
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
  int own_fd_ = -1;  // of an open file description of our own, or -1
  Way way_ = Way::plain;
  std::deque<Line> queue_;
  std::size_t queued_bytes_ = 0;
  std::size_t sent_ = 0;           // bytes of the front line that were taken
  bool torn_ = false;              // the last line that reached the descriptor lacks its end
  std::uint64_t unannounced_ = 0;  // dropped, and no notice has said so yet
  std::uint64_t dropped_ = 0;
};

}  // namespace vesper::log
