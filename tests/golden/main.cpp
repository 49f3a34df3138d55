// golden FILE_OR_DIRECTORY...: runs scripts and compares what they print with the text in the file.
// With VESPER_GOLDEN_UPDATE=1 it writes the printed text into the file instead; a failed `expect`
// still fails.
//
// A file is blocks between blank lines: commands, a line "----", what they print. Lines that begin
// with # are comments. In a block of several commands each is repeated before what it printed.
#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "golden/script.hpp"

namespace {

using vesper::golden::Script;
using Lines = std::vector<std::string>;

Lines lines_of(const std::string& text) {
  Lines lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

std::string run_block(Script& script, const Lines& commands) {
  std::string printed;
  for (const std::string& command : commands) {
    const std::string text = script.run(command);
    if (!text.empty() && commands.size() > 1) printed += "> " + command + "\n";
    printed += text;
  }
  return printed;
}

struct Outcome {
  std::string text;  // the file with the printed traces
  bool expectations_met = true;
};

// Runs the blocks in order and keeps everything else unchanged.
Outcome run_file(const Lines& lines) {
  Outcome outcome;
  Script script;
  Lines commands;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::string& line = lines[i];
    if (line != "----") {
      if (!line.empty() && line[0] != '#') commands.push_back(line);
      outcome.text += line + "\n";
      continue;
    }
    outcome.text += "----\n" + run_block(script, commands);
    commands.clear();
    while (i + 1 < lines.size() && !lines[i + 1].empty()) ++i;
  }
  if (!commands.empty()) {  // a block without its "----"
    outcome.text += "----\n" + run_block(script, commands);
  }
  outcome.expectations_met = !script.failed();
  return outcome;
}

void show_difference(const Lines& expected, const Lines& printed) {
  std::size_t i = 0;
  while (i < expected.size() && i < printed.size() && expected[i] == printed[i]) ++i;
  std::size_t end = 0;  // equal lines at the end
  while (end < expected.size() - i && end < printed.size() - i &&
         expected[expected.size() - 1 - end] == printed[printed.size() - 1 - end])
    ++end;
  constexpr std::size_t kShown = 30;
  for (std::size_t k = i - std::min<std::size_t>(i, 3); k < i; ++k)
    fmt::print("    {}\n", expected[k]);
  for (std::size_t k = i; k < std::min(expected.size() - end, i + kShown); ++k)
    fmt::print("  - {}\n", expected[k]);
  for (std::size_t k = i; k < std::min(printed.size() - end, i + kShown); ++k)
    fmt::print("  + {}\n", printed[k]);
}

bool check_file(const std::filesystem::path& path, bool update) {
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    fmt::print("{}: cannot be read\n", path.string());
    return false;
  }
  const std::string before{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  const Outcome outcome = run_file(lines_of(before));
  if (update && outcome.text != before) {
    std::ofstream(path, std::ios::binary) << outcome.text;
    fmt::print("updated  {}\n", path.filename().string());
  } else if (outcome.text != before) {
    fmt::print("FAILED   {}\n", path.filename().string());
    show_difference(lines_of(before), lines_of(outcome.text));
    fmt::print("  scripts/golden.sh --update {} accepts this; read the diff\n",
               path.stem().string());
    return false;
  }
  if (!outcome.expectations_met)
    fmt::print("FAILED   {}: an expectation is not met\n", path.filename().string());
  return outcome.expectations_met;
}

}  // namespace

int main(int argc, char** argv) {
  const char* variable = std::getenv("VESPER_GOLDEN_UPDATE");
  const bool update = variable != nullptr && std::string(variable) == "1";
  std::vector<std::filesystem::path> files;
  for (int i = 1; i < argc; ++i) {
    std::error_code error;
    if (!std::filesystem::is_directory(argv[i], error)) {
      files.emplace_back(argv[i]);
      continue;
    }
    for (const auto& entry : std::filesystem::directory_iterator(argv[i], error))
      if (entry.path().extension() == ".txt") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  std::size_t failed = 0;
  for (const auto& file : files)
    if (!check_file(file, update)) ++failed;
  fmt::print("{} passed, {} failed\n", files.size() - failed, failed);
  return failed == 0 && !files.empty() ? 0 : 1;
}
