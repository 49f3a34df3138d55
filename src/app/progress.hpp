// The progress bar of export and import.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/time.hpp"

namespace vesper::app {

// "1234567" as "1,234,567".
std::string with_separators(std::uint64_t number);

// One line on stderr that is drawn again and again, up to ten times a second. It removes itself at
// the end. Nothing is drawn if stderr is not a terminal.
class Progress {
 public:
  explicit Progress(std::string_view verb);
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  bool is_visible() const { return visible_; }
  // What is 100 %, in the unit of update()'s `done`. 0: not known.
  void set_total(std::uint64_t total) { total_ = total; }
  void update(std::uint64_t done, std::uint64_t lines);
  // Removes the line, for other output.
  void clear();

 private:
  std::string line(std::uint64_t done, std::uint64_t lines, Duration elapsed) const;

  const std::string_view verb_;
  const bool visible_;
  std::uint64_t total_ = 0;
  const Instant began_;
  Instant next_;
  bool drawn_ = false;
};

}  // namespace vesper::app
