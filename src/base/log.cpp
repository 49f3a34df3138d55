// The only user of spdlog. The logger is single-threaded: lines are written on the loop's thread.
// The writing itself is in log_output.hpp.
#include "base/log.hpp"

#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "base/log_output.hpp"

namespace vesper::log {
namespace {

class Sink final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  Sink() : output_(STDERR_FILENO, [this](std::uint64_t dropped) { return notice(dropped); }) {}
  LogOutput& output() { return output_; }

 private:
  std::string text_of(const spdlog::details::log_msg& message) {
    spdlog::memory_buf_t text;
    formatter_->format(message, text);
    return {text.data(), text.size()};
  }
  std::string notice(std::uint64_t dropped) {
    const std::string line =
        fmt::format("{} log lines were dropped: stderr accepted no more", dropped);
    return text_of({"vesper", spdlog::level::warn, line});
  }
  void sink_it_(const spdlog::details::log_msg& message) override {
    output_.write(text_of(message));
  }
  void flush_() override {}

  LogOutput output_;
};

// The only process-wide state: the destination of log lines belongs to the process.
const std::shared_ptr<Sink>& sink() {
  static const auto instance = std::make_shared<Sink>();
  return instance;
}

spdlog::logger& logger() {
  static spdlog::logger instance = [] {
    spdlog::logger made("vesper", sink());
    made.set_level(spdlog::level::warn);
    made.set_pattern("%Y-%m-%dT%H:%M:%S.%e %L %v");
    // The default handler would write to stderr, and could block there.
    made.set_error_handler([](const std::string&) {});
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
  set_node(node);
  logger().set_level(to_spdlog(least));
  sink()->output().stop_blocking();
}

void set_node(std::string_view node) {
  std::string pattern = "%Y-%m-%dT%H:%M:%S.%e %L ";
  if (!node.empty()) pattern.append(node).append(" ");
  logger().set_pattern(pattern + "%v");
}

bool enabled(Level level) {
  return logger().should_log(to_spdlog(level));
}

void write(Level level, std::string_view line) {
  logger().log(to_spdlog(level), spdlog::string_view_t(line.data(), line.size()));
}

bool waiting() {
  return sink()->output().waiting();
}

void flush() {
  sink()->output().flush();
}

void finish() {
  sink()->output().finish();
}

std::uint64_t dropped() {
  return sink()->output().dropped();
}

}  // namespace vesper::log
