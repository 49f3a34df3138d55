// The list of all commands: the syntax of each, and how its arguments become options. The groups
// are in syntax_node.cpp, syntax_cluster.cpp, syntax_auth.cpp, syntax_key.cpp, syntax_range.cpp and
// syntax_wait.cpp, the texts of help in help.cpp.
#pragma once

#include <span>
#include <string_view>

#include "app/arguments.hpp"
#include "app/options.hpp"
#include "app/syntax.hpp"

namespace vesper::app {

struct Command {
  enum class Listing : std::uint8_t { listed, hidden };
  std::string_view name;
  void (*define)(Syntax& syntax);
  Options (*read)(Arguments& arguments);
  Listing listing = Listing::listed;  // in help, completion and the manual page
};

struct CommandGroup {
  std::string_view title;
  std::span<const Command> commands;
};

// `vesper cluster` (syntax_cluster.cpp).
void define_cluster_command(Syntax& syntax);
Options read_cluster_command(Arguments& arguments);

// `vesper auth` (syntax_auth.cpp).
void define_auth_command(Syntax& syntax);
Options read_auth_command(Arguments& arguments);

// In the order in which help lists them.
std::span<const CommandGroup> command_groups();

// Null if there is no command of that name.
const Command* find_command(std::string_view name);

SyntaxDescription describe(const Command& command);

// The groups.
std::span<const Command> key_commands();
std::span<const Command> range_commands();
std::span<const Command> wait_commands();
std::span<const Command> node_commands();
std::span<const Command> other_commands();

}  // namespace vesper::app
