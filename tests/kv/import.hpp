// Reads an exported store back, in pieces, as the parts of a snapshot come.
#pragma once

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <string_view>

#include "kv/snapshot.hpp"

namespace vesper::test {

inline Result<std::unique_ptr<kv::Store>> import_in(std::string_view content, std::size_t piece) {
  kv::Import import;
  for (std::size_t at = 0; at < content.size(); at += piece)
    if (auto added = import.add(content.substr(at, piece)); !added) return added.error();
  return import.finish();
}

// What is wrong with the content. Empty: nothing.
inline std::string error_of(std::string_view content) {
  auto done = import_in(content, 7);
  return done ? "" : done.error().what;
}

// Checks that every missing byte at the end and every flipped bit of the content is detected.
inline void check_damage_is_detected(const std::string& content) {
  for (std::size_t i = 0; i < content.size(); ++i) {
    CHECK_FALSE(import_in(content.substr(0, i), 9).ok());
    for (int bit = 0; bit < 8; ++bit) {
      std::string damaged = content;
      damaged[i] = static_cast<char>(static_cast<unsigned char>(damaged[i]) ^ (1u << bit));
      CHECK_FALSE(import_in(damaged, 9).ok());
    }
  }
}

}  // namespace vesper::test
