// Finds the command on the command line, and reads its arguments.
#include "app/options.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "app/arguments.hpp"
#include "app/call.hpp"
#include "app/command_list.hpp"
#include "app/help.hpp"
#include "base/bytes.hpp"

namespace vesper::app {
namespace {

int usage_error(std::string_view what, std::string_view command) {
  complain(what);
  hint(fmt::format("see vesper {}{}--help", command, command.empty() ? "" : " "));
  return kExitUsage;
}

// True if some command has an option of this name that takes a value.
bool takes_value(std::string_view flag) {
  for (const CommandGroup& group : command_groups()) {
    for (const Command& command : group.commands) {
      Syntax syntax(command.name);
      command.define(syntax);
      if (syntax.takes_value(flag)) return true;
    }
  }
  return false;
}

// The first argument at or after `at` that is neither a flag nor a flag's value, and whether "--"
// preceded it.
struct Word {
  std::size_t at = 0;  // arguments.size(): none
  bool flags_ended = false;
};
Word next_word(const std::vector<std::string>& arguments, std::size_t at) {
  for (; at < arguments.size(); ++at) {
    const std::string& argument = arguments[at];
    if (argument == "--") return {at + 1, true};
    if (!is_flag(argument)) break;
    if (takes_value(argument)) ++at;
  }
  return {std::min(at, arguments.size()), false};
}

Options parse_command(const Command& command, std::vector<std::string> words) {
  Syntax syntax(command.name);
  command.define(syntax);
  if (const auto stop = syntax.parse(std::move(words))) {
    if (stop->wants_help) return ExitNow{print(command_help(command))};
    return ExitNow{usage_error(stop->error, command.name)};
  }
  Arguments arguments(syntax);
  Options options = command.read(arguments);
  if (arguments.error()) return ExitNow{usage_error(*arguments.error(), command.name)};
  return options;
}

}  // namespace

Options parse_options(int argc, const char* const* argv) {
  std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
  const Word word = next_word(arguments, 0);
  if (word.at == arguments.size()) {
    for (const std::string& argument : arguments) {
      if (argument == "--help" || argument == "-h") return ExitNow{print(main_help())};
      if (argument == "--version") return ExitNow{print("vesper " VESPER_VERSION "\n")};
    }
    if (arguments.empty()) return ExitNow{usage_error("no command given", "")};
    return ExitNow{
        usage_error(fmt::format("no command after \"{}\"", escaped(arguments.back())), "")};
  }
  const std::string name = arguments[word.at];
  const Command* command = find_command(name);
  if (command == nullptr)
    return ExitNow{usage_error(fmt::format("unknown command \"{}\"", escaped(name)), "")};
  arguments.erase(arguments.begin() + static_cast<std::ptrdiff_t>(word.at));
  if (name == "client" && !word.flags_ended) {
    // Arguments after the address are never flags: a value may be "-5" or "--help".
    const Word address = next_word(arguments, word.at);
    if (!address.flags_ended && address.at < arguments.size())
      arguments.insert(arguments.begin() + static_cast<std::ptrdiff_t>(address.at), "--");
  }
  return parse_command(*command, std::move(arguments));
}

}  // namespace vesper::app
