#include "app/syntax.hpp"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "base/bytes.hpp"

namespace vesper::app {
namespace {

std::string describe_unexpected(const std::string& argument) {
  std::string what = fmt::format("unexpected {} \"{}\"", is_flag(argument) ? "flag" : "argument",
                                 escaped(argument));
  if (is_flag(argument)) what += "\nhint: if it is not a flag, put it after --";
  return what;
}

// The first argument that nothing of the command accepts.
std::string describe_unexpected(const CLI::App& app) {
  for (const std::string& argument : app.remaining())
    if (argument != "--") return describe_unexpected(argument);
  return "unexpected argument";
}

}  // namespace

bool is_flag(std::string_view argument) {
  return argument.size() > 1 && argument.front() == '-';
}

Syntax::Syntax(std::string_view command) : app_(std::make_unique<CLI::App>()) {
  app_->name(std::string(command));
  app_->set_help_flag("-h,--help", "print this help");
}

Syntax::~Syntax() = default;

void Syntax::argument(const std::string& name, Need need) {
  app_->add_option(name)->required(need == Need::required);
}

// CLI11 would change words such as "[a]" if it collected them itself. It leaves them over, and
// parse() collects them.
void Syntax::repeatable_argument(const std::string& name, Need need) {
  argument(name, need);
  repeatable_ = name;
  app_->allow_extras();
}

void Syntax::option(const std::string& names, const std::string& value, const std::string& help) {
  app_->add_option(names, help)->type_name(value);
}

void Syntax::repeatable_option(const std::string& names, const std::string& value,
                               const std::string& help) {
  app_->add_option(names, help)
      ->type_name(value)
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

void Syntax::flag(const std::string& names, const std::string& help) {
  app_->add_flag(names, help)->disable_flag_override();
}

void Syntax::program(const std::string& mark, const std::string& help) {
  program_mark_ = mark;
  program_help_ = help;
}

bool Syntax::has_argument(std::vector<std::string>::const_iterator begin,
                          std::vector<std::string>::const_iterator end) const {
  for (; begin != end; ++begin) {
    if (!is_flag(*begin)) return true;
    if (takes_value(*begin) && ++begin == end) break;
  }
  return false;
}

// Moves the program out of the arguments. Returns an error, if there is one.
std::optional<std::string> Syntax::cut_program(std::vector<std::string>& arguments) {
  if (program_mark_.empty()) return std::nullopt;
  const std::string with_value = program_mark_ + "=";
  auto mark = std::find_if(arguments.begin(), arguments.end(), [&](const std::string& argument) {
    return argument == "--" || argument == program_mark_ ||
           (program_mark_ != "--" && argument.starts_with(with_value));
  });
  if (mark == arguments.end() || (*mark == "--" && program_mark_ != "--")) return std::nullopt;
  if (mark->starts_with(with_value)) {
    program_.push_back(mark->substr(with_value.size()));
  } else if (*mark == "--" && !has_argument(arguments.begin(), mark)) {
    const auto count = static_cast<std::ptrdiff_t>(describe().arguments.size());
    mark += std::min(count, arguments.end() - mark - 1);
    if (mark + 1 == arguments.end()) return std::nullopt;
    program_.assign(mark + (mark[1] == "--" ? 2 : 1), arguments.end());
    arguments.erase(mark + 1, arguments.end());
    return std::nullopt;
  }
  program_.insert(program_.end(), mark + 1, arguments.end());
  arguments.erase(mark, arguments.end());
  if (program_.empty()) return fmt::format("{} needs a command", program_mark_);
  return std::nullopt;
}

std::optional<Syntax::Stop> Syntax::parse(std::vector<std::string> arguments) {
  if (auto error = cut_program(arguments)) return Stop{false, std::move(*error)};
  std::reverse(arguments.begin(), arguments.end());  // CLI11 takes arguments from the back
  try {
    app_->parse(std::move(arguments));
  } catch (const CLI::CallForHelp&) {
    return Stop{true, {}};
  } catch (const CLI::ExtrasError&) {
    return Stop{false, describe_unexpected(*app_)};
  } catch (const CLI::ParseError& error) {
    return Stop{false, error.what()};
  }
  bool flags_ended = false;
  for (const std::string& argument : app_->remaining()) {
    if (argument == "--" && !flags_ended) flags_ended = true;
    else if (!flags_ended && is_flag(argument)) return Stop{false, describe_unexpected(argument)};
    else repeats_.push_back(argument);
  }
  return std::nullopt;
}

bool Syntax::has(std::string_view name) const {
  const CLI::Option* option = app_->get_option_no_throw(std::string(name));
  return option != nullptr && option->count() > 0;
}

std::string Syntax::text(std::string_view name) const {
  const auto all = texts(name);
  return all.empty() ? std::string() : all.back();
}

std::vector<std::string> Syntax::texts(std::string_view name) const {
  const CLI::Option* option = app_->get_option_no_throw(std::string(name));
  if (option == nullptr) return {};
  std::vector<std::string> all = option->results();
  if (name == repeatable_) all.insert(all.end(), repeats_.begin(), repeats_.end());
  return all;
}

bool Syntax::takes_value(std::string_view name) const {
  const CLI::Option* option = app_->get_option_no_throw(std::string(name));
  return option != nullptr && option->get_expected_min() > 0;
}

SyntaxDescription Syntax::describe() const {
  SyntaxDescription description;
  for (const CLI::Option* option : app_->get_options()) {
    if (option->get_positional()) {
      description.arguments.push_back({option->get_name(true),
                                       option->get_required() ? Need::required : Need::optional,
                                       option->get_name(true) == repeatable_});
      continue;
    }
    OptionDescription described;
    for (const std::string& name : option->get_snames()) described.names.push_back("-" + name);
    for (const std::string& name : option->get_lnames()) described.names.push_back("--" + name);
    if (option->get_expected_min() > 0) described.value = option->get_type_name();
    described.help = option->get_description();
    description.options.push_back(std::move(described));
  }
  if (!program_mark_.empty()) description.program = program_mark_ + " COMMAND ARG...";
  if (is_flag(program_mark_) && program_mark_ != "--")
    description.options.push_back({{program_mark_}, "COMMAND", program_help_});
  return description;
}

}  // namespace vesper::app
