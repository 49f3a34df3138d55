#include "app/screen.hpp"

#include <curses.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "app/connector.hpp"
#include "app/terminal.hpp"

namespace vesper::app {
namespace {

// The number of the colour pair of a style; 0 is the terminal's own.
short pair_of(Style style) {
  switch (style) {
    case Style::red: return 1;
    case Style::green: return 2;
    case Style::yellow: return 3;
    case Style::blue: return 4;
    case Style::plain:
    case Style::bold:
    case Style::dim: break;
  }
  return 0;
}

attr_t attributes_of(Style style) {
  if (style == Style::bold) return A_BOLD;
  return style == Style::dim ? A_DIM : A_NORMAL;
}

ScreenSize terminal_size() {
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0)
    return {};
  return {size.ws_col, size.ws_row};
}

}  // namespace

Screen::Screen() {
  handle_ = newterm(nullptr, stdout, stdin);
  if (handle_ == nullptr) return;
  cbreak();
  noecho();
  keypad(stdscr, TRUE);
  nodelay(stdscr, TRUE);
  set_escdelay(25);  // ms; a lone Escape is a key
  curs_set(0);
  if (has_colors() && shows_colours(STDOUT_FILENO)) {
    start_color();
    use_default_colors();
    const short colours[] = {COLOR_RED, COLOR_GREEN, COLOR_YELLOW, COLOR_BLUE};
    for (short pair = 1; pair <= 4; ++pair) init_pair(pair, colours[pair - 1], -1);
  }
}

Screen::~Screen() {
  if (handle_ == nullptr) return;
  endwin();
  delscreen(static_cast<SCREEN*>(handle_));
}

ScreenSize Screen::size() const {
  return {static_cast<std::size_t>(COLS), static_cast<std::size_t>(LINES)};
}

void Screen::draw(const std::vector<Line>& lines) {
  erase();
  const std::size_t rows = std::min(lines.size(), size().rows);
  for (std::size_t row = 0; row < rows; ++row) {
    move(static_cast<int>(row), 0);
    for (const Span& span : lines[row]) {
      attr_set(attributes_of(span.style), pair_of(span.style), nullptr);
      addnstr(span.text.data(), static_cast<int>(span.text.size()));
    }
  }
  attr_set(A_NORMAL, 0, nullptr);
  refresh();
}

Screen::Event Screen::wait(std::array<int, 2> fds, Instant until) {
  const Duration left = until - monotonic_now();
  if (left <= Duration{}) return Event::due;
  pollfd watched[] = {{STDIN_FILENO, POLLIN, 0}, {fds[0], POLLIN, 0}, {fds[1], POLLIN, 0}};
  // Without the signal of a new size, look for one a few times a second.
  const int most = static_cast<int>(std::min<std::int64_t>(left.ms() + 1, 250));
  ::poll(watched, 3, most);
  if (watched[1].revents != 0) return Event::readable;
  const ScreenSize now = terminal_size();
  if (now.columns != size().columns || now.rows != size().rows) {
    resizeterm(static_cast<int>(now.rows), static_cast<int>(now.columns));
    return Event::resized;
  }
  if ((watched[0].revents & (POLLHUP | POLLERR | POLLNVAL)) != 0) return Event::closed;
  if (watched[0].revents != 0) return Event::key;
  return monotonic_now() >= until ? Event::due : Event::readable;
}

int Screen::key() {
  return getch();
}

}  // namespace vesper::app
