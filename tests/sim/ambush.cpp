// Attacks at the moments when leases and promises matter. A leader is left with a bare majority,
// and the members of it that have promised are killed and restarted at once, while lease reads are
// in flight.
#include <algorithm>

#include "sim/world.hpp"

namespace vesper::sim {

void World::ambush() {
  const auto leads = leader();
  if (!leads || hosts_.size() == 1) return;
  tally_.count(Count::fault_ambush);
  std::vector<std::size_t> others;
  for (std::size_t i = 0; i < hosts_.size(); ++i)
    if (i != *leads) others.push_back(i);
  for (std::size_t i = others.size(); i > 1; --i)
    std::swap(
        others[i - 1],
        others[static_cast<std::size_t>(faults_.between(0, static_cast<std::int64_t>(i) - 1))]);
  const std::size_t loyal = hosts_.size() / 2;
  Spell spell{FaultKind::ambush, {}, {}, false};
  for (std::size_t i = loyal; i < others.size(); ++i) {
    cut(spell, *leads, others[i]);
    cut(spell, others[i], *leads);
  }
  const Duration patience = plan_.raft.election_timeout * 3;
  const Instant strikes = now_ + between(faults_, milliseconds(5), patience);
  trace("ambush: server {} keeps a bare majority", *leads);
  for (std::size_t i = 0; i < loyal; ++i)
    at(strikes + between(faults_, {}, milliseconds(2)), Spring{others[i], host(others[i]).boot});
  if (plan_.leader_leases)
    for (std::size_t c = 0; c < plan_.clients; ++c)
      for (std::int64_t n = faults_.between(3, 10); n > 0; --n)
        at(std::max(now_, strikes + between(faults_, milliseconds(-60), milliseconds(120))),
           Poke{c, true});
  spells_.push_back(std::move(spell));
  at(strikes + between(faults_, milliseconds(100), milliseconds(700)), Undo{spells_.size() - 1});
}

// Isolates a leader that has just discarded its whole log and lets it take writes that reach no
// other server. The next leader's messages then meet other entries right after the snapshot.
void World::isolate_compacted(Host& h) {
  const raft::Raft& raft = h.node->raft();
  const raft::Index base = raft.log().base_index();
  if (!raft.is_leader() || base != raft.log().last_index() || h.emptied == base) return;
  h.emptied = base;
  if (!faulty_ || hanging_ || !plan_.has(FaultKind::ambush) || hosts_.size() == 1) return;
  tally_.count(Count::fault_isolated);
  trace("server {} is alone with a log that is empty after entry {}", h.number(), base.value);
  isolate(h);
  for (std::size_t c = 0; c < plan_.clients; ++c) {
    if (clients_[c].connection != 0) hang_up(clients_[c]);
    clients_[c].host = h.number();
    clients_[c].connection = ++connections_;
    after(between(ambushes_, {}, milliseconds(20)), Insist{c, true});
  }
  end_isolation();
}

// Isolates a leader whose last configuration is not committed yet. The next leader may truncate it,
// and the server that has it must then go by the one before.
void World::isolate_changing(Host& h) {
  const raft::Raft& raft = h.node->raft();
  const raft::Index now = raft.configuration().index;
  if (!raft.is_leader() || now <= raft.commit_index() || now <= h.changing) return;
  h.changing = now;
  if (!faulty_ || hanging_ || !plan_.has(FaultKind::ambush) || !plan_.has(FaultKind::members) ||
      hosts_.size() == 1 || !one_in(ambushes_, 3))
    return;
  tally_.count(Count::changers_isolated);
  trace("server {} is alone with configuration {}", h.number(), now.value);
  isolate(h);
  end_isolation();
}

void World::isolate(Host& h) {
  Spell spell{FaultKind::ambush, {}, {}, false};
  for (std::size_t i = 0; i < hosts_.size(); ++i) {
    if (i == h.number()) continue;
    cut(spell, h.number(), i);
    cut(spell, i, h.number());
  }
  spells_.push_back(std::move(spell));
}

// Of the last isolate().
void World::end_isolation() {
  const Duration patience = plan_.raft.election_timeout * 2;
  after(between(ambushes_, patience, patience * 3), Undo{spells_.size() - 1});
}

void World::spring(Host& h) {
  trace("server {} is caught", h.number());
  crash(h, draw_crash(20));
  after(between(faults_, milliseconds(1), milliseconds(6)), Restart{h.number()});
}

}  // namespace vesper::sim
