// Detects a disk that went back in time under the same incarnation: an older copy of a data
// directory was restored, or the tail of the log was lost. Each heartbeat tells the follower what
// it has acknowledged to this leader. A follower that lacks these entries takes no part any more,
// and both servers report it (docs/raft.md, "A disk that goes back").
#include <fmt/core.h>

#include "raft/names.hpp"
#include "raft/raft.hpp"

namespace vesper::raft {
namespace {

// Entries acknowledged in this term stay in the log for the whole term: only the term's leader
// truncates, and never an entry that matches its own log. So neither delays nor restarts make this
// true.
bool lacks_acknowledged(const Heartbeat& m, Incarnation self, const Log& log) {
  if (m.acknowledged.value == 0 || m.acknowledged_by != self) return false;
  if (m.acknowledged > log.last_index()) return true;
  const auto here = log.term_at(m.acknowledged);
  return here && here->value != 0 && m.acknowledged_term.value != 0 && *here != m.acknowledged_term;
}

}  // namespace

// True if this server takes no part. This lasts until the process ends, because no one knows which
// votes and promises the disk has lost.
bool Raft::notice_regress(ServerId from, const Heartbeat& m) {
  if (!regressed_ && lacks_acknowledged(m, config_.incarnation, log_)) {
    regressed_ = true;
    output_->alarms.push_back(fmt::format(
        "the log ends at {}, but this server has acknowledged entry {} to the leader of {}: its "
        "data directory is an older copy, or its disk has lost synced data -> neither vote nor "
        "acknowledge",
        log_.last_index().value, m.acknowledged.value, name(current_term())));
  }
  // Round 0 confirms nothing: neither leadership nor a lease.
  if (regressed_)
    send(from, HeartbeatReply{.term = current_term(), .disk = DiskHealth::regressed}, kTermOnly);
  return regressed_;
}

// A copy may have forgotten votes and acknowledgements, so it does not count from now on. It
// listens, to learn whether the others go on without it. That holds for the only voter of an old
// log, too: the cluster may have grown since, and what it has acknowledged since is lost here.
void Raft::on_older_copy() {
  regressed_ = true;
  if (!std::holds_alternative<Follower>(role_)) become_follower(std::nullopt);
}

void Raft::on_regressed(ServerId from, Progress& progress) {
  progress.disk = DiskHealth::regressed;
  if (std::exchange(progress.regressed, true)) return;
  output_->alarms.push_back(fmt::format(
      "{} lacks entries that it has acknowledged, up to {}: its data directory is an older copy, "
      "or its disk has lost synced data -> do not count it",
      name(from), progress.match_index.value));
}

bool Raft::has_regressed(ServerId id) const {
  if (id == self()) return regressed_;
  const auto* leader = std::get_if<Leader>(&role_);
  if (leader == nullptr) return false;
  const auto it = leader->progress.find(id);
  return it != leader->progress.end() && it->second.regressed;
}

}  // namespace vesper::raft
