// The completion scripts of `vesper completion SHELL`, made from the syntax of the commands.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace vesper::app {

std::string bash_completion();
std::string zsh_completion();
std::string fish_completion();

// What completes an argument or the value of an option, by its name in the syntax.
enum class ValueKind : std::uint8_t { anything, words, key, file, folder };
ValueKind kind_of_value(std::string_view name);
// The words of "raw|table|json".
std::vector<std::string> words_of_value(std::string_view name);

}  // namespace vesper::app
