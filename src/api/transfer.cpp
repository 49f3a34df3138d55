#include "api/transfer.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "api/answer.hpp"
#include "api/checks.hpp"
#include "api/context.hpp"
#include "api/http_exchange.hpp"
#include "http/values.hpp"
#include "json/writer.hpp"

namespace vesper::api {

std::optional<Problem> check_transfer(const Context& context, const http::RequestHead& head,
                                      const Query& query, HttpExchange& exchange) {
  auto& request = exchange.request.emplace<TransferRequest>();
  for (const http::QueryParameter& parameter : query) {
    if (parameter.name == "timeout") {
      if (auto problem = read_timeout(parameter, exchange)) return problem;
    } else if (parameter.name == "to") {
      const auto id = http::parse_decimal(parameter.value);
      const auto members = context.members();
      const auto member = std::find_if(members.begin(), members.end(),
                                       [&](auto known) { return known.value == id; });
      if (member == members.end())
        return invalid_parameter("to", "to must be the id of a member; see \"members\" in /status");
      request.to = *member;
    } else {
      return unknown_parameter(parameter);
    }
  }
  return check_length(head, exchange, Length::optional);
}

void run_transfer(Context& context, HttpExchange& exchange, std::string) {
  context.post(node::ClientTransfer{exchange.ticket, std::get<TransferRequest>(exchange.request).to,
                                    context.now() + exchange.timeout});
}

void render_transfer(Context& context, const HttpExchange& exchange, Answer& answer) {
  struct Render {
    Context& context;
    Answer& answer;

    void operator()(const node::Refusal& refusal) const { render_refusal(refusal, {}, answer); }
    void operator()(const node::TransferResult& result) const {
      json::Writer json(answer.body);
      json.begin_object();
      json.member("leader", context.address_of(result.leader));
      json.member("term", result.term.value);
      json.end_object();
      answer.body += '\n';
    }
    void operator()(const node::ReadResult&) const { VESPER_UNREACHABLE(); }
    void operator()(const kv::WriteResult&) const { VESPER_UNREACHABLE(); }
  };
  std::visit(Render{context, answer}, exchange.reply());
}

}  // namespace vesper::api
