#include "app/terminal.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>

namespace vesper::app {
namespace {

// The parameter of "select graphic rendition" (ECMA-48 §8.3.117).
std::string_view code_of(Style style) {
  switch (style) {
    case Style::plain: break;
    case Style::bold: return "1";
    case Style::dim: return "2";
    case Style::red: return "31";
    case Style::green: return "32";
    case Style::yellow: return "33";
    case Style::blue: return "34";
  }
  return "0";
}

std::string_view variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string_view() : value;
}

}  // namespace

bool is_terminal(int fd) {
  return isatty(fd) == 1;
}

bool can_redraw(int fd) {
  return is_terminal(fd) && variable("TERM") != "dumb";
}

bool shows_colours(int fd) {
  return can_redraw(fd) && variable("NO_COLOR").empty();
}

std::size_t terminal_columns(int fd) {
  winsize size{};
  if (ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col < 2) return 80;
  return size.ws_col;
}

void append_styled(std::string& out, std::string_view text, Style style) {
  if (style == Style::plain) {
    out += text;
    return;
  }
  out += "\x1b[";
  out += code_of(style);
  out += 'm';
  out += text;
  out += "\x1b[0m";
}

}  // namespace vesper::app
