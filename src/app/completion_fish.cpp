// The completion script for fish.
#include <fmt/core.h>

#include <set>

#include "app/command_list.hpp"
#include "app/completion.hpp"
#include "app/help.hpp"

namespace vesper::app {
namespace {

constexpr std::string_view kFishHead =
    R"fish(# fish completion for vesper, printed by: vesper completion fish

# The command on the line and its arguments, without flags.
function __vesper_words
    set -l tokens (commandline -opc)
    set -e tokens[1]
    set -l skip no
    for token in $tokens
        if test $skip = yes
            set skip no
        else if contains -- $token $__vesper_value_flags
            set skip yes
        else if not string match -q -- '-?*' $token
            printf '%s\n' $token
        end
    end
end

# Whether there is no command yet.
function __vesper_needs_command
    test (count (__vesper_words)) -eq 0
end

# Whether COMMAND is on the line and, if a NUMBER is given, this argument of it comes next.
function __vesper_in --argument-names command number
    set -l words (__vesper_words)
    test "$words[1]" = $command; or return 1
    test -z "$number"; or test (count $words) -eq $number
end

# The keys of the cluster that begin with the current word, up to the next slash.
function __vesper_keys
    set -l tokens (commandline -opc)
    set -l program (string replace -r '^~' $HOME -- $tokens[1])
    set -l endpoints (string match -- '--endpoints=*' $tokens)
    if set -l at (contains -i -- --endpoints $tokens)
        set endpoints --endpoints $tokens[(math $at + 1)]
    end
    $program list $endpoints --keys --separator / --limit 200 --timeout 500ms -o raw -- \
        (commandline -ct | string unescape) 2>/dev/null
end

complete -c vesper -f
complete -c vesper -n __vesper_needs_command -l version -d 'print the version'
)fish";

std::string fish_quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

std::string fish_value(std::string_view name) {
  switch (kind_of_value(name)) {
    case ValueKind::anything: return " -x";
    case ValueKind::key: return " -x -a '(__vesper_keys)'";
    case ValueKind::file: return " -r -F";
    case ValueKind::folder: return " -x -a '(__fish_complete_directories)'";
    case ValueKind::words: break;
  }
  std::string words;
  for (const std::string& word : words_of_value(name)) words += (words.empty() ? "" : " ") + word;
  return " -x -a " + fish_quoted(words);
}

std::string lines_of(const OptionDescription& option, std::string_view condition) {
  std::string out = fmt::format("complete -c vesper -n '{}'", condition);
  for (const std::string& name : option.names)
    out += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
  if (!option.value.empty()) out += fish_value(option.value);
  return out + " -d " + fish_quoted(option.help) + "\n";
}

std::string lines_of(const Command& command) {
  std::string out = fmt::format("\ncomplete -c vesper -n __vesper_needs_command -a {} -d {}\n",
                                command.name, fish_quoted(help_of(command.name).summary));
  const SyntaxDescription syntax = describe(command);
  std::size_t at = 1;
  for (const ArgumentDescription& argument : syntax.arguments) {
    const std::string condition = fmt::format("__vesper_in {} {}", command.name, at++);
    std::string value = fish_value(argument.name);
    // -x and -r speak of an option's value.
    for (const std::string_view of_option : {" -x", " -r"})
      if (value.starts_with(of_option)) value.erase(0, of_option.size());
    if (!value.empty()) out += fmt::format("complete -c vesper -n '{}'{}\n", condition, value);
  }
  for (const OptionDescription& option : syntax.options)
    out += lines_of(option, fmt::format("__vesper_in {}", command.name));
  return out;
}

}  // namespace

std::string fish_completion() {
  std::set<std::string> with_value;
  std::string lines;
  for (const CommandGroup& group : command_groups()) {
    for (const Command& command : group.commands) {
      if (command.listing == Command::Listing::hidden) continue;
      lines += lines_of(command);
      for (const OptionDescription& option : describe(command).options)
        if (!option.value.empty()) with_value.insert(option.names.begin(), option.names.end());
    }
  }
  std::string out(kFishHead);
  // Before the command there may be the flags that most commands have.
  for (const OptionDescription& option : describe(*find_command("compact")).options)
    out += lines_of(option, "__vesper_needs_command");
  out += lines;
  out += "\nset -g __vesper_value_flags";
  for (const std::string& name : with_value) out += " " + name;
  return out + "\n";
}

}  // namespace vesper::app
