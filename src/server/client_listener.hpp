// All connections of clients: accepting within limits, finding who an answer is for, sweeping out
// what makes no progress.
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
#include "server/connection.hpp"
#include "server/options.hpp"

namespace vesper::server {

class ClientListener final : public node::Clients {
 public:
  // `peers` takes over connections that turn out to be a peer's.
  ClientListener(io::Loop& loop, const Options& options, api::Context& context, peer::Peers& peers);
  ~ClientListener() override;
  ClientListener(const ClientListener&) = delete;
  ClientListener& operator=(const ClientListener&) = delete;

  Result<void> listen(const std::vector<io::Address>& addresses);
  // From then on connections are taken; until then they wait in the kernel's queue.
  void open();

  void reply(const node::Ticket& ticket, node::Reply reply) override;

  // End of a turn: one write for each connection that has something to say, as long as the turn's
  // share of time lasts; the others come first in the next one.
  void flush();
  // Connections wait for flush() though nothing happens.
  bool busy() const { return !marked_.empty() || !graveyard_.empty(); }

  // No new connections from now on.
  void begin_drain();
  // Idle connections end, the others behind what they wait for.
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
  friend class Connection;

  void on_waiting();
  void accept_one(std::unique_ptr<io::Stream> stream);
  void on_sweep();
  void mark(Connection& connection);
  void retire(Connection& connection);
  // What a turn takes in from clients is bounded: what they can offer at once keeps a leader busy
  // for longer than an election timeout, and its heartbeats wait for the turn to end.
  bool turn_has_room() const { return taken_ < kMaxTaken; }
  bool output_room() const { return output_bytes_ < options_.max_output_bytes; }
  bool body_room() const { return body_bytes_ < options_.max_body_bytes; }

  static constexpr std::size_t kMaxTaken = 1024;  // requests in one turn

  io::Loop& loop_;
  const Options& options_;
  api::Context& context_;
  peer::Peers& peers_;
  io::Listener listener_;
  io::Timer sweep_;
  std::size_t limit_ = 0;  // of connections, as far as descriptors allow
  bool open_ = false;
  std::uint64_t next_id_ = 1;
  std::unordered_map<std::uint64_t, std::unique_ptr<Connection>> connections_;
  std::vector<Connection*> marked_;
  std::vector<std::unique_ptr<Connection>> graveyard_;  // destroyed when nothing is on the stack
  std::vector<std::uint64_t> starved_;  // have answers, and wait for others' output to drain
  std::size_t taken_ = 0;               // requests since the last turn ended
  std::size_t body_bytes_ = 0;          // of requests being read
  std::size_t output_bytes_ = 0;        // not taken by the kernel
  api::Answer scratch_;
};

}  // namespace vesper::server
