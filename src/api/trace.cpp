#include "api/trace.hpp"

#include <algorithm>
#include <utility>

#include "api/answer.hpp"
#include "api/checks.hpp"
#include "api/context.hpp"
#include "api/http_exchange.hpp"
#include "api/trace_json.hpp"
#include "json/writer.hpp"

namespace vesper::api {
namespace {

// Without events, a comment shows that the stream lives: with TraceFeed::kWake, each 100 ms.
constexpr Duration kTraceQuiet = milliseconds(75);
constexpr std::size_t kTracePieces = 256;  // events written in one call
constexpr std::string_view kTooManyViewers = "this node has as many traces as are allowed";

}  // namespace

TraceEvents::TraceEvents(Context& context, const node::Ticket& ticket,
                         std::unique_ptr<node::TraceViewer> viewer)
    : context_(context), ticket_(ticket), viewer_(std::move(viewer)) {}

// Returns false while there is no node yet.
bool TraceEvents::open() {
  if (viewer_ != nullptr) return true;
  if (context_.node() == nullptr) return false;
  viewer_ = context_.node()->traces().open(ticket_);
  if (viewer_ == nullptr) append_closed("overloaded", kTooManyViewers);
  return viewer_ != nullptr;
}

bool TraceEvents::write_next() {
  const bool is_quiet = written_at_ == Instant{} || context_.now() - written_at_ >= kTraceQuiet;
  if (ended_) return false;
  if (open())
    if (const auto item = viewer_->next()) {
      text_ += "data: ";
      append_trace(text_, *item);
      text_ += "\n\n";
      written_at_ = context_.now();
      return true;
    }
  if (ended_) return true;
  if (is_quiet) text_ += ": keep-alive\n\n";
  if (is_quiet) written_at_ = context_.now();
  return is_quiet;
}

BodyStream::Next TraceEvents::next(std::size_t room, std::string& out) {
  for (std::size_t pieces = 0;; ++pieces) {
    const std::size_t size = std::min(room, text_.size() - text_at_);
    out.append(text_, text_at_, size);
    text_at_ += size;
    room -= size;
    if (text_at_ != text_.size() || room == 0) return Next::bytes;
    text_.clear();
    text_at_ = 0;
    if (ended_) return Next::finished;
    if (pieces == kTracePieces) return Next::later;
    if (!write_next()) return Next::waiting;
  }
}

void TraceEvents::append_closed(std::string_view code, std::string_view detail) {
  ended_ = true;
  text_ += "event: closed\ndata: ";
  json::Writer json(text_);
  json.begin_object();
  json.member("code", code);
  json.member("detail", detail);
  json.end_object();
  text_ += "\n\n";
}

BodyStream::Cut TraceEvents::cut(Why why, std::string& out) {
  if (!ended_ && why == Why::shutting_down)
    append_closed("shutting_down", "this node is shutting down");
  else if (!ended_)
    append_closed("unauthorized", "the token is revoked or expired, or cannot be checked");
  out.append(text_, text_at_);
  text_.clear();
  text_at_ = 0;
  return Cut::complete;
}

void render_trace(Context& context, const HttpExchange& exchange, Answer& answer) {
  if (context.shutting_down()) return render_problem(refused(node::Refusal::shutting_down), answer);
  std::unique_ptr<node::TraceViewer> viewer;
  if (context.node() != nullptr) {
    viewer = context.node()->traces().open(exchange.ticket);
    if (viewer == nullptr) return render_problem(overloaded(std::string(kTooManyViewers)), answer);
  }
  answer.stream = std::make_unique<TraceEvents>(context, exchange.ticket, std::move(viewer));
  answer.content_type = "text/event-stream";
}

}  // namespace vesper::api
