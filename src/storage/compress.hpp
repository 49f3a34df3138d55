// Compression of single blocks. This is the only user of zstd.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace vesper::storage {

// The zstd contexts. They are created at the first use and kept, because creating them costs more
// than compressing a small block.
class Zstd {
 public:
  Zstd();
  ~Zstd();
  Zstd(const Zstd&) = delete;
  Zstd& operator=(const Zstd&) = delete;

  // Appends the compressed form of `bytes` to `out`, which may be a little longer than `bytes`.
  void compress(std::string_view bytes, std::string& out);

  // Returns exactly `size` bytes, or an error. Allocates `size` bytes, so the caller must bound it.
  Result<std::string> decompress(std::string_view bytes, std::size_t size);

 private:
  struct Contexts;
  std::unique_ptr<Contexts> contexts_;
};

}  // namespace vesper::storage
