// Clients' questions about the members. A server that follows asks the leader, once for all
// questions that have come since it asked last.
#pragma once

#include <optional>
#include <vector>

#include "node/ports.hpp"

namespace vesper::node {

class ClusterQuestions {
 public:
  // A question without an answer is repeated after `interval`.
  explicit ClusterQuestions(Duration interval) : interval_(interval) {}

  // Returns false if too many wait.
  [[nodiscard]] bool add(const ClientCluster& question);
  // The number of the question that the leader is to be asked now. Nothing: none is due.
  std::optional<std::uint64_t> ask(Instant now);
  // The leader has answered question `number`: returns the clients that waited for it.
  std::vector<Ticket> answered(std::uint64_t number);
  // Removes those that are past their deadline.
  std::vector<Ticket> expire(Instant now);
  // The client has disconnected.
  void leave(std::uint64_t connection);
  // Removes all.
  std::vector<Ticket> clear() { return expire(kNever); }

  bool is_idle() const { return waiting_.empty(); }
  // When ask() or expire() has something to do; kNever: not before another input.
  Instant deadline() const;

 private:
  struct Waiting {
    ClientCluster question;
    std::uint64_t number = 0;  // the first question to the leader that covers it; 0: none yet
  };
  const Duration interval_;
  std::vector<Waiting> waiting_;
  std::uint64_t asked_ = 0, answered_ = 0;
  Instant ask_at_;  // again, if the latest question is not answered by then
};

}  // namespace vesper::node
