#include "api/leases.hpp"

#include <fmt/core.h>

#include "api/answer.hpp"
#include "api/checks.hpp"
#include "api/context.hpp"
#include "api/http_exchange.hpp"
#include "api/render.hpp"
#include "http/values.hpp"
#include "json/writer.hpp"
#include "kv/command.hpp"

namespace vesper::api {
namespace {

constexpr std::string_view kPath = "/leases";

Problem lease_not_found() {
  return {.status = 404,
          .code = "lease_not_found",
          .detail = "there is no such lease, or it is over",
          .hint = "grant a new one with POST /leases?ttl="};
}

// ---- requests

std::optional<Problem> check_write(const http::RequestHead& head, const Query& query,
                                   HttpExchange& exchange, LeaseRequest& request) {
  auto* grant = std::get_if<LeaseGrant>(&request.action);
  auto* end = std::get_if<LeaseEnd>(&request.action);
  for (const http::QueryParameter& parameter : query) {
    const std::string& name = parameter.name;
    std::optional<Problem> problem;
    if (name == "timeout") problem = read_timeout(parameter, exchange);
    else if (name == "ttl" && grant != nullptr) problem = read_ttl(parameter, grant->ttl);
    else if (name == "fence" && end != nullptr) problem = read_fence(parameter, end->fence);
    else problem = unknown_parameter(parameter);
    if (problem) return problem;
  }
  if (grant != nullptr && grant->ttl.ns == 0)
    return invalid_parameter("ttl",
                             "ttl is required: how long the lease lasts unless it is renewed");
  if (auto problem = refuse_conditions(head)) return problem;
  return read_idempotency_key(head, request.idempotency_key);
}

std::optional<Problem> check_get(const http::RequestHead& head, const Query& query, LeaseGet& get,
                                 HttpExchange& exchange) {
  if (auto problem = check_read(query, exchange, get.options)) return problem;
  return refuse_conditions(head);
}

void run_list(Context& context, HttpExchange& exchange, LeaseList& request) {
  node::ReadLeases read{.limit = request.list.limit,
                        .prefix = http::parse_decimal(request.list.prefix).value_or(0)};
  std::string resume;
  auto problem = read_next(context, kPath, request.list, resume);
  if (!problem && !resume.empty()) {
    if (const auto after = http::parse_decimal(resume)) read.after = *after;
    else problem = invalid_parameter("next", "next is refused: it names no lease");
  }
  if (problem) exchange.outcome = std::move(*problem);
  else post_read(context, exchange, read, request.list.options);
}

// ---- answers

void append_lease(json::Writer& json, const node::LeaseState& lease, kv::LogTime now) {
  json.begin_object();
  json.member("lease", std::to_string(lease.lease));
  json.member("ttl_ms", ttl_ms_left(lease.deadline, now));
  json.member("granted_ttl_ms", static_cast<std::uint64_t>(lease.ttl.ms()));
  json.member("keys", lease.keys);
  json.end_object();
}

// {"leases":[...],"count":N,"revision":N,"next":"..."}. Only the list of all leases has a count:
// to count those with a prefix takes as long as to read them.
void render_list(const Context& context, const ListRequest& request, const node::LeasesFound& found,
                 const Moment& moment, Answer& answer) {
  json::Writer json(answer.body);
  json.begin_object();
  json.key("leases");
  json.begin_array();
  for (const node::LeaseState& lease : found.leases) append_lease(json, lease, moment.time);
  json.end_array();
  if (request.prefix.empty()) json.member("count", found.count);
  json.member("revision", moment.revision);
  if (found.more) {
    const std::string last = std::to_string(found.leases.back().lease);
    json.member("next", next_page(context, kPath, request, {moment.revision, found.count, last}));
  }
  json.end_object();
  answer.body += '\n';
}

void render_read(const Context& context, const LeaseRequest& request, const node::ReadResult& read,
                 Answer& answer) {
  render_read_head(read, answer);
  const Moment moment{read.revision, read.log_time};
  if (const auto* list = std::get_if<LeaseList>(&request.action))
    return render_list(context, list->list, std::get<node::LeasesFound>(read.content), moment,
                       answer);
  const auto& found = std::get<node::LeaseFound>(read.content);
  if (!found.lease) return render_problem(lease_not_found(), answer);
  json::Writer json(answer.body);
  append_lease(json, *found.lease, moment.time);
  answer.body += '\n';
}

void render_write(const LeaseRequest& request, const kv::WriteResult& write, Answer& answer) {
  const bool is_grant = std::holds_alternative<LeaseGrant>(request.action);
  if (write.kind == kv::WriteResult::Kind::lease_not_found && !is_grant) {
    // The path names the lease, so this is no conflict as it is elsewhere.
    Problem problem = lease_not_found();
    answer.replayed = write.replayed;
    problem.revision = write.revision;
    return render_problem(problem, answer);
  }
  if (render_if_refused(write, {}, answer)) return;
  const auto& result = std::get<kv::LeaseResult>(write.result);
  json::Writer json(answer.body);
  json.begin_object();
  json.member("lease", std::to_string(result.lease));
  if (std::holds_alternative<LeaseEnd>(request.action)) {
    json.member("deleted", result.deleted);
    json.member("revision", write.revision);
  } else {
    json.member("ttl_ms", static_cast<std::uint64_t>(result.ttl.ms()));
  }
  json.end_object();
  answer.body += '\n';
}

}  // namespace

std::optional<Problem> read_lease_id(std::string_view text, HttpExchange& exchange) {
  const auto id = http::parse_decimal(text);
  exchange.request.emplace<LeaseRequest>().lease = id.value_or(0);
  if (id && *id != 0) return std::nullopt;
  Problem problem = lease_not_found();
  problem.detail =
      "there is no such lease: the id of a lease is a decimal number from 1 to 2^64 - 1";
  return problem;
}

std::optional<Problem> check_lease(const Context&, const http::RequestHead& head,
                                   const Query& query, HttpExchange& exchange) {
  auto& request = std::get<LeaseRequest>(exchange.request);
  if (exchange.method == http::Method::put) request.action = LeaseRenew{};
  else if (exchange.method == http::Method::delete_) request.action = LeaseEnd{};
  else return check_get(head, query, request.action.emplace<LeaseGet>(), exchange);
  return check_write(head, query, exchange, request);
}

std::optional<Problem> check_leases(const Context&, const http::RequestHead& head,
                                    const Query& query, HttpExchange& exchange) {
  auto& request = exchange.request.emplace<LeaseRequest>();
  if (exchange.method == http::Method::post) {
    request.action = LeaseGrant{};
    return check_write(head, query, exchange, request);
  }
  return check_list(head, query, Listed::ids, exchange, request.action.emplace<LeaseList>().list);
}

void run_lease(Context& context, HttpExchange& exchange, std::string) {
  struct Run {
    Context& context;
    HttpExchange& exchange;
    LeaseRequest& request;

    void operator()(const LeaseGet& get) const {
      post_read(context, exchange, node::ReadLease{request.lease}, get.options);
    }
    void operator()(LeaseList& list) const { run_list(context, exchange, list); }
    void operator()(const LeaseGrant& grant) const {
      const auto id = id_of(fmt::format("?ttl={}ms&{}", grant.ttl.ms(), kPath));
      post_write(context, exchange,
                 kv::encode(kv::GrantLease{grant.ttl, context.settings().max_leases}, id));
    }
    void operator()(const LeaseRenew&) const {
      post_write(context, exchange, kv::encode(kv::RenewLease{request.lease}, id_of(target())));
    }
    void operator()(const LeaseEnd& end) const {
      std::string at = target();
      if (end.fence) at += "?" + text_of(*end.fence);
      post_write(context, exchange, kv::encode(kv::EndLease{request.lease}, id_of(at), end.fence));
    }

    std::string target() const { return fmt::format("{}/{}", kPath, request.lease); }
    std::optional<kv::IdempotencyKey> id_of(const std::string& target) const {
      return request_id(exchange, request.idempotency_key, target, {}, {});
    }
  };
  auto& request = std::get<LeaseRequest>(exchange.request);
  std::visit(Run{context, exchange, request}, request.action);
}

void render_lease(Context& context, const HttpExchange& exchange, Answer& answer) {
  const auto& request = std::get<LeaseRequest>(exchange.request);
  render_reply(
      exchange.reply(), request.idempotency_key, answer,
      [&](const node::ReadResult& read) { render_read(context, request, read, answer); },
      [&](const kv::WriteResult& write) { render_write(request, write, answer); });
}

}  // namespace vesper::api
