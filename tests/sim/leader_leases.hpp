// Checks promises and leases (docs/raft.md, "Leases") from the messages between servers. It knows
// only numbers and shares no code with what it checks. Durations and instants are in ns, by the
// clock of the server that they belong to. A server is a disk with the processes that use it.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

namespace vesper::sim {

using Violation = std::optional<std::string>;  // the broken rule, or nothing

class LeaderLeases {
 public:
  explicit LeaderLeases(std::size_t servers) : servers_(servers) {}

  // A leader sends a heartbeat that asks for a lease; the leader promises, too.
  void asks(std::size_t server, std::uint64_t term, std::int64_t leader_lease, std::int64_t local);
  // A server handles such a heartbeat.
  void hears(std::size_t server, std::uint64_t term, std::uint64_t round, std::int64_t leader_lease,
             std::int64_t local);
  // Its reply leaves. From now on the promise counts; it began when the heartbeat was handled.
  Violation answers(std::size_t server, std::uint64_t term, std::uint64_t round);
  // A server votes, perhaps for itself: never within a promise to the leader of an older term.
  Violation votes(std::size_t server, std::uint64_t term, std::int64_t local);
  // The process ends. Its promises outlive it.
  void ends(std::size_t server) { servers_[server].heard.clear(); }
  // Another server: a disk that is new to the world.
  void add_server() { servers_.emplace_back(); }

  // A server leads this term. Returns true if the term is newer than any before.
  bool elected(std::uint64_t term) {
    if (term <= newest_) return false;
    newest_ = term;
    return true;
  }
  // A server that leads `term` holds a lease at this instant. Once a later leader is elected, none
  // may: a majority has promised not to elect it before.
  Violation holds(std::size_t server, std::uint64_t term) const;

  std::uint64_t promises() const { return promises_; }

 private:
  struct Heard {
    std::uint64_t term, round;
    std::int64_t until;
    std::int64_t since;
  };
  struct Server {
    std::deque<Heard> heard;        // the newest, of one term
    std::uint64_t promised_to = 0;  // the newest term among its promises
    std::int64_t promised_until = INT64_MIN;
    std::uint64_t voted_term = 0;
    std::int64_t voted_at = INT64_MIN;
  };
  std::vector<Server> servers_;
  std::uint64_t newest_ = 0;
  std::uint64_t promises_ = 0;
};

}  // namespace vesper::sim
