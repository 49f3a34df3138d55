// XXH3 checksums: against accidents (bit rot, torn writes), not against forgers.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/ids.hpp"

namespace vesper {

std::uint64_t checksum64(std::string_view bytes, std::uint64_t seed = 0);
Id128 checksum128(std::string_view bytes, std::uint64_t seed = 0);

// The same as checksum64 over the concatenation of everything that was added.
class Checksum64 {
 public:
  explicit Checksum64(std::uint64_t seed = 0);
  ~Checksum64();
  Checksum64(const Checksum64&) = delete;
  Checksum64& operator=(const Checksum64&) = delete;

  void add(std::string_view bytes);
  std::uint64_t digest() const;

 private:
  void* state_;
};

}  // namespace vesper
