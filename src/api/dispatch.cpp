#include "api/dispatch.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "api/checks.hpp"
#include "api/host_rules.hpp"
#include "http/serializer.hpp"
#include "json/problem.hpp"

namespace vesper::api {
namespace {

std::optional<Problem> find_endpoint(const Context& context, const http::RequestHead& head,
                                     HttpExchange& exchange) {
  // The target of CONNECT is not a path.
  if (head.method == http::Method::connect) return std::nullopt;
  const Endpoint* const row = context.table().find(head.path);
  const bool is_there = row != nullptr && (row->is_offered == nullptr || row->is_offered(context));
  exchange.endpoint = is_there ? row : nullptr;
  if (exchange.endpoint != nullptr) {
    if (exchange.endpoint->match == Match::exact) return std::nullopt;
    return exchange.endpoint->read_path(head.path.substr(exchange.endpoint->path.size()), exchange);
  }
  Problem problem{.status = 404, .code = "no_such_path", .detail = "there is nothing at this path"};
  if (head.path == "/raft") problem.hint = "this path is reserved for the nodes of the cluster";
  else problem.hint = "GET / lists the paths";
  return problem;
}

std::string_view methods_of(const HttpExchange& exchange) {
  return exchange.endpoint == nullptr ? kEveryMethod : exchange.endpoint->methods;
}

bool serves(std::string_view methods, std::string_view method) {
  while (!methods.empty()) {
    const std::size_t comma = methods.find(", ");
    if (methods.substr(0, comma) == method) return true;
    if (comma == std::string_view::npos) return false;
    methods.remove_prefix(comma + 2);
  }
  return false;
}

std::optional<Problem> check_method(const http::RequestHead& head, const HttpExchange& exchange) {
  const std::string_view methods = methods_of(exchange);
  if (head.method != http::Method::connect && serves(methods, head.method_text))
    return std::nullopt;
  Problem problem{.status = 405, .code = "method_not_allowed"};
  problem.detail = fmt::format("{} is not allowed on this path", escaped(head.method_text));
  problem.hint = fmt::format("allowed: {}", methods);
  problem.allow = methods;
  return problem;
}

std::optional<Problem> read_query(const http::RequestHead& head, const Endpoint& endpoint,
                                  Query& query) {
  const http::QueryOutcome outcome = http::parse_query(head.query, query, endpoint.repeatable);
  switch (outcome.error) {
    case http::QueryError::none: return std::nullopt;
    case http::QueryError::bad_percent:
      return malformed("a % in the query is not followed by two hex digits");
    case http::QueryError::empty_name:
      return invalid_parameter("", "the query has a parameter without a name");
    case http::QueryError::repeated:
      return invalid_parameter(outcome.name, fmt::format("parameter \"{}\" appears more than once",
                                                         escaped(outcome.name)));
    case http::QueryError::too_many:
      return invalid_parameter(outcome.name, "the query has too many parameters");
  }
  VESPER_UNREACHABLE();
}

// Whether there is a node that takes requests.
std::optional<Problem> check_node(Context& context) {
  if (context.shutting_down()) return refused(node::Refusal::shutting_down);
  if (context.node() == nullptr) return starting();
  if (auto why = context.why_no_member()) return not_a_member(std::move(*why));
  return std::nullopt;
}

// How long the request may wait for the credentials, which are checked before the parameters. A
// value that is invalid is refused after that.
void anticipate_timeout(const http::RequestHead& head, HttpExchange& exchange) {
  Query query;
  if (exchange.endpoint->timeout.ns != 0) return;
  if (http::parse_query(head.query, query, exchange.endpoint->repeatable).error !=
      http::QueryError::none)
    return;
  for (const http::QueryParameter& parameter : query)
    if (parameter.name == "timeout") static_cast<void>(read_timeout(parameter, exchange));
}

// Checks parameters, headers and length. Answers a question for the methods.
std::optional<Problem> check_request(const Context& context, const http::RequestHead& head,
                                     HttpExchange& exchange) {
  if (exchange.asks_for_methods()) {
    exchange.outcome = Local{};
    return std::nullopt;
  }
  Query query;
  if (auto problem = read_query(head, *exchange.endpoint, query)) return problem;
  if (auto problem = exchange.endpoint->check(context, head, query, exchange)) return problem;
  if (!exchange.keep_body)
    if (auto problem = check_length(head, exchange, Length::optional)) return problem;
  return std::nullopt;
}

}  // namespace

std::optional<Problem> validate(Context& context, const http::RequestHead& head,
                                HttpExchange& exchange) {
  exchange.method = head.method;
  if (context.audit_sink() != nullptr) {
    exchange.audited.path = head.path;
    exchange.audited.query = head.query;
  }
  exchange.close = !head.keep_alive;
  exchange.is_http_1_0 = head.minor_version == 0;
  exchange.started = context.now();
  exchange.timeout = context.settings().request_timeout;
  exchange.body_limit = json::kMaxBody;  // applies to bodies that are read and discarded
  exchange.too_large = "body_too_large";
  if (!head.authority.empty() && !host_allowed(context.settings(), head.authority))
    return Problem{
        .status = 421,
        .code = "host_not_allowed",
        .detail = fmt::format("\"{}\" is not a known name of this node", escaped(head.authority)),
        .hint = "use the node's address, or start the node with --allow-host NAME"};
  const bool safe = head.method == http::Method::get || head.method == http::Method::head ||
                    head.method == http::Method::options;
  if (!safe && cross_origin(head))
    return Problem{.status = 403,
                   .code = "cross_origin",
                   .detail = "a page from another origin may not send this request"};
  if (auto problem = find_endpoint(context, head, exchange)) return problem;
  if (exchange.endpoint != nullptr && exchange.endpoint->timeout.ns != 0)
    exchange.timeout = exchange.endpoint->timeout;
  if (auto problem = check_method(head, exchange)) return problem;
  if (auto problem = authenticate(context, head, exchange, LeaderAsked::no)) return problem;
  if (exchange.credential == Credential::unknown) {
    anticipate_timeout(head, exchange);
    return std::nullopt;
  }
  return check_request(context, head, exchange);
}

std::optional<Problem> validate_again(Context& context, const http::RequestHead& head,
                                      HttpExchange& exchange, const node::ClientReply& reply) {
  const auto* refusal = std::get_if<node::Refusal>(&reply);
  if (refusal != nullptr && needs_tokens(context)) {
    exchange.credential = Credential::settled;
    return refused(*refusal);
  }
  const auto asked = refusal == nullptr ? LeaderAsked::yes : LeaderAsked::without_answer;
  if (auto problem = authenticate(context, head, exchange, asked)) return problem;
  if (auto problem = check_request(context, head, exchange)) return problem;
  // The timeout of a stream is that of each of its parts.
  if (!exchange.streams_body)
    exchange.timeout = std::max(Duration{}, exchange.timeout - (context.now() - exchange.started));
  return std::nullopt;
}

void open_stream(Context& context, HttpExchange& exchange) {
  auto problem = judge_import(context, exchange);
  if (!problem && exchange.endpoint->needs == Needs::node) problem = check_node(context);
  if (problem) exchange.outcome = std::move(*problem);
  else exchange.stream = exchange.endpoint->open(context, exchange);
}

void run(Context& context, HttpExchange& exchange, std::string body) {
  if (context.audit_sink() != nullptr && exchange.endpoint->access == Access::admin)
    exchange.audited.body = body.substr(0, Audited::kMaxBody);
  if (auto lack = judge_right(context, exchange)) exchange.outcome = std::move(*lack);
  else if (exchange.endpoint->needs == Needs::nothing) exchange.outcome = Local{};
  else if (auto problem = check_node(context)) exchange.outcome = std::move(*problem);
  else exchange.endpoint->run(context, exchange, std::move(body));
}

void render(Context& context, const HttpExchange& exchange, Answer& answer) {
  if (const auto* problem = std::get_if<Problem>(&exchange.outcome))
    return render_problem(*problem, answer);
  if (exchange.method == http::Method::options) {
    answer.allow = exchange.endpoint->methods;
    if (exchange.asks_for_methods()) {
      answer.status = 204;
      answer.content_type = {};
      return;
    }
  }
  exchange.endpoint->render(context, exchange, answer);
}

void append_head(Context& context, const HttpExchange& exchange, const Answer& answer,
                 std::string& out) {
  http::begin_response(out, answer.status);
  out += context.standard_fields();
  out += answer.etag ? "Cache-Control: no-cache\r\n" : "Cache-Control: no-store\r\n";
  if (answer.etag) http::append_etag(out, *answer.etag);
  if (answer.revision) http::append_field(out, "Vesper-Revision", *answer.revision);
  if (!answer.consistency.empty())
    http::append_field(out, "Vesper-Consistency", answer.consistency);
  if (answer.staleness_ms) http::append_field(out, "Vesper-Staleness-Ms", *answer.staleness_ms);
  if (answer.varies) http::append_field(out, "Vary", "Accept");
  out += answer.more_fields;
  if (!answer.allow.empty()) http::append_field(out, "Allow", answer.allow);
  if (answer.retry) out += "Retry-After: 1\r\n";
  if (answer.replayed) out += "Vesper-Replayed: true\r\n";
  if (exchange.close) out += "Connection: close\r\n";
  else if (exchange.is_http_1_0) out += "Connection: keep-alive\r\n";
  if (!answer.content_type.empty()) {
    http::append_field(out, "Content-Type", answer.content_type);
    if (answer.stream == nullptr)
      http::append_field(out, "Content-Length", answer.body.size() + answer.shared.size());
    else if (!exchange.is_http_1_0) out += "Transfer-Encoding: chunked\r\n";
  }
  http::end_head(out);
}

void append_answer(Context& context, const HttpExchange& exchange, const Answer& answer,
                   std::string& out) {
  append_head(context, exchange, answer, out);
  if (exchange.method != http::Method::head) out += answer.body;
}

}  // namespace vesper::api
