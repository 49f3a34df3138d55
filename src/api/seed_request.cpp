#include "api/seed_request.hpp"

#include <fmt/core.h>

#include <utility>

#include "api/answer.hpp"
#include "api/checks.hpp"
#include "api/context.hpp"
#include "api/http_exchange.hpp"
#include "json/problem.hpp"
#include "json/request.hpp"
#include "json/writer.hpp"
#include "kv/command.hpp"

namespace vesper::api {
namespace {

const std::string& key_of(const HttpExchange& exchange) {
  return std::get<SeedRequest>(exchange.request).key;
}

enum class Why : std::uint8_t { no_leader, no_key };

// {"code":"fail", ...}. The `reason` is left out if the key of a GET does not exist.
void render_fail(const HttpExchange& exchange, Why why, Answer& answer) {
  json::Writer json(answer.body);
  json.begin_object();
  json.member("code", "fail");
  if (exchange.method == http::Method::get) {
    json.begin_object("payload");
    json.member("key", key_of(exchange));
    json.end_object();
  }
  if (why == Why::no_leader) {
    json.member("reason", "no_leader");
  }
  json.end_object();
}

void render_found(const HttpExchange& exchange, const kv::Version& version, Answer& answer) {
  json::Writer json(answer.body);
  json.begin_object();
  json.member("code", "success");
  json.begin_object("payload");
  json.member("key", key_of(exchange));
  if (version.json()) {
    json.key("value");
    json.raw(version.value());
  } else {
    json.bytes_member("value", version.value());
  }
  json.end_object();
  json.end_object();
}

}  // namespace

std::optional<Problem> check_seed_request(const Context&, const http::RequestHead& head,
                                          const Query& query, HttpExchange& exchange) {
  if (!query.empty()) return unknown_parameter(query.front());
  auto& request = exchange.request.emplace<SeedRequest>();
  const bool puts = exchange.method == http::Method::put;
  if (puts) {
    if (auto problem = refuse_conditions(head)) return problem;
    if (auto problem = read_idempotency_key(head, request.idempotency_key)) return problem;
  }
  if (auto problem = check_json_headers(head)) return problem;
  exchange.keep_body = true;
  exchange.body_limit = json::kMaxBody;
  exchange.too_large = "body_too_large";
  return check_length(head, exchange, puts ? Length::required : Length::optional);
}

void run_seed_request(Context& context, HttpExchange& exchange, std::string body) {
  const bool puts = exchange.method == http::Method::put;
  json::Request content;
  if (const auto wrong = json::read_request(
          body, puts ? json::RequestKind::put : json::RequestKind::get, content)) {
    exchange.outcome = problem_of(*wrong);
    return;
  }
  if (puts && content.value.size() > context.settings().max_value) {
    Problem problem{
        .status = 413,
        .code = "value_too_large",
        .detail = fmt::format("the value is larger than {} bytes", context.settings().max_value)};
    problem.limit = context.settings().max_value;
    exchange.outcome = std::move(problem);
    return;
  }
  auto& request = std::get<SeedRequest>(exchange.request);
  request.key = std::move(content.key);
  if (!puts) return post_read(context, exchange, node::ReadKey{request.key}, {});
  const auto form = content.value_is_json ? kv::ValueForm::json : kv::ValueForm::bytes;
  post_write(context, exchange,
             kv::encode_put(request.key, content.value, form, {},
                            request_id(exchange, request.idempotency_key, "/request", {}, body)));
}

void render_seed_request(Context&, const HttpExchange& exchange, Answer& answer) {
  // The seed's endpoint says "no leader" with a 200. A read that no majority confirmed in time
  // found no leader that leads.
  const auto* refusal = std::get_if<node::Refusal>(&exchange.reply());
  if (refusal != nullptr &&
      (*refusal == node::Refusal::no_leader || *refusal == node::Refusal::timeout)) {
    render_fail(exchange, Why::no_leader, answer);
    answer.body += '\n';
    return;
  }
  render_reply(
      exchange.reply(), std::get<SeedRequest>(exchange.request).idempotency_key, answer,
      [&](const node::ReadResult& read) {
        answer.revision = read.revision;
        const kv::VersionRef& version = std::get<node::KeyFound>(read.content).version;
        if (version) render_found(exchange, *version, answer);
        else render_fail(exchange, Why::no_key, answer);
        answer.body += '\n';
      },
      [&](const kv::WriteResult& write) {
        if (render_if_refused(write, {}, answer)) return;
        answer.body += "{\"code\":\"success\"}\n";
      });
}

}  // namespace vesper::api
