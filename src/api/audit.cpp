#include "api/audit.hpp"

#include <ctime>

#include "api/answer.hpp"
#include "api/context.hpp"
#include "api/http_exchange.hpp"
#include "base/utc.hpp"
#include "json/writer.hpp"

namespace vesper::api {
namespace {

bool is_audited(const HttpExchange& exchange, const Answer& answer, AuditScope scope) {
  if (answer.status == 401 || answer.status == 403) return true;
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

}  // namespace

void audit(const Context& context, const HttpExchange& exchange, const Answer& answer,
           const std::string& from) {
  AuditSink* const sink = context.audit_sink();
  if (sink == nullptr || !is_audited(exchange, answer, context.settings().audit)) return;
  std::string line;
  json::Writer json(line);
  json.begin_object();
  json.member("time", utc_text(std::time(nullptr), "%Y-%m-%dT%H:%M:%SZ"));
  json.member("from", from);
  if (exchange.identity) {
    json.member("token", exchange.identity->name);
  }
  json.member("method", method_of(exchange.method));
  json.bytes_member("path", exchange.audited_path);
  json.member("status", static_cast<std::uint64_t>(answer.status));
  if (const auto* problem = std::get_if<Problem>(&exchange.outcome)) {
    json.member("code", problem->code);
  }
  if (answer.revision) {
    json.member("revision", *answer.revision);
  }
  json.end_object();
  line += '\n';
  sink->write(line);
}

}  // namespace vesper::api
