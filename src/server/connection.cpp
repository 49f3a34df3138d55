#include "server/connection.hpp"

#include <algorithm>
#include <utility>

#include "http/serializer.hpp"
#include "http/values.hpp"
#include "server/client_listener.hpp"

namespace vesper::server {
namespace {

constexpr std::size_t kMaxRequests = 64;        // of one connection, not answered
constexpr std::size_t kMaxQueued = 1u << 20;    // bytes of them, and of answers not taken
constexpr std::size_t kMaxDropped = 64u << 20;  // read behind the last answer
constexpr std::size_t kShareAbove = 4096;       // below, a copy is cheaper than a slice
constexpr Duration kHold = seconds(1);          // what Retry-After asks of who was refused
constexpr std::size_t kKeepBody = 64u << 10;

}  // namespace

Connection::Connection(std::uint64_t id, ClientListener& listener,
                       std::unique_ptr<io::Stream> stream, bool over_limit)
    : id_(id),
      listener_(listener),
      stream_(std::move(stream)),
      parser_(http::Parser::Kind::request),
      over_limit_(over_limit) {
  last_input_ = message_began_ = output_moved_at_ = listener.context_.now();
  stream_->set_events({io::Delegate<void, std::string_view>::to<&Connection::on_bytes>(this),
                       io::Delegate<void>::to<&Connection::on_ended>(this),
                       io::Delegate<void, int>::to<&Connection::on_failed>(this),
                       io::Delegate<void>::to<&Connection::on_drained>(this)});
  stream_->read_start();
}

// ---- input

void Connection::on_bytes(std::string_view bytes) {
  listener_.context_.set_now(listener_.loop_.now());
  last_input_ = listener_.context_.now();
  if (input_ == Input::parsed) return feed(bytes);
  dropped_bytes_ += bytes.size();
  if (dropped_bytes_ > kMaxDropped) close();
}

void Connection::on_ended() {
  if (paused_) {
    // What is left of the input waits in the backlog; its end is seen again behind it.
    input_ = Input::ended;
    return;
  }
  if (input_ == Input::parsed && reading_.active) {
    // Half a request takes no effect and gets no answer.
    drop_reading();
    if (!exchanges_.empty() && !exchanges_.back().answered()) exchanges_.pop_back();
  }
  input_ = Input::ended;
  listener_.mark(*this);
}

void Connection::on_failed(int) {
  close();
}

void Connection::on_drained() {
  listener_.mark(*this);
}

// A pipelining client that does not read its answers is not read, either.
bool Connection::may_begin_request() const {
  return listener_.turn_has_room() && listener_.context_.now() >= held_until_ &&
         exchanges_.size() < kMaxRequests && posted_bytes_ < kMaxQueued &&
         stream_->queued() < kMaxQueued;
}

void Connection::feed(std::string_view bytes) {
  while (true) {
    if (parser_.idle() && !bytes.empty()) {
      if (!may_begin_request()) {
        backlog_.append(bytes);
        paused_ = true;
        stream_->read_stop();
        if (!listener_.turn_has_room()) listener_.mark(*this);
        return;
      }
      ++listener_.taken_;
      message_began_ = listener_.context_.now();
    }
    std::size_t consumed = 0;
    const http::Step step = parser_.parse(bytes, consumed);
    bytes.remove_prefix(consumed);
    switch (step) {
      case http::Step::need_more: return;
      case http::Step::head: on_head(bytes); break;
      case http::Step::body: on_body(parser_.body()); break;
      case http::Step::message_end: on_message_end(); break;
      case http::Step::error: on_parse_error(parser_.error()); break;
    }
    if (gone_) return;
    if (input_ != Input::parsed) {
      dropped_bytes_ += bytes.size();
      return;
    }
  }
}

void Connection::resume() {
  paused_ = false;
  const bool ended = input_ == Input::ended;
  if (ended) input_ = Input::parsed;
  else stream_->read_start();
  const std::string backlog = std::exchange(backlog_, {});
  feed(backlog);
  if (ended && !gone_) on_ended();
}

bool Connection::upgrade(std::string_view rest) {
  const http::RequestHead& head = parser_.request();
  if (head.path != "/raft" || !http::list_contains(head.upgrade, peer::kPeerProtocol)) return false;
  if (!exchanges_.empty() || head.framing != http::BodyFraming::none) return false;
  if (stream_->queued() != 0) return false;
  report_output();
  gone_ = true;
  stream_->read_stop();
  listener_.peers_.accept(std::move(stream_), head, rest);
  listener_.retire(*this);
  return true;
}

void Connection::on_head(std::string_view rest) {
  const http::RequestHead& head = parser_.request();
  if (upgrade(rest)) return;
  api::HttpExchange& exchange = exchanges_.emplace_back();
  exchange.ticket = {id_, next_sequence_++};
  auto problem = api::validate(listener_.context_, head, exchange);
  if (over_limit_) {
    problem = api::overloaded("this node has as many connections as it takes");
    exchange.close = true;
  }
  const bool has_body = head.framing != http::BodyFraming::none;
  const bool expects = head.expectation != http::Expectation::none;
  reading_.active = true;
  reading_.sequence = exchange.ticket.request;
  reading_.limit = exchange.body_limit;
  reading_.size = 0;
  reading_.body.clear();
  reading_.wants_continue = false;
  reading_.dropping = problem.has_value() || exchange.answered() || !exchange.keep_body;
  bool last = false;  // what follows is not read as a request
  if (problem) {
    const bool too_long =
        head.framing == http::BodyFraming::length && head.content_length > exchange.body_limit;
    exchange.outcome = std::move(*problem);
    listener_.mark(*this);
    last = exchange.close || (has_body && too_long);  // a body that is too long is not waited for
  }
  if (has_body && expects) {
    // Nobody can tell whether a body follows an answer in place of a 100.
    last |= exchange.answered();
    reading_.wants_continue = !exchange.answered();
    listener_.mark(*this);
  }
  if (last) {
    exchange.close = true;
    reading_.active = false;
    input_ = Input::dropped;
  }
}

void Connection::on_body(std::string_view part) {
  reading_.wants_continue = false;
  reading_.size += part.size();
  if (reading_.size > reading_.limit) {
    const api::HttpExchange* exchange = find(reading_.sequence);
    return refuse_reading(exchange != nullptr ? api::Problem{.status = 413,
                                                             .code = exchange->too_large,
                                                             .detail = "the body is too large",
                                                             .limit = reading_.limit}
                                              : api::Problem{});
  }
  if (reading_.dropping) return;
  if (!listener_.body_room())
    return refuse_reading(api::overloaded("too many large requests are being read"));
  listener_.body_bytes_ += part.size();
  reading_.body.append(part);
}

void Connection::on_message_end() {
  reading_.active = false;
  listener_.body_bytes_ -= reading_.body.size();
  if (!parser_.request().keep_alive) input_ = Input::dropped;
  api::HttpExchange* exchange = find(reading_.sequence);
  if (exchange == nullptr) return;
  if (exchange->answered()) return listener_.mark(*this);
  const std::size_t size = reading_.body.size();
  std::string body = std::exchange(reading_.body, {});
  api::run(listener_.context_, *exchange, std::move(body));
  if (exchange->answered()) listener_.mark(*this);
  else posted_bytes_ += exchange->posted_bytes = size;
}

void Connection::on_parse_error(const http::ParseError& error) {
  api::Problem problem{
      .status = error.status, .code = error.code, .detail = std::string(error.detail)};
  if (error.limit != 0) problem.limit = error.limit;
  refuse_reading(std::move(problem));
}

// ---- answers

api::HttpExchange* Connection::find(std::uint64_t sequence) {
  if (exchanges_.empty() || sequence < exchanges_.front().ticket.request) return nullptr;
  const std::uint64_t at = sequence - exchanges_.front().ticket.request;
  return at < exchanges_.size() ? &exchanges_[at] : nullptr;
}

void Connection::refuse_reading(api::Problem problem) {
  api::HttpExchange* exchange = nullptr;
  if (!reading_.active) {  // no head, so that there is no exchange yet
    exchange = &exchanges_.emplace_back();
    exchange->ticket = {id_, next_sequence_++};
    exchange->started = listener_.context_.now();
  } else {
    exchange = find(reading_.sequence);
  }
  drop_reading();
  input_ = Input::dropped;
  listener_.mark(*this);
  if (exchange == nullptr) {  // answered and gone; the rest of its body is what was wrong
    finish();
    return;
  }
  exchange->close = true;
  if (!exchange->answered()) exchange->outcome = std::move(problem);
}

void Connection::drop_reading() {
  reading_.active = false;
  listener_.body_bytes_ -= reading_.body.size();
  reading_.body = std::string();
}

void Connection::on_reply(std::uint64_t request, node::Reply reply) {
  api::HttpExchange* exchange = find(request);
  if (exchange == nullptr || exchange->answered()) return;
  posted_bytes_ -= exchange->posted_bytes;
  const auto* refusal = std::get_if<node::Refusal>(&reply);
  if (refusal != nullptr && *refusal == node::Refusal::overloaded)
    held_until_ = listener_.context_.now() + kHold;
  exchange->outcome = std::move(reply);
  listener_.mark(*this);
}

void Connection::answer_ready() {
  while (!exchanges_.empty() && exchanges_.front().answered() && !finishing_) {
    if (stream_->queued() >= kMaxQueued) return;  // on_drained comes back
    if (!listener_.output_room()) {
      listener_.starved_.push_back(id_);
      return;
    }
    write_answer(exchanges_.front());
    const bool last = exchanges_.front().close;
    exchanges_.pop_front();
    if (last) finish();
  }
  if (reading_.wants_continue && !exchanges_.empty() &&
      exchanges_.front().ticket.request == reading_.sequence) {
    reading_.wants_continue = false;
    http::append_continue(stream_->text());
  }
}

void Connection::write_answer(api::HttpExchange& exchange) {
  api::Context& context = listener_.context_;
  if (context.draining() && exchanges_.size() == 1) exchange.close = true;
  api::Answer& answer = listener_.scratch_;
  answer.clear();
  api::render(context, exchange, answer);
  api::append_answer(context, exchange, answer, stream_->text());
  if (exchange.method != http::Method::head && !answer.shared.empty()) {
    if (answer.shared.size() < kShareAbove) stream_->text().append(answer.shared.view());
    else stream_->send(std::move(answer.shared));
  }
  wrote_ = true;
  const std::size_t slot = context.table().slot_of(exchange.endpoint);
  ++context.metrics.requests[{slot, answer.status}];
  context.metrics.latency[slot].observe(context.now() - exchange.started);
}

void Connection::flush() {
  answer_ready();
  while (paused_ && !finishing_ && may_begin_request()) {
    resume();
    if (gone_) return;
    answer_ready();
  }
  stream_->flush();
  if (gone_) return;  // the write failed
  report_output();
  // The kernel took it all at once, so that nobody comes back for what is left, or this turn has
  // taken in enough: the next one does, and others have theirs in between. Who waits for an answer
  // or for the end of a hold is marked by that.
  const bool more = (paused_ && !listener_.turn_has_room()) ||
                    (!exchanges_.empty() && exchanges_.front().answered());
  if (more && !finishing_ && stream_->queued() == 0 && listener_.output_room())
    listener_.mark(*this);
  if (input_ == Input::ended && !paused_ && settled()) close();
  if (reading_.body.capacity() > kKeepBody && !reading_.active) reading_.body = std::string();
}

void Connection::report_output() {
  const std::size_t queued = stream_->queued();
  listener_.output_bytes_ += queued - reported_output_;
  reported_output_ = queued;
}

// Our half ends behind the output; the client's is read on and dropped, so that what it still sends
// does not turn into a reset that destroys the answer on its way.
void Connection::finish() {
  if (finishing_) return;
  finishing_ = true;
  finished_at_ = listener_.context_.now();
  const bool waiting =
      std::any_of(exchanges_.begin(), exchanges_.end(),
                  [](const api::HttpExchange& exchange) { return !exchange.answered(); });
  if (waiting && listener_.context_.node() != nullptr)
    listener_.context_.post(node::ClientGone{id_});
  exchanges_.clear();
  stream_->finish();
  if (input_ == Input::parsed) input_ = Input::dropped;
  if (paused_) {
    paused_ = false;
    backlog_ = std::string();
    if (input_ != Input::ended) stream_->read_start();
  }
}

void Connection::close() {
  if (gone_) return;
  gone_ = true;
  drop_reading();
  const bool waiting =
      std::any_of(exchanges_.begin(), exchanges_.end(),
                  [](const api::HttpExchange& exchange) { return !exchange.answered(); });
  if (waiting && listener_.context_.node() != nullptr)
    listener_.context_.post(node::ClientGone{id_});
  stream_->close();
  report_output();
  listener_.retire(*this);
}

// ---- time

void Connection::begin_shutdown() {
  held_until_ = {};  // what it sent meanwhile is answered
  if (exchanges_.empty() && !reading_.active && !parser_.in_head() && !paused_) {
    if (stream_->queued() == 0) return close();
    return finish();
  }
  listener_.mark(*this);
}

void Connection::sweep() {
  const Instant now = listener_.context_.now();
  report_output();
  if (paused_ && now >= held_until_) listener_.mark(*this);
  check_output(now);
  if (!gone_) check_input(now);
}

void Connection::check_output(Instant now) {
  const Options& options = listener_.options_;
  if (finishing_ && now - finished_at_ > options.linger_timeout && stream_->queued() == 0)
    return close();
  const std::size_t queued = stream_->queued();
  const std::uint64_t taken = stream_->bytes_out();
  if (queued == 0 || taken != output_taken_) {
    output_taken_ = taken;
    output_moved_at_ = now;
  } else if (now - output_moved_at_ > options.write_timeout) {
    close();
  }
}

void Connection::check_input(Instant now) {
  if (input_ != Input::parsed || paused_ || finishing_) return;
  const Options& options = listener_.options_;
  const api::Problem late{.status = 408, .code = "request_timeout"};
  if (reading_.active) {
    if (now - last_input_ <= options.body_timeout || reading_.wants_continue) return;
    api::Problem problem = late;
    problem.detail = "the rest of the body did not come";
    refuse_reading(std::move(problem));
  } else if (parser_.in_head()) {
    if (now - message_began_ <= options.header_timeout) return;
    api::Problem problem = late;
    problem.detail = "the rest of the request's head did not come";
    refuse_reading(std::move(problem));
  } else if (settled()) {
    const Duration idle = wrote_ ? options.idle_timeout : options.header_timeout;
    if (now - last_input_ > idle) close();
  }
}

}  // namespace vesper::server
