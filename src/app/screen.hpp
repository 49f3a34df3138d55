// The terminal as a screen that is drawn again in place (the only user of ncurses).
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "app/top_view.hpp"
#include "base/time.hpp"

namespace vesper::app {

// Takes the terminal over, and gives it back when it is destroyed. At most one exists.
class Screen {
 public:
  Screen();
  ~Screen();
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  // False if the terminal cannot be used as a screen.
  bool is_open() const { return handle_ != nullptr; }

  ScreenSize size() const;
  void draw(const std::vector<Line>& lines);

  // Waits for a key, another size, one of two descriptors that can be read (-1: none), the end of
  // the terminal or the time.
  enum class Event : std::uint8_t { key, resized, readable, closed, due };
  Event wait(std::array<int, 2> fds, Instant until);
  // The next key, -1 if there is none.
  int key();

 private:
  void* handle_ = nullptr;  // the SCREEN of ncurses
};

}  // namespace vesper::app
