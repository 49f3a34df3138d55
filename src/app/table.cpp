#include "app/table.hpp"

#include <unistd.h>

#include <algorithm>

#include "app/printable.hpp"
#include "base/bytes.hpp"
#include "json/text.hpp"

namespace vesper::app {

Cell Cell::of_bytes(std::string_view bytes, std::size_t most_columns) {
  Printable shown = printable(bytes, most_columns);
  Cell cell(std::move(shown.text));
  cell.columns = shown.columns;
  return cell;
}

void Table::widen(const Row& row) {
  widths_.resize(std::max(widths_.size(), row.size()));
  for (std::size_t i = 0; i < row.size(); ++i) widths_[i] = std::max(widths_[i], row[i].columns);
}

void Table::append_line(std::string& out, const Row& row) const {
  for (std::size_t i = 0; i < row.size(); ++i) {
    append_styled(out, row[i].text, colours_ == Colours::yes ? row[i].style : Style::plain);
    if (i + 1 < row.size()) out.append(widths_[i] - row[i].columns + 2, ' ');
  }
  out += '\n';
}

std::string Table::lines(const std::vector<Row>& rows) {
  for (const Row& row : rows) widen(row);
  std::string out;
  if (!has_begun_) {
    has_begun_ = true;
    for (Cell& cell : header_) cell.style = Style::bold;
    widen(header_);
    append_line(out, header_);
  }
  for (const Row& row : rows) append_line(out, row);
  return out;
}

Table::Colours stdout_colours() {
  return shows_colours(STDOUT_FILENO) ? Table::Colours::yes : Table::Colours::no;
}

std::string make_table(Row header, const std::vector<Row>& rows) {
  return Table(std::move(header), stdout_colours()).lines(rows);
}

std::string make_tabbed(const std::vector<Row>& rows) {
  std::string out;
  for (const Row& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) {
      out += row[i].text;
      out += i + 1 < row.size() ? '\t' : '\n';
    }
  return out;
}

Cell cell(const json::Value& value) {
  if (const auto text = value.string()) return Cell::of_bytes(*text);
  if (const auto number = value.number()) return escaped(*number);
  if (const auto boolean = value.boolean()) return *boolean ? "true" : "false";
  return "-";
}

std::optional<std::string> bytes_of(const json::Value& object, std::string_view name) {
  if (const auto text = object.find(name).string()) return std::string(*text);
  const auto encoded = object.find(std::string(name) + "_base64").string();
  return encoded ? json::decode_base64(*encoded) : std::nullopt;
}

}  // namespace vesper::app
