#include "app/command_list.hpp"

#include <array>

namespace vesper::app {

std::span<const CommandGroup> command_groups() {
  static const std::array<CommandGroup, 5> groups = {{
      {"One key", key_commands()},
      {"Many keys", range_commands()},
      {"Events, leases and locks", wait_commands()},
      {"The cluster", node_commands()},
      {"Other", other_commands()},
  }};
  return groups;
}

const Command* find_command(std::string_view name) {
  for (const CommandGroup& group : command_groups())
    for (const Command& command : group.commands)
      if (command.name == name) return &command;
  return nullptr;
}

SyntaxDescription describe(const Command& command) {
  Syntax syntax(command.name);
  command.define(syntax);
  return syntax.describe();
}

}  // namespace vesper::app
