// `vesper auth`: whether clients need tokens, and which tokens there are. A new secret is printed
// once, alone on stdout.
#include <fmt/core.h>

#include "app/commands.hpp"
#include "app/kv_command.hpp"
#include "base/bytes.hpp"

namespace vesper::app {
namespace {

// "read users/*, write users/7, admin"
std::string text_of_rules(const json::Value& rules) {
  std::string text;
  for (const auto& element : rules) {
    const json::Value rule = element.value;
    if (!text.empty()) text += ", ";
    text += cell(rule.find("allow")).text;
    if (const auto prefix = bytes_of(rule, "prefix")) text += " " + escaped(*prefix) + "*";
    if (const auto key = bytes_of(rule, "key")) text += " " + escaped(*key);
  }
  return text;
}

int list_tokens(const AuthOptions& options) {
  const OutputFormat format = table_on_terminal(options.cluster);
  const auto [document, code] = get_list(options.cluster, "/auth/tokens", "tokens", format);
  if (!document) return code;
  std::vector<Row> rows;
  for (const auto& element : document->root().find("tokens"))
    rows.push_back({cell(element.value.find("name")), cell(element.value.find("ttl_ms")),
                    text_of_rules(element.value.find("rules"))});
  if (document->root().find("enabled").boolean() == false)
    note("no client needs a token: see vesper auth enable");
  return print(format == OutputFormat::raw ? make_tabbed(rows)
                                           : make_table({"NAME", "TTL_MS", "RULES"}, rows));
}

// Prints the secret.
int print_secret(const Called& called, const ClusterOptions& options) {
  const int code = print_outcome(called, options, Access::write, {"name", "token"}, "token");
  if (code != kExitUnknown) return code;
  hint("a token of which no one has the secret may exist now: see vesper auth token list");
  return code;
}

}  // namespace

int run_auth(const AuthOptions& options) {
  Call call;
  call.method = "POST";
  call.access = Access::write;
  switch (options.action) {
    case AuthOptions::Action::enable:
      call.path = "/auth/enable";
      return print_secret(call_endpoints(options.cluster, call), options.cluster);
    case AuthOptions::Action::disable:
      call.path = "/auth/disable";
      call.idempotency_key = make_idempotency_key();
      return print_outcome(call_endpoints(options.cluster, call), options.cluster, Access::write,
                           {"tokens"}, "tokens");
    case AuthOptions::Action::add:
      call.path = "/auth/tokens";
      call.body = options.body;
      return print_secret(call_endpoints(options.cluster, call), options.cluster);
    case AuthOptions::Action::revoke:
      call.method = "DELETE";
      call.path = "/auth/tokens/" + options.name;
      call.idempotency_key = make_idempotency_key();
      return print_outcome(call_endpoints(options.cluster, call), options.cluster, Access::write,
                           {"name", "tokens"}, "name");
    case AuthOptions::Action::list: return list_tokens(options);
  }
  VESPER_UNREACHABLE();
}

}  // namespace vesper::app
