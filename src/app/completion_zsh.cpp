// The completion script for zsh.
#include <fmt/core.h>

#include "app/command_list.hpp"
#include "app/completion.hpp"
#include "app/help.hpp"

namespace vesper::app {
namespace {

constexpr std::string_view kZshHead = R"zsh(#compdef vesper
# zsh completion for vesper, printed by: vesper completion zsh

# The keys of the cluster that begin with the current word, up to the next slash.
_vesper_keys() {
  local -a keys endpoints
  local -i at=${_vesper_line[(I)--endpoints]}
  (( at )) && endpoints=(--endpoints "$_vesper_line[at+1]")
  at=${_vesper_line[(I)--endpoints=*]}
  (( at )) && endpoints=("$_vesper_line[at]")
  keys=("${(@f)$("${(Q)${~_vesper_line[1]}}" list $endpoints --keys --separator / --limit 200 \
    --timeout 500ms -o raw -- "${(Q)PREFIX}" 2>/dev/null)}")
  keys=(${keys:#})
  compadd -S '' -- ${(M)keys:#*/}
  compadd -- ${keys:#*/}
}

_vesper() {
  local curcontext=$curcontext state line
  local -A opt_args
  local -a _vesper_line=("${words[@]}")
  local -a commands=(
)zsh";

constexpr std::string_view kZshTail = R"zsh(      esac
      ;;
  esac
}

if [[ $funcstack[1] == _vesper ]]; then _vesper "$@"; else compdef _vesper vesper; fi
)zsh";

// As a part of a word in single quotes. `special` characters get a backslash.
std::string zsh_quoted(std::string_view text, std::string_view special) {
  std::string out;
  for (const char c : text) {
    if (special.find(c) != special.npos) out += '\\';
    if (c == '\'') out += "'\\''";
    else out += c;
  }
  return out;
}

// ":message:action" of _arguments.
std::string zsh_value(std::string_view name) {
  std::string out = ":" + zsh_quoted(name, ":") + ":";
  switch (kind_of_value(name)) {
    case ValueKind::anything: return out + " ";
    case ValueKind::key: return out + "_vesper_keys";
    case ValueKind::file: return out + "_files";
    case ValueKind::folder: return out + "_files -/";
    case ValueKind::words: break;
  }
  out += '(';
  for (const std::string& word : words_of_value(name)) out += word + ' ';
  out.back() = ')';
  return out;
}

std::string spec_of(const OptionDescription& option) {
  std::string all;
  for (const std::string& name : option.names) all += (all.empty() ? "" : " ") + name;
  const std::string rest = "[" + zsh_quoted(option.help, "[]:") + "]" +
                           (option.value.empty() ? "" : zsh_value(option.value));
  std::string out;
  for (const std::string& name : option.names) {
    // Only long names take a value after an equals sign.
    const bool takes_equals = !option.value.empty() && name.starts_with("--");
    out += fmt::format(" \\\n            '({}){}{}{}'", all, name, takes_equals ? "=" : "", rest);
  }
  return out;
}

std::string specs_of(const SyntaxDescription& syntax) {
  std::string out;
  for (const OptionDescription& option : syntax.options) out += spec_of(option);
  std::size_t at = 1;
  for (const ArgumentDescription& argument : syntax.arguments)
    out += fmt::format(" \\\n            '{}{}{}'", at++,
                       argument.need == Need::optional ? ":" : "", zsh_value(argument.name));
  return out;
}

}  // namespace

std::string zsh_completion() {
  std::string out(kZshHead), cases;
  for (const CommandGroup& group : command_groups()) {
    for (const Command& command : group.commands) {
      if (command.listing == Command::Listing::hidden) continue;
      out += fmt::format("    '{}:{}'\n", command.name,
                         zsh_quoted(help_of(command.name).summary, ":"));
      cases += fmt::format("        {})\n          _arguments -S{}\n          ;;\n", command.name,
                           specs_of(describe(command)));
    }
  }
  out += "  )\n  _arguments -S -C -A \"-*\"";
  // Before the command there may be the flags that most commands have.
  for (const OptionDescription& option : describe(*find_command("compact")).options)
    out += spec_of(option);
  out +=
      " \\\n            '--version[print the version]' \\\n            '1:command:->command' \\\n"
      "            '*::argument:->argument'\n";
  out +=
      "  case $state in\n    command) _describe command commands ;;\n    argument)\n"
      "      case $words[1] in\n";
  out += cases;
  out += kZshTail;
  return out;
}

}  // namespace vesper::app
