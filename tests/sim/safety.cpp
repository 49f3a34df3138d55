#include "sim/safety.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

namespace vesper::sim {

Violation Safety::votes(std::size_t server, std::uint64_t incarnation, std::uint64_t term,
                        std::uint64_t candidate) {
  promises_term(server, term);
  const auto [at, fresh] = votes_.emplace(Ballot{server, incarnation, term}, candidate);
  if (fresh || at->second == candidate) return std::nullopt;
  return fmt::format("E4: server {} votes for {} in term {}, after it voted for {}", server,
                     candidate, term, at->second);
}

void Safety::promises_term(std::size_t server, std::uint64_t term) {
  std::uint64_t& promised = mirrors_[server].promised_term;
  promised = std::max(promised, term);
}

void Safety::acknowledges(std::size_t server, std::uint64_t term, std::uint64_t index,
                          std::uint64_t now_term) {
  Mirror& mirror = mirrors_[server];
  std::uint64_t& furthest = mirror.acked[term];
  furthest = std::max(furthest, index);
  // A late acknowledgement is about a log that this server may have left; it was true in its term.
  if (term == now_term) mirror.pending.push_back(index);
}

Violation Safety::leads(std::size_t server, std::uint64_t term) {
  const auto [at, fresh] = leaders_.emplace(term, server);
  if (fresh || at->second == server) return std::nullopt;
  return fmt::format("E1: servers {} and {} both lead term {}", at->second, server, term);
}

std::variant<bool, std::string> Safety::learn(std::size_t server, std::uint64_t index, Known entry,
                                              std::uint64_t previous_term) {
  if (entry.term < previous_term)
    return fmt::format("L1: server {} has entry {} of term {} after one of term {}", server, index,
                       entry.term, previous_term);
  if (facts_.size() <= index) facts_.resize(index + 64);
  for (const Fact& fact : facts_[index]) {
    if (fact.term != entry.term) continue;
    if (fact.hash == entry.hash && fact.previous_term == previous_term) return false;
    return fmt::format(
        "L1: server {} has a different entry {} of term {} than others, or a different "
        "log before it",
        server, index, entry.term);
  }
  facts_[index].push_back({entry.term, entry.hash, previous_term});
  return true;
}

const Roster* Safety::in_force(std::uint64_t index, std::uint64_t term) const {
  if (index >= facts_.size()) return nullptr;
  for (const Fact& fact : facts_[index])
    if (fact.term == term) return fact.roster;
  return nullptr;
}

// The latest one that the server knows to be committed.
const Roster* Safety::committed_roster_of(const Mirror& mirror) const {
  if (mirror.commit == 0 || mirror.commit > committed_.size()) return nullptr;
  return committed_roster(mirror.commit);
}

// An entry is new when its author has appended it: `server` leads, or did so until this turn.
Violation Safety::reconfigures(std::size_t server, std::uint64_t index, std::uint64_t term,
                               std::optional<Roster> roster, const Roster* before) {
  Fact& fact = facts_[index].back();
  fact.roster = before;
  if (!roster) return std::nullopt;
  fact.roster = &rosters_.emplace_back(std::move(*roster));
  if (before == nullptr) return std::nullopt;
  steps_.push_back({server, term, before, fact.roster});
  return judge_step(*before, *fact.roster);
}

// C1 and C2, after the turn in which a leader has appended these.
Violation Safety::judge_steps() {
  for (const Step& step : std::exchange(steps_, {})) {
    // Registrations change no set of voters.
    if (step.now->kind != RosterEntry::registration && step.before->index > committed_.size())
      return fmt::format("C1: server {} appends configuration {} before {} is committed",
                         step.server, step.now->index, step.before->index);
    const auto in_term = [&](const Known& entry) { return entry.term == step.term; };
    if (!std::any_of(committed_.rbegin(), committed_.rend(), in_term))
      return fmt::format("C2: server {} appends configuration {} before it commits in term {}",
                         step.server, step.now->index, step.term);
  }
  return std::nullopt;
}

// C10: a majority of each set of voters has voted for it, each under its registered incarnation.
Violation Safety::judge_election(std::size_t server, std::uint64_t term) const {
  const Mirror& mirror = mirrors_[server];
  if (mirror.roster == nullptr) return std::nullopt;
  const Roster::Member* own = mirror.roster->with_incarnation(mirror.incarnation);
  const auto is_voter = [&] { return own != nullptr && own->votes(); };
  // One that is left out or demoted may lead until that is committed (thesis 4.2.2).
  if (const Roster* known = committed_roster_of(mirror); !is_voter() && known != nullptr)
    own = known->with_incarnation(mirror.incarnation);
  if (!is_voter())
    return fmt::format("C5: server {} leads term {}, but is no voter of configuration {}", server,
                       term, mirror.roster->index);
  const auto has_voted = [&](const Roster::Member& member) {
    if (member.number == own->number) return true;
    const auto disk = server_of(member.incarnation);
    if (member.incarnation == 0 || !disk) return false;
    const auto vote = votes_.find(Ballot{*disk, member.incarnation, term});
    return vote != votes_.end() && vote->second == own->number;
  };
  if (mirror.roster->agree(has_voted)) return std::nullopt;
  return fmt::format("C10: server {} leads term {} without a majority of configuration {}", server,
                     term, mirror.roster->index);
}

// L5, L10: the member's disk has the entry, as it has acknowledged in this term.
bool Safety::has(const Roster::Member& member, std::size_t leader, std::uint64_t term,
                 std::uint64_t index, std::uint64_t durable) const {
  const auto disk = server_of(member.incarnation);
  if (member.incarnation == 0 || !disk) return false;
  if (*disk == leader) return durable >= index;
  const auto at = mirrors_[*disk].acked.find(term);
  return at != mirrors_[*disk].acked.end() && at->second >= index;
}

// C13: no number names two disks, in all that is ever committed.
Violation Safety::names_disks(const Roster& roster) {
  for (const Roster::Member& member : roster.members) {
    if (member.incarnation == 0) continue;
    if (numbers_.emplace(member.number, member.incarnation).first->second != member.incarnation)
      return fmt::format("C13: number {} of configuration {} was another disk's", member.number,
                         roster.index);
  }
  return std::nullopt;
}

Violation Safety::drop_behind(std::size_t server, std::uint64_t index, Role role) {
  Mirror& mirror = mirrors_[server];
  if (role == Role::leader)
    return fmt::format("E6: server {} drops entries after {} while it leads", server, index);
  if (index < mirror.commit)
    return fmt::format("L3: server {} drops entries after {}, but it had committed {}", server,
                       index, mirror.commit);
  // A server that was frozen since before the term that committed an entry may still hear the
  // leader of an earlier term, which lacks the entry.
  for (std::uint64_t i = index + 1; i <= mirror.last() && i <= committed_.size(); ++i)
    if (committed_[i - 1].term == mirror.term_at(i) && mirror.term >= commit_terms_[i - 1])
      return fmt::format("L7: server {} drops entry {}, which is committed", server, i);
  mirror.entries.resize(index - mirror.base_index);
  if (mirror.acknowledged.index > index) mirror.acknowledged = {index, mirror.term_at(index)};
  return std::nullopt;
}

// The log begins later than before: it was compacted, or replaced by a snapshot.
Violation Safety::rebase(std::size_t server, LogView view) {
  Mirror& mirror = mirrors_[server];
  if (view.base_index == mirror.base_index) return std::nullopt;
  if (view.base_index < mirror.base_index)
    return fmt::format("server {}: its log begins at {}, but began at {} before", server,
                       view.base_index, mirror.base_index);
  // S1: a snapshot contains only what is committed.
  if (view.base_index > committed_.size() || committed_[view.base_index - 1].term != view.base_term)
    return fmt::format(
        "S1: server {}: its log begins after entry {} of term {}, which is not "
        "committed",
        server, view.base_index, view.base_term);
  if (view.base_index <= mirror.last() && mirror.term_at(view.base_index) == view.base_term) {
    const auto gone = static_cast<std::ptrdiff_t>(view.base_index - mirror.base_index);
    mirror.entries.erase(mirror.entries.begin(), mirror.entries.begin() + gone);
  } else {
    mirror.entries.clear();
    mirror.acknowledged = {};
  }
  mirror.base_index = view.base_index;
  mirror.base_term = view.base_term;
  mirror.commit = std::max(mirror.commit, view.base_index);
  return std::nullopt;
}

void Safety::settle_acknowledged(Mirror& mirror) {
  for (const std::uint64_t index : mirror.pending)
    if (index > mirror.acknowledged.index && index <= mirror.last() && index >= mirror.base_index)
      mirror.acknowledged = {index, mirror.term_at(index)};
  mirror.pending.clear();
}

Violation Safety::in_term(std::size_t server, std::uint64_t term, Role role) {
  Mirror& mirror = mirrors_[server];
  if (term < mirror.term)
    return fmt::format("E3: server {} falls from term {} to {}", server, mirror.term, term);
  mirror.term = term;
  mirror.led = role == Role::leader;
  if (!mirror.led) return std::nullopt;
  // C9: it may lead without a vote until the configuration without it is committed.
  if (const Roster* now = committed_roster_of(mirror);
      now != nullptr && mirror.elected_in == term) {
    const Roster::Member* own = now->with_incarnation(mirror.incarnation);
    if (now == mirror.roster && (own == nullptr || !own->votes()))
      return fmt::format("C9: server {} leads term {} after configuration {} has left it out",
                         server, term, now->index);
  }
  if (auto wrong = leads(server, term)) return wrong;
  if (std::exchange(mirror.elected_in, term) == term) return std::nullopt;
  if (auto wrong = judge_election(server, term)) return wrong;
  // L7: the leader's log has everything committed in older terms. By L1 it is enough to check the
  // last of these entries.
  std::uint64_t last = committed_.size();
  while (last > 0 && commit_terms_[last - 1] >= term) --last;
  if (last <= mirror.base_index) return std::nullopt;
  if (last <= mirror.last() && mirror.term_at(last) == committed_[last - 1].term)
    return std::nullopt;
  return fmt::format("L7: server {} leads term {} without entry {}, committed in term {}", server,
                     term, last, commit_terms_[last - 1]);
}

Violation Safety::commits_first(std::size_t server, std::uint64_t term, std::uint64_t index,
                                std::uint64_t durable) {
  const Mirror& mirror = mirrors_[server];
  const Known& entry = mirror.entries[index - mirror.base_index - 1];
  const auto record = [&] {
    committed_.push_back(entry);
    commit_terms_.push_back(term);
    const Roster* now = in_force(index, entry.term);
    if (std::exchange(roster_, now) == now || now == nullptr) return Violation{};
    return names_disks(*now);
  };
  // L5, L10: a majority has acknowledged in this term that the entry is durable: of each set of a
  // configuration that was in force in this turn.
  const auto agreed = [&](const Roster* roster) {
    return roster != nullptr && roster->agree([&](const Roster::Member& member) {
      return has(member, server, term, index, durable);
    });
  };
  if (std::any_of(mirror.rosters.begin(), mirror.rosters.end(), agreed)) return record();
  if (mirror.roster != nullptr)
    return fmt::format(
        "L10: server {} commits {} in term {} without a majority of configuration {}", server,
        index, term, mirror.roster->index);
  std::size_t have = durable >= index ? 1 : 0;
  for (std::size_t i = 0; i < mirrors_.size(); ++i) {
    if (i == server) continue;
    const auto at = mirrors_[i].acked.find(term);
    if (at != mirrors_[i].acked.end() && at->second >= index) ++have;
  }
  if (have < voters_ / 2 + 1)
    return fmt::format("L10: server {} commits {} in term {}, which only {} servers have on disk",
                       server, index, term, have);
  return record();
}

Violation Safety::commits(std::size_t server, std::uint64_t term, Role role, std::uint64_t commit,
                          std::uint64_t durable) {
  Mirror& mirror = mirrors_[server];
  if (commit < mirror.commit)
    return fmt::format("L9: server {} falls from commit index {} to {}", server, mirror.commit,
                       commit);
  if (commit > mirror.last())
    return fmt::format("L9: server {} has committed {}, but its log ends at {}", server, commit,
                       mirror.last());
  // The first server to commit an entry leads, or led when the turn began and stepped down in it.
  const std::uint64_t leads = role == Role::leader ? term : mirror.led ? mirror.term : 0;
  for (std::uint64_t i = std::max(mirror.commit, mirror.base_index) + 1; i <= commit; ++i) {
    const Known& here = mirror.entries[i - mirror.base_index - 1];
    if (i > committed_.size()) {
      if (leads == 0)
        return fmt::format("L4: server {} has committed {}, which no leader has committed", server,
                           i);
      // L5: counting commits an entry of the leader's own term, and everything before it.
      if (mirror.term_at(commit) != leads)
        return fmt::format("L5: server {} commits {} of term {} by counting, in term {}", server,
                           commit, mirror.term_at(commit), leads);
      if (auto wrong = commits_first(server, leads, i, durable)) return wrong;
    } else if (committed_[i - 1].term != here.term || committed_[i - 1].hash != here.hash) {
      return fmt::format("L8: server {} has committed a different entry at {} (term {}, was {})",
                         server, i, here.term, committed_[i - 1].term);
    }
  }
  mirror.commit = commit;
  return judge_steps();
}

Violation Safety::applied(std::size_t server, std::uint64_t index, Digest digest) {
  if (digests_.size() <= index) digests_.resize(index + 64);
  if (!digests_[index]) digests_[index] = digest;
  if (*digests_[index] == digest) return std::nullopt;
  return fmt::format("L20: server {} has a different state at index {}", server, index);
}

Violation Safety::judge_restart(std::size_t server, std::uint64_t incarnation, std::uint64_t term,
                                std::optional<std::uint64_t> voted_for, LogView view) {
  const Mirror& mirror = mirrors_[server];
  if (term < mirror.promised_term)
    return fmt::format("E3: server {} restarts in term {}, but had sent term {}", server, term,
                       mirror.promised_term);
  if (const auto at = votes_.find(Ballot{server, incarnation, term});
      at != votes_.end() && voted_for != at->second)
    return fmt::format("E2: server {} has forgotten that it voted for {} in term {}", server,
                       at->second, term);
  if (view.last_index < mirror.acknowledged.index)
    return fmt::format(
        "L10: server {} has lost entry {}, which it had acknowledged: its log ends "
        "at {}",
        server, mirror.acknowledged.index, view.last_index);
  if (view.base_index == 0) return std::nullopt;
  if (view.base_index > committed_.size() || committed_[view.base_index - 1].term != view.base_term)
    return fmt::format("S1: server {} begins after entry {} of term {}, which is not committed",
                       server, view.base_index, view.base_term);
  return std::nullopt;
}

}  // namespace vesper::sim
