// Shows bytes from users and servers on a terminal, which they must not control.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace vesper::app {

// Prepares the locale that printable() needs. Call it once, at the start.
void use_locale();

struct Printable {
  std::string text;
  std::size_t columns = 0;
};

// Keeps what the locale can show as text; other bytes become \n, \t, \\ or \xNN. Text wider than
// `most_columns` is cut, with "..." at its end. Requires most_columns >= 3.
Printable printable(std::string_view bytes, std::size_t most_columns = 80);

}  // namespace vesper::app
