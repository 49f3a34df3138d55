// libFuzzer: the lines of an import are read without a fault, the parts in which they arrive do not
// matter, and a line is taken only if the document reader takes it with the same content.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "json/document.hpp"
#include "json/line_reader.hpp"
#include "json/request.hpp"
#include "json/text.hpp"

using namespace vesper;
using json::LineReader;
using Step = LineReader::Step;

namespace {

constexpr std::size_t kMaxValue = 256;

void require(bool condition) {
  if (!condition) std::abort();
}

struct Outcome {
  std::vector<LineReader::Line> lines;
  std::uint64_t last = 0;
  bool failed = false;
};

Outcome read(std::string_view text, std::size_t step) {
  LineReader reader(kMaxValue);
  Outcome outcome;
  const auto take = [&](Step what) {
    if (what == Step::line) outcome.lines.push_back(reader.line());
    if (what == Step::error) {
      require(!reader.problem().detail.empty());
      require(json::is_utf8(reader.problem().detail) && json::is_utf8(reader.problem().field));
      outcome.failed = true;
    }
    outcome.last = reader.number();
  };
  while (!text.empty() && !outcome.failed) {
    std::string_view part = text.substr(0, step);
    text.remove_prefix(part.size());
    while (!part.empty() && !outcome.failed) {
      std::size_t consumed = 0;
      const Step what = reader.read(part, consumed);
      require(consumed <= part.size() && (consumed != 0 || what == Step::error));
      require(what != Step::need_more || consumed == part.size());
      part.remove_prefix(consumed);
      take(what);
      require(reader.held() <= json::kMaxKey + kMaxValue + 2 * step + 128);
    }
  }
  if (!outcome.failed) take(reader.finish());
  return outcome;
}

bool equal(const LineReader::Line& a, const LineReader::Line& b) {
  return a.key == b.key && a.value == b.value && a.json == b.json;
}

std::string bytes_of(json::Value object, std::string_view name, std::string_view base64_name) {
  if (const auto text = object.find(name).string()) return std::string(*text);
  const auto encoded = object.find(base64_name).string();
  require(encoded.has_value());
  const auto bytes = json::decode_base64(*encoded);
  require(bytes.has_value());
  return *bytes;
}

void check_line(std::string_view text, const LineReader::Line& line) {
  json::Document document;
  require(!document.parse(text));
  const json::Value root = document.root();
  require(!line.key.empty() && line.key == bytes_of(root, "key", "key_base64"));
  require(line.json == root.find("json").boolean().value_or(false));
  std::string value = bytes_of(root, "value", "value_base64");
  if (line.json) {
    std::string compact;
    require(!json::compact(value, compact));
    value = compact;
  }
  require(line.value == value);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const Outcome whole = read(text, 4096);
  for (const std::size_t step : {1u, 3u}) {
    const Outcome parts = read(text, step);
    require(parts.failed == whole.failed && parts.last == whole.last);
    require(parts.lines.size() == whole.lines.size());
    for (std::size_t i = 0; i < parts.lines.size(); ++i)
      require(equal(parts.lines[i], whole.lines[i]));
  }
  std::size_t at = 0;
  std::string_view rest = text;
  while (at < whole.lines.size()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (line.find_first_not_of(" \t\r") != std::string_view::npos)
      check_line(line, whole.lines[at++]);
  }
  return 0;
}
