#include "api/compact.hpp"

#include <fmt/core.h>

#include "api/answer.hpp"
#include "api/checks.hpp"
#include "api/context.hpp"
#include "api/http_exchange.hpp"
#include "api/read_options.hpp"
#include "json/writer.hpp"
#include "kv/command.hpp"

namespace vesper::api {

std::optional<Problem> check_compact(const Context&, const http::RequestHead& head,
                                     const Query& query, HttpExchange& exchange) {
  auto& request = exchange.request.emplace<CompactRequest>();
  for (const http::QueryParameter& parameter : query) {
    if (parameter.name == "timeout") {
      if (auto problem = read_timeout(parameter, exchange)) return problem;
    } else if (parameter.name == "revision") {
      if (auto problem = read_revision(parameter, request.revision)) return problem;
    } else {
      return unknown_parameter(parameter);
    }
  }
  if (request.revision == 0)
    return invalid_parameter("revision",
                             "revision is required: it becomes the oldest readable revision");
  if (auto problem = refuse_conditions(head)) return problem;
  if (auto problem = read_idempotency_key(head, request.idempotency_key)) return problem;
  return check_length(head, exchange, Length::optional);
}

void run_compact(Context& context, HttpExchange& exchange, std::string) {
  const auto& request = std::get<CompactRequest>(exchange.request);
  const auto id = request_id(exchange, request.idempotency_key,
                             fmt::format("/compact?revision={}", request.revision), {}, {});
  post_write(context, exchange, kv::encode(kv::Compact{request.revision}, id));
}

void render_compact(Context&, const HttpExchange& exchange, Answer& answer) {
  render_reply(
      exchange.reply(), std::get<CompactRequest>(exchange.request).idempotency_key, answer,
      [](const node::ReadResult&) { VESPER_UNREACHABLE(); },
      [&](const kv::WriteResult& write) {
        if (render_if_refused(write, "revision", answer)) return;
        json::Writer json(answer.body);
        json.begin_object();
        json.member("oldest_revision", std::get<kv::CompactResult>(write.result).oldest_revision);
        json.end_object();
        answer.body += '\n';
      });
}

}  // namespace vesper::api
