// All connections of clients: accepting within limits, finding the one that an answer is for,
// sweeping out what makes no progress.
#pragma once

#include <cstdint>
#include <memory>
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
  // `peers` takes over connections that turn out to be a peer's.
  ClientListener(io::Loop& loop, const Options& options, api::Context& context, peer::Peers& peers);
  ~ClientListener() override;
  ClientListener(const ClientListener&) = delete;
  ClientListener& operator=(const ClientListener&) = delete;

  Result<void> listen(const std::vector<io::Address>& addresses);
  // From then on connections are taken; until then they wait in the kernel's queue.
  void open();

  void reply(const node::Ticket& ticket, node::ClientReply reply) override;
  // The stream that answers this request has more, or has ended. Harmless when it is gone.
  void resume(const node::Ticket& ticket);

  // End of a turn: one write for each connection that has something to say, as long as the turn's
  // share of time lasts; the others come first in the next one.
  void flush();
  // Connections wait for flush() though nothing happens.
  bool busy() const { return !marked_.empty() || !graveyard_.empty(); }

  // No new connections from now on.
  void begin_drain();
  // Idle connections end, the others after what they wait for. Streams are cut.
  void begin_shutdown();
  bool empty() const { return connections_.empty(); }
  // After begin_shutdown(): every request is answered and every answer is with the kernel.
  bool settled() const;
  struct Traffic {
    std::size_t connections = 0;
    std::uint64_t bytes_in = 0, bytes_out = 0;  // of all connections, ever
  };
  Traffic traffic() const;

 private:
  void on_waiting();
  void accept_one(std::unique_ptr<io::Stream> stream);
  void on_sweep();

  // ConnectionEvents
  void wants_flush(Connection& connection) override { marked_.push_back(&connection); }
  void starved(const Connection& connection) override { starved_.push_back(connection.id()); }
  void is_peer(std::unique_ptr<io::Stream> stream, const http::RequestHead& head,
               std::string_view rest) override;
  void ended(Connection& connection) override;

  io::Loop& loop_;
  api::Context& context_;
  peer::Peers& peers_;
  io::Listener listener_;
  io::Timer sweep_;
  std::size_t limit_ = 0;  // of connections, as far as descriptors allow
  bool open_ = false;
  std::uint64_t next_id_ = 1;
  Budget budget_;
  api::Answer scratch_;
  const ConnectionContext connection_context_;
  std::unordered_map<std::uint64_t, std::unique_ptr<Connection>> connections_;
  std::vector<Connection*> marked_;
  std::vector<std::unique_ptr<Connection>> graveyard_;  // destroyed when nothing is on the stack
  std::vector<std::uint64_t> starved_;  // have answers, and wait for others' output to drain
};

}  // namespace vesper::server
