#include "base/assert.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace vesper {
namespace {

constexpr int kPatienceMs = 100;

}  // namespace

// A reader of stderr that is stuck delays the abort by at most kPatienceMs.
void assertion_failed(const char* condition, const char* file, int line) noexcept {
  char text[512];
  const int size = std::snprintf(text, sizeof text, "vesper: assertion failed: %s (%s:%d)\n",
                                 condition, file, line);
  pollfd room{STDERR_FILENO, POLLOUT, 0};
  if (size > 0 && ::poll(&room, 1, kPatienceMs) == 1) {
    const auto length = std::min(static_cast<std::size_t>(size), sizeof text - 1);
    [[maybe_unused]] const auto wrote = ::write(STDERR_FILENO, text, length);
  }
  std::abort();
}

}  // namespace vesper
