// The configurations in this server's log, which of them is in force, and which member this server
// is. Majorities are counted in quorum.hpp.
#pragma once

#include <deque>

#include "raft/quorum.hpp"

namespace vesper::raft {

class Electorate {
 public:
  // `listed`: the number of this server before its log names it: its place in the first list, or
  // kNoServer.
  Electorate(ServerId listed, Incarnation incarnation)
      : listed_(listed), incarnation_(incarnation), self_(listed) {}

  // The latest configuration in the log, committed or not (§6).
  const Configuration& configuration() const { return history_.back(); }
  // The latest one that is committed.
  const Configuration& committed() const { return history_.front(); }
  bool is_committed() const { return history_.size() == 1; }
  // Starts over from a committed configuration.
  void adopt(Configuration configuration);
  // Called for each appended entry. A configuration entry takes effect at once. Returns whether
  // this was one.
  bool append(const Entry& entry);
  // C3: if a configuration entry is removed, the configuration before it applies again.
  void truncate_from(Index index);
  void commit_to(Index index);

  Quorum quorum() const { return Quorum(configuration().members); }
  // True if votes and acknowledgements of server `id` count: it is a voter, and the log has
  // registered this incarnation (C10). Before the Bootstrap entry every incarnation counts.
  bool counts(ServerId id, Incarnation incarnation) const {
    const Member* member = configuration().find(id);
    return member != nullptr && member->votes() && counts(*member, incarnation);
  }
  bool counts(const Member& member, Incarnation incarnation) const {
    if (configuration().cluster_id.is_none()) return true;
    return incarnation.value != 0 && member.incarnation == incarnation;
  }
  // This server's number according to the latest configuration; kNoServer if it is no member.
  ServerId self() const { return self_; }
  bool is_self(ServerId id) const { return id == self_; }
  bool self_counts() const { return counts(self_, incarnation_); }
  // True if one voter decides alone, in the committed configuration and in all that follow it.
  bool is_alone() const;
  // True if the committed configuration has another disk, or none, in this server's place, although
  // this server once was a member. It will never be one again (thesis 4.2.2).
  bool is_removed() const { return was_member_ && is_left_out(); }

 private:
  ServerId find_self(const Configuration& configuration) const;
  bool is_left_out() const;
  void review();

  const ServerId listed_;
  const Incarnation incarnation_;
  ServerId self_;
  bool was_member_ = false;  // of a committed configuration
  // Never empty after adopt(). The first one is committed, the others are not.
  std::deque<Configuration> history_{1};
};

}  // namespace vesper::raft
