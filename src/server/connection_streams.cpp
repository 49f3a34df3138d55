// The part of Connection that handles bodies which are produced or consumed piece by piece:
// streamed requests and streamed answers. The rest is in connection.cpp.
#include <utility>

#include "base/assert.hpp"
#include "http/serializer.hpp"
#include "server/connection.hpp"

namespace vesper::server {
namespace {

// Bytes of a streamed body that are read and discarded once its request has failed.
constexpr std::size_t kMaxRest = 16u << 20;
// Limits the bytes of a streamed answer that are gathered here and not taken by the kernel.
constexpr std::size_t kBodyWindow = 64u << 10;
constexpr std::size_t kLeastPiece = 4u << 10;  // with less room than this, the stream is not asked

}  // namespace

// ---- requests

api::RequestStream* Connection::reading_stream() const {
  if (!reading_.active || reading_.dropping) return nullptr;
  const api::HttpExchange* exchange = find(reading_.sequence);
  return exchange == nullptr ? nullptr : exchange->stream.get();
}

void Connection::feed_stream(api::RequestStream& stream, std::string_view part) {
  api::HttpExchange& exchange = *find(reading_.sequence);
  if (!context_.budget.body_has_room())
    stream.abort(api::overloaded("too many large requests are being read"));
  else part.remove_prefix(stream.take(part, context_.budget.stream_work()));
  if (!stream.is_over()) {
    reading_.body.assign(part);
    count_body(stream.held() + part.size());
  }
  after_stream_step(exchange);
}

void Connection::after_stream_step(api::HttpExchange& exchange) {
  const bool is_front = &exchange == &exchanges_.front();
  if (is_front && body_ != nullptr) body_waits_ = false;
  if (exchange.answered()) mark();
  if (paused_) mark();  // there may be room now
  if (!exchange.stream->is_over() || !reading_.active ||
      reading_.sequence != exchange.ticket.request)
    return;
  // The rest of the body is of no interest. If it is short, the connection stays open.
  const http::RequestHead& head = parser_.request();
  const bool is_short =
      head.framing != http::BodyFraming::length || head.content_length <= kMaxRest;
  if (std::holds_alternative<api::Problem>(exchange.outcome) && is_short && !exchange.close) {
    reading_.dropping = true;
    reading_.limit = kMaxRest;
    reading_.body = std::string();
    return count_body(0);
  }
  drop_reading();
  exchange.close = true;
  input_ = Input::dropped;
  if (!paused_) return;
  paused_ = false;
  backlog_ = std::string();
  stream_->read_start();
}

// ---- answers

void Connection::resume_body(std::uint64_t request) {
  if (body_ != nullptr && exchanges_.front().ticket.request == request) resume_body();
}

void Connection::resume_body() {
  if (body_ == nullptr) return;
  body_waits_ = false;
  mark();
}

bool Connection::pump_body() {
  while (!body_waits_) {
    const std::size_t queued = stream_->queued();
    if (queued + kLeastPiece > kBodyWindow) return false;  // on_drained() resumes
    if (!context_.budget.output_has_room()) {
      context_.events.starved(*this);
      return false;
    }
    // Nothing is sent of a state in which the client is not known any more. So a watch that began
    // before this node knew that clients need tokens shows nothing.
    if (exchanges_.front().stream == nullptr && api::judge_client(api(), exchanges_.front())) {
      cut_body(api::BodyStream::Why::unauthorized);
      return false;
    }
    std::string& piece = context_.scratch.body;
    piece.clear();
    body_waits_ = true;  // set before the call, because the stream may call resume_body()
    const api::BodyStream::Next next = body_->next(kBodyWindow - queued, piece);
    if (next != api::BodyStream::Next::waiting) body_waits_ = false;
    VESPER_ASSERT(piece.size() <= kBodyWindow - queued);
    VESPER_ASSERT(next != api::BodyStream::Next::bytes || !piece.empty());
    append_piece(piece);
    if (next == api::BodyStream::Next::finished) {
      end_body();
      return true;
    }
    if (next == api::BodyStream::Next::failed) {
      break_body();
      return false;
    }
    if (next == api::BodyStream::Next::later) {
      mark();
      return false;
    }
  }
  return false;
}

void Connection::append_piece(std::string_view piece) {
  if (piece.empty()) return;  // an empty chunk would end the body
  if (exchanges_.front().is_http_1_0) stream_->text().append(piece);
  else http::append_chunk(stream_->text(), piece);
}

void Connection::end_body() {
  body_.reset();
  api::HttpExchange& exchange = exchanges_.front();
  if (!exchange.is_http_1_0) http::append_last_chunk(stream_->text());
  if (api().draining() && exchanges_.size() == 1) exchange.close = true;
}

// The client must notice that the body is incomplete: there is no last chunk, or, in HTTP/1.0, a
// reset instead of a regular end.
void Connection::break_body() {
  if (!exchanges_.front().is_http_1_0) return finish();
  stream_->reset();
  close();
}

}  // namespace vesper::server
