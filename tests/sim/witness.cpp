// What the world tells the checkers of leases and of read rounds. It sees every message leave, and
// sees what was posted to a server when its turn handles it.
#include <algorithm>

#include "sim/world.hpp"

namespace vesper::sim {

void World::observe_heartbeat(Host& h, const raft::Message& message) {
  const std::size_t who = h.drive;
  if (const auto* m = std::get_if<raft::Heartbeat>(&message)) {
    reads_.sent(who, m->term.value, m->round, now_.ns);
    if (m->leader_lease_ms > 0)
      leader_leases_.asks(who, m->term.value, milliseconds(m->leader_lease_ms).ns,
                          h.clock.read(now_).ns);
  } else if (const auto* reply = std::get_if<raft::HeartbeatReply>(&message)) {
    check(leader_leases_.answers(who, reply->term.value, reply->round));
  }
}

// For a message that leaves: the instant that a follower's read may rest on.
Instant World::followed_by(const Host& h, const node::PeerMessage& message) const {
  const auto* m = std::get_if<raft::Message>(&message);
  const auto* told = m == nullptr ? nullptr : std::get_if<raft::ReadIndexReply>(m);
  if (told == nullptr || told->leader_lease) return {};
  return Instant{followed_until(h, told->term)};
}

// By the members that the server's log names, as the checkers read them, now or after any entry
// that it has appended in this turn.
std::int64_t World::followed_until(const Host& h, raft::Term term) const {
  const Roster* before = safety_.roster_of(h.drive);
  if (before == nullptr) return reads_.followed_until(h.drive, term.value, now_.ns);
  std::int64_t followed = followed_by_members(h, term, *before);
  const raft::Log& log = h.node->raft().log();
  std::optional<Roster> latest;
  for (raft::Index i(std::max(safety_.last_of(h.drive), log.base_index().value) + 1);
       i <= log.last_index(); i = i.next()) {
    auto next = roster_after(log.at(i), before);
    if (!next) continue;
    latest = std::move(next);
    before = &*latest;
    followed = std::max(followed, followed_by_members(h, term, *before));
  }
  return followed;
}

std::int64_t World::followed_by_members(const Host& h, raft::Term term,
                                        const Roster& roster) const {
  std::vector<std::vector<std::size_t>> sets(roster.is_joint() ? 2 : 1);
  for (const Roster::Member& member : roster.members) {
    // A disk that has never started has answered nothing.
    const std::size_t disk = safety_.server_of(member.incarnation).value_or(SIZE_MAX);
    if (member.in_new) sets.front().push_back(disk);
    if (member.in_old && sets.size() == 2) sets.back().push_back(disk);
  }
  return reads_.followed_until(h.drive, term.value, now_.ns, sets);
}

void World::overhear(Host& h, const Deliver& message, const node::PeerMessage& decoded) {
  if (!h.up()) return;
  using Kind = Overheard::Kind;
  const auto* m = std::get_if<raft::Message>(&decoded);
  if (m == nullptr) return;
  count_situations(h, *m);
  if (const auto* asks = std::get_if<raft::Heartbeat>(m)) {
    if (asks->leader_lease_ms == 0) return;
    h.overheard.push_back({Kind::leader_lease_asked,
                           message.drive,
                           asks->term,
                           asks->round,
                           milliseconds(asks->leader_lease_ms),
                           {}});
  } else if (const auto* answer = std::get_if<raft::HeartbeatReply>(m)) {
    h.overheard.push_back(
        {Kind::heartbeat_answered, message.drive, answer->term, answer->round, {}, {}});
  } else if (message.followed != Instant{}) {
    h.overheard.push_back({Kind::index_told, message.drive, {}, 0, {}, message.followed});
  }
}

// Called at the beginning of the turn that handles everything posted so far.
void World::take_in(Host& h, Instant local) {
  if (h.overheard.empty()) return;
  const std::size_t who = h.drive;
  for (const Overheard& heard : h.overheard) {
    switch (heard.kind) {
      case Overheard::Kind::leader_lease_asked:
        leader_leases_.hears(who, heard.term.value, heard.round, heard.leader_lease.ns, local.ns);
        break;
      case Overheard::Kind::heartbeat_answered:
        reads_.answered(who, heard.from, heard.term.value, heard.round);
        break;
      case Overheard::Kind::index_told: reads_.learns(who, heard.followed.ns); break;
    }
  }
  h.overheard.clear();
  const raft::Raft& raft = h.node->raft();
  if (raft.is_leader()) reads_.learns(who, followed_until(h, raft.current_term()));
}

// Called after a turn: votes respect promises, and leases end before another leader is elected. The
// latter is checked only if clocks meet the assumptions of leases.
void World::observe_leader_leases(Host& h) {
  const raft::Raft& raft = h.node->raft();
  const raft::HardState& now = raft.hard_state();
  if (now != h.voted) {
    // A server that is the quorum alone has promised only to itself.
    if (now.voted_for && !is_alone(h))
      check(leader_leases_.votes(h.drive, now.current_term.value, h.clock.read(now_).ns));
    h.voted = now;
  }
  if (!raft.is_leader() || !plan_.leader_leases) return;
  const auto judge = [&](const Host& other) {
    if (!other.node || !other.node->raft().is_leader()) return;
    if (other.node->raft().leader_lease_index(other.clock.read(now_)))
      check(leader_leases_.holds(other.drive, other.node->raft().current_term().value));
  };
  if (!leader_leases_.elected(raft.current_term().value)) return judge(h);
  for (const auto& other : hosts_) judge(*other);
}

// A reply names what it rests on: a lease, which observe_leader_leases() checks, or a round.
void World::observe_read(Host& h, const Operation& asked, const node::ReadResult& read) {
  if (read.level != node::ReadLevel::linearizable) return;
  const raft::Raft& raft = h.node->raft();
  if (raft.is_leader()) reads_.learns(h.drive, followed_until(h, raft.current_term()));
  check(reads_.reads(h.drive, (kBegin + nanoseconds(asked.invoked)).ns));
}

}  // namespace vesper::sim
