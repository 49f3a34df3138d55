// Judges linearizable reads by the rule that they rest on (thesis 6.4, K4): a majority followed the
// leader that answers at an instant after the read came. It shares no code with what it judges.
// Instants are in ns of the world's time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace vesper::sim {

using Violation = std::optional<std::string>;  // what is, or nothing

class ReadRounds {
 public:
  explicit ReadRounds(std::size_t servers) : servers_(servers), voters_(servers) {}

  // How many servers vote, before any of them leads.
  void set_voters(std::size_t voters) { voters_ = voters; }

  // A leader sends a heartbeat of this round, perhaps not for the first time.
  void sent(std::size_t leader, std::uint64_t term, std::uint64_t round, std::int64_t now);
  // It takes in an answer to it. Of servers that count.
  void answered(std::size_t leader, std::size_t by, std::uint64_t term, std::uint64_t round);
  // Up to when a majority is known to this leader to have followed it. 0: never.
  std::int64_t followed_until(std::size_t leader, std::uint64_t term, std::int64_t now) const;

  // A server leads at the end of a turn, or takes in a leader's answer to ReadIndexRequest which
  // left when that leader knew of this instant.
  void learns(std::size_t server, std::int64_t followed);
  void starts(std::size_t server) { servers_[server] = {}; }
  // It answers a linearizable read that was asked at `asked`.
  Violation reads(std::size_t server, std::int64_t asked) const;

 private:
  struct Server {
    std::uint64_t term = 0;              // that it led last ...
    std::vector<std::int64_t> sent;      // ... and when each round left first
    std::vector<std::int64_t> answered;  // by server: when the newest left that it has answered
    std::int64_t followed = 0;           // what its reads may rest on
  };
  std::vector<Server> servers_;
  std::size_t voters_;
};

}  // namespace vesper::sim
