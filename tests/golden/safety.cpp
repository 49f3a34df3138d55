#include "golden/safety.hpp"

#include <fmt/core.h>

namespace vesper::golden {

using raft::Index;

void Disk::carry_out(raft::Write write) {
  VESPER_ASSERT(write.number == last_write.next());
  const bool cuts = write.base.index > base.index;
  const bool afresh = cuts && write.keep_through == write.base.index;
  last_write = write.number;
  hard_state = write.hard_state;
  commit_index = write.commit_index;
  if (afresh) {
    entries.clear();
    base = write.base;
  }
  VESPER_ASSERT(write.keep_through <= last_index());
  entries.resize(write.keep_through.value - base.index.value);
  if (cuts && !afresh) {
    entries.erase(
        entries.begin(),
        entries.begin() + static_cast<std::ptrdiff_t>(write.base.index.value - base.index.value));
    base = write.base;
  }
  for (raft::Entry& entry : write.entries) {
    VESPER_ASSERT(entry.index == last_index().next());
    entries.push_back(std::move(entry));
  }
  VESPER_ASSERT(commit_index <= last_index());
}

std::optional<raft::Term> Disk::term_at(Index index) const {
  if (index > base.index && index <= last_index())
    return entries[index.value - base.index.value - 1].term;
  for (const raft::Snapshot& snapshot : snapshots)
    if (snapshot.last_index == index) return snapshot.last_term;
  return std::nullopt;
}

Index Disk::durable_index() const {
  return snapshots.empty() ? last_index() : std::max(last_index(), snapshots.back().last_index);
}

void Safety::fail(std::string what) {
  if (violation_.empty()) violation_ = std::move(what);
}

void Safety::assume_committed(const std::vector<raft::Entry>& entries) {
  for (const raft::Entry& entry : entries)
    committed_.push_back({entry.term, std::string(entry.bytes.view())});
}

void Safety::sent(const Subject& from, raft::ServerId to, const raft::Message& message) {
  const Disk& disk = *from.disk;
  const auto* request = std::get_if<raft::VoteRequest>(&message);
  const bool asks_beforehand = request != nullptr && request->pre_vote;
  if (!asks_beforehand && raft::term_of(message) > disk.hard_state.current_term)
    fail(fmt::format("E2: server {} sends term {}, but its disk has {}", from.id.value,
                     raft::term_of(message).value, disk.hard_state.current_term.value));
  if (const auto* reply = std::get_if<raft::VoteReply>(&message);
      reply != nullptr && reply->granted() && !reply->pre_vote) {
    const auto [vote, fresh] = votes_.try_emplace({from.incarnation, reply->for_term}, to);
    if (!fresh && vote->second != to)
      fail(fmt::format("E4: server {} votes for {} and {} in term {}", from.id.value,
                       vote->second.value, to.value, reply->for_term.value));
    if (disk.hard_state.current_term == reply->for_term && disk.hard_state.voted_for != to)
      fail(fmt::format("E2: server {} grants a vote that is not on its disk", from.id.value));
  }
  const auto* ack = std::get_if<raft::AppendReply>(&message);
  if (ack != nullptr && ack->success && disk.hard_state.current_term == ack->term &&
      disk.durable_index() < ack->match_index)
    fail(fmt::format("L10: server {} acknowledges up to {}, but its disk holds {}", from.id.value,
                     ack->match_index.value, disk.durable_index().value));
  const auto* done = std::get_if<raft::InstallSnapshotReply>(&message);
  if (done != nullptr && done->done && disk.durable_index() < done->match_index)
    fail(fmt::format("L10: server {} needs no snapshot up to {}, its disk holds {}", from.id.value,
                     done->match_index.value, disk.durable_index().value));
}

void Safety::turned(const std::vector<Subject>& subjects, std::size_t at, Instant now) {
  const Subject& subject = subjects[at];
  raft::Term& durable = durable_term_[subject.incarnation];
  if (subject.disk->hard_state.current_term < durable)
    fail(fmt::format("E3: the term on the disk of server {} falls", subject.id.value));
  durable = subject.disk->hard_state.current_term;
  if (subject.raft == nullptr) return;
  check_leader(subject);
  check_lease(subjects, subject, now);
  check_monotone(subject);
  check_commits(subjects, subject);
  check_log_matching(subjects, subject);
}

void Safety::check_leader(const Subject& subject) {
  if (!subject.raft->is_leader()) return;
  const auto [it, fresh] = leaders_.try_emplace(subject.raft->current_term(), subject.id);
  if (!fresh && it->second != subject.id)
    fail(fmt::format("E1: servers {} and {} both lead term {}", it->second.value, subject.id.value,
                     it->first.value));
  if (!fresh) return;
  const raft::Log& log = subject.raft->log();
  // L7. A leader of an older term need not have the entry yet.
  for (std::size_t i = 0; i < committed_.size(); ++i) {
    const Index index(i + 1);
    if (committed_[i].term >= subject.raft->current_term()) break;
    if (index >= log.base_index() && log.term_at(index) != committed_[i].term)
      return fail(fmt::format("L7: the leader of term {}, server {}, lacks committed entry {}",
                              it->first.value, subject.id.value, index.value));
  }
}

// A lease covers everything committed, and no other server leads a later term while it is held.
void Safety::check_lease(const std::vector<Subject>& subjects, const Subject& subject,
                         Instant now) {
  for (const Subject& holder : subjects) {
    if (holder.raft == nullptr) continue;
    const auto index = holder.raft->leader_lease_index(now);
    if (!index) continue;
    if (index->value < committed_.size())
      fail(fmt::format("server {} holds a lease at {}, but {} entries are committed",
                       holder.id.value, index->value, committed_.size()));
    if (subject.raft->is_leader() && subject.raft->current_term() > holder.raft->current_term())
      fail(fmt::format("server {} leads term {} while server {} holds a lease of term {}",
                       subject.id.value, subject.raft->current_term().value, holder.id.value,
                       holder.raft->current_term().value));
  }
}

void Safety::check_monotone(const Subject& subject) {
  const raft::Raft& raft = *subject.raft;
  const auto [it, fresh] = seen_.try_emplace(subject.id);
  Seen& seen = it->second;
  if (!fresh && raft.current_term() < seen.term)
    fail(fmt::format("E3: the term of server {} falls", subject.id.value));
  if (!fresh && raft.commit_index() < seen.commit_index)
    fail(fmt::format("L9: the commit index of server {} falls", subject.id.value));
  if (!fresh && raft.is_leader() && raft.current_term() == seen.term &&
      raft.log().last_index() < seen.last_index)
    fail(fmt::format("E6: leader {} deletes its own entries", subject.id.value));
  seen = Seen{raft.current_term(), raft.commit_index(),
              raft.is_leader() ? raft.log().last_index() : Index(0)};
}

// A majority of the new set has the entry, and one of the old set if the configuration is joint.
template <typename IsDurable>
void Safety::check_durable(const raft::Configuration& configuration, const Subject& subject,
                           Index index, IsDurable&& is_durable) {
  for (const raft::Seat other : {raft::Seat::incoming, raft::Seat::outgoing}) {
    std::size_t durable = 0, all = 0;
    for (const raft::Member& member : configuration.members) {
      if (member.seat != raft::Seat::voter && member.seat != other) continue;
      ++all;
      durable += is_durable(member) ? 1u : 0u;
    }
    if (durable * 2 > all) continue;
    fail(fmt::format("L10: server {} commits entry {}, which is durable on {} of {} voters",
                     subject.id.value, index.value, durable, all));
  }
}

// L8, and that an entry is durable on a majority before any server counts it as committed.
void Safety::check_commits(const std::vector<Subject>& subjects, const Subject& subject) {
  const raft::Raft& raft = *subject.raft;
  // S1: a snapshot contains only what is committed.
  if (raft.log().base_index() > committed())
    return fail(fmt::format("S1: the log of server {} begins at {}, but only {} are committed",
                            subject.id.value, raft.log().base_index().value, committed().value));
  for (Index i = raft.log().first_index(); i <= raft.commit_index(); i = i.next()) {
    const raft::Entry& entry = raft.log().at(i);
    if (i.value <= committed_.size()) {
      const Fact& fact = committed_[i.value - 1];
      if (fact.term != entry.term || fact.bytes != entry.bytes.view())
        return fail(fmt::format("L8: server {} commits another entry {} (term {}, was {})",
                                subject.id.value, i.value, entry.term.value, fact.term.value));
      continue;
    }
    committed_.push_back({entry.term, std::string(entry.bytes.view())});
    const auto is_durable = [&](const raft::Member& member) {
      for (const Subject& other : subjects) {
        if (other.incarnation != member.incarnation && member.incarnation.value != 0) continue;
        if (other.id != member.id) continue;
        const bool in_snapshot =
            !other.disk->snapshots.empty() && other.disk->snapshots.back().last_index >= i;
        return in_snapshot || other.disk->term_at(i) == entry.term;
      }
      return false;
    };
    check_durable(raft.committed_configuration(), subject, i, is_durable);
  }
}

// L1: if two logs hold an entry with the same index and term, everything before it is equal.
void Safety::check_log_matching(const std::vector<Subject>& subjects, const Subject& subject) {
  const raft::Log& mine = subject.raft->log();
  for (const Subject& other : subjects) {
    if (other.raft == nullptr || other.id == subject.id) continue;
    const raft::Log& theirs = other.raft->log();
    Index i = std::min(mine.last_index(), theirs.last_index());
    const Index base = std::max(mine.base_index(), theirs.base_index());
    while (i > base && mine.at(i).term != theirs.at(i).term) i = Index(i.value - 1);
    for (; i > base; i = Index(i.value - 1))
      if (mine.at(i).term != theirs.at(i).term || !(mine.at(i).bytes == theirs.at(i).bytes))
        return fail(
            fmt::format("L1: the logs of servers {} and {} differ at {} below an equal entry",
                        subject.id.value, other.id.value, i.value));
  }
}

}  // namespace vesper::golden
