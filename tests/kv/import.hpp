// Reads an exported store back, in pieces, as the parts of a snapshot come.
#pragma once

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

}  // namespace vesper::test
