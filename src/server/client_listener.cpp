#include "server/client_listener.hpp"

#include <fmt/core.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "api/audit.hpp"
#include "base/log.hpp"

namespace vesper::server {
namespace {

constexpr int kBacklog = 1024;
constexpr Duration kAnswering = milliseconds(10);  // the share of one turn
// Connections accepted beyond the limit for a moment: a peer's connection cannot be told from a
// client's before its head is read.
constexpr std::size_t kBeyondLimit = 16;

constexpr std::size_t kMaxFailures = 64;  // reasons that are logged

constexpr std::size_t kUsualNodes = 5;  // of a cluster that a node joins

// File descriptors that clients must leave free: for the log, the loop, and four per peer.
std::size_t reserved_descriptors(std::size_t nodes) {
  return 24 + 4 * nodes + kBeyondLimit;
}

std::size_t connection_limit(const Options& options) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return options.max_connections;
  if (limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) ::getrlimit(RLIMIT_NOFILE, &limit);
  }
  const std::size_t reserved = reserved_descriptors(options.id ? options.list.size() : kUsualNodes);
  const std::size_t usable = limit.rlim_cur > reserved ? limit.rlim_cur - reserved : 1;
  if (usable < options.max_connections)
    log::warn(
        "only {} file descriptors are allowed (ulimit -n) -> accepting at most {} connections",
        limit.rlim_cur, usable);
  return std::min(usable, options.max_connections);
}

}  // namespace

ClientListener::ClientListener(io::Loop& loop, const Options& options, api::Context& context,
                               peer::Peers& peers, const crypto::TlsContext& acceptor,
                               io::TlsBudget& tls_budget)
    : loop_(loop),
      context_(context),
      peers_(peers),
      acceptor_(acceptor),
      tls_budget_(tls_budget),
      listener_(loop, io::Delegate<void>::to<&ClientListener::on_waiting>(this)),
      sweep_(loop, io::Delegate<void>::to<&ClientListener::on_sweep>(this)),
      limit_(connection_limit(options)),
      budget_(options.max_body_bytes, options.max_output_bytes),
      connection_context_{loop, options, context, budget_, *this, scratch_} {}

ClientListener::~ClientListener() = default;

Result<void> ClientListener::listen(const std::vector<io::Address>& addresses) {
  return listener_.listen(addresses, kBacklog);
}

void ClientListener::open() {
  open_ = true;
  on_waiting();
}

void ClientListener::on_waiting() {
  while (open_ && connections_.size() < limit_ + kBeyondLimit) {
    auto stream = std::make_unique<io::Stream>(loop_);
    if (!listener_.accept(*stream)) return;
    // A client that has reset its connection gets no answer, and without its address nothing that
    // it did could be told in the audit log.
    if (stream->peer().is_known()) accept_one(std::move(stream));
  }
}

void ClientListener::accept_one(std::unique_ptr<io::Stream> stream) {
  context_.set_now(loop_.now());
  const bool over_limit = connections_.size() >= limit_;
  if (over_limit) ++context_.metrics.connections_refused;
  ++context_.metrics.connections_accepted;
  if (acceptor_) stream->secure(crypto::TlsSession::accept(acceptor_), tls_budget_);
  const std::uint64_t id = next_id_++;
  const auto limit = over_limit ? Connection::Limit::exceeded : Connection::Limit::kept;
  connections_.emplace(
      id, std::make_unique<Connection>(id, connection_context_, std::move(stream), limit));
  if (!sweep_.active()) sweep_.start(seconds(1), seconds(1));
}

void ClientListener::answer(const node::Ticket& ticket, api::Outcome outcome) {
  const auto at = connections_.find(ticket.connection);
  if (at != connections_.end()) at->second->on_outcome(ticket, std::move(outcome));
}

void ClientListener::reply(const node::Ticket& ticket, node::ClientReply reply) {
  const auto at = connections_.find(ticket.connection);
  if (at != connections_.end()) at->second->on_reply(ticket, std::move(reply));
}

void ClientListener::resume(const node::Ticket& ticket) {
  const auto at = connections_.find(ticket.connection);
  if (at != connections_.end()) at->second->resume_body(ticket.request);
}

void ClientListener::resume_all() {
  for (const auto& [id, connection] : connections_) connection->resume_body();
}

void ClientListener::is_peer(std::unique_ptr<io::Stream> stream, const http::RequestHead& head,
                             std::string_view rest) {
  peers_.accept(std::move(stream), head, rest);
}

void ClientListener::flush() {
  budget_.begin_turn();
  tls_budget_.begin_turn();
  // Connections that are marked during this flush are served in the next turn.
  const std::vector<Connection*> due = std::exchange(marked_, {});
  const Instant until = loop_.now() + kAnswering;
  std::size_t at = 0;
  for (; at < due.size() && loop_.now() < until; ++at)
    if (!due[at]->gone()) due[at]->flush();
  std::vector<Connection*> late(due.begin() + static_cast<std::ptrdiff_t>(at), due.end());
  std::erase_if(late, [](const Connection* connection) { return connection->gone(); });
  marked_.insert(marked_.begin(), late.begin(), late.end());
  if (!starved_.empty() && budget_.output_has_room())
    for (const std::uint64_t id : std::exchange(starved_, {}))
      if (const auto it = connections_.find(id); it != connections_.end()) it->second->mark();
  if (graveyard_.empty()) return;
  graveyard_.clear();
  on_waiting();  // accept again, since connections have ended
}

// Each reason is logged once: strangers decide how often handshakes fail.
void ClientListener::handshake_failed(const io::Stream& stream) {
  ++context_.metrics.handshakes_failed;
  const std::string why = stream.why_failed(EPROTO);
  if (logged_failures_.size() < kMaxFailures && logged_failures_.insert(why).second)
    log::warn("a connection from {} failed: {}", stream.peer().to_string(), why);
}

void ClientListener::ended(Connection& connection) {
  const auto at = connections_.find(connection.id());
  VESPER_ASSERT(at != connections_.end());
  context_.metrics.bytes_in += connection.bytes_in();
  context_.metrics.bytes_out += connection.bytes_out();
  std::erase(marked_, &connection);  // it may have been marked again during its flush
  graveyard_.push_back(std::move(at->second));
  connections_.erase(at);
  stop_idle_sweep();
  // The next flush() destroys the connection.
}

void ClientListener::review_clients() {
  const kv::Access& access = context_.node()->store().access();
  const bool needed = std::exchange(needed_tokens_, access.is_enabled());
  const Id128 tokens = std::exchange(reviewed_tokens_, access.digest());
  if (needed == needed_tokens_ && tokens == reviewed_tokens_) return;
  std::vector<Connection*> all;
  all.reserve(connections_.size());
  for (const auto& [id, connection] : connections_) all.push_back(connection.get());
  for (Connection* connection : all)
    if (!connection->gone()) connection->review_client();
}

void ClientListener::stop_idle_sweep() {
  if (connections_.empty() && context_.refusals.is_empty()) sweep_.stop();
}

void ClientListener::on_sweep() {
  context_.set_now(loop_.now());
  std::vector<Connection*> all;
  all.reserve(connections_.size());
  for (const auto& [id, connection] : connections_) all.push_back(connection.get());
  for (Connection* connection : all)
    if (!connection->gone()) connection->sweep();
  api::audit_refusals(context_);
  stop_idle_sweep();
}

void ClientListener::begin_drain() {
  open_ = false;
  listener_.close();
}

void ClientListener::begin_shutdown() {
  std::vector<Connection*> all;
  for (const auto& [id, connection] : connections_) all.push_back(connection.get());
  for (Connection* connection : all)
    if (!connection->gone()) connection->begin_shutdown();
}

void ClientListener::drop_all() {
  for (const auto& [id, connection] : connections_)
    if (!connection->gone()) connection->audit_unanswered();
  marked_.clear();
  graveyard_.clear();
  connections_.clear();
}

bool ClientListener::settled() const {
  return std::all_of(connections_.begin(), connections_.end(),
                     [](const auto& entry) { return entry.second->settled(); });
}

ClientListener::Traffic ClientListener::traffic() const {
  Traffic traffic;
  traffic.connections = connections_.size();
  traffic.bytes_in = context_.metrics.bytes_in;
  traffic.bytes_out = context_.metrics.bytes_out;
  for (const auto& [id, connection] : connections_) {
    traffic.bytes_in += connection->bytes_in();
    traffic.bytes_out += connection->bytes_out();
  }
  return traffic;
}

}  // namespace vesper::server
