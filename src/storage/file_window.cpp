#include "storage/file_window.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cerrno>

namespace vesper::storage {

Result<std::string_view> FileWindow::view(std::uint64_t offset, std::size_t length) {
  VESPER_ASSERT(offset <= size_);
  length = static_cast<std::size_t>(std::min<std::uint64_t>(length, size_ - offset));
  if (offset < base_ || offset + length > base_ + window_.size()) {
    const auto wanted =
        static_cast<std::size_t>(std::min<std::uint64_t>(std::max(length, kBytes), size_ - offset));
    Result<SharedBytes> bytes = fs_.read(file_, offset, wanted);
    if (!bytes)
      return Error{
          fmt::format("{} at offset {}: cannot be read: {}", file_, offset, bytes.error().what),
          bytes.error().code};
    if (bytes->size() != wanted)
      return Error{
          fmt::format("{} at offset {}: expected {} bytes, but read {}; the file may have changed",
                      file_, offset, wanted, bytes->size()),
          EIO};
    window_ = std::move(*bytes);
    base_ = offset;
  }
  return window_.view().substr(static_cast<std::size_t>(offset - base_), length);
}

}  // namespace vesper::storage
