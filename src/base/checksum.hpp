// XXH3 checksums, which protect against accidents (bit rot, torn writes), not against forgers.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/ids.hpp"

namespace vesper {

std::uint64_t checksum64(std::string_view bytes, std::uint64_t seed = 0);
Id128 checksum128(std::string_view bytes, std::uint64_t seed = 0);

// Computes checksum64 of the concatenation of everything that was added.
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

// Computes checksum128 of the concatenation of everything that was added.
class Checksum128 {
 public:
  explicit Checksum128(std::uint64_t seed = 0);
  ~Checksum128();
  Checksum128(const Checksum128&) = delete;
  Checksum128& operator=(const Checksum128&) = delete;

  void reset(std::uint64_t seed);
  void add(std::string_view bytes);
  Id128 digest() const;

 private:
  void* state_;
};

}  // namespace vesper
