// A rolling upgrade: servers run an older build, of a lower feature level, and are upgraded one by
// one, at random moments. A feature may be used only when every member has it (C14).
#include <algorithm>

#include "sim/world.hpp"

namespace vesper::sim {

void World::begin_upgrades() {
  if (!plan_.has(FaultKind::levels)) return;
  for (const auto& h : hosts_) {
    if (chance(upgrades_, 30)) continue;
    h->level = raft::kFeatureLevel - 1;
    after(between(upgrades_, {}, plan_.faults), Upgrade{h->number()});
  }
}

void World::upgrade(Host& h) {
  if (h.level == raft::kFeatureLevel) return;
  if (h.hangs) return after(seconds(1), Upgrade{h.number()});
  tally_.count(Count::upgrades);
  trace("server {} gets a newer build", h.number());
  h.level = raft::kFeatureLevel;
  if (!h.up()) return;
  crash(h, Crash::process);
  after(between(upgrades_, {}, milliseconds(500)), Restart{h.number()});
}

// In the calm all servers run the newest build.
void World::end_upgrades() {
  for (const auto& h : hosts_) {
    if (h->level == raft::kFeatureLevel) continue;
    h->level = raft::kFeatureLevel;
    crash(*h, Crash::process);  // become_quiet() starts it again
  }
}

// C14, for an entry that needs a feature.
void World::judge_level(const Roster& roster) {
  for (const Roster::Member& member : roster.members)
    for (const auto& h : hosts_)
      if (member.incarnation != 0 && h->born.value == member.incarnation &&
          h->level < raft::kMembershipLevel)
        fail(
            fmt::format("C14: configuration {} changes the members while server {} runs a build "
                        "that cannot read it",
                        roster.index, h->number()));
}

// True if every server that takes part knows that the newest features may be used.
bool World::levels_settled() const {
  if (!plan_.has(FaultKind::levels)) return true;
  return std::all_of(hosts_.begin(), hosts_.end(), [&](const auto& h) {
    if (h->outside || !h->up() || !takes_part(*h)) return true;
    return h->node->raft().configuration().level == raft::kFeatureLevel;
  });
}

}  // namespace vesper::sim
