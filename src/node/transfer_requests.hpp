// Pending requests to transfer leadership (Raft thesis §3.10): those of clients, and this process's
// own at shutdown. Raft chooses the successor and the moment; this class decides when to ask the
// leader and which client to answer.
#pragma once

#include <optional>
#include <vector>

#include "node/ports.hpp"

namespace vesper::node {

class TransferRequests {
 public:
  // A request to the leader to transfer leadership to `to`, or to any fit server.
  struct Question {
    std::optional<raft::ServerId> to;
    bool of_client = false;  // false: only this process wants it, which asks only while it leads
    std::optional<kv::Identity> identity{};  // of the client
  };

  // `leader`: the current leader. Returns false if too many requests wait.
  [[nodiscard]] bool add(ClientTransfer request, std::optional<raft::ServerId> leader, Instant now);
  // From now on, this process asks to give up leadership whenever it leads.
  void hand_over(Instant now);

  // Removes the fulfilled requests and returns their tickets. Requires that `leader` has committed
  // an entry of its term.
  std::vector<Ticket> finish(raft::ServerId leader);
  // Returns the question that is due, if any. The next one is due after `interval`.
  std::optional<Question> ask(raft::ServerId leader, Instant now, Duration interval);
  // The leader refuses the requests of the client with this token: removes those that are not
  // fulfilled, and returns their tickets.
  std::vector<Ticket> refuse(const std::optional<kv::Identity>& identity, raft::ServerId leader);
  // Removes the requests that are past their deadline.
  std::vector<Ticket> expire(Instant now);
  // The client has disconnected.
  void leave(std::uint64_t connection);
  // Removes every request.
  std::vector<Ticket> clear();

  bool is_idle() const { return requests_.empty() && !handing_over_; }
  // When a request expires or ask() has a question; kNever: neither. `self`: this server.
  Instant deadline(std::optional<raft::ServerId> leader, raft::ServerId self) const {
    return is_idle() ? kNever : next_deadline(leader, self);
  }

 private:
  struct Request {
    ClientTransfer asked;
    // The leader at the time of the request. If there was none, the first one after it.
    std::optional<raft::ServerId> from;
  };
  Instant next_deadline(std::optional<raft::ServerId> leader, raft::ServerId self) const;
  static bool is_fulfilled(const Request& request, raft::ServerId leader);

  std::vector<Request> requests_;
  Instant ask_at_;
  bool handing_over_ = false;
};

}  // namespace vesper::node
