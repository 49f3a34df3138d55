// Log lines: one line a fact and the decision it led to, to stderr. Main calls init() once; until
// then lines of `warn` and above are written. What users send is passed through escaped() first.
#pragma once

#include <fmt/core.h>

#include <cstdint>
#include <string_view>
#include <utility>

namespace vesper::log {

enum class Level { debug, info, warn, error };

// `node` stands in each line, "n0" for server 0; empty for the command-line tools. From then on no
// line waits for the reader of stderr: what it does not take is kept up to a bound, then dropped
// and counted. The lines that follow begin with one that says how many were dropped.
void init(Level least, std::string_view node);
bool enabled(Level level);
void write(Level level, std::string_view line);

bool waiting();  // lines are kept for the reader; flush() is due every now and then
void flush();
void finish();            // before the process ends: up to 100 ms for what is kept
std::uint64_t dropped();  // lines, ever

template <typename... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::debug)) write(Level::debug, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::info)) write(Level::info, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void warn(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::warn)) write(Level::warn, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::error)) write(Level::error, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace vesper::log
