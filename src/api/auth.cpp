#include "api/auth.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "api/answer.hpp"
#include "api/checks.hpp"
#include "api/context.hpp"
#include "api/http_exchange.hpp"
#include "api/json_fields.hpp"
#include "api/members.hpp"
#include "api/render.hpp"
#include "crypto/sha256.hpp"
#include "json/document.hpp"
#include "json/writer.hpp"

namespace vesper::api {
namespace {

constexpr kv::Right kRights[] = {kv::Right::read, kv::Right::write, kv::Right::lock,
                                 kv::Right::admin, kv::Right::metrics};

class TokenReader {
 public:
  explicit TokenReader(kv::AddToken& add) : add_(add) {}

  Problem& problem() { return fields_.problem(); }

  bool read(json::Value root) {
    const JsonPath path;
    return fields_.check_members(path, root, {"name", "rules", "ttl"}) && read_name(path, root) &&
           fields_.read_duration(path, root, "ttl", add_.ttl) &&
           read_rules(path.member("rules"), root.find("rules"));
  }

 private:
  bool read_name(const JsonPath& parent, json::Value root) {
    const JsonPath path = parent.member("name");
    const json::Value value = root.find("name");
    if (!value.exists()) return fields_.fail_missing(path);
    if (value.kind() != json::Kind::string) return fields_.fail_type(path, value, "a string");
    add_.name = *value.string();
    if (kv::is_token_name(add_.name)) return true;
    return fields_.fail_limit(
        path, fmt::format("must be 1 to {} letters, digits, '-', '_' and '.'", kv::kMaxTokenName),
        kv::kMaxTokenName);
  }

  bool read_rules(const JsonPath& path, json::Value list) {
    if (!list.exists()) return fields_.fail_missing(path);
    if (list.kind() != json::Kind::array) return fields_.fail_type(path, list, "an array");
    std::size_t index = 0;
    for (const auto& element : list) {
      if (index == kv::kMaxRules)
        return fields_.fail_limit(path, fmt::format("has more than {} rules", kv::kMaxRules),
                                  kv::kMaxRules);
      if (!read_rule(path.element(index++), element.value)) return false;
    }
    if (index != 0) return true;
    return fields_.fail(path, "is empty; a token without a rule is of no use");
  }

  bool read_rule(const JsonPath& path, json::Value value) {
    if (!fields_.check_members(path, value,
                               {"allow", "prefix", "prefix_base64", "key", "key_base64"}))
      return false;
    kv::Rule rule;
    if (!read_right(path.member("allow"), value.find("allow"), rule.right)) return false;
    JsonBytes prefix, key;
    if (!fields_.read_bound(path, value, kPrefix, FieldReader::Empty::allowed, prefix) ||
        !fields_.read_bound(path, value, kKey, FieldReader::Empty::refused, key))
      return false;
    if (!kv::has_scope(rule.right)) {
      if (prefix.exists() || key.exists())
        return fields_.fail(path.member((prefix.exists() ? prefix : key).member()),
                            "does not belong to this right, which is given as a whole");
    } else if (prefix.exists() == key.exists()) {
      return fields_.fail(path, "needs either a prefix (\"\" is everything) or a key");
    }
    rule.scope = key.exists() ? kv::Rule::Scope::exact : kv::Rule::Scope::prefix;
    rule.text = (key.exists() ? key : prefix).view();
    add_.rules.push_back(std::move(rule));
    return true;
  }

  bool read_right(const JsonPath& path, json::Value value, kv::Right& right) {
    if (!value.exists()) return fields_.fail_missing(path);
    if (value.kind() != json::Kind::string) return fields_.fail_type(path, value, "a string");
    for (const kv::Right known : kRights) {
      if (*value.string() != kv::to_string(known)) continue;
      right = known;
      return true;
    }
    return fields_.fail(path, "must be read, write, lock, admin or metrics");
  }

  kv::AddToken& add_;
  FieldReader fields_{0};
};

// ---- requests

// The secret is shown once, so a retry could not get the same answer.
bool shows_secret(const AuthRequest& request) {
  return std::holds_alternative<AuthEnable>(request.action) ||
         std::holds_alternative<AuthAdd>(request.action);
}

std::optional<Problem> check_auth_write(const http::RequestHead& head, const Query& query,
                                        HttpExchange& exchange) {
  for (const http::QueryParameter& parameter : query) {
    if (parameter.name != "timeout") return unknown_parameter(parameter);
    if (auto problem = read_timeout(parameter, exchange)) return problem;
  }
  if (auto problem = refuse_conditions(head)) return problem;
  auto& request = std::get<AuthRequest>(exchange.request);
  if (shows_secret(request))
    return refuse_idempotency_key(head, "a request that shows a new secret");
  return read_idempotency_key(head, request.idempotency_key);
}

kv::SecretHash draw_secret(AuthRequest& request) {
  request.secret = crypto::make_secret();
  return crypto::sha256(request.secret);
}

// ---- answers

void append_rule(json::Writer& json, const kv::Rule& rule) {
  json.begin_object();
  json.member("allow", kv::to_string(rule.right));
  if (kv::has_scope(rule.right)) {
    if (rule.scope == kv::Rule::Scope::exact) json.bytes_member("key", rule.text);
    else json.bytes_member("prefix", rule.text);
  }
  json.end_object();
}

// {"name","rules":[...],"ttl_ms"}
void append_token(json::Writer& json, const kv::Token& token, kv::LogTime now) {
  json.begin_object();
  json.member("name", token.identity.name);
  json.key("rules");
  json.begin_array();
  for (const kv::Rule& rule : token.rules) append_rule(json, rule);
  json.end_array();
  if (token.expires != kv::kEndOfLogTime) {
    json.member("ttl_ms", ttl_ms_left(token.expires, now));
  }
  json.end_object();
}

Problem token_not_found() {
  return {.status = 404, .code = "token_not_found", .detail = "there is no such token"};
}

// This node has applied what the leader had committed when the request came.
void render_tokens(const Context& context, const HttpExchange& exchange,
                   const node::ReadResult& read, Answer& answer) {
  if (const auto problem = judge_right(context, exchange)) return render_problem(*problem, answer);
  const auto& request = std::get<AuthRequest>(exchange.request);
  const kv::Access& access = context.node()->store().access();
  answer.revision = read.revision;
  json::Writer json(answer.body);
  if (std::holds_alternative<AuthGet>(request.action)) {
    const kv::Token* token = access.find(request.name, read.log_time);
    if (token == nullptr) return render_problem(token_not_found(), answer);
    append_token(json, *token, read.log_time);
  } else {
    json.begin_object();
    json.member("enabled", access.is_enabled());
    json.key("tokens");
    json.begin_array();
    for (const auto& [name, token] : access.tokens())
      if (token.expires > read.log_time) append_token(json, token, read.log_time);
    json.end_array();
    json.end_object();
  }
  answer.body += '\n';
}

void render_change(const AuthRequest& request, const kv::WriteResult& write, Answer& answer) {
  if (render_if_refused(write, {}, answer)) return;
  const auto& result = std::get<kv::AccessResult>(write.result);
  json::Writer json(answer.body);
  json.begin_object();
  if (!request.name.empty()) {
    json.member("name", request.name);
  }
  if (!request.secret.empty()) {
    json.member("token", request.secret);
  }
  if (result.expires != kv::kEndOfLogTime) {
    json.member("ttl_ms", ttl_ms_left(result.expires, write.time));
  }
  json.member("tokens", std::uint64_t{result.tokens});
  json.end_object();
  answer.body += '\n';
}

// C14: an older build could not apply the commands.
std::optional<Problem> refuse_old_members(const Context& context) {
  const raft::Configuration& members = context.node()->raft().committed_configuration();
  if (members.level >= raft::kAccessLevel) return std::nullopt;
  std::vector<raft::NodeId> missing;
  for (const raft::Member& member : members.members)
    if (member.level < raft::kAccessLevel) missing.push_back(member.node);
  return members_too_old("tokens", std::move(missing));
}

}  // namespace

std::optional<Problem> read_token(std::string_view body, kv::AddToken& add) {
  json::Document document;
  if (const auto wrong = document.parse(body)) return problem_of(*wrong);
  TokenReader reader(add);
  if (reader.read(document.root())) return std::nullopt;
  return std::move(reader.problem());
}

std::optional<Problem> read_token_name(std::string_view encoded, HttpExchange& exchange) {
  exchange.request.emplace<AuthRequest>().name = encoded;
  if (kv::is_token_name(encoded)) return std::nullopt;
  return token_not_found();
}

std::optional<Problem> check_auth_enable(const Context&, const http::RequestHead& head,
                                         const Query& query, HttpExchange& exchange) {
  auto& request = exchange.request.emplace<AuthRequest>();
  request.name = kv::kRootToken;
  request.action = AuthEnable{};
  return check_auth_write(head, query, exchange);
}

std::optional<Problem> check_auth_disable(const Context&, const http::RequestHead& head,
                                          const Query& query, HttpExchange& exchange) {
  exchange.request.emplace<AuthRequest>().action = AuthDisable{};
  return check_auth_write(head, query, exchange);
}

std::optional<Problem> check_tokens(const Context&, const http::RequestHead& head,
                                    const Query& query, HttpExchange& exchange) {
  if (!std::holds_alternative<AuthRequest>(exchange.request)) exchange.request = AuthRequest();
  auto& request = std::get<AuthRequest>(exchange.request);
  if (!exchange.is_write()) {
    if (request.name.empty()) request.action = AuthList{};
    else request.action = AuthGet{};
    for (const http::QueryParameter& parameter : query) {
      if (parameter.name != "timeout") return unknown_parameter(parameter);
      if (auto problem = read_timeout(parameter, exchange)) return problem;
    }
    return refuse_conditions(head);
  }
  if (exchange.method == http::Method::delete_) request.action = AuthRevoke{};
  else request.action = AuthAdd{};
  if (auto problem = check_auth_write(head, query, exchange)) return problem;
  if (exchange.method == http::Method::delete_) return std::nullopt;
  if (auto problem = check_json_headers(head)) return problem;
  exchange.keep_body = true;
  exchange.body_limit = json::kMaxBody;
  exchange.too_large = "body_too_large";
  return check_length(head, exchange, Length::optional);
}

void run_auth(Context& context, HttpExchange& exchange, std::string body) {
  struct Run {
    Context& context;
    HttpExchange& exchange;
    AuthRequest& request;
    const std::string& body;

    void operator()(const AuthEnable&) const {
      post_write(context, exchange, kv::encode(kv::EnableAuth{draw_secret(request)}));
    }
    void operator()(const AuthDisable&) const {
      post_write(context, exchange, kv::encode(kv::DisableAuth{}, id_of("/auth/disable")));
    }
    void operator()(AuthAdd& add) const {
      if (auto problem = read_token(body, add.add)) {
        exchange.outcome = std::move(*problem);
        return;
      }
      request.name = add.add.name;
      add.add.hash = draw_secret(request);
      post_write(context, exchange, kv::encode(add.add));
    }
    void operator()(const AuthRevoke&) const {
      post_write(context, exchange,
                 kv::encode(kv::RevokeToken{request.name}, id_of("/auth/tokens/" + request.name)));
    }
    void operator()(const AuthGet&) const { post_read(context, exchange, node::ReadAccess{}, {}); }
    void operator()(const AuthList&) const { post_read(context, exchange, node::ReadAccess{}, {}); }

    std::optional<kv::IdempotencyKey> id_of(const std::string& target) const {
      return request_id(exchange, request.idempotency_key, target, {}, {});
    }
  };
  auto& request = std::get<AuthRequest>(exchange.request);
  const bool changes = !std::holds_alternative<AuthGet>(request.action) &&
                       !std::holds_alternative<AuthList>(request.action);
  if (changes)
    if (auto problem = refuse_old_members(context)) {
      exchange.outcome = std::move(*problem);
      return;
    }
  std::visit(Run{context, exchange, request, body}, request.action);
}

void render_auth(Context& context, const HttpExchange& exchange, Answer& answer) {
  const auto& request = std::get<AuthRequest>(exchange.request);
  render_reply(
      exchange.reply(), request.idempotency_key, answer,
      [&](const node::ReadResult& read) { render_tokens(context, exchange, read, answer); },
      [&](const kv::WriteResult& write) { render_change(request, write, answer); });
}

}  // namespace vesper::api
