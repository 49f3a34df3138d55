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

std::optional<raft::ServerId> find_voter(const Context& context, std::optional<std::uint64_t> id) {
  const auto members = context.members();
  const auto member = std::find_if(members.begin(), members.end(), [&](const raft::Member& known) {
    return known.node.value == id && known.votes();
  });
  if (member == members.end()) return std::nullopt;
  return member->id;
}

std::optional<Problem> check_transfer(const Context& context, const http::RequestHead& head,
                                      const Query& query, HttpExchange& exchange) {
  auto& request = exchange.request.emplace<TransferRequest>();
  for (const http::QueryParameter& parameter : query) {
    if (parameter.name == "timeout") {
      if (auto problem = read_timeout(parameter, exchange)) return problem;
    } else if (parameter.name == "to") {
      request.to = find_voter(context, http::parse_decimal(parameter.value));
      if (!request.to)
        return invalid_parameter("to",
                                 "to must be the id of a member that votes; see \"members\" "
                                 "in /status");
    } else {
      return unknown_parameter(parameter);
    }
  }
  if (auto problem = refuse_conditions(head)) return problem;
  if (auto problem =
          refuse_idempotency_key(head, "a transfer", "name the member that is to lead with ?to="))
    return problem;
  return check_length(head, exchange, Length::optional);
}

void run_transfer(Context& context, HttpExchange& exchange, std::string) {
  context.post(node::ClientTransfer{exchange.ticket, std::get<TransferRequest>(exchange.request).to,
                                    context.now() + exchange.timeout, exchange.identity});
}

// The node replies to a transfer with its result or a refusal.
void render_transfer(Context& context, const HttpExchange& exchange, Answer& answer) {
  if (const auto* refusal = std::get_if<node::Refusal>(&exchange.reply()))
    return render_refusal(*refusal, {}, answer);
  const auto& result = std::get<node::TransferResult>(exchange.reply());
  json::Writer json(answer.body);
  json.begin_object();
  json.member("leader", context.address_of(result.leader));
  json.member("term", result.term.value);
  json.end_object();
  answer.body += '\n';
}

}  // namespace vesper::api
