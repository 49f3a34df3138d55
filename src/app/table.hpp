// Tables for people: aligned columns on a terminal.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/terminal.hpp"
#include "json/document.hpp"

namespace vesper::app {

struct Cell {
  // For a value, however narrow the terminal is.
  static constexpr std::size_t kLeastColumns = 16;

  // `ascii` must be safe to print.
  Cell(std::string ascii, Style style_of_text = Style::plain)
      : text(std::move(ascii)), columns(text.size()), style(style_of_text) {}
  Cell(const char* ascii) : Cell(std::string(ascii)) {}
  // Makes the bytes safe to print, and cuts what is wider.
  static Cell of_bytes(std::string_view bytes, std::size_t most_columns = 80);

  std::string text;
  std::size_t columns = 0;
  Style style = Style::plain;
};
using Row = std::vector<Cell>;

// Two spaces separate columns. A column is as wide as its widest cell so far.
class Table {
 public:
  enum class Colours : std::uint8_t { no, yes };
  Table(Row header, Colours colours) : header_(std::move(header)), colours_(colours) {}

  // The rows as lines. The first call begins with the header.
  std::string lines(const std::vector<Row>& rows);

 private:
  void widen(const Row& row);
  void append_line(std::string& out, const Row& row) const;

  Row header_;
  Colours colours_;
  bool has_begun_ = false;
  std::vector<std::size_t> widths_;
};

// Whether tables on stdout have colours.
Table::Colours stdout_colours();

// A complete table for stdout.
std::string make_table(Row header, const std::vector<Row>& rows);

// The rows as lines whose cells are separated by tabs, without colours.
std::string make_tabbed(const std::vector<Row>& rows);

// A member of a reply: strings safe to print, numbers unchanged, "-" if missing.
Cell cell(const json::Value& value);
// The bytes of the member `name`, or of `name`_base64. Nothing if both are missing.
std::optional<std::string> bytes_of(const json::Value& object, std::string_view name);

}  // namespace vesper::app
