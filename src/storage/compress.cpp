#include "storage/compress.hpp"

#include <fmt/core.h>
#include <zstd.h>

#include "base/assert.hpp"

namespace vesper::storage {
namespace {

// On the loop's thread: level 1 takes half a millisecond for a chunk.
constexpr int kLevel = 1;

}  // namespace

void compress(std::string_view bytes, std::string& out) {
  const std::size_t before = out.size();
  out.resize(before + ZSTD_compressBound(bytes.size()));
  const std::size_t size =
      ZSTD_compress(out.data() + before, out.size() - before, bytes.data(), bytes.size(), kLevel);
  VESPER_ASSERT(ZSTD_isError(size) == 0);  // the bound suffices, and memory does not run out
  out.resize(before + size);
}

Result<std::string> decompress(std::string_view bytes, std::size_t size) {
  std::string out(size, '\0');
  const std::size_t got = ZSTD_decompress(out.data(), out.size(), bytes.data(), bytes.size());
  if (ZSTD_isError(got) != 0) return Error{fmt::format("zstd: {}", ZSTD_getErrorName(got))};
  if (got != size) return Error{fmt::format("zstd: {} bytes, {} expected", got, size)};
  return out;
}

}  // namespace vesper::storage
