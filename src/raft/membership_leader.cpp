// When the leader takes the steps of a change of the members (membership.hpp). A step is an entry
// of its own, and takes effect when it is appended (§6). C1: no step while the one before is not
// committed. C2: none before an entry of the leader's own term is committed.
#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "raft/entry.hpp"
#include "raft/names.hpp"
#include "raft/raft.hpp"

namespace vesper::raft {
namespace {

// How long, in election timeouts, a server that has left is told so.
constexpr std::int64_t kFarewell = 10;

}  // namespace

// ---- what the leader knows of the members -------------------------------------------------

// Numbers are never given twice, so a number below next_id that is missing belongs to a server that
// has left. Numbers above are of members that this server has not heard of yet.
bool Raft::has_left(ServerId id) const {
  const Configuration& committed = electorate_.committed();
  if (committed.cluster_id.is_none() || id >= committed.unused_id()) return false;
  return committed.find(id) == nullptr && configuration().find(id) == nullptr;
}

const Progress* Raft::progress_of(ServerId id) const {
  const auto* leader = std::get_if<Leader>(&role_);
  if (leader == nullptr) return nullptr;
  const auto at = leader->progress.find(id);
  return at == leader->progress.end() ? nullptr : &at->second;
}

bool Raft::is_answering(ServerId id) const {
  if (electorate_.is_self(id)) return true;
  const Progress* const progress = progress_of(id);
  return progress != nullptr && progress->acked_at != Instant{} &&
         now_ - progress->acked_at <= config_.election_timeout * 2;
}

Progress Raft::new_progress() const {
  Progress progress;
  progress.next_index = log_.last_index().next();
  progress.heard_at = now_;
  progress.progress_at = now_;
  return progress;
}

// The leader replicates to every member. A server that leaves is told of the entry that removes it,
// for a while.
void Raft::follow_members() {
  auto& leader = std::get<Leader>(role_);
  const Configuration& now = configuration();
  for (const Member& member : now.members) {
    if (member.id == self()) continue;
    const auto [at, is_new] = leader.progress.try_emplace(member.id, new_progress());
    at->second.leaves_at.reset();
    if (is_new) at->second.incarnation = member.incarnation;
  }
  for (auto& [id, progress] : leader.progress)
    if (now.find(id) == nullptr && !progress.leaves_at)
      progress.leaves_at = now_ + config_.election_timeout * kFarewell;
}

// Entries go to a learner once it is committed that it is one, under this disk. A server that got a
// log from a configuration that is then lost would be a stranger with data. The cluster may need an
// unregistered voter to commit its registration.
bool Raft::may_receive(ServerId id, const Progress& progress) const {
  if (progress.leaves_at || electorate_.committed().cluster_id.is_none()) return true;
  const Member* member = electorate_.committed().find(id);
  return member != nullptr && (member->votes() || member->incarnation.value != 0);
}

// Thesis 4.2.1: a learner has caught up when it has taken in, within an election timeout, all that
// the log had grown by while it took in the round before. One round follows another, because a
// learner may fall behind again before it is to vote.
void Raft::review_catch_up(Progress& progress) {
  if (progress.match_index < progress.round_target) return;
  const bool is_first = progress.round_target.value == 0;
  progress.caught_up = progress.match_index == log_.last_index() ||
                       (!is_first && now_ - progress.round_began <= config_.election_timeout);
  progress.round_target = log_.last_index();
  progress.round_began = now_;
}

// ---- steps --------------------------------------------------------------------------------

void Raft::append_configuration(Configuration configuration) {
  VESPER_ASSERT(electorate_.is_committed());                           // C1
  VESPER_ASSERT(commit_index_ >= std::get<Leader>(role_).term_start);  // C2
  const Index index = log_.last_index().next();
  configuration.index = index;
  append(make_entry(index, current_term(), EntryType::membership, log_time(now_), Origin{},
                    encode_configuration(configuration)));
}

// True if a majority of the voters of `next` can be reached, counting the additions, which become
// voters only once they have caught up.
bool Raft::is_reachable(const Configuration& next) const {
  return Quorum(next.members).holds([&](const Member& member) {
    return configuration().find(member.id) == nullptr || is_answering(member.id);
  });
}

void Raft::on_change_members(const ChangeMembers& change) {
  const auto refuse = [&](MembersRefusal refusal) {
    output_->members.push_back({change.id, std::move(refusal)});
  };
  if (!takes_proposals() || commit_index_ < std::get<Leader>(role_).term_start) return refuse({});
  const Configuration& now = configuration();
  if (!electorate_.is_committed() || now.is_joint())
    return refuse({.why = MembersRefusal::Why::change_in_progress, .index = now.index});
  if (now.level < kMembershipLevel) {
    MembersRefusal refusal{.why = MembersRefusal::Why::too_old};
    for (const Member& member : now.members)
      if (member.level != 0 && member.level < kMembershipLevel)
        refusal.nodes.push_back(member.node);
    return refuse(std::move(refusal));
  }
  const Index index = log_.last_index().next();
  auto planned = plan_change(now, change.request, index);
  if (auto* refusal = std::get_if<MembersRefusal>(&planned)) return refuse(std::move(*refusal));
  Configuration next = std::move(std::get<Configuration>(planned));
  // The end of the change, as if the additions had caught up.
  Configuration end = end_joint(begin_joint(next, index));
  const bool voters_change = !std::equal(
      now.members.begin(), now.members.end(), end.members.begin(), end.members.end(),
      [](const Member& a, const Member& b) { return a.id == b.id && a.votes() == b.votes(); });
  if (voters_change && change.request.force == MembersRequest::Force::no && !is_reachable(end)) {
    // A new leader does not know yet who can be reached.
    if (now_ - std::get<Leader>(role_).since <= config_.election_timeout * 2) return refuse({});
    MembersRefusal refusal{.why = MembersRefusal::Why::would_lose_quorum};
    for (const Member& member : end.members)
      if (member.votes() && now.find(member.id) != nullptr && !is_answering(member.id))
        refusal.nodes.push_back(member.node);
    return refuse(std::move(refusal));
  }
  const auto waits = [&](const Member& member) {
    if (member.plan != index) return false;
    if (member.id == self()) return true;  // it hands over first
    return member.goal == Goal::vote && !is_caught_up(member);
  };
  // Nothing to wait for: the joint configuration is the first step.
  if (std::none_of(next.members.begin(), next.members.end(), waits))
    next = begin_joint(std::move(next), index);
  next.index = now.index;
  if (next == now) return output_->members.push_back({change.id, now.index});
  output_->notes.push_back(fmt::format("change of the members -> configuration {}", index.value));
  append_configuration(std::move(next));
  output_->members.push_back({change.id, index});
}

void Raft::on_disk_replaced(const DiskReplaced& disk) {
  peers_.replaced(disk);
  if (is_leader()) register_members();
}

std::vector<NodeId> Raft::lost_majority() const {
  std::vector<NodeId> nodes;
  if (leader()) return nodes;
  // A voter that a configuration in the log replaces counts until its own disk answers again: the
  // new one votes only once a quorum with the old one has decided so.
  const auto is_lost = [this](const Member& member) {
    if (member.incarnation.value == 0 || member.id == self()) return false;
    return peers_.replaced().contains(member.id) ||
           (is_being_replaced(configuration(), member) && !peers_.is_connected(member.id));
  };
  if (electorate_.quorum().holds([&](const Member& voter) { return !is_lost(voter); }))
    return nodes;
  for (const Member& member : configuration().members)
    if (member.votes() && is_lost(member)) nodes.push_back(member.node);
  std::sort(nodes.begin(), nodes.end());
  nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
  return nodes;
}

void Raft::report_lost_majority() {
  std::vector<NodeId> nodes = lost_majority();
  if (nodes == lost_majority_said_) return;
  lost_majority_said_ = std::move(nodes);
  if (!lost_majority_said_.empty())
    output_->alarms.push_back(describe_lost_majority(lost_majority_said_));
}

void Raft::report_full(const Member& lost, const DiskReplaced& disk) {
  auto& leader = std::get<Leader>(role_);
  if (configuration().members.size() < kMaxServers) return;
  if (std::exchange(leader.without_place, disk.incarnation) == disk.incarnation) return;
  output_->alarms.push_back(fmt::format(
      "{} has lost its disk and is not taken in again: there are {} members, the most that there "
      "can be -> remove one, for example a learner",
      name(lost.id), configuration().members.size()));
}

// A member whose disk is lost comes back under a new number, as a learner. A disk that was only
// away keeps its place.
bool Raft::replace_lost_disks() {
  const Configuration& now = configuration();
  for (const Member& member : now.members) {
    if (member.goal != Goal::leave || !is_answering(member.id) || member.id == self()) continue;
    if (!peers_.is_connected(member.id)) continue;
    if (auto next = withdraw_replacement(now, member.id)) {
      output_->notes.push_back(
          fmt::format("{} has its disk again -> it is not replaced", name(member.id)));
      append_configuration(std::move(*next));
      return true;
    }
  }
  if (now.level < kMembershipLevel) return false;
  for (const auto& [id, disk] : peers_.replaced()) {
    const Member* lost = now.find(id);
    // A disk that answers is not lost, whoever else answers at its address.
    if (lost == nullptr || lost->incarnation.value == 0 || is_answering(id)) continue;
    if (lost->goal == Goal::leave) continue;
    auto next = replace_disk(now, disk, log_.last_index().next());
    if (!next) {
      report_full(*lost, disk);
      continue;
    }
    output_->notes.push_back(fmt::format("{} has lost its disk -> incarnation {} joins as {}",
                                         name(id), to_hex(disk.incarnation.value),
                                         name(next->members.back().id)));
    append_configuration(std::move(*next));
    return true;
  }
  return false;
}

// True if the member may vote from now on (C6): its disk is registered, and it follows.
bool Raft::is_caught_up(const Member& member) const {
  const Progress* const progress = progress_of(member.id);
  if (progress == nullptr || !progress->caught_up || progress->regressed) return false;
  const bool round_is_overdue = progress->match_index < progress->round_target &&
                                now_ - progress->round_began > config_.election_timeout;
  return !round_is_overdue && progress->state == Progress::State::replicate &&
         is_answering(member.id) && member.incarnation.value != 0 &&
         progress->incarnation == member.incarnation;
}

bool Raft::is_ready(const Configuration& now, Index plan) const {
  const bool caught_up =
      std::all_of(now.members.begin(), now.members.end(), [&](const Member& member) {
        return member.plan != plan || member.goal != Goal::vote || member.id == self() ||
               is_caught_up(member);
      });
  return caught_up && is_reachable(begin_joint(now, plan));
}

// True if another voter stays, so that it can lead before the joint phase.
bool Raft::can_be_succeeded() const {
  const auto& members = configuration().members;
  return std::any_of(members.begin(), members.end(), [&](const Member& member) {
    return member.id != self() && member.votes_in_new() && member.goal == Goal::stay;
  });
}

// Enters the joint configuration of a plan whose additions have caught up. A leader that leaves by
// it hands over first, and the next leader goes on. If all voters leave, it hands over in the joint
// phase.
bool Raft::carry_on_plans() {
  const Configuration& now = configuration();
  for (const Index plan : plans_of(now)) {
    if (!is_ready(now, plan)) continue;
    const Member* own = now.find(self());
    if (own != nullptr && own->plan == plan && own->goal != Goal::vote && can_be_succeeded()) {
      on_transfer_leadership({});
      continue;
    }
    output_->notes.push_back(
        fmt::format("all members of change {} have caught up -> joint configuration", plan.value));
    append_configuration(begin_joint(now, plan));
    return true;
  }
  return false;
}

void Raft::review_membership() {
  auto& leader = std::get<Leader>(role_);
  std::erase_if(leader.progress, [&](const auto& each) {
    return each.second.leaves_at && now_ >= *each.second.leaves_at;
  });
  if (commit_index_ < leader.term_start || !electorate_.is_committed()) return;
  const Configuration& now = configuration();
  if (now.is_joint()) {
    const Member* own = now.find(self());
    const bool stays = own != nullptr && own->votes_in_new();
    if (!stays) on_transfer_leadership({});
    if (leader.hand_over) return;  // the next leader ends the joint phase
    return append_configuration(end_joint(now));
  }
  // C9: a leader that is no voter leads until the configuration without it is committed.
  if (!electorate_.self_counts()) {
    output_->notes.push_back(fmt::format("configuration {} has left me out -> step down in {}",
                                         now.index.value, name(current_term())));
    return become_follower(std::nullopt);
  }
  // Nearly every turn: nothing is planned, and no disk is lost. Then no voters are counted.
  const bool is_settled = peers_.replaced().empty() &&
                          std::all_of(now.members.begin(), now.members.end(), [](const auto& each) {
                            return each.goal == Goal::stay && each.plan.value == 0;
                          });
  if (is_settled || leader.hand_over || !takes_proposals() || replace_lost_disks()) return;
  carry_on_plans();
}

}  // namespace vesper::raft
