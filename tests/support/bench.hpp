// What the benchmarks share. They are run by hand.
#pragma once

#include <cstddef>
#include <cstdio>
#include <ctime>

namespace vesper::test {

// CPU time of this process, because other programs share the machine.
inline double cpu_ns() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

// Prints what one of `count` calls of run(i) takes on average.
template <typename Run>
void measure(const char* what, std::size_t count, Run&& run) {
  const double begin = cpu_ns();
  for (std::size_t i = 0; i < count; ++i) run(i);
  std::printf("%-48s %7.1f ns\n", what, (cpu_ns() - begin) / static_cast<double>(count));
}

}  // namespace vesper::test
