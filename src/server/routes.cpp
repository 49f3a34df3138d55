#include "server/routes.hpp"

#include <fmt/core.h>

#include <utility>

#include "http/serializer.hpp"
#include "json/problem.hpp"
#include "kv/item.hpp"
#include "server/api.hpp"

namespace vesper::server {
namespace {

constexpr std::string_view kReadOnly = "GET, HEAD, OPTIONS";
constexpr std::string_view kKvMethods = "GET, HEAD, PUT, DELETE, OPTIONS";
constexpr std::string_view kRequestMethods = "GET, PUT, OPTIONS";
constexpr std::string_view kPostMethods = "POST, OPTIONS";

struct Path {
  std::string_view text;
  Route route;
  std::string_view allow;
};
constexpr Path kPaths[] = {
    {"/request", Route::request, kRequestMethods},
    {"/status", Route::status, kReadOnly},
    {"/livez", Route::livez, kReadOnly},
    {"/readyz", Route::readyz, kReadOnly},
    {"/metrics", Route::metrics, kReadOnly},
    {"/cluster/transfer", Route::transfer, kPostMethods},
    {"/", Route::root, kReadOnly},
    {"*", Route::root, kKvMethods},
};

std::optional<Problem> read_key(std::string_view encoded, std::string& key) {
  if (!http::percent_decode(encoded, key))
    return malformed("a % in the key is not followed by two hex digits");
  if (!key.empty() && key.size() <= kv::kMaxKey) return std::nullopt;
  Problem problem{.status = 400, .code = "invalid_key"};
  if (key.empty()) {
    problem.detail = "the key is empty";
    problem.hint = "a key is what follows /kv/ and has 1 to 4096 bytes";
  } else {
    problem.detail = fmt::format("the key has {} bytes", key.size());
    problem.limit = kv::kMaxKey;
  }
  return problem;
}

// The path, byte for byte.
std::optional<Problem> find_route(const http::RequestHead& head, Exchange& exchange) {
  constexpr std::string_view kv_prefix = "/kv/";
  if (head.method == http::Method::connect) {  // its target is no path
    exchange.allow = kKvMethods;
    return std::nullopt;
  }
  if (head.path.starts_with(kv_prefix)) {
    exchange.route = Route::kv;
    exchange.allow = kKvMethods;
    return read_key(head.path.substr(kv_prefix.size()), exchange.key);
  }
  for (const Path& path : kPaths) {
    if (path.text != head.path) continue;
    exchange.route = path.route;
    exchange.allow = path.allow;
    return std::nullopt;
  }
  Problem problem{.status = 404, .code = "no_such_path", .detail = "there is nothing at this path"};
  if (head.path == "/kv") problem.hint = "a key is at /kv/<key>";
  else if (head.path == "/raft") problem.hint = "this path is for the cluster's own nodes";
  else problem.hint = "GET / names the paths";
  return problem;
}

bool serves(std::string_view allow, std::string_view method) {
  while (!allow.empty()) {
    const std::size_t comma = allow.find(", ");
    if (allow.substr(0, comma) == method) return true;
    if (comma == std::string_view::npos) return false;
    allow.remove_prefix(comma + 2);
  }
  return false;
}

std::optional<Problem> check_method(const http::RequestHead& head, Exchange& exchange) {
  if (head.method != http::Method::connect && serves(exchange.allow, head.method_text))
    return std::nullopt;
  Problem problem{.status = 405, .code = "method_not_allowed"};
  problem.detail = fmt::format("{} is not for this path", escaped(head.method_text));
  problem.hint = fmt::format("it takes {}", exchange.allow);
  problem.allow = exchange.allow;
  return problem;
}

std::optional<Problem> read_query(const http::RequestHead& head, Query& query) {
  const http::QueryOutcome outcome = http::parse_query(head.query, query);
  switch (outcome.error) {
    case http::QueryError::none: return std::nullopt;
    case http::QueryError::bad_percent:
      return malformed("a % in the query is not followed by two hex digits");
    case http::QueryError::empty_name: return invalid_parameter("", "a parameter without a name");
    case http::QueryError::repeated:
      return invalid_parameter(outcome.name,
                               fmt::format("\"{}\" is there twice", escaped(outcome.name)));
    case http::QueryError::too_many: return invalid_parameter(outcome.name, "too many parameters");
  }
  VESPER_UNREACHABLE();
}

std::optional<Problem> check_route(Context& context, const http::RequestHead& head,
                                   const Query& query, Exchange& exchange) {
  switch (exchange.route) {
    case Route::kv: return check_kv(context, head, query, exchange);
    case Route::request: return check_request(context, head, query, exchange);
    case Route::readyz: return check_readyz(query, exchange);
    case Route::transfer: return check_transfer(context, head, query, exchange);
    case Route::status:
    case Route::livez:
    case Route::metrics:
    case Route::root:
    case Route::none:
    case Route::raft:
      if (!query.empty()) return unknown_parameter(query.front());
      return std::nullopt;
  }
  VESPER_UNREACHABLE();
}

// OPTIONS of a probe has the status that GET would have: load balancers probe with it.
bool is_probe(Route route) {
  return route == Route::livez || route == Route::readyz;
}

bool uses_node(Route route) {
  return route == Route::kv || route == Route::request || route == Route::transfer;
}

}  // namespace

const char* to_string(Route route) {
  switch (route) {
    case Route::none: return "none";
    case Route::request: return "request";
    case Route::kv: return "kv";
    case Route::status: return "status";
    case Route::livez: return "livez";
    case Route::readyz: return "readyz";
    case Route::metrics: return "metrics";
    case Route::root: return "root";
    case Route::raft: return "raft";
    case Route::transfer: return "transfer";
  }
  return "none";
}

std::optional<Problem> judge(Context& context, const http::RequestHead& head, Exchange& exchange) {
  exchange.method = head.method;
  exchange.close = !head.keep_alive;
  exchange.is_http_1_0 = head.minor_version == 0;
  exchange.started = context.now();
  exchange.timeout = context.options().request_timeout;
  exchange.body_limit = json::kMaxBody;  // what is read and dropped
  exchange.too_large = "body_too_large";
  if (!head.authority.empty() && !host_allowed(context.options(), head.authority))
    return Problem{.status = 421,
                   .code = "host_not_allowed",
                   .detail = "this node does not go by the name in Host",
                   .hint = "use its address, or start it with --allow-host NAME"};
  const bool safe = head.method == http::Method::get || head.method == http::Method::head ||
                    head.method == http::Method::options;
  if (!safe && cross_origin(head))
    return Problem{.status = 403,
                   .code = "cross_origin",
                   .detail = "a page of another origin may not write here"};
  if (auto problem = find_route(head, exchange)) return problem;
  if (auto problem = check_method(head, exchange)) return problem;
  if (head.method == http::Method::options && !is_probe(exchange.route)) {
    exchange.outcome = Local{};
    return std::nullopt;
  }
  Query query;
  if (auto problem = read_query(head, query)) return problem;
  if (auto problem = check_route(context, head, query, exchange)) return problem;
  if (!exchange.keep_body)
    if (auto problem = check_length(head, exchange, false)) return problem;
  return std::nullopt;
}

void run(Context& context, std::uint64_t connection, Exchange& exchange, std::string body) {
  if (!uses_node(exchange.route)) {
    exchange.outcome = Local{};
  } else if (context.shutting_down()) {
    exchange.outcome = refused(node::Refusal::shutting_down);
  } else if (context.node() == nullptr) {
    exchange.outcome = starting();
  } else if (exchange.route == Route::kv) {
    run_kv(context, connection, exchange, std::move(body));
  } else if (exchange.route == Route::transfer) {
    run_transfer(context, connection, exchange);
  } else {
    run_request(context, connection, exchange, std::move(body));
  }
}

namespace {

void render_problem(const Problem& problem, Answer& answer) {
  answer.status = problem.status;
  answer.content_type = "application/problem+json";
  answer.allow = problem.allow;
  answer.retry = problem.retry();
  answer.revision = problem.revision;
  append_problem(answer.body, problem);
}

void render_local(Context& context, const Exchange& exchange, Answer& answer) {
  if (exchange.method == http::Method::options) {
    answer.allow = exchange.allow;
    if (!is_probe(exchange.route)) {
      answer.status = 204;
      answer.content_type = {};
      return;
    }
  }
  switch (exchange.route) {
    case Route::status: return render_status(context, answer);
    case Route::livez: return render_livez(answer);
    case Route::readyz: return render_readyz(context, exchange, answer);
    case Route::metrics: return render_metrics(context, answer);
    case Route::root: return render_root(answer);
    case Route::kv:
    case Route::request:
    case Route::transfer:
    case Route::raft:
    case Route::none: VESPER_UNREACHABLE();
  }
}

void render_reply(Context& context, const Exchange& exchange, const node::Reply& reply,
                  Answer& answer) {
  if (const auto* refusal = std::get_if<node::Refusal>(&reply)) {
    // The seed's endpoint says "no leader" with a 200.
    const bool says_fail =
        *refusal == node::Refusal::no_leader || *refusal == node::Refusal::timeout;
    if (exchange.route != Route::request || !says_fail) {
      Problem problem = refused(*refusal);
      if (*refusal == node::Refusal::outcome_unknown && !exchange.token.empty())
        problem.hint = "send the same request with the same Idempotency-Key again, to any node";
      return render_problem(problem, answer);
    }
  }
  if (const auto* write = std::get_if<kv::WriteResult>(&reply)) {
    if (const auto problem = token_problem(*write)) return render_problem(*problem, answer);
    answer.replayed = write->replayed;
  }
  if (const auto* transfer = std::get_if<node::TransferResult>(&reply))
    return render_transfer(context, *transfer, answer);
  if (exchange.route == Route::kv) render_kv(context, exchange, reply, answer);
  else render_request(exchange, reply, answer);
}

}  // namespace

void render(Context& context, const Exchange& exchange, Answer& answer) {
  if (const auto* problem = std::get_if<Problem>(&exchange.outcome))
    render_problem(*problem, answer);
  else if (const auto* reply = std::get_if<node::Reply>(&exchange.outcome))
    render_reply(context, exchange, *reply, answer);
  else render_local(context, exchange, answer);
}

void append_answer(Context& context, const Exchange& exchange, const Answer& answer,
                   std::string& out) {
  http::begin_response(out, answer.status);
  out += context.standard_fields();
  http::append_field(out, "Cache-Control", answer.etag ? "no-cache" : "no-store");
  if (answer.etag) http::append_etag(out, *answer.etag);
  if (answer.revision) http::append_field(out, "Vesper-Revision", *answer.revision);
  if (!answer.consistency.empty())
    http::append_field(out, "Vesper-Consistency", answer.consistency);
  if (answer.staleness_ms) http::append_field(out, "Vesper-Staleness-Ms", *answer.staleness_ms);
  if (!answer.allow.empty()) http::append_field(out, "Allow", answer.allow);
  if (answer.retry) out += "Retry-After: 1\r\n";
  if (answer.replayed) out += "Vesper-Replayed: true\r\n";
  if (exchange.close) out += "Connection: close\r\n";
  else if (exchange.is_http_1_0) out += "Connection: keep-alive\r\n";
  if (!answer.content_type.empty()) {
    http::append_field(out, "Content-Type", answer.content_type);
    http::append_field(out, "Content-Length", answer.body.size() + answer.shared.size());
  }
  http::end_head(out);
  if (exchange.method != http::Method::head) out += answer.body;
}

}  // namespace vesper::server
