#include "app/syntax.hpp"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "base/bytes.hpp"

namespace vesper::app {
namespace {

// The first argument that nothing of the command accepts.
std::string describe_unexpected(const CLI::App& app) {
  for (const std::string& argument : app.remaining()) {
    if (argument == "--") continue;
    std::string what = fmt::format("unexpected {} \"{}\"", is_flag(argument) ? "flag" : "argument",
                                   escaped(argument));
    if (is_flag(argument)) what += "\nhint: if it is not a flag, put it after --";
    return what;
  }
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

std::optional<Syntax::Stop> Syntax::parse(std::vector<std::string> arguments) {
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
  return option == nullptr ? std::vector<std::string>() : option->results();
}

bool Syntax::takes_value(std::string_view name) const {
  const CLI::Option* option = app_->get_option_no_throw(std::string(name));
  return option != nullptr && option->get_expected_min() > 0;
}

SyntaxDescription Syntax::describe() const {
  SyntaxDescription description;
  for (const CLI::Option* option : app_->get_options()) {
    if (option->get_positional()) {
      description.arguments.push_back(
          {option->get_name(true), option->get_required() ? Need::required : Need::optional});
      continue;
    }
    OptionDescription described;
    for (const std::string& name : option->get_snames()) described.names.push_back("-" + name);
    for (const std::string& name : option->get_lnames()) described.names.push_back("--" + name);
    if (option->get_expected_min() > 0) described.value = option->get_type_name();
    described.help = option->get_description();
    description.options.push_back(std::move(described));
  }
  return description;
}

}  // namespace vesper::app
