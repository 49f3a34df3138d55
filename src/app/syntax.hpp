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
};
struct OptionDescription {
  std::vector<std::string> names;  // "-o" and "--output"
  std::string value;  // the name of its value, or "raw|table|json"; empty: a flag without a value
  std::string help;
};
struct SyntaxDescription {
  std::vector<ArgumentDescription> arguments;
  std::vector<OptionDescription> options;
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
  void option(const std::string& names, const std::string& value, const std::string& help);
  void repeatable_option(const std::string& names, const std::string& value,
                         const std::string& help);
  void flag(const std::string& names, const std::string& help);

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

  // True if there is an option of this name that takes a value.
  bool takes_value(std::string_view name) const;
  SyntaxDescription describe() const;

 private:
  std::unique_ptr<CLI::App> app_;
};

// True for an argument that looks like a flag: "-" alone does not.
bool is_flag(std::string_view argument);

}  // namespace vesper::app
