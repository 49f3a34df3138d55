// How a server ends (docs/architecture.md, "Ending"): it drains, hands over, answers what is in
// flight, and stops.
#include "base/log.hpp"
#include "server/server.hpp"

namespace vesper::server {
namespace {

// How long a server that shuts down keeps serving its open connections.
constexpr Duration kDrain = milliseconds(250);

}  // namespace

void Server::begin_drain() {
  context_.set_draining();
  listener_.begin_drain();
  drain_timer_.start(kDrain);
  shutdown_timer_.start(options_.shutdown_timeout);
}

// True once all clients have closed (each is told with its next answer) and this server no longer
// leads, or cannot hand over.
bool Server::drained() const {
  if (!listener_.empty()) return false;
  const raft::Raft* raft = context_.node() != nullptr ? &context_.node()->raft() : nullptr;
  return raft == nullptr || !raft->is_leader() || raft->configuration().members.size() < 2;
}

void Server::begin_shutdown() {
  if (context_.shutting_down()) return;
  drain_timer_.stop();
  context_.set_now(loop_.now());
  context_.set_shutting_down();
  listener_.begin_shutdown();
  if (context_.node() != nullptr) context_.post(node::Shutdown{});
}

void Server::check_shutdown() {
  if (!context_.shutting_down()) {
    if (!drained()) return;
    begin_shutdown();
    if (context_.node() != nullptr) return;  // the node shuts down in the next turn
  }
  node::Node* node = context_.node();
  const bool has_recorded = !removed_ || records_->is_idle();
  if (listener_.settled() && (node == nullptr || node->drained()) && has_recorded) stop(Exit::ok);
}

void Server::on_shutdown_deadline() {
  log::warn("some requests could not be answered in time -> stopping");
  stop(Exit::ok);
}

}  // namespace vesper::server
