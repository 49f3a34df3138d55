#include "storage/new_segment.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

namespace vesper::storage {
namespace {

// The smallest useful segment: a head, one frame with a term and a vote but no entries, and its
// seal.
constexpr std::uint64_t kLeastSegment = 3 * kSector;

Result<void> write_spare(Fs& fs, std::uint64_t bytes, SegmentHead& head) {
  head.file_bytes = bytes;
  std::string content = encode_head(head);
  content.resize(static_cast<std::size_t>(bytes), '\0');
  const std::string spare(kSpareName);
  if (auto written = fs.write(spare, 0, content); !written) return written;
  return fs.sync(spare);
}

}  // namespace

Result<WalSegment> make_segment(Fs& fs, std::uint64_t bytes, SegmentHead& head) {
  const std::string spare(kSpareName);
  const std::string name = segment_name(head.number);
  auto made = write_spare(fs, bytes, head);
  while (!made && out_of_space(made.error().code)) {
    const Error error = made.error();
    if (auto removed = fs.remove(spare); !removed && removed.error().code != ENOENT)
      return std::move(removed).error();
    if (bytes == kLeastSegment)
      return Error{
          fmt::format(
              "no space for {}, which needs at least {} bytes: {}; free some space and restart",
              name, bytes, error.what),
          error.code};
    bytes = std::max(kLeastSegment, bytes / 4 / kSector * kSector);
    made = write_spare(fs, bytes, head);
  }
  if (!made) return std::move(made).error();
  if (auto done = fs.rename(spare, name); !done) return std::move(done).error();
  if (auto done = fs.sync_directory(); !done) return std::move(done).error();
  return WalSegment{head.number, bytes, kSector};
}

}  // namespace vesper::storage
