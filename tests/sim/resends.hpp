// Checks resends. The transport loses messages, and Raft resends them. But messages that wait in a
// slow link, or for a slow disk, are not lost. A sender may go back only after it has learned of a
// loss: by a refusal, a reported gap, a new connection, or a reply about a snapshot. This file
// knows only numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "raft/output.hpp"

namespace vesper::sim {

using Violation = std::optional<std::string>;  // the broken rule, or nothing

class Resends {
 public:
  explicit Resends(std::size_t servers) : servers_(servers), streams_(servers * servers) {}

  // Entries or forwarded writes, `first` to `last`, leave `from` for `to`. `epoch` identifies their
  // numbering: the term, and for forwarded writes also the process.
  Violation sent(std::size_t from, std::size_t to, std::uint64_t epoch, std::uint64_t first,
                 std::uint64_t last);
  // `from` is about to learn that something it sent to `to` may be lost.
  void may_go_back(std::size_t from, std::size_t to) {
    streams_[from * servers_ + to].sent_through = 0;
  }

 private:
  struct Stream {
    std::uint64_t epoch = 0;
    std::uint64_t sent_through = 0;
  };
  std::size_t servers_;
  std::vector<Stream> streams_;
};

// Checks how many bytes of entries a leader sends to a server: as many as that server lacks, plus a
// small margin. The account opens when the leader has found, in its term, where the server's log
// ends. It closes when a message is lost, and opens again when the server has everything sent to
// it.
class SentBytes {
 public:
  explicit SentBytes(std::size_t servers) : servers_(servers), accounts_(servers * servers) {}

  // Entries from index `first` on, with these sizes in bytes, leave `from` for `to` in a term.
  Violation sent(std::size_t from, std::size_t to, std::uint64_t term, std::uint64_t first,
                 const std::vector<std::size_t>& sizes, raft::Channel channel);
  // `to` has acknowledged entries up to `match` in a term.
  void acknowledged(std::size_t from, std::size_t to, std::uint64_t term, std::uint64_t match);
  // A message between the two was lost, or their connection, or the state of one of them.
  void lost(std::size_t a, std::size_t b) {
    accounts_[a * servers_ + b].state = Account::State::closed;
    accounts_[b * servers_ + a].state = Account::State::closed;
  }

 private:
  struct Account {
    std::uint64_t term = 0;
    enum class State : std::uint8_t { probing, open, closed } state = State::probing;
    std::optional<raft::Channel> channel = {};
    std::set<std::uint64_t> indexes;  // of the entries that were sent
    std::uint64_t needed = 0, sent = 0;
  };
  std::size_t servers_;
  std::vector<Account> accounts_;
};

// Checks heartbeats to a server that does not reply. It may get the regular ones, a few for reads,
// and those that announce the commit of a write of its own. Durations are in ns, by the leader's
// clock.
class Beats {
 public:
  explicit Beats(std::size_t servers) : servers_(servers), links_(servers * servers) {}

  // The leader sends, to any server, the entry at `index`: a write that `by` has forwarded.
  void wrote(std::size_t leader, std::size_t by, std::uint64_t epoch, std::uint64_t index);
  Violation sent(std::size_t from, std::size_t to, std::uint64_t epoch, std::uint64_t round,
                 std::uint64_t commit, std::int64_t local, std::int64_t interval);
  // A reply of `by` has reached the leader.
  void answered(std::size_t leader, std::size_t by) { links_[leader * servers_ + by].rounds = 0; }

 private:
  struct Link {
    std::uint64_t epoch = 0;
    std::uint64_t round = 0;   // the newest that was sent
    std::uint64_t rounds = 0;  // number of different rounds since its last reply
    std::int64_t since = 0;
    std::uint64_t commit = 0;     // the newest commit index that it was sent
    std::set<std::uint64_t> own;  // indexes of its own writes after that
  };
  Link& link(std::size_t from, std::size_t to, std::uint64_t epoch) {
    Link& link = links_[from * servers_ + to];
    if (link.epoch != epoch) link = Link{.epoch = epoch};
    return link;
  }
  std::size_t servers_;
  std::vector<Link> links_;
};

}  // namespace vesper::sim
