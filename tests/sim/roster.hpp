// The members of a configuration as the checkers read them from the payloads of log entries, and
// what is a majority of them. It shares no code with raft, which it checks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vesper::sim {

using Violation = std::optional<std::string>;  // the broken rule, or nothing

// What an entry of the log may be to a roster.
enum class RosterEntry : std::uint8_t { whole, registration };

struct Roster {
  struct Member {
    std::uint32_t number = 0;             // inside consensus
    std::uint32_t node = 0;               // what people call it
    std::uint64_t incarnation = 0;        // of its disk; 0: not registered
    bool in_new = false, in_old = false;  // votes in the new set, in the old set
    bool will_vote = false, will_leave = false, will_learn = false;  // once its plan is carried out
    std::uint64_t plan = 0;
    std::string address;

    bool votes() const { return in_new || in_old; }
  };
  std::vector<Member> members;
  std::uint32_t next_number = 0, next_node = 0;  // above all that were ever given
  std::uint64_t index = 0;                       // of the entry
  RosterEntry kind = RosterEntry::whole;         // of the entry

  const Member* with_number(std::uint32_t number) const;
  const Member* with_incarnation(std::uint64_t incarnation) const;  // none for 0
  bool is_joint() const;
  // True if `in(member)` holds for a majority of each set of voters.
  template <typename In>
  bool agree(In&& in) const {
    std::size_t of_new = 0, of_old = 0, all_new = 0, all_old = 0;
    for (const Member& member : members) {
      if (!member.votes()) continue;
      const std::size_t counts = in(member) ? 1 : 0;
      if (member.in_new) ++all_new, of_new += counts;
      if (member.in_old) ++all_old, of_old += counts;
    }
    return of_new * 2 > all_new && of_old * 2 > all_old;
  }
};

// The roster after an entry with this payload, `before` (or nothing) being the one before it.
// Nothing if the payload cannot be read.
std::optional<Roster> read_roster(RosterEntry kind, std::string_view payload, std::uint64_t index,
                                  const Roster* before);

// C1 as far as two neighbours in a log show it, C4, C13: the voters are the same, or one of the two
// is joint and has the other's voters as one of its sets; numbers, node ids and incarnations are
// given once.
Violation judge_step(const Roster& before, const Roster& now);

}  // namespace vesper::sim
