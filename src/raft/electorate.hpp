// The voters according to this server's log, and whether this server is one of them. Majorities are
// counted in quorum.hpp.
#pragma once

#include "raft/quorum.hpp"

namespace vesper::raft {

class Electorate {
 public:
  Electorate(ServerId self, Incarnation incarnation) : self_(self), incarnation_(incarnation) {}

  // The latest configuration in the log, committed or not (§6).
  const Configuration& configuration() const { return configuration_; }
  void adopt(Configuration configuration) { configuration_ = std::move(configuration); }
  // Called for each appended entry. A configuration entry takes effect at once.
  void append(const Entry& entry);

  Quorum quorum() const { return Quorum(configuration_.voters); }
  // True if votes and acknowledgements of server `id` count: it is a voter, and the log has
  // registered this incarnation (C10). Before the Bootstrap entry every incarnation counts.
  bool counts(ServerId id, Incarnation incarnation) const {
    const Voter* voter = configuration_.find(id);
    return voter != nullptr && counts(*voter, incarnation);
  }
  bool counts(const Voter& voter, Incarnation incarnation) const {
    if (configuration_.cluster_id.is_none()) return true;
    return incarnation.value != 0 && voter.incarnation == incarnation;
  }
  bool is_self(ServerId id) const { return id == self_; }
  bool self_counts() const { return counts(self_, incarnation_); }

 private:
  ServerId self_;
  Incarnation incarnation_;
  Configuration configuration_;
};

}  // namespace vesper::raft
