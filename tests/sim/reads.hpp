// Checks linearizable reads by the rule that they rest on (thesis 6.4, K4): a majority followed the
// leader at an instant after the read arrived. It shares no code with what it checks. Instants are
// in ns of the world's time. A server is a disk with the processes that use it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace vesper::sim {

using Violation = std::optional<std::string>;  // the broken rule, or nothing

class ReadRounds {
 public:
  explicit ReadRounds(std::size_t servers) : servers_(servers), voters_(servers) {}

  // The number of voters; set before any server leads.
  void set_voters(std::size_t voters) { voters_ = voters; }

  // A leader sends a heartbeat of this round, perhaps not for the first time.
  void sent(std::size_t leader, std::uint64_t term, std::uint64_t round, std::int64_t now);
  // The leader handles a reply to it. Only for servers that count.
  void answered(std::size_t leader, std::size_t by, std::uint64_t term, std::uint64_t round);
  // The last instant at which, as this leader knows, a majority followed it. 0: never.
  std::int64_t followed_until(std::size_t leader, std::uint64_t term, std::int64_t now) const;
  // The same for sets of voters that have to agree, each a list of servers.
  std::int64_t followed_until(std::size_t leader, std::uint64_t term, std::int64_t now,
                              const std::vector<std::vector<std::size_t>>& sets) const;
  // Another server, a disk that is new to the world.
  void add_server() { servers_.emplace_back(); }

  // The server knows that a majority followed the leader at this instant: it leads at the end of a
  // turn, or handles a reply to ReadIndexRequest from a leader that knew this instant.
  void learns(std::size_t server, std::int64_t followed);
  void starts(std::size_t server) { servers_[server] = {}; }
  // The server answers a linearizable read that was asked at `asked`.
  Violation reads(std::size_t server, std::int64_t asked) const;

 private:
  struct Server {
    std::uint64_t term = 0;              // the last term that it led
    std::vector<std::int64_t> sent;      // by round of that term: when it was first sent
    std::vector<std::int64_t> answered;  // by server: send time of the newest round it answered
    std::int64_t followed = 0;           // the instant that its reads may rest on
  };
  std::vector<Server> servers_;
  std::size_t voters_;
};

}  // namespace vesper::sim
