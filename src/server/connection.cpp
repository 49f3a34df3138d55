#include "server/connection.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/assert.hpp"
#include "http/serializer.hpp"
#include "http/values.hpp"
#include "peer/handshake.hpp"

namespace vesper::server {
namespace {

constexpr std::size_t kMaxRequests = 64;  // unanswered, per connection
// Bytes of unanswered requests, or of output not taken.
constexpr std::size_t kMaxQueued = 1u << 20;
constexpr std::size_t kMaxDropped = 64u << 20;  // bytes discarded after the last answer
// In bytes. Below this, a copy is cheaper than a shared slice.
constexpr std::size_t kShareAbove = 4096;
// In bytes. A buffer above this is not reused anyway, so it is given away without a copy.
constexpr std::size_t kMoveAbove = api::Answer::kKeep;
constexpr Duration kHold = seconds(1);  // the delay announced in Retry-After
constexpr Duration kIdle = seconds(2);  // without input: gives memory back
// Without an acknowledgement for this long, while output waits, the client's machine is gone.
constexpr Duration kDead = seconds(150);
constexpr std::size_t kKeepBody = 64u << 10;

}  // namespace

Connection::Connection(std::uint64_t id, const ConnectionContext& context,
                       std::unique_ptr<io::Stream> stream, Limit limit)
    : id_(id),
      context_(context),
      stream_(std::move(stream)),
      parser_(http::Parser::Kind::request),
      limit_(limit) {
  last_input_ = message_began_ = output_moved_at_ = api().now();
  is_local_ = stream_->is_from_this_machine();
  stream_->set_events({io::Delegate<void, std::string_view>::to<&Connection::on_bytes>(this),
                       io::Delegate<void>::to<&Connection::on_ended>(this),
                       io::Delegate<void, int>::to<&Connection::on_failed>(this),
                       io::Delegate<void>::to<&Connection::on_drained>(this)});
  stream_->read_start();
}

// ---- input

void Connection::on_bytes(std::string_view bytes) {
  api().set_now(context_.loop.now());
  last_input_ = api().now();
  if (input_ == Input::parsed) return feed(bytes);
  dropped_bytes_ += bytes.size();
  if (dropped_bytes_ > kMaxDropped) close();
}

void Connection::on_ended() {
  if (body_ != nullptr && (reading_.active || exchanges_.front().stream == nullptr))
    return close();  // the client of a streamed answer has gone
  if (paused_) {
    // The remaining input waits in the backlog. Its end is handled after it.
    input_ = Input::ended;
    return;
  }
  if (input_ == Input::parsed && reading_.active) {
    // An incomplete request is ignored and gets no answer.
    const bool is_streamed = reading_stream() != nullptr;
    if (is_streamed) audit_unanswered(exchanges_.back());
    drop_reading();
    if (!exchanges_.empty() && (is_streamed || !exchanges_.back().answered()))
      exchanges_.pop_back();
  }
  input_ = Input::ended;
  mark();
}

void Connection::on_failed(int) {
  const crypto::TlsSession* tls = stream_->tls();
  const bool is_first = next_sequence_ == 0;
  if (is_first && tls != nullptr && tls->state() == crypto::TlsSession::State::failed)
    context_.events.handshake_failed(*stream_);
  close();
}

void Connection::on_drained() {
  mark();
}

// Backpressure: if a pipelining client does not read its answers, the server stops reading its
// requests.
bool Connection::may_begin_request() const {
  const api::RequestStream* last = exchanges_.empty() ? nullptr : exchanges_.back().stream.get();
  if (last != nullptr && last->has_unposted()) return false;
  return context_.budget.turn_has_room() && api().now() >= held_until_ &&
         exchanges_.size() < kMaxRequests && posted_bytes_ < kMaxQueued &&
         stream_->queued() < kMaxQueued;
}

// True if the connection may go on with what it has read: the next request, or more of a body that
// is streamed.
bool Connection::may_read() const {
  if (reading_.waits_for_tokens) return false;
  const api::RequestStream* stream = reading_stream();
  if (stream == nullptr) return may_begin_request();
  return stream->has_room() && context_.budget.stream_work() > 0;
}

void Connection::pause(std::string_view rest) {
  backlog_.append(rest);
  paused_ = true;
  stream_->read_stop();
  if (!context_.budget.turn_has_room() || context_.budget.stream_work() == 0) mark();
}

void Connection::feed(std::string_view bytes) {
  while (true) {
    if (parser_.idle() && !bytes.empty()) {
      if (!may_begin_request()) return pause(bytes);
      context_.budget.take_request();
      message_began_ = api().now();
    } else if (reading_stream() != nullptr && (!reading_.body.empty() || !may_read())) {
      return pause(bytes);
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
    if (reading_.waits_for_tokens) return pause(bytes);
  }
}

void Connection::resume_reading() {
  paused_ = false;
  const bool ended = input_ == Input::ended;
  if (ended) input_ = Input::parsed;
  else stream_->read_start();
  const std::string backlog = std::exchange(backlog_, {});
  if (api::RequestStream* stream = reading_stream()) {
    last_input_ = api().now();  // the client could not send meanwhile
    const std::string left = std::exchange(reading_.body, {});
    feed_stream(*stream, left);
  }
  if (input_ == Input::parsed) feed(backlog);
  if (ended && !gone_) on_ended();
}

bool Connection::upgrade(std::string_view rest) {
  const http::RequestHead& head = parser_.request();
  if (head.path != "/raft" || !http::list_contains(head.upgrade, peer::kPeerProtocol)) return false;
  if (!exchanges_.empty() || head.framing != http::BodyFraming::none) return false;
  if (stream_->queued() != 0) return false;
  if (stream_->is_plain_on_tls() && !context_.options.tls.allow_mixed) return false;
  report_output();
  gone_ = true;
  stream_->read_stop();
  context_.events.is_peer(std::move(stream_), head, rest);
  context_.events.ended(*this);
  return true;
}

// Why no request is served on this connection, whatever it asks for.
std::optional<api::Problem> Connection::refuse_transport() {
  if (limit_ == Limit::exceeded)
    return api::overloaded("this node has reached its limit of connections");
  const TlsOptions& options = context_.options.tls;
  if (stream_->is_plain_on_tls() && !options.allow_mixed) {
    api::Problem problem{.status = 400, .code = "malformed", .detail = "this port speaks TLS"};
    problem.hint = "use https:// in place of http://";
    return problem;
  }
  if (options.client_authorities.empty() || has_right_certificate_) return std::nullopt;
  const crypto::TlsSession* tls = stream_->tls();
  has_right_certificate_ = tls != nullptr && tls->has_certificate() &&
                           tls->is_signed_by(crypto::TlsSession::Authority::clients);
  if (has_right_certificate_) return std::nullopt;
  return api::Problem{.status = 403,
                      .code = "forbidden",
                      .detail = "this node demands a certificate that --tls-client-ca has signed"};
}

void Connection::on_head(std::string_view rest) {
  const http::RequestHead& head = parser_.request();
  if (upgrade(rest)) return;
  api::HttpExchange& exchange = exchanges_.emplace_back();
  exchange.ticket = {id_, next_sequence_++};
  exchange.is_local = is_local_;
  exchange.known_client = &known_client_;
  auto problem = api::validate(api(), head, exchange);
  if (auto refusal = refuse_transport()) {
    problem = std::move(refusal);
    exchange.close = true;
  }
  reading_.active = true;
  reading_.sequence = exchange.ticket.request;
  reading_.limit = exchange.body_limit;
  reading_.size = 0;
  reading_.body.clear();
  reading_.wants_continue = false;
  reading_.dropping = false;
  if (problem || exchange.credential == api::Credential::settled)
    return begin_body(exchange, std::move(problem));
  reading_.waits_for_tokens = true;
  api::ask_for_tokens(api(), exchange);
}

// The head was checked. What follows depends on the outcome.
void Connection::begin_body(api::HttpExchange& exchange, std::optional<api::Problem> problem) {
  const http::RequestHead& head = parser_.request();
  const bool has_body = head.framing != http::BodyFraming::none;
  const bool expects = head.expectation != http::Expectation::none;
  reading_.limit = exchange.body_limit;
  if (!problem && exchange.streams_body) api::open_stream(api(), exchange);
  reading_.dropping = problem.has_value() || exchange.answered() || !exchange.keep_body;
  bool last = false;  // no further request is read
  if (problem) {
    const bool too_long =
        head.framing == http::BodyFraming::length && head.content_length > exchange.body_limit;
    exchange.outcome = std::move(*problem);
    mark();
    last = exchange.close || (has_body && too_long);  // do not wait for a body that is too long
  }
  if (has_body && expects) {
    // After a final answer in place of a 100, no one can tell whether the client still sends the
    // body.
    last |= exchange.answered();
    reading_.wants_continue = !exchange.answered();
    mark();
  }
  if (last) {
    exchange.close = true;
    reading_.active = false;
    input_ = Input::dropped;
  }
}

void Connection::on_body(std::string_view part) {
  reading_.wants_continue = false;
  if (api::RequestStream* stream = reading_stream()) return feed_stream(*stream, part);
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
  if (!context_.budget.body_has_room())
    return refuse_reading(api::overloaded("too many large requests are being read"));
  reading_.body.append(part);
  count_body(reading_.body.size());
}

void Connection::count_body(std::size_t bytes) {
  context_.budget.release_body(reading_.counted);
  context_.budget.add_body(bytes);
  reading_.counted = bytes;
}

void Connection::on_message_end() {
  reading_.active = false;
  count_body(0);
  if (!parser_.request().keep_alive) input_ = Input::dropped;
  api::HttpExchange* exchange = find(reading_.sequence);
  if (exchange == nullptr) return;
  if (exchange->stream != nullptr) {
    exchange->stream->end();
    return after_stream_step(*exchange);
  }
  if (exchange->answered()) return mark();
  const std::size_t size = reading_.body.size();
  std::string body = std::exchange(reading_.body, {});
  api::run(api(), *exchange, std::move(body));
  if (exchange->answered()) mark();
  else posted_bytes_ += exchange->posted_bytes = size;
}

void Connection::on_parse_error(const http::ParseError& error) {
  api::Problem problem{
      .status = error.status, .code = error.code, .detail = std::string(error.detail)};
  if (error.limit != 0) problem.limit = error.limit;
  if (auto refusal = refuse_transport()) problem = *std::move(refusal);
  refuse_reading(std::move(problem));
}

// ---- answers

const api::HttpExchange* Connection::find(std::uint64_t sequence) const {
  return const_cast<Connection*>(this)->find(sequence);
}

api::HttpExchange* Connection::find(std::uint64_t sequence) {
  if (exchanges_.empty() || sequence < exchanges_.front().ticket.request) return nullptr;
  const std::uint64_t at = sequence - exchanges_.front().ticket.request;
  if (at >= exchanges_.size()) return nullptr;
  return &*std::next(exchanges_.begin(), static_cast<std::ptrdiff_t>(at));
}

void Connection::refuse_reading(api::Problem problem) {
  api::HttpExchange* exchange = nullptr;
  if (!reading_.active) {  // the head is incomplete, so there is no exchange yet
    exchange = &exchanges_.emplace_back();
    exchange->ticket = {id_, next_sequence_++};
    exchange->started = api().now();
  } else {
    exchange = find(reading_.sequence);
  }
  drop_reading();
  input_ = Input::dropped;
  mark();
  // The request was already answered; only the rest of its body is at fault.
  if (exchange == nullptr) {
    finish();
    return;
  }
  exchange->close = true;
  if (exchange->stream != nullptr) {
    exchange->stream->abort(std::move(problem));
    return after_stream_step(*exchange);
  }
  if (!exchange->answered()) exchange->outcome = std::move(problem);
}

void Connection::drop_reading() {
  reading_.active = false;
  reading_.waits_for_tokens = false;
  reading_.delayed.reset();
  count_body(0);
  reading_.body = std::string();
}

void Connection::on_reply(const node::Ticket& ticket, node::ClientReply&& reply) {
  api::HttpExchange* exchange = find(ticket.request);
  if (exchange == nullptr || (exchange->answered() && exchange->stream == nullptr)) return;
  const auto* refusal = std::get_if<node::Refusal>(&reply);
  if (refusal != nullptr && *refusal == node::Refusal::overloaded)
    held_until_ = api().now() + kHold;
  if (reading_.waits_for_tokens && ticket.request == reading_.sequence)
    return on_tokens(*exchange, reply);
  if (exchange->stream != nullptr) {
    exchange->stream->on_reply(ticket.part, std::move(reply));
    return after_stream_step(*exchange);
  }
  posted_bytes_ -= exchange->posted_bytes;
  exchange->outcome = std::move(reply);
  mark();
}

void Connection::on_outcome(const node::Ticket& ticket, api::Outcome outcome) {
  api::HttpExchange* exchange = find(ticket.request);
  if (exchange == nullptr || exchange->answered()) return;
  posted_bytes_ -= exchange->posted_bytes;
  exchange->outcome = std::move(outcome);
  mark();
}

void Connection::mark() {
  if (marked_ || gone_) return;
  marked_ = true;
  context_.events.wants_flush(*this);
}

void Connection::answer_ready() {
  while (!exchanges_.empty() && exchanges_.front().answered() && !finishing_) {
    if (body_ == nullptr) {
      if (stream_->queued() >= kMaxQueued) return;  // on_drained() resumes
      if (!context_.budget.output_has_room()) return context_.events.starved(*this);
      write_answer(exchanges_.front());
      if (gone_) return;
    }
    if (body_ != nullptr && !pump_body()) return;
    pop_answered();
  }
  if (reading_.wants_continue && !exchanges_.empty() &&
      exchanges_.front().ticket.request == reading_.sequence) {
    reading_.wants_continue = false;
    http::append_continue(stream_->text());
  }
}

void Connection::pop_answered() {
  const bool last = exchanges_.front().close;
  exchanges_.pop_front();
  if (last) finish();
}

void Connection::write_answer(api::HttpExchange& exchange) {
  if (api().draining() && exchanges_.size() == 1) exchange.close = true;
  api::Answer& answer = context_.scratch;
  answer.clear();
  api::render(api(), exchange, answer);
  if (api().audit_sink() != nullptr)
    api::audit(api(), exchange, answer, stream_->peer().to_string());
  const bool has_body = exchange.method != http::Method::head;
  // In HTTP/1.0, only the end of the connection marks the end of a body of unknown length.
  if (answer.stream != nullptr && has_body && exchange.is_http_1_0) exchange.close = true;
  if (answer.body.size() < kMoveAbove || !has_body) {
    api::append_answer(api(), exchange, answer, stream_->text());
  } else {
    api::append_head(api(), exchange, answer, stream_->text());
    stream_->send(std::move(answer.body));
  }
  if (has_body && !answer.shared.empty()) {
    if (answer.shared.size() < kShareAbove) stream_->text().append(answer.shared.view());
    else stream_->send(std::move(answer.shared));
  }
  wrote_ = true;
  const std::size_t slot = api().table().slot_of(exchange.endpoint);
  ++api().metrics.requests[{slot, answer.status}];
  api().metrics.latency[slot].observe(api().now() - exchange.started);
  if (answer.stream == nullptr) return;
  if (!has_body) return answer.stream.reset();
  body_ = std::move(answer.stream);
  body_waits_ = false;
  // A stream may stay silent for long, so TCP must detect a client whose machine is dead.
  stream_->keep_alive();
  // The client of an endless stream has gone. The answer to a body that was streamed ends.
  if (input_ == Input::ended && exchange.stream == nullptr) close();
}

// ---- answers that are streams

void Connection::flush() {
  marked_ = false;
  answer_ready();
  if (gone_) return;
  while (paused_ && !finishing_ && may_read()) {
    resume_reading();
    if (gone_) return;
    answer_ready();
    if (gone_) return;
  }
  stream_->flush();
  if (gone_) return;  // the write failed
  report_output();
  // Continues in the next turn, so that other connections get their share, in two cases. Either
  // answers are left and the kernel has taken everything, so that on_drained() will not be called;
  // or this turn's request limit was reached. Any other event this connection waits for marks it
  // itself.
  const bool has_answer =
      !exchanges_.empty() && exchanges_.front().answered() && !(body_ != nullptr && body_waits_);
  const bool waits_for_turn =
      !context_.budget.turn_has_room() || context_.budget.stream_work() == 0;
  const bool more = has_answer || (paused_ && waits_for_turn);
  if (more && !finishing_ && stream_->queued() == 0 && context_.budget.output_has_room()) mark();
  if (input_ == Input::ended && !paused_ && (settled() || is_hung_up())) close();
  if (reading_.body.capacity() > kKeepBody && !reading_.active) reading_.body = std::string();
}

// The client has closed its half, and with it has given up a request that waits.
bool Connection::is_hung_up() const {
  if (exchanges_.empty()) return false;
  const api::HttpExchange& front = exchanges_.front();
  return front.ends_with_hang_up && !front.answered();
}

void Connection::report_output() {
  const std::size_t queued = stream_->queued();
  context_.budget.report_output(reported_output_, queued);
  reported_output_ = queued;
}

// Tells the node that no reply to this connection is of interest any more.
void Connection::leave_node() {
  const bool is_posted =
      std::any_of(exchanges_.begin(), exchanges_.end(),
                  [](const api::HttpExchange& exchange) { return exchange.is_posted(); });
  if (is_posted && api().node() != nullptr) api().post(node::ClientGone{id_});
}

// Closes our half after the output. Input is still read and discarded: if it were left unread, TCP
// would send a reset that could destroy the answer in transit.
void Connection::finish() {
  if (finishing_) return;
  finishing_ = true;
  finished_at_ = api().now();
  leave_node();
  audit_unanswered();
  body_.reset();
  drop_reading();  // of an exchange that is gone, too: sweep() would answer it
  exchanges_.clear();
  stream_->finish();
  if (gone_) return;
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
  leave_node();
  audit_unanswered();
  body_.reset();
  drop_reading();
  stream_->close();
  report_output();
  context_.events.ended(*this);
}

// ---- time

void Connection::begin_shutdown() {
  held_until_ = {};  // requests held back so far are answered
  if (api::RequestStream* stream = reading_stream()) {
    api::HttpExchange& exchange = *find(reading_.sequence);
    exchange.close = true;
    stream->abort(api::refused(node::Refusal::shutting_down));
    after_stream_step(exchange);
  }
  if (reading_.delayed) answer_delayed();
  if (body_ != nullptr && exchanges_.front().stream == nullptr)
    return cut_body(api::BodyStream::Why::shutting_down);
  if (exchanges_.empty() && !reading_.active && !parser_.in_head() && !paused_) {
    if (stream_->queued() == 0) return close();
    return finish();
  }
  mark();
}

void Connection::sweep() {
  const Instant now = api().now();
  report_output();
  if (reading_.delayed) answer_delayed();
  review_client();
  if (gone_) return;
  if (paused_ && now >= held_until_) mark();
  check_output(now);
  if (!gone_) check_input(now);
  if (!gone_ && now - last_input_ > kIdle) stream_->trim();
}

void Connection::check_output(Instant now) {
  const Options& options = context_.options;
  if (finishing_ && now - finished_at_ > options.linger_timeout && stream_->queued() == 0)
    return close();
  // To ask the kernel is worth a system call only for a connection whose output waits.
  const bool waits = stream_->queued() != 0;
  const std::uint64_t taken = waits ? stream_->bytes_acknowledged() : stream_->bytes_out();
  if (!waits || taken != output_taken_ || may_stay_unread()) {
    output_taken_ = taken;
    output_moved_at_ = now;
  } else if (now - output_moved_at_ > options.write_timeout) {
    close();
  }
}

// A watch may be left unread. Its client must be alive, and what waits for such clients must leave
// room for the answers to others.
bool Connection::may_stay_unread() const {
  return body_ != nullptr && body_->may_stay_unread() && !context_.budget.output_is_short() &&
         stream_->since_acknowledged() < kDead;
}

void Connection::check_input(Instant now) {
  if (input_ != Input::parsed || paused_ || finishing_) return;
  const Options& options = context_.options;
  const api::Problem late{.status = 408, .code = "request_timeout"};
  if (reading_.active) {
    if (now - last_input_ <= options.body_timeout || reading_.wants_continue) return;
    api::Problem problem = late;
    problem.detail = "the rest of the body did not arrive in time";
    refuse_reading(std::move(problem));
  } else if (parser_.in_head()) {
    if (now - message_began_ <= options.header_timeout) return;
    api::Problem problem = late;
    problem.detail = "the rest of the request's head did not arrive in time";
    refuse_reading(std::move(problem));
  } else if (settled()) {
    const Duration idle = wrote_ ? options.idle_timeout : options.header_timeout;
    if (now - last_input_ > idle) close();
  }
}

}  // namespace vesper::server
