#include "peer/out_link.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/log.hpp"
#include "crypto/random.hpp"
#include "http/serializer.hpp"
#include "node/codec.hpp"

namespace vesper::peer {
namespace {

constexpr Duration kResolveTimeout = seconds(1);
constexpr Duration kResolveAgainTimeout = milliseconds(250);  // for a name that was resolved before
// In election timeouts, each of which is much longer than a round trip. TCP retransmits its first
// packet after one second at the earliest, and doubles the delay each time. After a partition of
// ten seconds, waiting for it could cost another ten seconds.
constexpr std::int64_t kConnectTimeout = 2;
constexpr Duration kMinBackoff = milliseconds(50);
constexpr Duration kMaxBackoff = milliseconds(500);
// A link that was up for less time than this counts as a failed dial, so that a peer that closes
// after each handshake is not redialled in a tight loop.
constexpr Duration kStable = milliseconds(500);
constexpr std::size_t kControlQueue = 8u << 20;
constexpr std::size_t kBulkQueue = 16u << 20;
constexpr std::size_t kSpareQueue = 256u << 10;  // bytes queued below which there is room to spare
constexpr std::size_t kMaxRefusal = 4096;

}  // namespace

OutLink::OutLink(const LinkContext& context, Target target, Channel channel)
    : context_(context),
      target_(std::move(target)),
      channel_(channel),
      lookup_(context.loop),
      timer_(context.loop, io::Delegate<void>::to<&OutLink::on_timer>(this)) {}

OutLink::~OutLink() = default;

void OutLink::dial() {
  if (state_ != State::waiting) return;
  tried_other_ = false;
  refused_everywhere_ = true;
  resolve();
}

void OutLink::resolve() {
  state_ = State::resolving;
  timer_.start(addresses_.empty() ? kResolveTimeout : kResolveAgainTimeout);
  lookup_.start(
      target_.address.host, target_.address.port,
      io::Delegate<void, Result<std::vector<io::Address>>>::to<&OutLink::on_resolved>(this));
}

void OutLink::Target::prefer(const HostPort& listed, const HostPort& own) {
  const HostPort given = std::exchange(address, listed);
  const bool is_elsewhere = given.host != listed.host || given.port != listed.port;
  const bool loses_tls = listed.scheme == Scheme::https && given.scheme == Scheme::http;
  if (is_elsewhere && !loses_tls && given != own) other = given;
}

void OutLink::take_other_address() {
  if (!target_.other) return;
  std::swap(target_.address, *target_.other);
  std::swap(last_logged_, last_logged_of_other_);
  std::swap(addresses_, addresses_of_other_);
}

// Goes on at the other address within the same dial, so that a peer that has moved is found at
// once.
bool OutLink::try_other_address() {
  if (!target_.other || std::exchange(tried_other_, true)) return false;
  take_other_address();
  drop_stream();
  resolve();
  return true;
}

void OutLink::on_resolved(Result<std::vector<io::Address>> addresses) {
  if (!addresses) return not_resolved(addresses.error().what);
  const bool is_secure = target_.address.scheme == Scheme::https;
  if (is_secure && !*context_.dialler)
    return refused("it speaks TLS, and this server has no --tls-ca to verify it with");
  if (context_.loopback_only && !is_secure &&
      !std::all_of(addresses->begin(), addresses->end(),
                   [](const auto& a) { return a.is_loopback(); }))
    return refused(fmt::format("{} is not a loopback address, and this server has no peer key",
                               url_of(target_.address)));
  addresses_ = std::move(addresses).value();
  next_address_ = 0;
  connect_next();
}

// If the resolver is down, dials the last known address. An outage of the resolver must not keep
// servers apart that were connected before.
void OutLink::not_resolved(std::string why) {
  lookup_.cancel();
  if (addresses_.empty()) {
    refused_everywhere_ = false;
    if (!try_other_address()) end(std::move(why));
    return;
  }
  next_address_ = 0;
  connect_next();
}

void OutLink::connect_next() {
  state_ = State::connecting;
  const Duration patience = context_.election_timeout;
  timer_.start(patience * kConnectTimeout);
  drop_stream();
  stream_ = std::make_unique<io::Stream>(context_.loop);
  stream_->set_events({io::Delegate<void, std::string_view>::to<&OutLink::on_bytes>(this),
                       io::Delegate<void>::to<&OutLink::on_ended>(this),
                       io::Delegate<void, int>::to<&OutLink::on_failed>(this),
                       io::Delegate<void>::to<&OutLink::on_drained>(this)});
  if (target_.address.scheme == Scheme::https)
    stream_->secure(crypto::TlsSession::dial(*context_.dialler, target_.address.host));
  stream_->connect(addresses_[next_address_++],
                   io::Delegate<void, int>::to<&OutLink::on_connected>(this));
  if (stream_ != nullptr) detect_dead_machine(*stream_, patience);
}

void OutLink::on_connected(int code) {
  if (code == 0) return greet();
  if (next_address_ < addresses_.size()) return connect_next();
  // A refused connection proves that no process listens there. A connection attempt that times out
  // does not.
  refused_everywhere_ &= code == ECONNREFUSED;
  if (try_other_address()) return;
  if (refused_everywhere_) context_.events.dial_refused(target_.number);
  end(fmt::format("cannot connect: {}", std::strerror(code)));
}

void OutLink::greet() {
  state_ = State::greeting;
  timer_.start(kGreetTimeout);
  parser_ = std::make_unique<http::Parser>(http::Parser::Kind::response);
  refusal_.clear();
  refusal_status_ = 0;
  ours_ = context_.events.hello_to(target_.number, channel_);
  std::string& out = stream_->text();
  http::begin_request(out, "GET", "/raft", authority_of(target_.address));
  out += "Connection: Upgrade\r\n";
  http::append_field(out, "Upgrade", kPeerProtocol);
  append_hello(out, ours_);
  http::end_head(out);
  stream_->read_start();
  stream_->flush();
}

void OutLink::on_bytes(std::string_view bytes) {
  if (state_ != State::greeting) return end("the peer sent bytes on a one-way connection");
  while (true) {
    std::size_t consumed = 0;
    const http::Step step = parser_->parse(bytes, consumed);
    bytes.remove_prefix(consumed);
    switch (step) {
      case http::Step::need_more: return;
      case http::Step::head:
        if (parser_->response().status == 101) return on_answer();
        on_refusal_head();
        break;
      case http::Step::body:
        refusal_.append(
            parser_->body().substr(0, kMaxRefusal - std::min(kMaxRefusal, refusal_.size())));
        break;
      case http::Step::message_end: return on_refusal();
      case http::Step::error: return refused("its answer is not HTTP");
    }
  }
}

void OutLink::on_refusal_head() {
  refusal_status_ = parser_->response().status;
  const http::Fields& fields = parser_->response().fields;
  const http::Field* boot = fields.find("Vesper-Boot");
  if (boot == nullptr) return;  // a proxy, for example, and not a Vesper server
  if (const auto id = parse_hex64(boot->value))
    context_.events.met_boot(target_.number, raft::BootId(*id));
  // A server that is starting cannot report its state yet, and may belong to a cluster.
  const auto state = read_state(fields);
  if (state || refusal_status_ == 503) context_.events.said_unproven(target_.number, state);
}

void OutLink::on_refusal() {
  if (refusal_status_ == 503) return end("the peer is starting or shutting down");
  const std::string detail = context_.events.refused_by(target_.number, refusal_);
  last_logged_ = fmt::format("refused: {}", detail);  // refused_by() has logged it
  refused(detail);
}

void OutLink::on_answer() {
  const auto hello = read_hello(parser_->response().fields);
  if (!hello) return refused(fmt::format("its handshake is malformed: {}", hello.error().what));
  theirs_ = *hello;
  if (theirs_.channel != channel_)
    return refused(fmt::format("it answered on channel {}", to_string(theirs_.channel)));
  const std::string& key = context_.key;
  const Agreement agreement = agree(key, ours_, theirs_);
  const http::Field* proof = parser_->response().fields.find("Vesper-Proof");
  const bool proven = key.empty() || (proof != nullptr &&
                                      crypto::equal_in_constant_time(
                                          proof->value, crypto::hex_of(agreement.acceptor_proof)));
  const node::AcceptorVerdict verdict = context_.events.judge(ours_, theirs_, target_.address);
  const bool is_other = std::holds_alternative<node::PeerLostDisk>(verdict) ||
                        std::holds_alternative<node::PeerIsAnother>(verdict);
  if (proven && !is_other) context_.events.learn_boots(target_.number, theirs_);
  if (const auto* refusal = std::get_if<node::PeerRefusal>(&verdict)) {
    // A peer without data trusts this server's state only after the proof. It then founds no second
    // cluster.
    if (!key.empty() && proven) send_proof(agreement);
    if (state_ == State::greeting) refused(refusal->detail);
    return;
  }
  if (!proven) return refused(fmt::format("{} has a different peer key", name_of(theirs_)));
  context_.events.met_boot(target_.number, theirs_.boot);
  if (theirs_.standing == Standing::left) {
    context_.events.told_to_have_left(theirs_);
    return refused("this server has left the cluster");
  }
  if (is_other) return answered_by_other(agreement, verdict);
  parser_.reset();
  writer_ = std::make_unique<FrameWriter>(agreement.secret);
  accepted();
}

// An empty server at the address learns from the proof that its cluster exists.
void OutLink::answered_by_other(const Agreement& agreement, const node::AcceptorVerdict& verdict) {
  const bool is_empty = std::holds_alternative<node::PeerLostDisk>(verdict);
  if (is_empty) send_proof(agreement);
  context_.events.met_other(target_.number, target_.address, theirs_, verdict);
  if (state_ != State::greeting) return;
  refused(is_empty ? fmt::format("a server without data, incarnation {}, answers at its address",
                                 to_hex(theirs_.self.incarnation.value))
                   : fmt::format("{} answers at its address", name_of(theirs_)));
}

void OutLink::send_proof(const Agreement& agreement) {
  FrameWriter writer(agreement.secret);
  std::string& out = stream_->text();
  writer.end(out, writer.begin(out), FrameType::proof);
  stream_->flush();
}

void OutLink::accepted() {
  state_ = State::up;
  up_since_ = context_.loop.now();
  timer_.stop();
  stuck_watch_ = false;
  last_logged_.clear();
  std::string& out = stream_->text();
  writer_->end(out, writer_->begin(out), FrameType::proof);
  report_output();
  stream_->flush();
  if (state_ != State::up) return;
  log::debug("{} link to {} is up", to_string(channel_), target_.name);
  context_.events.link_up(*this);
}

void OutLink::refused(std::string detail) {
  failures_ = 16;  // use the longest backoff: the reason will not go away soon
  const bool was_resolving = state_ == State::resolving;  // end() changes it only while greeting
  end(fmt::format("refused: {}", detail));
  if (was_resolving) take_other_address();
}

void OutLink::on_ended() {
  if (state_ == State::greeting && refusal_status_ != 0) return on_refusal();
  end("the peer closed the connection");
}

void OutLink::on_failed(int code) {
  end(stream_->why_failed(code));
}

void OutLink::on_timer() {
  switch (state_) {
    case State::waiting: return dial();
    case State::resolving: return not_resolved("its name was not resolved in time");
    case State::connecting:
      refused_everywhere_ = false;
      if (!try_other_address()) end("no answer to the connection attempt");
      return;
    case State::greeting: return end("no answer to the handshake");
    case State::up:
      if (!stuck_watch_) return;
      if (stream_->bytes_acknowledged() == stuck_bytes_)
        return end("the peer accepts no bytes -> reconnecting");
      return watch_progress();  // slow, but alive
    case State::closed: return;
  }
}

bool OutLink::send(const node::PeerMessage& message) {
  if (state_ != State::up) return false;
  const std::size_t queued = stream_->queued();
  const std::size_t limit = channel_ == Channel::control ? kControlQueue : kBulkQueue;
  if (queued > limit) return false;
  std::string& out = stream_->text();
  const std::size_t begun = writer_->begin(out);
  node::encode(message, out);
  const std::size_t size = out.size() - begun - kFrameOverhead;
  if (size > kMaxMessage || (queued != 0 && queued + size > limit)) {
    out.resize(begun);
    return false;
  }
  writer_->end(out, begun, FrameType::message);
  report_output();
  return true;
}

bool OutLink::has_room() const {
  return state_ == State::up && stream_->queued() < kSpareQueue;
}

void OutLink::report_output() {
  if (!std::exchange(marked_, true)) context_.events.has_output(*this);
}

void OutLink::flush() {
  marked_ = false;
  if (state_ != State::up) return;
  stream_->flush();
  if (state_ != State::up || stuck_watch_ || stream_->queued() == 0) return;
  watch_progress();
}

// Arms the check for stuck output. A peer that acknowledges no byte for this long will not recover.
void OutLink::watch_progress() {
  stuck_watch_ = true;
  stuck_bytes_ = stream_->bytes_acknowledged();
  timer_.start(context_.election_timeout * 3);
}

// All output is with the kernel, so the link is not stuck.
void OutLink::on_drained() {
  if (state_ != State::up) return;
  stuck_watch_ = false;
  timer_.stop();
}

void OutLink::end(std::string why) {
  if (state_ == State::closed) return;
  const bool was_up = state_ == State::up;
  const bool stable = was_up && context_.loop.now() - up_since_ > kStable;
  const bool was_greeting = state_ == State::greeting;
  drop_stream();
  lookup_.cancel();
  parser_.reset();
  writer_.reset();
  state_ = State::waiting;
  if (why != last_logged_) {
    log::info("{} link to {}: {}", to_string(channel_), target_.name, why);
    last_logged_ = std::move(why);
  }
  // The peer may have moved. What accepts connections at its old address, such as a proxy or a
  // server that is starting, must not keep this link from the new one.
  if (was_greeting) take_other_address();
  failures_ = stable ? 0 : failures_ + 1;
  if (was_up) context_.events.link_ended(*this);
  if (state_ != State::waiting) return;
  if (stable) dial();  // finds out whether the peer is gone, or only the connection
  else wait();
}

void OutLink::wait() {
  const unsigned doublings = std::min(failures_, 5u);
  const Duration longest = std::min(kMinBackoff * (std::int64_t{1} << doublings), kMaxBackoff);
  // Jitter keeps two servers from redialling each other in lockstep.
  const auto jitter = static_cast<std::int64_t>(crypto::random64() % 512);
  timer_.start(longest / 2 + longest / 1024 * jitter);
}

void OutLink::drop_stream() {
  if (stream_ == nullptr) return;
  bytes_before_ += stream_->bytes_out();
  stream_->close();
  context_.events.bury(std::move(stream_));
}

std::uint64_t OutLink::bytes_out() const {
  return bytes_before_ + (stream_ == nullptr ? 0 : stream_->bytes_out());
}

void OutLink::close() {
  drop_stream();
  timer_.stop();
  state_ = State::closed;
  lookup_.cancel();
}

}  // namespace vesper::peer
