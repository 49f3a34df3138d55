// The part of Connection that tells the audit log about requests whose client gets no answer. Those
// that are answered have their line in write_answer().
#include <variant>

#include "api/audit.hpp"
#include "api/problem.hpp"
#include "server/connection.hpp"

namespace vesper::server {

// A client could otherwise hide an administrative act: it sends the request and resets the
// connection.
void Connection::audit_unanswered() {
  if (api().audit_sink() == nullptr) return;
  for (api::HttpExchange& exchange : exchanges_) {
    // The head of this answer was written, and the line with it.
    if (body_ != nullptr && &exchange == &exchanges_.front()) continue;
    // Nothing is done before the body is complete, unless it is streamed.
    const bool is_incomplete = reading_.active && exchange.ticket.request == reading_.sequence &&
                               exchange.stream == nullptr && !exchange.answered();
    if (!is_incomplete) audit_unanswered(exchange);
  }
}

void Connection::audit_unanswered(api::HttpExchange& exchange) {
  if (api().audit_sink() == nullptr) return;
  if (!exchange.answered() || exchange.stream != nullptr)
    exchange.outcome = api::refused(node::Refusal::outcome_unknown);
  // Reads have a line only if they were refused. Rendering the others could take long.
  const bool is_refused = std::holds_alternative<api::Problem>(exchange.outcome);
  if (!exchange.is_write() && !is_refused) return;
  api::Answer answer;  // context_.scratch may be in use
  api::render(api(), exchange, answer);
  api::audit(api(), exchange, answer, stream_->peer().to_string());
}

}  // namespace vesper::server
