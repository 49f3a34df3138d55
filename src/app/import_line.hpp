// The lines of `vesper import`: reads them from a file or from stdin, and rewrites each as what
// POST /kv accepts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace vesper::app {

// A longer line is an error. A value of 8 MiB that consists of control characters has 48 MiB.
inline constexpr std::size_t kMaxLine = std::size_t{64} << 20;

// Appends the line as {"key","value","json"} with a newline. Leaves out what export writes beside
// that: revisions, versions and leases. Any other member is an error.
Result<void> rewrite_line(std::string_view line, std::string& out);

// True if the line has nothing but white space.
bool is_blank(std::string_view line);

class LineReader {
 public:
  LineReader() = default;
  ~LineReader();
  LineReader(const LineReader&) = delete;
  LineReader& operator=(const LineReader&) = delete;

  // "-" is standard input.
  Result<void> open(const std::string& file);
  // The size of a regular file. 0: not known.
  std::uint64_t size() const { return size_; }
  int fd() const { return fd_; }

  enum class Next : std::uint8_t { line, wait, end, error };
  // Sets `line`, without its newline; valid until the next call. wait: there is no complete line
  // yet; poll fd().
  Next next(std::string_view& line);
  std::uint64_t taken() const { return taken_; }  // bytes of the lines so far
  const std::string& error() const { return error_; }

 private:
  Next fill();

  int fd_ = -1;
  std::uint64_t size_ = 0;
  std::string buffer_;
  std::size_t at_ = 0;       // in buffer_: the start of the next line
  std::size_t scanned_ = 0;  // in buffer_: where no newline was found up to
  bool at_end_ = false;
  std::uint64_t taken_ = 0;
  std::string error_;
};

}  // namespace vesper::app
