// The endpoints of a command that runs for long: watch, lock, elect, lease keep, export. All nodes
// that it was given may leave the cluster while it runs, so it learns the present members from the
// nodes that serve it.
#pragma once

#include <vector>

#include "app/cluster_survey.hpp"

namespace vesper::app {

// How often a command asks the node that serves it which members there are.
inline constexpr Duration kLearnEvery = seconds(5);

class LiveEndpoints {
 public:
  // Requires at least one.
  explicit LiveEndpoints(std::vector<HostPort> given)
      : given_(given.size()), all_(std::move(given)) {}

  // Those that were given, then the members that were learned. Never empty.
  const std::vector<HostPort>& all() const { return all_; }
  std::size_t size() const { return all_.size(); }
  // The one to ask. The reference is valid until the next call of a function that changes them.
  const HostPort& current() const { return all_[at_]; }
  void go_on() { at_ = (at_ + 1) % all_.size(); }

  // Asks `server`, which serves the command or is about to, for the members, unless it has told
  // them within kLearnEvery. Waits up to `within`, and once more if it names ones that are not
  // learned yet.
  void learn_from(const HostPort& server, Duration within = kLearnTimeout);
  // Asks all endpoints for other members, because none serves the command.
  void learn_from_all(Duration within = kLearnTimeout) { learn_members(all_, within); }

 private:
  bool replace_learned(const std::vector<HostPort>& named, Duration within);

  std::size_t given_;
  std::vector<HostPort> all_;
  std::size_t at_ = 0;
  HostPort teller_;              // the server that was asked last
  Instant told_at_;              // when it was asked
  std::vector<HostPort> named_;  // the members that it named; empty until all of them have answered
};

}  // namespace vesper::app
