// /request: the seed project's endpoint, whose shapes are the seed's to the letter, so that its
// client works against any node.
#include <utility>

#include "json/problem.hpp"
#include "json/request.hpp"
#include "json/writer.hpp"
#include "kv/command.hpp"
#include "server/api.hpp"

namespace vesper::server {
namespace {

// The seed's client gives up after one second. What is left of it is for the way there and back.
constexpr Duration kRequestTimeout = milliseconds(850);

Problem from_json(const json::Problem& wrong) {
  Problem problem{.status = 400, .code = json::to_string(wrong.code), .detail = wrong.detail};
  problem.field = wrong.field;
  if (wrong.limit != 0) problem.limit = wrong.limit;
  return problem;
}

// {"code":"fail", ...}: `reason` is missing where a GET's key does not exist.
void render_fail(const Exchange& exchange, bool no_leader, Answer& answer) {
  json::Writer json(answer.body);
  json.begin_object();
  json.key("code");
  json.string("fail");
  if (exchange.method == http::Method::get) {
    json.key("payload");
    json.begin_object();
    json.key("key");
    json.string(exchange.key);
    json.end_object();
  }
  if (no_leader) {
    json.key("reason");
    json.string("no_leader");
  }
  json.end_object();
}

void render_found(const Exchange& exchange, const kv::Item& item, Answer& answer) {
  json::Writer json(answer.body);
  json.begin_object();
  json.key("code");
  json.string("success");
  json.key("payload");
  json.begin_object();
  json.key("key");
  json.string(exchange.key);
  if (item.json) {
    json.key("value");
    json.raw(item.value.view());
  } else {
    json.bytes_member("value", item.value.view());
  }
  json.end_object();
  json.end_object();
}

}  // namespace

std::optional<Problem> check_request(const Context&, const http::RequestHead& head,
                                     const Query& query, Exchange& exchange) {
  if (!query.empty()) return unknown_parameter(query.front());
  const bool puts = exchange.method == http::Method::put;
  if (puts) {
    for (const std::string_view name : {"If-Match", "If-None-Match"})
      if (head.fields.find(name) != nullptr)
        return invalid_header(name, "conditions work on /kv only");
    if (auto problem = read_token(head, exchange)) return problem;
  }
  if (head.fields.find("Content-Encoding") != nullptr)
    return Problem{.status = 415,
                   .code = "unsupported_encoding",
                   .detail = "Content-Encoding is not supported",
                   .hint = "send the JSON as it is"};
  exchange.timeout = kRequestTimeout;
  exchange.keep_body = true;
  exchange.body_limit = json::kMaxBody;
  exchange.too_large = "body_too_large";
  return check_length(head, exchange, puts);
}

void run_request(Context& context, std::uint64_t connection, Exchange& exchange, std::string body) {
  const bool puts = exchange.method == http::Method::put;
  json::Request request;
  if (const auto wrong = json::read_request(
          body, puts ? json::RequestKind::put : json::RequestKind::get, request)) {
    exchange.outcome = from_json(*wrong);
    return;
  }
  if (puts && request.value.size() > context.options().max_value) {
    Problem problem{.status = 413,
                    .code = "value_too_large",
                    .detail = "the value is larger than this node takes"};
    problem.limit = context.options().max_value;
    exchange.outcome = std::move(problem);
    return;
  }
  exchange.key = std::move(request.key);
  const node::Ticket ticket{connection, exchange.sequence};
  const Instant deadline = context.now() + exchange.timeout;
  if (!puts) {
    context.post(node::ClientRead{ticket, exchange.key, deadline});
    return;
  }
  const std::string command = kv::encode_put(exchange.key, request.value, request.value_is_json, {},
                                             request_id(exchange, "/request", body));
  context.post(node::ClientWrite{ticket, SharedBytes::copy_of(command), deadline});
}

void render_request(const Exchange& exchange, const node::Reply& reply, Answer& answer) {
  if (const auto* refusal = std::get_if<node::Refusal>(&reply)) {
    // The caller has made problems of the others. A read that no majority confirmed in time found
    // no leader that leads.
    VESPER_ASSERT(*refusal == node::Refusal::no_leader || *refusal == node::Refusal::timeout);
    render_fail(exchange, true, answer);
  } else if (const auto* read = std::get_if<node::ReadResult>(&reply)) {
    answer.revision = read->revision;
    if (read->item) render_found(exchange, *read->item, answer);
    else render_fail(exchange, false, answer);
  } else if (const auto* write = std::get_if<kv::WriteResult>(&reply)) {
    answer.revision = write->revision;
    answer.body += R"({"code":"success"})";
  }
  answer.body += '\n';
}

}  // namespace vesper::server
