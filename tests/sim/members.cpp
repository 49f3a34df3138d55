// The members change, at random and under all faults: an operator adds, removes, replaces, promotes
// and demotes servers, gives them other addresses, withdraws additions, and asks for two changes at
// once. Lost disks come back. What has to be true of the members at the end is here, too.
#include <algorithm>
#include <charconv>

#include "sim/translate.hpp"
#include "sim/world.hpp"

namespace vesper::sim {
namespace {

constexpr std::uint64_t kOperator = std::uint64_t{1} << 60;  // its connections
constexpr std::string_view kAddress = "http://s";

using Member = Roster::Member;

// The voters once `plan` has been carried out.
bool will_vote(const Member& member, std::uint64_t plan) {
  return member.plan == plan ? member.will_vote : member.in_new;
}

}  // namespace

// ---- who has which disk ---------------------------------------------------------------------

// "http://s3.1": the second address of server 3. All of them lead to it.
std::string World::address_of(const Host& h) const {
  const std::size_t alias = aliases_[h.number()];
  return alias == 0 ? fmt::format("{}{}", kAddress, h.number())
                    : fmt::format("{}{}.{}", kAddress, h.number(), alias);
}

// The operator moved a machine, and the change that tells the cluster so was refused. It moves the
// machine back: an empty disk under an unknown address is nobody's.
void World::restore_addresses() {
  const Roster* const roster = safety_.roster();
  if (roster == nullptr) return;
  for (const Member& member : roster->members) {
    const auto at = host_at(member.address);
    if (!at) continue;
    std::size_t& alias = aliases_[*at];
    while (alias > 0 && address_of(host(*at)) != member.address) --alias;
  }
}

std::optional<std::size_t> World::host_at(std::string_view address) const {
  std::size_t place = 0;
  address.remove_prefix(std::min(address.size(), kAddress.size()));
  const auto [end, error] = std::from_chars(address.data(), address.data() + address.size(), place);
  if (error != std::errc{} || place >= hosts_.size()) return std::nullopt;
  return place;
}

// True if a machine that will be there at the end has this disk, not counting one of them.
bool World::has_disk(std::uint64_t incarnation, const Host* without) const {
  return std::any_of(hosts_.begin(), hosts_.end(), [&](const auto& h) {
    return h.get() != without && h->born.value == incarnation && !h->outside && !h->gone_for_good &&
           !h->goes_back;
  });
}

// The committed one, and those that are in any log and may become committed.
std::vector<const Roster*> World::rosters() const {
  std::vector<const Roster*> all;
  const auto add = [&](const Roster* roster) {
    if (roster != nullptr && std::find(all.begin(), all.end(), roster) == all.end())
      all.push_back(roster);
  };
  add(safety_.roster());
  for (const auto& h : hosts_) add(safety_.roster_of(h->drive));
  return all;
}

// True if the cluster can continue without this disk, whichever of the pending changes completes.
bool World::may_lose(const Host& h, raft::Incarnation instead) const {
  const auto stays = [&](const Member& member) {
    if (member.incarnation == 0) return false;
    return has_disk(member.incarnation, &h) || member.incarnation == instead.value;
  };
  const auto is_there = [&](const Member& member) {
    return member.incarnation != 0 && has_disk(member.incarnation, nullptr);
  };
  for (const Roster* roster : rosters()) {
    if (!roster->agree(stays)) return false;
    for (const Member& planned : roster->members) {
      if (planned.plan == 0) continue;
      Roster end = *roster;
      for (Member& member : end.members)
        member.in_new = member.in_old = will_vote(member, planned.plan);
      if (end.agree(is_there) && !end.agree(stays)) return false;
    }
  }
  // Before the founding, a minority of the list.
  return safety_.roster() != nullptr || hosts_.size() > 2;
}

// True if some log names the disk as one that votes, or will.
bool World::counts(const Host& h) const {
  for (const Roster* roster : rosters())
    if (const Member* member = roster->with_incarnation(h.born.value))
      if (member->votes() || member->will_vote) return true;
  return false;
}

// True if the disk is a member's.
bool World::takes_part(const Host& h) const {
  const Roster* const roster = safety_.roster();
  if (roster == nullptr) return !h.joins();
  return roster->with_incarnation(h.born.value) != nullptr;
}

// True if the machine has the address of a member.
bool World::is_awaited(const Host& h) const {
  const Roster* const roster = safety_.roster();
  if (roster == nullptr) return !h.joins();
  return std::any_of(roster->members.begin(), roster->members.end(),
                     [&](const Member& member) { return host_at(member.address) == h.number(); });
}

void World::learn_roster(const Roster& roster) {
  for (const Member& member : roster.members)
    if (member.incarnation != 0 && members_ever_.insert(member.incarnation).second)
      tally_.count(Count::members_registered);
  if (roster.kind == RosterEntry::registration) return;
  if (roster.index > 1) judge_level(roster);
  tally_.count(roster.is_joint() ? Count::configurations_joint : Count::configurations);
  trace("configuration {}{}: {}", roster.index, roster.is_joint() ? " (joint)" : "",
        seats_of(roster));
}

// "0v 1v>l 3i": numbers, seats, and goals.
std::string World::seats_of(const Roster& roster) {
  std::string text;
  for (const Member& member : roster.members)
    text += fmt::format("{}{}{}{}{}", text.empty() ? "" : " ", member.number,
                        member.in_new && member.in_old ? "v"
                        : member.in_new                ? "i"
                        : member.in_old                ? "o"
                                                       : "l",
                        member.plan == 0 ? "" : fmt::format(">{}", member.plan),
                        member.incarnation == 0 ? "?" : "");
  return text;
}

// ---- disks ----------------------------------------------------------------------------------

// The disk that a machine has lost is there again, and the one that took its place is lost.
void World::bring_back(Host& h) {
  if (!faulty_ || !h.shelf || h.outside || h.gone_for_good || h.retired || h.hangs || h.goes_back)
    return;
  ShelvedDisk old = std::move(*std::exchange(h.shelf, std::nullopt));
  if (h.holds == cluster_ && old.holds != cluster_ && !another_holds_the_cluster(h)) return;
  if (counts(h) && !may_lose(h, old.born)) return;
  tally_.count(Count::disks_returned);
  trace("the lost disk of server {} is back", h.number());
  crash(h, Crash::power);
  h.disk.mend();
  h.disk.set_capacity(UINT64_MAX);
  ShelvedDisk newer{std::move(h.disk), h.id, h.drive, h.born, h.holds, h.starts, h.boots_seen};
  h.disk = std::move(old.disk);
  h.id = old.id;
  h.drive = old.drive;
  h.born = old.born;
  h.holds = old.holds;
  h.starts = old.starts;
  h.boots_seen = h.boots_seen_on_disk = std::move(old.boots_seen);
  h.failing = h.full = false;
  // Once more, the other way round. An empty disk would be taken for a new one.
  if (!newer.holds.is_none() && chance(faults_, 30)) {
    h.shelf = std::move(newer);
    after(between(faults_, milliseconds(20), seconds(4)), BringBack{h.number()});
  }
  after(between(faults_, {}, milliseconds(500)), Restart{h.number()});
}

// The process ends with exit code 13: the server is no member any more.
void World::leave(Host& h) {
  tally_.count(Count::servers_left);
  trace("server {} has left the cluster and ends", h.number());
  if (takes_part(h))
    fail(fmt::format("C12: server {} ends as if it had left, but it is a member", h.number()));
  if (!members_ever_.contains(h.born.value))
    fail(fmt::format("C12: server {} ends as if it had left, but it was no member", h.number()));
  crash(h, Crash::process);
  h.retired = true;
  // In the calm the operator empties only the disk of a machine that a member waits for.
  if (!faulty_ && is_awaited(h)) after(milliseconds(50), Clear{h.number()});
  if (!faulty_) return;
  // Some supervisors restart it, before an operator empties its disk.
  if (chance(faults_, 30)) after(between(faults_, {}, milliseconds(500)), Restart{h.number()});
  after(between(faults_, milliseconds(50), seconds(2)), Clear{h.number()});
}

// The machine becomes a spare.
void World::clear(Host& h) {
  if (!h.retired || h.outside || h.hangs) return;
  crash(h, Crash::power);
  h.retired = false;
  h.shelf.reset();
  h.id = raft::kNoServer;
  new_disk(h);
  start(h);
}

// ---- the operator ---------------------------------------------------------------------------

namespace {

raft::NodeId node_of(const Member& member) {
  return raft::NodeId(member.node);
}

}  // namespace

// Machines that could be added: they are empty, also of the term of an earlier membership, and no
// log names their address.
std::vector<std::size_t> World::idle_machines() const {
  std::vector<std::size_t> idle;
  for (const auto& h : hosts_) {
    if (!h->up() || h->retired || h->outside || !h->holds.is_none()) continue;
    if (members_ever_.contains(h->born.value)) continue;
    bool is_named = false;
    for (const Roster* roster : rosters())
      for (const Member& member : roster->members)
        is_named |= host_at(member.address) == h->number();
    if (!is_named) idle.push_back(h->number());
  }
  return idle;
}

raft::MembersRequest World::draw_change(const Roster& roster) {
  raft::MembersRequest request;
  std::vector<std::size_t> idle = idle_machines();
  std::vector<const Member*> members;
  for (const Member& member : roster.members) members.push_back(&member);
  const auto draw = [&](auto& from) {
    const auto at = faults_.between(0, static_cast<std::int64_t>(from.size()) - 1);
    const auto drawn = from[static_cast<std::size_t>(at)];
    from.erase(from.begin() + at);
    return drawn;
  };
  const auto add = [&](raft::Goal goal) {
    if (!idle.empty()) request.add.push_back({address_of(host(draw(idle))), "", goal});
  };
  const auto one_of = [&](auto&& is_meant) -> const Member* {
    std::vector<const Member*> meant;
    for (const Member* member : members)
      if (is_meant(*member)) meant.push_back(member);
    if (meant.empty()) return nullptr;
    const Member* drawn = draw(meant);
    std::erase_if(members, [&](const Member* member) { return member->node == drawn->node; });
    return drawn;
  };
  const auto any = [](const Member&) { return true; };
  const auto remove = [&](const Member* member) {
    if (member != nullptr) request.remove.push_back(node_of(*member));
  };
  for (std::int64_t steps = chance(faults_, 75) ? 1 : faults_.between(2, 4); steps > 0; --steps) {
    switch (faults_.between(0, 9)) {
      case 0: remove(one_of(any)); break;
      case 1: add(raft::Goal::stay); break;  // a learner
      case 2:
      case 3: add(raft::Goal::vote); break;
      case 4:
      case 5:
        add(raft::Goal::vote);
        if (!request.add.empty()) remove(one_of([](const Member& m) { return m.in_new; }));
        break;
      case 6:
        if (const Member* member = one_of([](const Member& m) { return !m.votes(); }))
          request.promote.push_back(node_of(*member));
        break;
      case 7:
        if (const Member* member = one_of([](const Member& m) { return m.in_new; }))
          request.demote.push_back(node_of(*member));
        break;
      case 8:  // withdraws an addition
        remove(one_of([](const Member& m) { return !m.votes() && m.plan != 0; }));
        break;
      default:
        if (const Member* member = one_of([](const Member& m) { return m.incarnation != 0; })) {
          const auto at = host_at(member->address);
          ++aliases_[*at];
          request.update.push_back({node_of(*member), address_of(host(*at))});
        }
    }
  }
  return request;
}

void World::change_members() {
  const Roster* const roster = safety_.roster();
  if (roster == nullptr || doomed_) return;
  const auto leads = leader();
  for (std::int64_t requests = chance(faults_, 25) ? 2 : 1; requests > 0; --requests) {
    Host& h = host(leads && chance(faults_, 60) ? *leads : pick_host());
    if (!h.serves() || h.stopping) continue;
    raft::MembersRequest request = draw_change(*roster);
    const std::size_t parts = request.add.size() + request.remove.size() + request.promote.size() +
                              request.demote.size() + request.update.size();
    if (parts == 0) continue;
    tally_.count(Count::changes_asked);
    const node::Ticket ticket{kOperator + ++changes_, 1};
    trace(
        "change {} is asked of server {}: {} added, {} removed, {} promoted, {} demoted, {} moved",
        changes_, h.number(), request.add.size(), request.remove.size(), request.promote.size(),
        request.demote.size(), request.update.size());
    Credentials::Act act;
    if (plan_.tokens) act = credentials_.draw_act(faults_, history_.model().holdings());
    if (act.is_forbidden) forbidden_[changes_] = act.opened;
    const Instant until = h.clock.read(now_) + milliseconds(faults_.between(200, 3'000));
    post(h, node::ClientMembers{ticket, std::move(request), until,
                                chance(faults_, 50) ? until + seconds(2) : Instant{},
                                identity_of(act.who)});
  }
}

bool World::is_operator(const node::Ticket& ticket) {
  return ticket.connection > kOperator && ticket.connection < kOperator * 2;
}

void World::on_members_reply(const node::Ticket& ticket, const node::ClientReply& reply) {
  const std::uint64_t change = ticket.connection - kOperator;
  if (const auto forbidden = forbidden_.extract(change)) {
    const auto* refusal = std::get_if<node::Refusal>(&reply);
    if (refusal == nullptr && forbidden.mapped() == credentials_.opened())
      return fail(fmt::format("A5: change {} was judged without its token", change));
    tally_.count(Count::changes_forbidden,
                 refusal != nullptr && *refusal == node::Refusal::unauthorized);
  }
  if (const auto* done = std::get_if<node::MembersResult>(&reply)) {
    tally_.count(Count::changes_done);
    trace("change {} is in configuration {}", change, done->index.value);
    // Only a request whose wait is over may be answered in the joint phase, and says what is left.
    const bool is_open = done->is_joint && done->pending.empty();
    if (done->index.value > safety_.committed().size() || is_open)
      fail(fmt::format("change {} is done by configuration {}, which is not", change,
                       done->index.value));
  } else if (const auto* refusal = std::get_if<raft::MembersRefusal>(&reply)) {
    tally_.count(refusal->why == raft::MembersRefusal::Why::change_in_progress
                     ? Count::changes_in_progress
                 : refusal->why == raft::MembersRefusal::Why::would_lose_quorum
                     ? Count::changes_without_quorum
                     : Count::changes_refused);
    trace("change {} is refused ({})", change, static_cast<int>(refusal->why));
  } else {
    tally_.count(Count::changes_unknown);
    trace("change {} has no known outcome", change);
  }
}

// True if there is another voter that stays.
bool World::can_hand_over() const {
  const Roster* const roster = safety_.roster();
  return roster == nullptr ||
         std::count_if(roster->members.begin(), roster->members.end(), [](const Member& member) {
           return member.in_new && !member.will_leave && !member.will_learn;
         }) > 1;
}

// True if the server alone is the quorum, as far as anyone may know.
bool World::is_alone(const Host& h) const {
  const auto is_alone_in = [&](const Roster* roster) {
    return roster != nullptr &&
           std::all_of(roster->members.begin(), roster->members.end(), [&](const Member& member) {
             return !member.votes() || member.incarnation == h.born.value;
           });
  };
  return is_alone_in(safety_.roster()) && is_alone_in(safety_.roster_of(h.drive));
}

// ---- the end --------------------------------------------------------------------------------

// A change was begun with voters whose disks were lost at that moment: no quorum is left.
void World::judge_quorums() {
  for (const Roster* roster : rosters())
    if (!roster->agree([&](const Member& m) { return has_disk(m.incarnation, nullptr); }) &&
        !doomed_) {
      tally_.count(Count::changes_without_end);
      too_many_lost();
    }
}

// The operator empties disks that came back to a place that another disk has taken, if they cannot
// know it: no committed configuration that they know of names them. The others end by themselves,
// because they are told.
void World::clear_strays() {
  if (safety_.roster() == nullptr) return;
  const auto may_know = [this](const Host& h) {
    if (h.up() && h.node) return h.node->raft().committed_configuration().find(h.born) != nullptr;
    const Roster* const own = safety_.roster_of(h.drive);
    return own != nullptr && own->with_incarnation(h.born.value) != nullptr;
  };
  for (const auto& h : hosts_) {
    if (h->outside || h->holds.is_none() || takes_part(*h)) continue;
    if (!members_ever_.contains(h->born.value) || may_know(*h)) continue;
    h->retired = true;
    clear(*h);
  }
}

// An addition whose machine is a member already: it was asked for under an address that the machine
// had before it moved, and is never registered (C13). The operator withdraws it.
void World::withdraw_doubles() {
  const Roster* const roster = safety_.roster();
  const auto leads = leader();
  if (roster == nullptr || roster->is_joint() || !leads || now_ < withdraws_at_) return;
  raft::MembersRequest request;
  for (const Member& member : roster->members) {
    const auto at = member.incarnation == 0 ? host_at(member.address) : std::nullopt;
    if (at && takes_part(host(*at))) request.remove.push_back(node_of(member));
  }
  if (request.remove.empty()) return;
  withdraws_at_ = now_ + milliseconds(500);
  Host& h = host(*leads);
  trace("additions of machines that are members are withdrawn");
  tally_.count(Count::doubles_withdrawn, request.remove.size());
  post(h, node::ClientMembers{{kOperator + ++changes_, 1},
                              std::move(request),
                              h.clock.read(now_) + milliseconds(400),
                              Instant{},
                              identity_of(credentials_.root())});
}

// No change is under way, wiped servers are members again, and servers that have left have ended.
bool World::members_settled() const {
  const Roster* const roster = safety_.roster();
  if (roster == nullptr) return true;
  if (roster->is_joint() || !levels_settled()) return false;
  const bool all_there = std::none_of(hosts_.begin(), hosts_.end(),
                                      [](const auto& h) { return h->outside || h->gone_for_good; });
  for (const Member& member : roster->members) {
    if (member.plan != 0 && all_there) return false;
    const auto at = host_at(member.address);
    if (!at) return false;
    const Host& h = *hosts_[*at];
    if (h.outside || h.gone_for_good) continue;
    if (h.born.value != member.incarnation || h.goes_back) return false;
  }
  // A server that never knew of a committed configuration cannot know that it has left.
  return std::all_of(hosts_.begin(), hosts_.end(), [&](const auto& h) {
    if (h->outside || !h->up() || takes_part(*h) || !members_ever_.contains(h->born.value))
      return true;
    return h->node->raft().committed_configuration().find(h->born) == nullptr;
  });
}

}  // namespace vesper::sim
