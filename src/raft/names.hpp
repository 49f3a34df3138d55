// How log lines name terms and servers.
#pragma once

#include <fmt/core.h>

#include <string>

#include "raft/types.hpp"

namespace vesper::raft {

inline std::string name(Term term) {
  return fmt::format("term {}", term.value);
}
inline std::string name(ServerId id) {
  return fmt::format("server {}", id.value);
}

}  // namespace vesper::raft
