// What a standard stream is connected to: colours and widths are for terminals only.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace vesper::app {

enum class Style : std::uint8_t { plain, bold, dim, red, green, yellow, blue };

bool is_terminal(int fd);

// True if `fd` is a terminal that shows colours. Always false if NO_COLOR is set and not empty
// (no-color.org).
bool shows_colours(int fd);

// True if `fd` is a terminal on which a line can be drawn again.
bool can_redraw(int fd);

// The width of the terminal in columns; 80 if it is not known.
std::size_t terminal_columns(int fd);

// Appends `text` in a style.
void append_styled(std::string& out, std::string_view text, Style style);

}  // namespace vesper::app
