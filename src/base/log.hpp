// Log lines: one line a fact and the decision it led to, to stderr. Main calls init() once; until
// then lines of `warn` and above are written. What users send is passed through escaped() first.
#pragma once

#include <fmt/core.h>

#include <string_view>
#include <utility>

namespace vesper::log {

enum class Level { debug, info, warn, error };

// `node` stands in each line, "n0" for server 0; empty for the command-line tools.
void init(Level least, std::string_view node);
bool enabled(Level level);
void write(Level level, std::string_view line);

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
