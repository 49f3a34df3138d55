// The texts of --help, with examples first. Options are described where they are defined
// (syntax_key.cpp and its neighbours). The manual page has the same texts (man_page.cpp).
#pragma once

#include <string>
#include <string_view>

#include "app/command_list.hpp"

namespace vesper::app {

struct HelpText {
  std::string_view command;
  std::string_view arguments;  // as the list of commands shows them
  std::string_view summary;    // one line, lower case
  std::string_view examples;   // complete lines, without indentation
  std::string_view text;       // paragraphs, separated by blank lines
};

// Empty for an unknown command.
const HelpText& help_of(std::string_view command);

// `vesper --help`.
std::string main_help();
// `vesper COMMAND --help`.
std::string command_help(const Command& command);

// "Usage: vesper COMMAND [flags] KEY", without "Usage: ".
std::string usage_line(const Command& command);
// "-o,--output raw|table|json".
std::string option_line(const OptionDescription& option);

// Shared by `vesper --help` and the manual page.
std::string_view main_examples();
std::string_view endpoints_text();
struct ExitCodeText {
  std::string_view code;
  std::string_view meaning;
};
std::span<const ExitCodeText> exit_code_texts();

}  // namespace vesper::app
