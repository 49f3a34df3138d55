// The words of --help: examples first. Flags are described where they are defined (options.cpp).
#pragma once

#include <string_view>

namespace vesper::app {

// `vesper --help`.
std::string_view main_help();

// What stands above the usage line of a command's help. Empty for a word that is no command.
std::string_view examples_of(std::string_view command);

}  // namespace vesper::app
