// Checks what servers do to their logs, terms and votes, from the outside and step by step. It
// knows only numbers, hashes and rosters, and shares no code with what it checks. A server here is
// a disk with the processes that used it: a host whose disk is replaced becomes another server.
// docs/rules.md defines the codes of the rules.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "sim/roster.hpp"

namespace vesper::sim {

// The bounds of one server's log.
struct LogView {
  std::uint64_t base_index = 0;
  std::uint64_t base_term = 0;
  std::uint64_t last_index = 0;
};

class Safety {
 public:
  struct Known {
    std::uint64_t term = 0;
    std::uint64_t hash = 0;
  };
  enum class Role : std::uint8_t { leader, other };
  struct Digest {
    std::uint64_t high = 0, low = 0;
    bool operator==(const Digest&) const = default;
  };

  explicit Safety(std::size_t servers) : mirrors_(servers), voters_(servers) {}

  // The number of voters that count before a log has a roster; set before anything is committed.
  void set_voters(std::size_t voters) { voters_ = voters; }
  // Another disk.
  void add_server() { mirrors_.emplace_back(); }
  // The server has this incarnation.
  void identify(std::size_t server, std::uint64_t incarnation) {
    mirrors_[server].incarnation = incarnation;
    disks_[incarnation] = server;
  }
  // The server with this incarnation; nothing if there is none.
  std::optional<std::size_t> server_of(std::uint64_t incarnation) const {
    const auto at = disks_.find(incarnation);
    if (at == disks_.end()) return std::nullopt;
    return at->second;
  }

  // ---- what a server sends; called when the message leaves

  // E2, E3, E4: `server` votes for `candidate` in `term`, perhaps for itself.
  Violation votes(std::size_t server, std::uint64_t incarnation, std::uint64_t term,
                  std::uint64_t candidate);
  // E3: the term of any message; the server must never return to a lower one.
  void promises_term(std::size_t server, std::uint64_t term);
  // L10: everything up to `index` is durable at `server`, and equals the log of the leader of
  // `term`. `now_term` is the server's current term.
  void acknowledges(std::size_t server, std::uint64_t term, std::uint64_t index,
                    std::uint64_t now_term);
  // E1: `server` sends a message that only leaders send.
  Violation leads(std::size_t server, std::uint64_t term);

  // ---- the state of a server after a turn

  // No entry changes the roster.
  struct NoRosters {
    std::optional<Roster> operator()(std::uint64_t, const Roster*) const { return std::nullopt; }
  };
  // L1, L2, L3, C4, C13, E6: records changes of the log. `term_at` and `hash_at` give the term and
  // the hash of an entry after the base; `roster_at` the roster after an entry that changes it,
  // from the one before it.
  template <typename TermAt, typename HashAt, typename RosterAt = NoRosters>
  Violation follow(std::size_t server, LogView view, Role role, TermAt&& term_at, HashAt&& hash_at,
                   RosterAt&& roster_at = {});
  // Compares every entry: notices one that was replaced by another of the same term.
  template <typename HashAt>
  Violation compare_all(std::size_t server, HashAt&& hash_at) const;
  // C1, C2, L5, L8, L9, L10, S1: call after follow(). `durable`: what a leader counts of its own
  // log.
  Violation commits(std::size_t server, std::uint64_t term, Role role, std::uint64_t commit,
                    std::uint64_t durable);
  // C10, E3, L7: call after commits().
  Violation in_term(std::size_t server, std::uint64_t term, Role role);
  // L20: equal state at equal index.
  Violation applied(std::size_t server, std::uint64_t index, Digest digest);

  // ---- the state after a restart

  // L10, E2, E3: everything that was promised is there. Then follow()s the log from the beginning.
  template <typename TermAt, typename HashAt, typename RosterAt = NoRosters>
  Violation restarts(std::size_t server, std::uint64_t incarnation, std::uint64_t term,
                     std::optional<std::uint64_t> voted_for, LogView view, TermAt&& term_at,
                     HashAt&& hash_at, RosterAt&& roster_at = {});

  // Entries committed on any server, in index order from 1.
  const std::vector<Known>& committed() const { return committed_; }
  // The latest committed roster, and the latest in the server's log. Null: none.
  const Roster* roster() const { return roster_; }
  const Roster* roster_of(std::size_t server) const { return mirrors_[server].roster; }
  // Where its log ended when it was last seen.
  std::uint64_t last_of(std::size_t server) const { return mirrors_[server].last(); }
  // The one in force at a committed index.
  const Roster* committed_roster(std::uint64_t index) const {
    return in_force(index, committed_[index - 1].term);
  }

 private:
  struct Point {
    std::uint64_t index = 0, term = 0;
  };
  struct Mirror {
    std::uint64_t base_index = 0, base_term = 0;
    std::deque<Known> entries;  // after the base
    std::uint64_t term = 0;     // when last seen in this process
    bool led = false;           // it was the leader of `term` when last seen
    std::uint64_t commit = 0;   // when last seen in this process
    std::uint64_t promised_term = 0;
    Point acknowledged;                            // the furthest that is still in its log
    std::map<std::uint64_t, std::uint64_t> acked;  // by term, the furthest ever
    std::vector<std::uint64_t> pending;            // acknowledged in the current turn
    std::uint64_t incarnation = 0;
    std::uint64_t elected_in = 0;        // the last term that it led
    const Roster* roster = nullptr;      // the latest in its log
    std::vector<const Roster*> rosters;  // that were in force in the current turn

    std::uint64_t last() const { return base_index + entries.size(); }
    std::uint64_t term_at(std::uint64_t index) const {
      return index == base_index ? base_term : entries[index - base_index - 1].term;
    }
  };
  // For one (index, term). L1 holds everywhere if each has one content and one predecessor.
  struct Fact {
    std::uint64_t term, hash, previous_term;
    const Roster* roster = nullptr;  // in force after this entry
  };
  // A change of the roster that its author has just appended.
  struct Step {
    std::size_t server;
    std::uint64_t term;
    const Roster* before;
    const Roster* now;
  };

  // Returns whether the entry is new, or what is wrong with it.
  std::variant<bool, std::string> learn(std::size_t server, std::uint64_t index, Known entry,
                                        std::uint64_t previous_term);
  const Roster* in_force(std::uint64_t index, std::uint64_t term) const;
  Violation reconfigures(std::size_t server, std::uint64_t index, std::uint64_t term,
                         std::optional<Roster> roster, const Roster* before);
  Violation judge_steps();
  const Roster* committed_roster_of(const Mirror& mirror) const;
  Violation judge_election(std::size_t server, std::uint64_t term) const;
  bool has(const Roster::Member& member, std::size_t leader, std::uint64_t term,
           std::uint64_t index, std::uint64_t durable) const;
  Violation names_disks(const Roster& roster);
  Violation drop_behind(std::size_t server, std::uint64_t index, Role role);
  Violation rebase(std::size_t server, LogView view);
  void settle_acknowledged(Mirror& mirror);
  Violation judge_restart(std::size_t server, std::uint64_t incarnation, std::uint64_t term,
                          std::optional<std::uint64_t> voted_for, LogView view);
  Violation commits_first(std::size_t server, std::uint64_t term, std::uint64_t index,
                          std::uint64_t durable);

  std::deque<Mirror> mirrors_;
  std::map<std::uint64_t, std::size_t> disks_;  // by incarnation
  std::size_t voters_;
  std::deque<Roster> rosters_;  // all that were ever appended
  std::vector<Step> steps_;     // of the current turn
  const Roster* roster_ = nullptr;
  std::map<std::uint32_t, std::uint64_t> numbers_;  // committed: the incarnation of a number
  std::vector<std::vector<Fact>> facts_;            // by index
  std::vector<Known> committed_;
  std::vector<std::uint64_t> commit_terms_;  // the term of the leader that committed each entry
  std::vector<std::optional<Digest>> digests_;
  std::map<std::uint64_t, std::size_t> leaders_;  // by term
  struct Ballot {
    std::size_t server;
    std::uint64_t incarnation, term;
    auto operator<=>(const Ballot&) const = default;
  };
  std::map<Ballot, std::uint64_t> votes_;
};

template <typename TermAt, typename HashAt, typename RosterAt>
Violation Safety::follow(std::size_t server, LogView view, Role role, TermAt&& term_at,
                         HashAt&& hash_at, RosterAt&& roster_at) {
  if (auto wrong = rebase(server, view)) return wrong;
  Mirror& mirror = mirrors_[server];
  mirror.rosters.assign(1, mirror.roster);
  // With equal index and term, everything before is equal, because it is the same server's log.
  // compare_all() checks that.
  std::uint64_t same = view.last_index;
  while (same > mirror.base_index &&
         (same > mirror.last() || mirror.term_at(same) != term_at(same)))
    --same;
  if (same < mirror.last())
    if (auto wrong = drop_behind(server, same, role)) return wrong;
  for (std::uint64_t i = same + 1; i <= view.last_index; ++i) {
    const Known entry{term_at(i), hash_at(i)};
    const auto known = learn(server, i, entry, mirror.term_at(i - 1));
    if (const auto* wrong = std::get_if<std::string>(&known)) return *wrong;
    if (std::get<bool>(known)) {
      const Roster* before = in_force(i - 1, mirror.term_at(i - 1));
      if (auto wrong = reconfigures(server, i, entry.term, roster_at(i, before), before))
        return wrong;
    }
    mirror.entries.push_back(entry);
    const Roster* now = in_force(i, entry.term);
    if (now != mirror.rosters.back()) mirror.rosters.push_back(now);
  }
  mirror.roster = in_force(mirror.last(), mirror.term_at(mirror.last()));
  settle_acknowledged(mirror);
  return std::nullopt;
}

template <typename HashAt>
Violation Safety::compare_all(std::size_t server, HashAt&& hash_at) const {
  const Mirror& mirror = mirrors_[server];
  for (std::uint64_t i = mirror.base_index + 1; i <= mirror.last(); ++i)
    if (mirror.entries[i - mirror.base_index - 1].hash != hash_at(i))
      return "E6: server " + std::to_string(server) + " has changed its entry " +
             std::to_string(i) + " without a new term";
  return std::nullopt;
}

template <typename TermAt, typename HashAt, typename RosterAt>
Violation Safety::restarts(std::size_t server, std::uint64_t incarnation, std::uint64_t term,
                           std::optional<std::uint64_t> voted_for, LogView view, TermAt&& term_at,
                           HashAt&& hash_at, RosterAt&& roster_at) {
  Mirror& mirror = mirrors_[server];
  mirror.pending.clear();
  if (auto wrong = judge_restart(server, incarnation, term, voted_for, view)) return wrong;
  const Point point = mirror.acknowledged;
  if (point.index > view.base_index && term_at(point.index) != point.term)
    return "L10: server " + std::to_string(server) + " has lost entry " +
           std::to_string(point.index) + ", which it had acknowledged: a different entry is there";
  mirror.entries.clear();
  mirror.base_index = view.base_index;
  mirror.base_term = view.base_term;
  mirror.commit = 0;
  mirror.term = term;
  mirror.led = false;
  return follow(server, view, Role::other, term_at, hash_at, roster_at);
}

}  // namespace vesper::sim
