// The syntax of `vesper auth`, and the body that the rules of a new token become.
#include <fmt/core.h>

#include "app/command_list.hpp"
#include "base/bytes.hpp"
#include "json/writer.hpp"
#include "kv/access.hpp"

namespace vesper::app {
namespace {

constexpr const char* kAuthActions = "enable|disable|token";
constexpr const char* kTokenActions = "add|list|revoke";

// The flags that give a right, and the form of the rule.
struct RuleFlag {
  const char* name;
  const char* value;
  const char* allow;
  json::Name scope;
  const char* help;
};
constexpr RuleFlag kRuleFlags[] = {
    {"--read", "PREFIX", "read", "prefix", "add: read the keys with this prefix; '' is every key"},
    {"--read-key", "KEY", "read", "key", "add: read this key"},
    {"--write", "PREFIX", "write", "prefix", "add: write the keys with this prefix"},
    {"--write-key", "KEY", "write", "key", "add: write this key"},
    {"--lock", "NAME-PREFIX", "lock", "prefix",
     "add: use the locks and elections with this prefix"},
    {"--lock-name", "NAME", "lock", "key", "add: use this lock, or election"},
};
constexpr const char* kWholeRights[] = {"admin", "metrics"};

std::string body_of_token(Arguments& arguments, const std::string& name) {
  std::string text;
  json::Writer json(text);
  json.begin_object();
  json.member("name", name);
  std::size_t rules = 0;
  json.key("rules");
  json.begin_array();
  for (const RuleFlag& flag : kRuleFlags)
    for (const std::string& value : arguments.syntax().texts(flag.name)) {
      json.begin_object();
      json.member("allow", flag.allow);
      json.bytes_member(flag.scope, value);
      json.end_object();
      ++rules;
    }
  for (const char* right : kWholeRights) {
    if (!arguments.has(fmt::format("--{}", right))) continue;
    json.begin_object();
    json.member("allow", right);
    json.end_object();
    ++rules;
  }
  json.end_array();
  if (arguments.duration("--ttl")) json.member("ttl", arguments.text("--ttl"));
  json.end_object();
  if (rules == 0) arguments.fail("a token needs a right: see vesper auth --help");
  return text;
}

void refuse_rules(Arguments& arguments) {
  std::vector<std::string> flags{"--admin", "--metrics", "--ttl"};
  for (const RuleFlag& flag : kRuleFlags) flags.emplace_back(flag.name);
  for (const std::string& flag : flags)
    if (arguments.has(flag)) arguments.fail(fmt::format("{} goes with token add", flag));
}

void read_token_action(Arguments& arguments, AuthOptions& auth) {
  using Action = AuthOptions::Action;
  const std::string word = arguments.text(kTokenActions);
  if (word == "add") auth.action = Action::add;
  else if (word == "list") auth.action = Action::list;
  else if (word == "revoke") auth.action = Action::revoke;
  else
    return arguments.fail(fmt::format("token \"{}\": expected add, list or revoke", escaped(word)));
  auth.name = arguments.text("NAME");
  if (auth.action == Action::list) {
    if (!auth.name.empty()) arguments.fail("list takes no argument");
  } else if (!kv::is_token_name(auth.name)) {
    arguments.fail(fmt::format(
        "\"{}\": expected the name of a token, 1 to {} letters, digits, '-', '_' and '.'",
        escaped(auth.name), kv::kMaxTokenName));
  }
}

}  // namespace

void define_auth_command(Syntax& syntax) {
  syntax.argument(kAuthActions, Need::required);
  syntax.argument(kTokenActions, Need::optional);
  syntax.argument("NAME", Need::optional);
  for (const RuleFlag& flag : kRuleFlags)
    syntax.repeatable_option(flag.name, flag.value, flag.help);
  syntax.flag("--admin", "add: change the members and the tokens, transfer and compact");
  syntax.flag("--metrics", "add: read /metrics and /figures");
  syntax.option("--ttl", "DURATION", "add: how long the token lasts (default: for ever)");
  define_cluster(syntax);
}

Options read_auth_command(Arguments& arguments) {
  AuthOptions auth;
  auth.cluster = arguments.cluster();
  const std::string word = arguments.text(kAuthActions);
  if (word == "token") {
    read_token_action(arguments, auth);
  } else if (arguments.has(kTokenActions)) {
    arguments.fail(
        fmt::format("unexpected argument \"{}\"", escaped(arguments.text(kTokenActions))));
  } else if (word == "disable") {
    auth.action = AuthOptions::Action::disable;
  } else if (word != "enable") {
    arguments.fail(fmt::format("\"{}\": expected enable, disable or token", escaped(word)));
  }
  if (auth.action == AuthOptions::Action::add) auth.body = body_of_token(arguments, auth.name);
  else refuse_rules(arguments);
  return auth;
}

}  // namespace vesper::app
