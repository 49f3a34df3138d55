// The only user of zstd: one block in, one block out.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace vesper::storage {

// Appends the compressed form of `bytes` to `out`; at most a little longer than they are.
void compress(std::string_view bytes, std::string& out);

// Exactly `size` bytes, or an error. Requires a bounded `size`: it is asked of memory.
Result<std::string> decompress(std::string_view bytes, std::size_t size);

}  // namespace vesper::storage
