// The only user of spdlog. The logger is single-threaded: lines are written on the loop's thread.
#include "base/log.hpp"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <string>

namespace vesper::log {
namespace {

// The one piece of process-wide state: where lines go is a property of the process.
spdlog::logger& logger() {
  static spdlog::logger instance = [] {
    spdlog::logger made("vesper", std::make_shared<spdlog::sinks::stderr_sink_st>());
    made.set_level(spdlog::level::warn);
    made.set_pattern("%Y-%m-%dT%H:%M:%S.%e %L %v");
    return made;
  }();
  return instance;
}

spdlog::level::level_enum to_spdlog(Level level) {
  switch (level) {
    case Level::debug: return spdlog::level::debug;
    case Level::info: return spdlog::level::info;
    case Level::warn: return spdlog::level::warn;
    case Level::error: return spdlog::level::err;
  }
  return spdlog::level::err;
}

}  // namespace

void init(Level least, std::string_view node) {
  std::string pattern = "%Y-%m-%dT%H:%M:%S.%e %L ";
  if (!node.empty()) pattern.append(node).append(" ");
  logger().set_pattern(pattern + "%v");
  logger().set_level(to_spdlog(least));
}

bool enabled(Level level) {
  return logger().should_log(to_spdlog(level));
}

void write(Level level, std::string_view line) {
  logger().log(to_spdlog(level), spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace vesper::log
