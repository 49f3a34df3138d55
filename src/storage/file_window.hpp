// Reads a file from front to back through one buffer. For boot only, because it blocks.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "storage/fs.hpp"

namespace vesper::storage {

class FileWindow {
 public:
  static constexpr std::size_t kBytes = 1u << 20;  // read at once, unless the caller wants more

  // `size`: the size of the file. `fs` must outlive this.
  FileWindow(Fs& fs, std::string file, std::uint64_t size)
      : fs_(fs), file_(std::move(file)), size_(size) {}

  std::uint64_t size() const { return size_; }

  // `length` bytes at `offset`, or fewer at the end of the file. Valid until the next call. Errors
  // name file and offset.
  Result<std::string_view> view(std::uint64_t offset, std::size_t length);

 private:
  Fs& fs_;
  const std::string file_;
  const std::uint64_t size_;
  SharedBytes window_;
  std::uint64_t base_ = 0;  // offset of window_
};

}  // namespace vesper::storage
