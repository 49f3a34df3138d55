// All client connections: accepts them within limits, routes replies to them, and closes those that
// make no progress. connection.hpp handles a single connection.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "api/context.hpp"
#include "io/stream.hpp"
#include "io/timer.hpp"
#include "node/ports.hpp"
#include "peer/peers.hpp"
#include "server/budget.hpp"
#include "server/connection.hpp"
#include "server/connection_events.hpp"
#include "server/options.hpp"

namespace vesper::server {

class ClientListener final : public node::Clients, private ConnectionEvents {
 public:
  // Connections that turn out to come from a peer are handed over to `peers`.
  // If `acceptor` is not empty, connections speak TLS. It may be replaced at any time.
  // `tls_budget`: must outlive `peers`, because diallers stay in it until they are trusted.
  ClientListener(io::Loop& loop, const Options& options, api::Context& context, peer::Peers& peers,
                 const crypto::TlsContext& acceptor, io::TlsBudget& tls_budget);
  ~ClientListener() override;
  ClientListener(const ClientListener&) = delete;
  ClientListener& operator=(const ClientListener&) = delete;

  Result<void> listen(const std::vector<io::Address>& addresses);
  // Starts to accept connections. Until then they wait in the kernel's queue.
  void open();

  void reply(const node::Ticket& ticket, node::ClientReply reply) override;
  // Answers a request that was put to someone other than the node.
  void answer(const node::Ticket& ticket, api::Outcome outcome);
  // The stream that answers this request has more bytes, or has ended. Does nothing if the stream
  // is gone.
  void resume(const node::Ticket& ticket);
  void wake(const node::Ticket& ticket) override { resume(ticket); }
  // The same for the streams of all connections.
  void resume_all();

  // Call once per turn, if there is a node. If tokens have changed, ends what is being answered for
  // clients whose token is gone.
  void review_clients();
  // Call at the end of a turn. Writes the output of each marked connection, until the turn's time
  // share is used up. The remaining connections are served first in the next turn.
  void flush();
  // True if flush() has work left, so the loop must not block.
  bool busy() const { return !marked_.empty() || !graveyard_.empty() || tls_budget_.busy(); }

  // Accepts no new connections from now on.
  void begin_drain();
  // Closes idle connections now, and the others after their pending answers. Streams are cut off.
  void begin_shutdown();
  bool empty() const { return connections_.empty(); }
  // Destroys all connections at once, with the streams that read from the store.
  void drop_all();
  // After begin_shutdown(): true once every request is answered and the kernel has taken every
  // answer.
  bool settled() const;
  struct Traffic {
    std::size_t connections = 0;
    std::uint64_t bytes_in = 0, bytes_out = 0;  // of all connections since the start
  };
  Traffic traffic() const;

 private:
  void on_waiting();
  void accept_one(std::unique_ptr<io::Stream> stream);
  void on_sweep();
  void stop_idle_sweep();

  // ConnectionEvents
  void wants_flush(Connection& connection) override { marked_.push_back(&connection); }
  void starved(const Connection& connection) override { starved_.push_back(connection.id()); }
  void is_peer(std::unique_ptr<io::Stream> stream, const http::RequestHead& head,
               std::string_view rest) override;
  void handshake_failed(const io::Stream& stream) override;
  void ended(Connection& connection) override;

  io::Loop& loop_;
  api::Context& context_;
  peer::Peers& peers_;
  const crypto::TlsContext& acceptor_;
  io::TlsBudget& tls_budget_;
  io::Listener listener_;
  io::Timer sweep_;
  std::size_t limit_ = 0;  // of connections; lowered if descriptors are short
  bool open_ = false;
  std::uint64_t next_id_ = 1;
  Budget budget_;
  api::Answer scratch_;
  bool needed_tokens_ = false;  // at the last review
  Id128 reviewed_tokens_;       // their digest
  const ConnectionContext connection_context_;
  std::unordered_map<std::uint64_t, std::unique_ptr<Connection>> connections_;
  std::vector<Connection*> marked_;
  // Destroyed once none of their functions is on the stack.
  std::vector<std::unique_ptr<Connection>> graveyard_;
  std::set<std::string> logged_failures_;  // of handshakes; bounded
  std::vector<std::uint64_t> starved_;     // have answers and wait for the output budget
};

}  // namespace vesper::server
