// Machines that get an older copy of their own disk, as when a snapshot of a virtual machine is
// restored. Peers remember the starts of a directory, so the copy is told that it is older, takes
// no part, and starts again without data once it hears a leader (server/boot_memory and
// server/server do that for a real process). A copy that no peer could notice is not drawn: it
// meets only servers that remember a later start, until one of them has told it.
#include <algorithm>

#include "sim/world.hpp"

namespace vesper::sim {
namespace {

// As in peer/peers.cpp: a later start of the directory, or another one with its number.
bool outdates(const storage::SeenBoot& seen, const Host& h) {
  return seen.number > h.starts || (seen.number == h.starts && seen.boot.value != h.boot);
}

storage::SeenBoot present_of(const Host& h) {
  return {raft::ServerId(0), h.born, h.starts, raft::BootId(h.boot)};
}

}  // namespace

void World::next_copy() {
  if (!faulty_) return;
  after(between(copies_, milliseconds(300), seconds(3)), NextCopy{});
  if (hanging_ || doomed_) return;
  const auto n = static_cast<std::int64_t>(hosts_.size());
  Host& h = host(static_cast<std::size_t>(copies_.between(0, n - 1)));
  if (h.goes_back || h.outside || h.gone_for_good || h.retired || h.hangs || h.holds.is_none())
    return;
  if (h.copy && may_go_back(h)) return go_back(h);
  if (h.copy && h.copy->born == h.born && chance(copies_, 70)) return;
  // A copy that decides alone meets no one first.
  const Roster* const roster = safety_.roster_of(h.drive);
  if (roster == nullptr || std::count_if(roster->members.begin(), roster->members.end(),
                                         [](const auto& m) { return m.votes(); }) < 2)
    return;
  trace("the disk of server {} is copied after {} starts", h.number(), h.starts);
  h.copy = OlderDisk{h.disk, h.id, h.born, h.holds, h.starts, h.boots_seen_on_disk};
  // Of a machine that runs, or of one that is powered off.
  if (chance(copies_, 50)) h.copy->disk.kill();
  else h.copy->disk.lose_power(test::MemFs::Loss::random);
}

// In the calm, perhaps no server is left that remembers. The operator empties these.
void World::clear_copies() {
  for (const auto& h : hosts_) {
    if (h->outside || !h->goes_back || h->told) continue;
    crash(*h, Crash::power);
    new_disk(*h);
  }
}

// True if a peer can notice that the copy is older, and the cluster can do without the disk.
bool World::may_go_back(const Host& h) const {
  if (h.copy->born != h.born || h.starts <= h.copy->starts || safety_.roster() == nullptr)
    return false;
  if (!another_holds_the_cluster(h) || (counts(h) && !may_lose(h))) return false;
  return std::any_of(hosts_.begin(), hosts_.end(), [&](const auto& other) {
    return other.get() != &h && !other->goes_back &&
           other->boots_seen_on_disk.of(h.born).number > h.copy->starts;
  });
}

void World::go_back(Host& h) {
  OlderDisk older = std::move(*std::exchange(h.copy, std::nullopt));
  tally_.count(Count::fault_copies);
  trace("server {} gets a copy of its disk from after {} starts; it has had {}", h.number(),
        older.starts, h.starts);
  crash(h, Crash::power);
  h.shelf.reset();
  new_disk(h);
  h.disk = std::move(older.disk);
  h.disk.mend();
  h.disk.set_capacity(UINT64_MAX);
  h.id = older.id;
  h.born = older.born;
  h.holds = older.holds;
  h.starts = older.starts;
  h.boots_seen = h.boots_seen_on_disk = std::move(older.boots_seen);
  h.goes_back = true;
  after(between(copies_, {}, seconds(1)), Restart{h.number()});
}

// A copy that does not know it yet and a server that does not remember a later start keep apart.
bool World::is_unnoticed(const Host& a, const Host& b) const {
  const auto passes = [](const Host& copy, const Host& other) {
    return copy.goes_back && !copy.told && !outdates(other.boots_seen.of(copy.born), copy);
  };
  return passes(a, b) || passes(b, a);
}

// Both sides of a handshake say which start of the other one they have seen.
void World::learn_boots(Host& a, Host& b) {
  if (!plan_.has(FaultKind::copies)) return;
  for (const auto& [one, other] : {std::pair(&a, &b), std::pair(&b, &a)}) {
    if (outdates(other->boots_seen.of(one->born), *one)) tell_to_be_older(*one);
    else if (one->goes_back && !one->told)
      fail(fmt::format("server {} is an older copy, and server {} does not know it", one->number(),
                       other->number()));
    other->boots_seen.saw(present_of(*one));
  }
}

void World::tell_to_be_older(Host& h) {
  if (!h.goes_back)
    return fail(
        fmt::format("C15: server {} is taken for an older copy at start {}", h.number(), h.starts));
  if (!std::exchange(h.told, true)) {
    tally_.count(Count::copies_noticed);
    trace("server {} is told that its disk is an older copy", h.number());
  }
  post(h, node::ToldToBeOlder{});
}

// C15: what it remembers counts for nothing.
void World::observe_copy(const Host& h, const node::PeerMessage& sent) {
  const auto* m = std::get_if<raft::Message>(&sent);
  if (!h.goes_back || m == nullptr) return;
  const raft::Message& message = *m;
  const auto says = [&](std::string_view what) {
    fail(fmt::format("C15: server {}, an older copy, {}", h.number(), what));
  };
  if (const auto* vote = std::get_if<raft::VoteReply>(&message); vote != nullptr && vote->granted())
    says("grants a vote");
  if (std::holds_alternative<raft::VoteRequest>(message)) says("campaigns");
  if (const auto* append = std::get_if<raft::AppendReply>(&message);
      append != nullptr && append->success)
    says("acknowledges entries");
  if (const auto* done = std::get_if<raft::InstallSnapshotReply>(&message);
      done != nullptr && done->done)
    says("acknowledges a snapshot");
  if (const auto* beat = std::get_if<raft::HeartbeatReply>(&message);
      beat != nullptr && beat->round != 0)
    says("confirms a round of heartbeats");
}

// As Server::why_wiped: a copy starts again without data once it hears a leader. Returns whether
// its process has ended.
bool World::set_aside(Host& h) {
  if (!h.goes_back || !h.told) return false;
  const raft::Raft& raft = h.node->raft();
  const Duration heard = h.clock.read(now_) - raft.leader_heard().at;
  if (!raft.has_regressed(raft.self()) || !raft.leader() || heard > plan_.raft.election_timeout)
    return false;
  tally_.count(Count::copies_set_aside);
  trace("server {} sets its older copy aside", h.number());
  crash(h, Crash::process);
  new_disk(h);
  after(between(copies_, {}, milliseconds(50)), Restart{h.number()});
  return true;
}

}  // namespace vesper::sim
