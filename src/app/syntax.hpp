// The syntax of one command: the arguments, options and flags that it takes, and what a command
// line gave for them. The .cpp file is the only user of CLI11.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
}

namespace vesper::app {

enum class Need : std::uint8_t { required, optional };

// What help, completion and the manual page say about a command, in the order of the definitions.
struct ArgumentDescription {
  std::string name;
  Need need = Need::required;
  bool repeats = false;
};
struct OptionDescription {
  std::vector<std::string> names;  // "-o" and "--output"
  std::string value;  // the name of its value, or "raw|table|json"; empty: a flag without a value
  std::string help;
};
struct SyntaxDescription {
  std::vector<ArgumentDescription> arguments;
  std::vector<OptionDescription> options;
  std::string program;  // how a program follows: "-- COMMAND ARG..."; empty: none does
};

class Syntax {
 public:
  explicit Syntax(std::string_view command);
  ~Syntax();
  Syntax(const Syntax&) = delete;
  Syntax& operator=(const Syntax&) = delete;

  // Definition. `names` is as in "-o,--output". A `value` such as "raw|table|json" lists what the
  // option accepts.
  void argument(const std::string& name, Need need);
  // Any number of words, at least one if `need` is required. It has to be the last argument.
  void repeatable_argument(const std::string& name, Need need);
  void option(const std::string& names, const std::string& value, const std::string& help);
  void repeatable_option(const std::string& names, const std::string& value,
                         const std::string& help);
  void flag(const std::string& names, const std::string& help);
  // A program and its arguments: all that follows `mark`, which is "--" or a flag. If "--" precedes
  // every argument, it ends the flags as usual, and the program follows the arguments.
  void program(const std::string& mark, const std::string& help);

  // Why parse() did not take the arguments.
  struct Stop {
    bool wants_help = false;
    std::string error;  // unless help is wanted
  };
  std::optional<Stop> parse(std::vector<std::string> arguments);

  // Results. `name` is that of an argument, or one of an option's names.
  bool has(std::string_view name) const;
  // Empty if it was not given; the last one if it was given several times.
  std::string text(std::string_view name) const;
  std::vector<std::string> texts(std::string_view name) const;
  // Empty if none was given.
  const std::vector<std::string>& program() const { return program_; }

  // True if there is an option of this name that takes a value.
  bool takes_value(std::string_view name) const;
  SyntaxDescription describe() const;

 private:
  bool has_argument(std::vector<std::string>::const_iterator begin,
                    std::vector<std::string>::const_iterator end) const;
  std::optional<std::string> cut_program(std::vector<std::string>& arguments);

  std::unique_ptr<CLI::App> app_;
  std::string repeatable_;            // the name of the argument; empty: none
  std::vector<std::string> repeats_;  // its words after the first
  std::string program_mark_, program_help_;
  std::vector<std::string> program_;
};

// True for an argument that looks like a flag: "-" alone does not.
bool is_flag(std::string_view argument);

}  // namespace vesper::app
