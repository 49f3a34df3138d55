#include "base/assert.hpp"

#include <cstdio>
#include <cstdlib>

namespace vesper {

void assertion_failed(const char* condition, const char* file, int line) noexcept {
  std::fprintf(stderr, "vesper: assertion failed: %s (%s:%d)\n", condition, file, line);
  std::abort();
}

}  // namespace vesper
