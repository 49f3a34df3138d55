#include "app/printable.hpp"

#include <clocale>
#include <cwchar>
#include <cwctype>

#include "base/bytes.hpp"

namespace vesper::app {
namespace {

// The next piece of the text: a character that has a width, or one byte to be escaped.
Printable next_piece(std::string_view bytes, std::size_t& taken) {
  std::mbstate_t state{};
  wchar_t character = 0;
  taken = std::mbrtowc(&character, bytes.data(), bytes.size(), &state);
  const bool is_character = taken > 0 && taken <= bytes.size();
  const int width = is_character ? wcwidth(character) : -1;
  if (width > 0 && character != L'\\' && std::iswprint(static_cast<std::wint_t>(character)) != 0)
    return {std::string(bytes.substr(0, taken)), static_cast<std::size_t>(width)};
  taken = 1;
  std::string text = escaped(bytes.substr(0, 1));
  const std::size_t columns = text.size();
  return {std::move(text), columns};
}

}  // namespace

void use_locale() {
  std::setlocale(LC_CTYPE, "");
}

Printable printable(std::string_view bytes, std::size_t most_columns) {
  constexpr std::string_view kCut = "...";
  Printable shown;
  // The longest part of `shown` that leaves room for kCut.
  std::size_t part_size = 0, part_columns = 0;
  while (!bytes.empty()) {
    std::size_t taken = 0;
    const Printable piece = next_piece(bytes, taken);
    if (shown.columns + piece.columns > most_columns) {
      shown.text.resize(part_size);
      shown.text += kCut;
      shown.columns = part_columns + kCut.size();
      break;
    }
    shown.text += piece.text;
    shown.columns += piece.columns;
    if (shown.columns + kCut.size() <= most_columns) {
      part_size = shown.text.size();
      part_columns = shown.columns;
    }
    bytes.remove_prefix(taken);
  }
  return shown;
}

}  // namespace vesper::app
