// Requests for a transfer of leadership (thesis 3.10): those of clients, and that of this process
// when it shuts down. Raft picks the successor and the moment; here is who is asked and who is
// answered.
#pragma once

#include <optional>
#include <vector>

#include "node/ports.hpp"

namespace vesper::node {

class TransferRequests {
 public:
  // A question to the leader: hand over to `to`, or to any server that is fit.
  struct Question {
    std::optional<raft::ServerId> to;
    bool of_client = false;  // not only of this process, which asks only while it leads itself
  };

  // `leader`: who leads now. False: too many requests wait.
  [[nodiscard]] bool add(ClientTransfer request, std::optional<raft::ServerId> leader, Instant now);
  // From now on this process asks to lead no longer.
  void hand_over(Instant now);

  // Removes the requests that are fulfilled. `leader` has committed an entry of its term.
  std::vector<Ticket> finish(raft::ServerId leader);
  // The question that is due, if there is one. The next one is due after `interval`.
  std::optional<Question> ask(raft::ServerId leader, Instant now, Duration interval);
  // Removes the requests that are past their deadline.
  std::vector<Ticket> expire(Instant now);
  // The client has hung up.
  void leave(std::uint64_t connection);
  // Removes every request.
  std::vector<Ticket> clear();

  bool is_idle() const { return requests_.empty() && !handing_over_; }
  // When a request expires or ask() has a question; kNever: never. `self`: this server.
  Instant deadline(std::optional<raft::ServerId> leader, raft::ServerId self) const {
    return is_idle() ? kNever : next_deadline(leader, self);
  }

 private:
  struct Request {
    ClientTransfer asked;
    std::optional<raft::ServerId> from;  // who led then; if no one did, who led first after that
  };
  Instant next_deadline(std::optional<raft::ServerId> leader, raft::ServerId self) const;
  static bool is_fulfilled(const Request& request, raft::ServerId leader);

  std::vector<Request> requests_;
  Instant ask_at_;
  bool handing_over_ = false;
};

}  // namespace vesper::node
