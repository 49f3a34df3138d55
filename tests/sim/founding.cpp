// Disks that are lost and lists that grow and shrink, at any moment. The check at the end of this
// file reports a second cluster that is founded while a reachable server has data of the first one.
#include <algorithm>

#include "raft/entry.hpp"
#include "sim/world.hpp"

namespace vesper::sim {
namespace {

constexpr Duration kSampleEvery = milliseconds(10);
// Servers dial at least once a second; a process may be slow; its clock may run at half speed.
constexpr Duration kDialSlack = seconds(2);

}  // namespace

// ---- the committed configuration -----------------------------------------------------------

void World::learn_configuration(const raft::Entry& entry) {
  const Roster* const roster = safety_.committed_roster(entry.index.value);
  if (entry.type == raft::EntryType::bootstrap) {
    cluster_ = raft::decode_configuration(entry.payload().view())->cluster_id;
    voters_ = roster->members.size();
  }
  if (roster != nullptr && entry.type != raft::EntryType::noop) learn_roster(*roster);
}

void World::too_many_lost() {
  if (std::exchange(doomed_, true)) return;
  tally_.count(Count::majorities_wiped);
  trace("too many disks are lost: the cluster cannot continue");
  if (!sampling_) sample();
}

// ---- faults -------------------------------------------------------------------------------

bool World::another_holds_the_cluster(const Host& h) const {
  return std::any_of(hosts_.begin(), hosts_.end(), [&](const auto& other) {
    return other.get() != &h && !cluster_.is_none() && other->holds == cluster_ &&
           !other->goes_back;
  });
}

// Returns whether the disk may be lost, and records the consequences for the rest of this world.
bool World::lose_disk(Host& h) {
  if (h.outside || h.gone_for_good) return false;
  if (voters_ == 0) {
    // A founder may need this server's acknowledgement under the incarnation that voted for it.
    const bool begun = std::any_of(hosts_.begin(), hosts_.end(), [](const auto& other) {
      return !other->holds.is_none() ||
             (other->node && other->node->raft().current_term().value > 0);
    });
    if (!begun) return true;
    if (!plan_.lose_majority) return false;
    doomed_ = true;
    if (!sampling_) sample();
    return true;
  }
  if (h.holds == cluster_ && !another_holds_the_cluster(h)) return false;
  if (!counts(h) || may_lose(h)) return true;
  if (!plan_.lose_majority) return false;
  too_many_lost();
  return true;
}

void World::wipe() {
  // Sometimes several servers lose their disks at once, as when volumes are not mounted.
  for (const std::size_t i : plan_.lose_majority ? pick_hosts() : std::vector{pick_host()}) {
    Host& h = host(i);
    if (!lose_disk(h)) continue;
    tally_.count(Count::fault_wipe);
    trace("server {} loses its disk", i);
    crash(h, Crash::power);
    // Sometimes the disk was only away, and comes back. An empty one would be taken for a new one.
    h.shelf.reset();
    if (plan_.has(FaultKind::returns) && !h.holds.is_none() && !h.retired && chance(faults_, 50) &&
        !h.goes_back) {
      h.disk.mend();
      h.disk.set_capacity(UINT64_MAX);
      h.shelf =
          ShelvedDisk{std::move(h.disk), h.id, h.drive, h.born, h.holds, h.starts, h.boots_seen};
      after(between(faults_, milliseconds(20), seconds(4)), BringBack{i});
    }
    new_disk(h);
    after(between(faults_, {}, seconds(1)), Restart{i});
  }
}

void World::new_disk(Host& h) {
  h.born = {};
  h.holds = {};
  h.starts = 0;
  h.boots_seen = h.boots_seen_on_disk = {};
  h.goes_back = h.told = false;
  h.failing = h.full = false;
  h.disk = test::MemFs(faults_.next());
  h.disk.lie_after_failed_syncs();
  h.drive = drives_++;
  safety_.add_server();
  leader_leases_.add_server();
  reads_.add_server();
  // Votes for the old incarnation are not votes for the new one, in whatever term it founds.
  std::erase_if(ballots_, [&](const auto& ballot) { return ballot.first.second == h.number(); });
}

// The operator edits the list; a running server keeps the list that it was started with.
void World::change_list() {
  tally_.count(Count::fault_lists);
  list_ = static_cast<std::size_t>(faults_.between(1, static_cast<std::int64_t>(plan_.servers)));
  trace("the list names {} servers from now on", list_);
  for (const auto& h : hosts_) {
    if (!h->up() || chance(faults_, 50)) continue;
    crash(*h, Crash::process);
    after(between(faults_, {}, seconds(1)), Restart{h->number()});
  }
}

bool World::lists_agree(const Host& a, const Host& b) const {
  if (a.joins() || b.joins()) return true;  // these have none
  const bool both_know = !a.node->raft().peer_state().cluster_id.is_none() &&
                         !b.node->raft().peer_state().cluster_id.is_none();
  if (both_know) return true;
  return a.listed == b.listed && a.number() < b.listed && b.number() < a.listed;
}

// What a handshake reveals, even a refused one. An unproven statement can only prevent founding.
void World::say_state(std::size_t to, const Host& of, Identity identity) {
  if (of.joins() ? of.born.value == 0 : of.number() >= host(to).listed) return;
  raft::PeerState state = of.node->raft().peer_state();
  const bool proven = identity == Identity::proven;
  if (!proven && state.cluster_id.is_none() && state.last_index.value == 0) return;
  if (!proven) state.term = raft::Term(0);
  const raft::ServerId number = of.joins() ? of.node->raft().self() : of.id;
  if (number != raft::kNoServer) post(host(to), node::PeerStateHeard{number, state});
}

// ---- the check -----------------------------------------------------------------------------

void World::sample() {
  sampling_ = true;
  const std::size_t n = hosts_.size();
  for (std::size_t a = 0; a < n; ++a)
    for (std::size_t b = 0; b < n; ++b) {
      const Host& dials = host(a);
      const Host& answers = host(b);
      const bool reached = a != b && dials.serves() && answers.serves() && !dials.stopping &&
                           !answers.stopping && b < dials.listed && linked(a, b);
      Instant& since = reached_since_[a * n + b];
      if (!reached) since = kNever;
      else if (since == kNever) since = now_;
    }
  after(kSampleEvery, Sample{});
}

// True if the server leads from an empty log although a cluster exists. A Bootstrap of an earlier
// founder may stay in a log until a leader of the cluster truncates it; L3 and L7 check that.
bool World::founds_another(const Host& h) {
  const raft::Raft& raft = h.node->raft();
  const Id128 here = raft.configuration().cluster_id;
  if (here.is_none() || here == cluster_ || begun_.contains(here)) return false;
  if (!cluster_.is_none()) return raft.is_leader();
  // If disks were lost before anything was committed, the voters may have forgotten the founder of
  // a term. Then another founder may lead that term.
  const std::uint64_t term = raft.current_term().value;
  if (doomed_ && raft.is_leader() && term <= begun_in_) return true;
  begun_.insert(here);
  begun_in_ = std::max(begun_in_, term);
  return false;
}

void World::judge_second_founding(const Host& h) {
  const raft::Term term = h.node->raft().current_term();
  std::vector<std::size_t> founders = ballots_[{term, h.number()}];
  founders.push_back(h.number());
  const Duration bound = plan_.raft.found_after * 2 + kDialSlack;
  for (const std::size_t founder : founders)
    for (const auto& other : hosts_) {
      if (other->holds.is_none() || (!cluster_.is_none() && other->holds != cluster_)) continue;
      const Instant since = reached_since_[founder * hosts_.size() + other->number()];
      if (since != kNever && now_ - since > bound)
        return fail(
            fmt::format("C11: server {} founds a second cluster in term {}; founder {} could "
                        "reach server {}, which has the first one's data, for {} ms",
                        h.number(), term.value, founder, other->number(), (now_ - since).ms()));
    }
  // No server could have known. Other checks do not apply to two clusters, nor to what they have
  // done in this turn.
  failure_.reset();
  tally_.count(Count::second_foundings);
  trace("server {} founds a second cluster: no data of the first could be reached", h.number());
  over_ = true;
}

}  // namespace vesper::sim
