// Judges what is sent again. The transport loses, and Raft resends; but what waits in a slow link,
// or for a slow disk, is not lost. A sender may go back only when it has learned of a loss: by a
// refusal, a reported gap, a new connection, or the answer about a snapshot. Knows numbers only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "raft/output.hpp"

namespace vesper::sim {

using Violation = std::optional<std::string>;  // what is, or nothing

class Resends {
 public:
  explicit Resends(std::size_t servers) : servers_(servers), streams_(servers * servers) {}

  // Entries, or forwarded writes, first to last, leave `from` for `to`. `epoch` names what counts
  // them: a term, and of which process.
  Violation sent(std::size_t from, std::size_t to, std::uint64_t epoch, std::uint64_t first,
                 std::uint64_t last);
  // `from` is about to learn that something it sent to `to` may be missing there.
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

// Judges how many bytes of entries a leader sends to a server: as many as that server lacks, and
// few more. The account opens when the leader has found out, in its term, where the server's log
// ends. It is closed when something is lost on the way, and opens again when the server has all
// that it was sent.
class SentBytes {
 public:
  explicit SentBytes(std::size_t servers) : servers_(servers), accounts_(servers * servers) {}

  // Entries from index `first` on, of so many bytes each, leave `from` for `to`, in a term.
  Violation sent(std::size_t from, std::size_t to, std::uint64_t term, std::uint64_t first,
                 const std::vector<std::size_t>& sizes, raft::Channel channel);
  // `to` has acknowledged entries up to `match` in a term.
  void acknowledged(std::size_t from, std::size_t to, std::uint64_t term, std::uint64_t match);
  // A message between the two was lost, or their connection, or what one of them knew.
  void lost(std::size_t a, std::size_t b) {
    accounts_[a * servers_ + b].state = Account::State::closed;
    accounts_[b * servers_ + a].state = Account::State::closed;
  }

 private:
  struct Account {
    std::uint64_t term = 0;
    enum class State : std::uint8_t { probing, open, closed } state = State::probing;
    std::optional<raft::Channel> channel = {};
    std::set<std::uint64_t> indexes;  // that were sent
    std::uint64_t needed = 0, sent = 0;
  };
  std::size_t servers_;
  std::vector<Account> accounts_;
};

// Judges heartbeats: beside the regular ones, a few for reads, and those that tell a server that a
// write of its own is committed, none go to a server that does not answer. Durations in ns, by the
// clock of the leader.
class Beats {
 public:
  explicit Beats(std::size_t servers) : servers_(servers), links_(servers * servers) {}

  // The leader sends, to anybody, the entry at `index`: a write that `by` has forwarded.
  void wrote(std::size_t leader, std::size_t by, std::uint64_t epoch, std::uint64_t index);
  Violation sent(std::size_t from, std::size_t to, std::uint64_t epoch, std::uint64_t round,
                 std::uint64_t commit, std::int64_t local, std::int64_t interval);
  // An answer of `by` has come to the leader.
  void answered(std::size_t leader, std::size_t by) { links_[leader * servers_ + by].rounds = 0; }

 private:
  struct Link {
    std::uint64_t epoch = 0;
    std::uint64_t round = 0;   // the newest
    std::uint64_t rounds = 0;  // different ones, since it answered last
    std::int64_t since = 0;
    std::uint64_t commit = 0;     // the newest that it was told
    std::set<std::uint64_t> own;  // entries of its own after that
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
