// Assertions that stay enabled in release builds. They are for programmer errors only. Input from
// the wire, the disk or a user is validated and answered with an error, never asserted.
#pragma once

namespace vesper {

// Prints the failed condition and its location to stderr, then aborts. Never returns.
[[noreturn]] void assertion_failed(const char* condition, const char* file, int line) noexcept;

}  // namespace vesper

#define VESPER_ASSERT(condition)                                  \
  do {                                                            \
    if (!(condition)) [[unlikely]]                                \
      ::vesper::assertion_failed(#condition, __FILE__, __LINE__); \
  } while (false)

#define VESPER_UNREACHABLE() ::vesper::assertion_failed("unreachable", __FILE__, __LINE__)
