#include "app/progress.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "app/connector.hpp"
#include "app/stdio.hpp"
#include "app/terminal.hpp"

namespace vesper::app {
namespace {

constexpr Duration kInterval = milliseconds(100);
constexpr std::size_t kBarColumns = 24;

std::string time_left(double seconds) {
  const auto whole = static_cast<std::uint64_t>(std::min(seconds, 1e6) + 0.5);
  if (whole < 60) return fmt::format("{}s", whole);
  if (whole < 3600) return fmt::format("{}m{:02}s", whole / 60, whole % 60);
  return fmt::format("{}h{:02}m", whole / 3600, whole % 3600 / 60);
}

}  // namespace

std::string with_separators(std::uint64_t number) {
  std::string digits = std::to_string(number);
  for (std::size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, ",");
  return digits;
}

Progress::Progress(std::string_view verb)
    : verb_(verb),
      visible_(can_redraw(STDERR_FILENO)),
      began_(monotonic_now()),
      next_(began_ + kInterval) {}

void Progress::update(std::uint64_t done, std::uint64_t lines) {
  if (!visible_) return;
  const Instant now = monotonic_now();
  if (now < next_) return;
  next_ = now + kInterval;
  std::string text = line(done, lines, now - began_);
  text.resize(std::min(text.size(), terminal_columns(STDERR_FILENO) - 1));
  print_error("\r\x1b[K" + text);
  drawn_ = true;
}

void Progress::clear() {
  if (drawn_) print_error("\r\x1b[K");
  drawn_ = false;
}

std::string Progress::line(std::uint64_t done, std::uint64_t lines, Duration elapsed) const {
  const double seconds = static_cast<double>(elapsed.ns) / 1e9;
  std::string out(verb_);
  if (total_ != 0) {
    const double part = std::min(static_cast<double>(done) / static_cast<double>(total_), 1.0);
    const auto full = static_cast<std::size_t>(part * kBarColumns);
    out += fmt::format(" [{}{}] {:3}%", std::string(full, '#'),
                       std::string(kBarColumns - full, '.'), static_cast<int>(part * 100));
  }
  out += fmt::format("  {} lines  {}/s", with_separators(lines),
                     with_separators(static_cast<std::uint64_t>(static_cast<double>(lines) /
                                                                std::max(seconds, 0.001))));
  if (total_ != 0 && done > 0 && done < total_)
    out += "  " +
           time_left(seconds * static_cast<double>(total_ - done) / static_cast<double>(done)) +
           " left";
  return out;
}

}  // namespace vesper::app
