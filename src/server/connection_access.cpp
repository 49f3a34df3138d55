// The part of Connection about credentials: requests that wait until it is known whether their
// token exists, and those whose token ends while they wait or are answered. There is no timer per
// request: sweep() comes once a second, and a connection has one wrong token in that time. The end
// of a token by its expiry is found then, too.
#include <utility>

#include "server/connection.hpp"

namespace vesper::server {

// This node has applied every token that the leader had committed, or cannot tell.
void Connection::on_tokens(api::HttpExchange& exchange, const node::ClientReply& reply) {
  auto problem = api::validate_again(api(), parser_.request(), exchange, reply);
  if (exchange.credential == api::Credential::wrong) {
    reading_.delayed = std::move(problem);
    return;
  }
  reading_.waits_for_tokens = false;
  begin_body(exchange, std::move(problem));
  mark();
}

void Connection::answer_delayed() {
  std::optional<api::Problem> problem = std::exchange(reading_.delayed, std::nullopt);
  reading_.waits_for_tokens = false;
  begin_body(*find(reading_.sequence), std::move(problem));
  mark();
}

// A write that does not wait has its answer soon, and may have taken effect before.
void Connection::review_client() {
  if (finishing_ || exchanges_.empty()) return;
  api::HttpExchange& exchange = exchanges_.front();
  const bool waits = exchange.ends_with_hang_up && !exchange.answered();
  if (body_ == nullptr && exchange.stream == nullptr && !waits) return;
  auto problem = api::judge_client(api(), exchange);
  if (!problem) return;
  if (exchange.stream != nullptr) {
    exchange.stream->abort(std::move(*problem));
    return after_stream_step(exchange);
  }
  if (body_ != nullptr) return cut_body(api::BodyStream::Why::unauthorized);
  exchange.outcome = std::move(*problem);
  exchange.close = true;
  api().post(node::ClientGone{id_});
  mark();
}

void Connection::cut_body(api::BodyStream::Why why) {
  std::string& piece = context_.scratch.body;
  piece.clear();
  const api::BodyStream::Cut cut = body_->cut(why, piece);
  append_piece(piece);
  mark();
  if (cut == api::BodyStream::Cut::truncated) return break_body();
  end_body();
  pop_answered();
}

}  // namespace vesper::server
