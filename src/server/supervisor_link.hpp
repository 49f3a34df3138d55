// The connection to the process that has started this one (app/supervisor.hpp): passes on what
// clients ask of POST /chaos, and takes the orders that concern this node. One JSON object a line:
//
//   to the supervisor   {"ask":7,"request":{"do":"kill","node":1}}   {"carried_out":3}
//   from it             {"answer":7,"body":"{\"done\":true}"}   {"answer":7,"refused":"why"}
//                       {"order":3,"cut":[1,2],"slow_disk_ms":50}   {"order":4,"campaign":true}
#pragma once

#include <cstdint>
#include <map>
#include <string_view>
#include <vector>

#include "api/chaos.hpp"
#include "io/line_socket.hpp"
#include "io/timer.hpp"
#include "server/client_listener.hpp"

namespace vesper::server {

// The orders that a node carries out itself.
struct ChaosOrders {
  // Messages to these nodes are dropped from now on, and those to all others are not.
  io::Delegate<void, const std::vector<raft::NodeId>&> cut;
  io::Delegate<void, Duration> slow_disk;  // for each write; 0: none
  io::Delegate<void> campaign;
};

class SupervisorLink final : public api::ChaosPort {
 public:
  // `fd`: of the socket to the supervisor; -1: there is none. `listener` must outlive this.
  SupervisorLink(io::Loop& loop, int fd, ClientListener& listener, ChaosOrders orders);

  bool ask(const node::Ticket& ticket, std::string_view request) override;

 private:
  struct Asked {
    node::Ticket ticket;
    Instant until;
  };
  void on_line(std::string_view line);
  void on_ended();
  void on_timer();
  void answer(std::uint64_t number, api::Outcome outcome);

  io::Loop& loop_;
  ClientListener& listener_;
  const ChaosOrders orders_;
  std::optional<io::LineSocket> socket_;
  io::Timer timer_;
  std::map<std::uint64_t, Asked> asked_;  // by number, oldest first
  std::uint64_t last_number_ = 0;
};

}  // namespace vesper::server
