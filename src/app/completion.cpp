// `vesper completion SHELL`, and what the three scripts have in common.
#include "app/completion.hpp"

#include "app/commands.hpp"
#include "app/stdio.hpp"

namespace vesper::app {

ValueKind kind_of_value(std::string_view name) {
  if (name == "KEY" || name == "PREFIX") return ValueKind::key;
  if (name == "FILE" || name == "<ip-list-file>") return ValueKind::file;
  if (name == "DIR") return ValueKind::folder;
  const bool is_word = name.find_first_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ<") == name.npos;
  return is_word && !name.empty() ? ValueKind::words : ValueKind::anything;
}

std::vector<std::string> words_of_value(std::string_view name) {
  std::vector<std::string> words;
  while (true) {
    const std::size_t bar = name.find('|');
    words.emplace_back(name.substr(0, bar));
    if (bar == name.npos) return words;
    name.remove_prefix(bar + 1);
  }
}

int run_completion(const CompletionOptions& options) {
  switch (options.shell) {
    case CompletionOptions::Shell::bash: return print(bash_completion());
    case CompletionOptions::Shell::zsh: return print(zsh_completion());
    case CompletionOptions::Shell::fish: return print(fish_completion());
  }
  return kExitUsage;
}

}  // namespace vesper::app
