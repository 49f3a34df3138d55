#include "api/audit.hpp"

#include <ctime>
#include <vector>

#include "api/answer.hpp"
#include "api/context.hpp"
#include "api/http_exchange.hpp"
#include "base/overloaded.hpp"
#include "base/utc.hpp"
#include "json/writer.hpp"

namespace vesper::api {
namespace {

constexpr std::size_t kMaxRefusedPath = 256;                     // bytes; strangers choose it
constexpr std::string_view kOutcomeUnknown = "outcome_unknown";  // of a request that was accepted

bool is_refusal(const Answer& answer) {
  return answer.status == 401 || answer.status == 403;
}

bool is_audited(const HttpExchange& exchange, const Answer& answer, AuditScope scope) {
  if (is_refusal(answer)) return true;
  if (exchange.endpoint == nullptr || !exchange.is_write()) return false;
  if (exchange.endpoint->access == Access::admin) return true;
  return scope == AuditScope::acts_and_writes && exchange.endpoint->access == Access::content;
}

std::string_view method_of(http::Method method) {
  switch (method) {
    case http::Method::get: return "GET";
    case http::Method::head: return "HEAD";
    case http::Method::put: return "PUT";
    case http::Method::post: return "POST";
    case http::Method::delete_: return "DELETE";
    case http::Method::options: return "OPTIONS";
    case http::Method::connect:
    case http::Method::other: break;
  }
  return "other";
}

std::string host_of(const std::string& from) {
  return from.substr(0, from.rfind(':'));
}

RefusalCounts::Kind kind_of(const HttpExchange& exchange, const Answer& answer,
                            const std::string& from) {
  return {host_of(from), exchange.identity ? exchange.identity->name : "", answer.status,
          answer.code};
}

void begin_line(json::Writer& json) {
  json.begin_object();
  json.member("time", utc_text(std::time(nullptr), "%Y-%m-%dT%H:%M:%SZ"));
}

void add_outcome(json::Writer& json, std::uint64_t status, std::string_view code) {
  json.member("status", status);
  if (!code.empty()) {
    json.member("code", code);
  }
}

void end_line(AuditSink& sink, json::Writer& json, std::string& line) {
  json.end_object();
  line += '\n';
  sink.write(line);
}

// The keys that a transaction may write, in both branches, up to Audited::kMaxKeys. Ranges have
// their start.
void add_keys(const kv::Transaction& transaction, std::vector<std::string_view>& keys) {
  for (const auto* branch : {&transaction.then, &transaction.otherwise})
    for (const kv::Operation& operation : *branch) {
      if (keys.size() >= Audited::kMaxKeys) return;
      std::visit(Overloaded{
                     [](const kv::Get&) {},
                     [](const kv::GetRange&) {},
                     [&](const kv::Delete& one) { keys.push_back(one.range.start); },
                     [&](const kv::Nested& one) { add_keys(*one.transaction, keys); },
                     [&](const auto& one) { keys.push_back(one.key.view()); },
                 },
                 operation);
    }
}

// What the path does not say. Only of requests that were accepted: the others may hold anything.
void add_request(json::Writer& json, const HttpExchange& exchange) {
  if (exchange.endpoint->access == Access::admin) {
    if (!exchange.audited.query.empty()) {
      json.bytes_member("query", exchange.audited.query);
    }
    if (!exchange.audited.body.empty()) {
      json.bytes_member("body", exchange.audited.body);
    }
    return;
  }
  // The query of a range says which keys. That of a single key may hold a value.
  if (exchange.endpoint->path == "/kv" && !exchange.audited.query.empty()) {
    json.bytes_member("query", exchange.audited.query);
  }
  std::vector<std::string_view> keys;
  if (const auto* seed = std::get_if<SeedRequest>(&exchange.request)) keys.push_back(seed->key);
  const auto* txn = std::get_if<TxnRequest>(&exchange.request);
  if (txn != nullptr && txn->transaction != nullptr) add_keys(*txn->transaction, keys);
  if (exchange.streams_body && exchange.stream != nullptr) {
    const auto& first = static_cast<const BulkImport&>(*exchange.stream).first_keys();
    keys.assign(first.begin(), first.end());
  }
  if (keys.empty()) return;
  json.key("keys");
  json.begin_array();
  for (const std::string_view key : keys) {
    json.begin_object();
    json.bytes_member("key", key);
    json.end_object();
  }
  json.end_array();
}

}  // namespace

void audit(Context& context, const HttpExchange& exchange, const Answer& answer,
           const std::string& from) {
  AuditSink* const sink = context.audit_sink();
  if (sink == nullptr || !is_audited(exchange, answer, context.settings().audit)) return;
  const bool refused = is_refusal(answer);
  if (refused && !context.refusals.take(kind_of(exchange, answer, from))) return;
  std::string line;
  json::Writer json(line);
  begin_line(json);
  json.member("from", from);
  if (exchange.identity) {
    json.member("token", exchange.identity->name);
  }
  json.member("method", method_of(exchange.method));
  const std::string& path = exchange.audited.path;
  json.bytes_member("path", refused ? std::string_view(path).substr(0, kMaxRefusedPath) : path);
  const bool was_accepted = answer.status < 400 || answer.code == kOutcomeUnknown;
  if (was_accepted) add_request(json, exchange);
  add_outcome(json, static_cast<std::uint64_t>(answer.status), answer.code);
  if (answer.revision) {
    json.member("revision", *answer.revision);
  }
  end_line(*sink, json, line);
}

void audit_refused_peer(Context& context, const std::string& from, int status,
                        std::string_view code) {
  AuditSink* const sink = context.audit_sink();
  if (sink == nullptr || !context.refusals.take({host_of(from), {}, status, code})) return;
  std::string line;
  json::Writer json(line);
  begin_line(json);
  json.member("from", from);
  json.member("method", "GET");
  json.member("path", "/raft");
  add_outcome(json, static_cast<std::uint64_t>(status), code);
  end_line(*sink, json, line);
}

void audit_root_reset(Context& context) {
  AuditSink* const sink = context.audit_sink();
  if (sink == nullptr) return;
  std::string line;
  json::Writer json(line);
  begin_line(json);
  json.member("act", "recover --reset-root");
  end_line(*sink, json, line);
}

void audit_refusals(Context& context) {
  AuditSink* const sink = context.audit_sink();
  if (sink == nullptr) return;
  context.refusals.end_window([&](const RefusalCounts::Kind* kind, std::uint64_t count) {
    std::string line;
    json::Writer json(line);
    begin_line(json);
    if (kind != nullptr) {
      json.member("from", kind->address);
      if (!kind->token.empty()) {
        json.member("token", kind->token);
      }
      add_outcome(json, static_cast<std::uint64_t>(kind->status), kind->code);
    }
    json.member("refused", count);
    end_line(*sink, json, line);
  });
}

}  // namespace vesper::api
