// The log: each line states a fact and the decision that it led to, and goes to stderr. main calls
// init() once. Before that, only lines of level `warn` and above are written. Pass user input
// through escaped() first.
#pragma once

#include <fmt/core.h>

#include <cstdint>
#include <string_view>
#include <utility>

namespace vesper::log {

enum class Level { debug, info, warn, error };

// `node` appears in each line, "n0" for server 0; empty for the command-line tools. After this call
// no line waits for the reader of stderr. Lines that stderr does not take are kept up to a bound,
// then dropped and counted. A notice with the number of dropped lines precedes the next line.
void init(Level least, std::string_view node);
// What appears in each line from now on.
void set_node(std::string_view node);
bool enabled(Level level);
void write(Level level, std::string_view line);

bool waiting();  // true if lines are queued, so that flush() is due from time to time
void flush();
void finish();            // before exit: waits up to 100 ms for queued lines
std::uint64_t dropped();  // lines since the process started

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
