// The only user of zstd: one block in, one block out.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace vesper::storage {

// What zstd works in, made at the first use and kept: making it costs more than a small block.
class Zstd {
 public:
  Zstd();
  ~Zstd();
  Zstd(const Zstd&) = delete;
  Zstd& operator=(const Zstd&) = delete;

  // Appends the compressed form of `bytes` to `out`; at most a little longer than they are.
  void compress(std::string_view bytes, std::string& out);

  // Exactly `size` bytes, or an error. Requires a bounded `size`: it is asked of memory.
  Result<std::string> decompress(std::string_view bytes, std::size_t size);

 private:
  struct Contexts;
  std::unique_ptr<Contexts> contexts_;
};

}  // namespace vesper::storage
