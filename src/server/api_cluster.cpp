// /cluster/transfer: leadership moves to another node (thesis 3.10).
#include <fmt/core.h>

#include <algorithm>

#include "http/values.hpp"
#include "json/writer.hpp"
#include "server/api.hpp"

namespace vesper::server {

std::optional<Problem> check_transfer(const Context& context, const http::RequestHead& head,
                                      const Query& query, Exchange& exchange) {
  for (const http::QueryParameter& parameter : query) {
    if (parameter.name == "timeout") {
      if (auto problem = read_timeout(parameter, exchange)) return problem;
    } else if (parameter.name == "to") {
      const auto id = http::parse_decimal(parameter.value);
      const auto members = context.members();
      const auto member = std::find_if(members.begin(), members.end(),
                                       [&](auto known) { return known.value == id; });
      if (member == members.end())
        return invalid_parameter("to", "to is the id of a member, see \"members\" in /status");
      exchange.to = *member;
    } else {
      return unknown_parameter(parameter);
    }
  }
  return check_length(head, exchange, false);
}

void run_transfer(Context& context, std::uint64_t connection, Exchange& exchange) {
  context.post(node::ClientTransfer{
      {connection, exchange.sequence}, exchange.to, context.now() + exchange.timeout});
}

void render_transfer(const Context& context, const node::TransferResult& result, Answer& answer) {
  json::Writer json(answer.body);
  json.begin_object();
  json.key("leader");
  json.string(context.address_of(result.leader));
  json.key("term");
  json.number(result.term.value);
  json.end_object();
  answer.body += '\n';
}

}  // namespace vesper::server
