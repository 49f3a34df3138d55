// The texts of --help, with examples first. Flags are described where they are defined
// (options.cpp).
#pragma once

#include <string_view>

namespace vesper::app {

// `vesper --help`.
std::string_view main_help();

// The text above the usage line in a command's help. Empty for an unknown command.
std::string_view examples_of(std::string_view command);

}  // namespace vesper::app
