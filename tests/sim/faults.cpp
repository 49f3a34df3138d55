// Injects faults into a world and ends them.
#include <algorithm>
#include <cerrno>

#include "sim/world.hpp"
#include "storage/wal_format.hpp"

namespace vesper::sim {

// ---- choices ------------------------------------------------------------------------------

std::optional<std::size_t> World::leader() {
  std::optional<std::size_t> found;
  raft::Term term;
  for (const auto& h : hosts_) {
    if (!h->serves() || !h->node->raft().is_leader()) continue;
    if (found && h->node->raft().current_term() < term) continue;
    found = h->number();
    term = h->node->raft().current_term();
  }
  return found;
}

// The leader is picked more often than the others.
std::size_t World::pick_host() {
  const auto leads = leader();
  if (leads && chance(faults_, 35)) return *leads;
  return static_cast<std::size_t>(faults_.between(0, static_cast<std::int64_t>(hosts_.size()) - 1));
}

// One server, a majority, or all of them.
std::vector<std::size_t> World::pick_hosts() {
  std::vector<std::size_t> all;
  for (std::size_t i = 0; i < hosts_.size(); ++i) all.push_back(i);
  const std::int64_t dice = faults_.between(1, 100);
  if (dice <= 70) return {pick_host()};
  for (std::size_t i = all.size(); i > 1; --i)
    std::swap(all[i - 1],
              all[static_cast<std::size_t>(faults_.between(0, static_cast<std::int64_t>(i) - 1))]);
  if (dice <= 90) all.resize(all.size() / 2 + 1);
  return all;
}

void World::next_fault() {
  if (!faulty_) return;
  after(between(faults_, milliseconds(200), plan_.fault_gap_max), NextFault{});
  if (hanging_) return;
  // The remaining kinds are not injected here: they happen by other means. Clock skew is permanent.
  static constexpr FaultKind kInjected[] = {
      FaultKind::crash,     FaultKind::power,  FaultKind::pause,    FaultKind::slow,
      FaultKind::partition, FaultKind::oneway, FaultKind::reset,    FaultKind::loss,
      FaultKind::duplicate, FaultKind::delay,  FaultKind::stall,    FaultKind::ioerror,
      FaultKind::full,      FaultKind::wipe,   FaultKind::shutdown, FaultKind::churn,
      FaultKind::jump,      FaultKind::lists,  FaultKind::flip,     FaultKind::ambush,
      FaultKind::stretch,   FaultKind::narrow, FaultKind::members};
  std::vector<FaultKind> here;
  for (const FaultKind kind : kInjected)
    if (plan_.has(kind)) here.push_back(kind);
  // Changes more often, because the other faults have to meet them.
  if (plan_.has(FaultKind::members)) here.insert(here.end(), 3, FaultKind::members);
  if (here.empty()) return;
  const FaultKind kind = here[static_cast<std::size_t>(
      faults_.between(0, static_cast<std::int64_t>(here.size()) - 1))];
  tally_.count(Count::faults);
  inject(kind);
}

void World::inject(FaultKind kind) {
  switch (kind) {
    case FaultKind::crash:
    case FaultKind::power:
    case FaultKind::pause:
    case FaultKind::slow:
    case FaultKind::shutdown:
    case FaultKind::churn:
    case FaultKind::jump: return inject_process(kind);
    case FaultKind::ambush: return ambush();
    case FaultKind::stretch: return begin_stretches();
    case FaultKind::narrow:
    case FaultKind::partition:
    case FaultKind::oneway:
    case FaultKind::reset:
    case FaultKind::loss:
    case FaultKind::duplicate:
    case FaultKind::delay: return inject_network(kind);
    case FaultKind::stall:
    case FaultKind::ioerror:
    case FaultKind::full:
    case FaultKind::flip: return inject_disk(kind);
    case FaultKind::wipe: return wipe();
    case FaultKind::members: return change_members();
    case FaultKind::lists: return change_list();
    case FaultKind::torn:
    case FaultKind::effects:
    case FaultKind::skew:
    case FaultKind::core:
    case FaultKind::hang:
    case FaultKind::returns:
    case FaultKind::copies:
    case FaultKind::levels:
    case FaultKind::kEnd: return;
  }
}

// ---- processes ----------------------------------------------------------------------------

void World::inject_process(FaultKind kind) {
  if (kind == FaultKind::churn) {
    tally_.count(Count::fault_churn);
    trace("every new leader fails for a while");
    ++churning_;
    return begin({kind, {}, {}, false}, between(faults_, seconds(1), seconds(5)));
  }
  const bool power = kind == FaultKind::power;
  for (const std::size_t i : pick_hosts()) {
    Host& h = host(i);
    if (kind == FaultKind::jump) {
      tally_.count(Count::fault_jump);
      // Sometimes beyond the time for which results are kept.
      const bool leap = chance(faults_, 15);
      if (leap) tally_.count(Count::fault_leap);
      const Duration forward = leap ? between(faults_, seconds(590), seconds(700))
                                    : between(faults_, milliseconds(5), seconds(3));
      trace("the clock of server {} jumps by {} ms", i, forward.ms());
      h.clock.jump(forward);
      log_clock_.jumps(forward.ns);
      if (h.up()) schedule_turn(h);
      continue;
    }
    if (!h.serves()) continue;
    if (kind == FaultKind::slow) {
      tally_.count(Count::fault_slow);
      h.slowness = between(faults_, milliseconds(1), milliseconds(60));
      trace("server {} is slow", i);
      begin({kind, {}, {i}, false}, between(faults_, milliseconds(200), seconds(4)));
    } else if (kind == FaultKind::pause) {
      tally_.count(Count::fault_pause);
      trace("server {} is frozen", i);
      h.paused = true;
      if (chance(faults_, 20)) excite();
      after(between(faults_, milliseconds(10), seconds(2)), Resume{i});
    } else if (kind == FaultKind::shutdown) {
      if (h.stopping) continue;
      tally_.count(Count::fault_shutdown);
      trace("server {} is asked to shut down", i);
      h.stopping = true;
      // It transfers leadership first, and keeps serving meanwhile.
      post(h, node::HandOver{});
      after(between(faults_, {}, milliseconds(250)), Shut{i, h.boot});
      after(seconds(1), Kill{i, h.boot, Crash::process});
    } else {
      tally_.count(power ? Count::fault_power : Count::fault_crash);
      crash(h, power ? Crash::power : Crash::process);
      // Some restart before any lease or election timeout has ended.
      const bool quick = chance(faults_, 35);
      if (quick && chance(faults_, 40)) excite();
      after(between(faults_, milliseconds(1), quick ? milliseconds(40) : seconds(3)), Restart{i});
    }
  }
}

// Figure 8 needs leaders that fail in the middle of their work.
void World::strike(Host& h) {
  if (!h.serves() || !h.node->raft().is_leader()) return;
  tally_.count(Count::leaders_struck);
  const std::size_t i = h.number();
  switch (faults_.between(0, 3)) {
    case 0:
    case 1:
      crash(h, draw_crash(30));
      return after(between(faults_, milliseconds(5), milliseconds(400)), Restart{i});
    case 2:
      trace("server {} is frozen", i);
      h.paused = true;
      return after(between(faults_, milliseconds(100), milliseconds(600)), Resume{i});
    default: {
      Spell spell{FaultKind::partition, {}, {}, false};
      for (std::size_t j = 0; j < hosts_.size(); ++j) {
        if (j == i) continue;
        cut(spell, i, j);
        cut(spell, j, i);
      }
      trace("server {} is cut off", i);
      begin(std::move(spell), between(faults_, milliseconds(100), milliseconds(800)));
    }
  }
}

// ---- network ------------------------------------------------------------------------------

void World::cut(Spell& spell, std::size_t from, std::size_t to) {
  ++link(from, to).cuts;
  spell.cuts.emplace_back(from, to);
}

void World::cut_partition(Spell& spell) {
  const std::size_t n = hosts_.size();
  const auto both = [&](std::size_t a, std::size_t b) {
    cut(spell, a, b);
    cut(spell, b, a);
  };
  std::vector<bool> side(n);
  for (std::size_t i = 0; i < n; ++i) side[i] = chance(faults_, 50);
  const std::size_t special = pick_host();
  // More often than the other shapes: one server alone, usually the leader.
  static constexpr std::int64_t kDrawn[] = {0, 1, 1, 2, 3, 4};
  const std::int64_t shape = kDrawn[faults_.between(0, 5)];
  const std::size_t reach = n / 4 + (n > 1 ? 1 : 0);
  for (std::size_t a = 0; a < n; ++a)
    for (std::size_t b = a + 1; b < n; ++b) {
      const bool halves = side[a] != side[b];
      const bool touches = a == special || b == special;
      const std::size_t distance = std::min(b - a, n - (b - a));
      if (shape == 0 && halves) both(a, b);                 // two groups
      if (shape == 1 && touches) both(a, b);                // one alone
      if (shape == 2 && halves && !touches) both(a, b);     // a bridge between two groups
      if (shape == 3 && distance > reach) both(a, b);       // a ring of majorities
      if (shape == 4 && a + 1 == b && touches) both(a, b);  // a link or two
    }
  static constexpr const char* kShapes[] = {"groups", "one alone", "a bridge", "a ring", "links"};
  trace("partition: {} ({})", kShapes[shape], special);
}

void World::cut_oneway(Spell& spell) {
  const std::size_t a = pick_host();
  const std::int64_t shape = faults_.between(0, 2);
  for (std::size_t b = 0; b < hosts_.size(); ++b) {
    if (b == a || (shape == 2 && chance(faults_, 50))) continue;
    if (shape == 0) cut(spell, a, b);  // mute
    else cut(spell, b, a);             // deaf, to all or to some
  }
  trace("one way: server {} is {}", a, shape == 0 ? "mute" : "deaf");
}

void World::reset_connections() {
  tally_.count(Count::fault_reset);
  const std::size_t a = pick_host();
  trace("connections of server {} are reset", a);
  for (std::size_t b = 0; b < hosts_.size(); ++b) {
    if (b == a) continue;
    if (chance(faults_, 70)) reset(a, b);
    if (chance(faults_, 70)) reset(b, a);
  }
}

void World::inject_network(FaultKind kind) {
  Spell spell{kind, {}, {}, false};
  if (kind == FaultKind::reset) return reset_connections();
  if (kind == FaultKind::narrow) {
    if (!plan_.in_order) return;  // only a stream of bytes has a queue
    tally_.count(Count::fault_narrow);
    narrow(spell);
    return begin(std::move(spell), between(faults_, seconds(1), seconds(6)));
  }
  if (kind == FaultKind::partition) {
    tally_.count(Count::fault_partition);
    cut_partition(spell);
  } else if (kind == FaultKind::oneway) {
    tally_.count(Count::fault_oneway);
    cut_oneway(spell);
  } else if (kind == FaultKind::loss) {
    tally_.count(Count::fault_loss);
    loss_percent_ = faults_.between(1, 50);
    trace("{} % of all messages are lost", loss_percent_);
  } else if (kind == FaultKind::duplicate) {
    tally_.count(Count::fault_duplicate);
    duplicate_percent_ = faults_.between(1, 30);
    trace("{} % of all messages arrive twice", duplicate_percent_);
  } else {
    tally_.count(Count::fault_delay);
    delay_max_ = milliseconds(faults_.between(1, chance(faults_, 20) ? 2'000 : 200));
    trace("messages take up to {} ms", delay_max_.ms());
  }
  const Duration lasts = between(faults_, milliseconds(50), seconds(4));
  begin(std::move(spell), lasts);
}

// ---- disks --------------------------------------------------------------------------------

void World::inject_disk(FaultKind kind) {
  if (kind == FaultKind::flip) return flip();
  for (const std::size_t i : pick_hosts()) {
    Host& h = host(i);
    if (kind == FaultKind::stall) {
      tally_.count(Count::fault_stall);
      h.stalled_until = std::min(quiet_at_, now_ + between(faults_, milliseconds(20), seconds(3)));
      trace("the disk of server {} stalls for {} ms", i, (h.stalled_until - now_).ms());
    } else if (kind == FaultKind::full) {
      tally_.count(Count::fault_full);
      trace("the disk of server {} is full", i);
      h.full = true;
      h.disk.set_capacity(h.disk.used() + static_cast<std::uint64_t>(faults_.between(0, 20'000)));
      begin({kind, {}, {i}, false}, between(faults_, milliseconds(50), seconds(4)));
    } else {
      tally_.count(Count::fault_ioerror);
      static constexpr test::MemFs::Call kCalls[] = {
          test::MemFs::Call::write, test::MemFs::Call::sync, test::MemFs::Call::sync_directory,
          test::MemFs::Call::rename, test::MemFs::Call::read};
      trace("the disk of server {} is about to fail", i);
      h.failing = true;
      h.disk.fail(kCalls[faults_.between(0, 4)], static_cast<std::uint64_t>(faults_.between(0, 5)),
                  EIO);
    }
  }
}

// Damage to a segment below this offset is always noticed. Damage to the last frame of the log
// looks like a torn write (docs/disk-format.md).
static std::uint64_t noticed_up_to(test::MemFs& disk, const std::string& file,
                                   raft::Incarnation incarnation) {
  const std::string bytes = disk.content(file);
  const auto number = storage::parse_segment_name(file);
  if (!number) return bytes.size();
  const auto files = disk.list();
  for (const std::string& other : files.value())
    if (storage::parse_segment_name(other).value_or(0) > *number) return bytes.size();
  for (std::uint64_t at = bytes.size() / storage::kSector * storage::kSector; at > 0;) {
    at -= storage::kSector;
    if (storage::decode_frame_header(std::string_view(bytes).substr(at), incarnation, *number, at))
      return at;
  }
  return 0;
}

// Flips bits of synced data while the server is down. The server only has to notice. It costs a
// voter like a lost disk, so it happens only when a disk may be lost.
void World::flip() {
  const std::size_t i = pick_host();
  Host& h = host(i);
  if (!h.up() || !counts(h) || h.outside || !may_lose(h)) return;
  h.outside = true;
  tally_.count(Count::fault_flip);
  const raft::Incarnation incarnation = h.incarnation();
  crash(h, Crash::process);
  const auto files = h.disk.list();
  for (const std::string& file : files.value()) {
    const std::uint64_t size = noticed_up_to(h.disk, file, incarnation);
    if (size == 0 || chance(faults_, 50)) continue;
    const auto at = static_cast<std::uint64_t>(
        faults_.between(0, static_cast<std::int64_t>(std::min<std::uint64_t>(size, 4'000)) - 1));
    trace("a bit of {} of server {} flips", file, i);
    h.disk.flip_bit(file, at, static_cast<unsigned>(faults_.between(0, 7)));
  }
  after(milliseconds(100), Restart{i});
}

// ---- ends of faults -----------------------------------------------------------------------

void World::begin(Spell spell, Duration lasts) {
  const bool loses = spell.kind == FaultKind::loss || spell.kind == FaultKind::delay ||
                     spell.kind == FaultKind::narrow;
  if ((loses || !spell.cuts.empty()) && chance(faults_, 70)) excite();
  spells_.push_back(std::move(spell));
  after(lasts, Undo{spells_.size() - 1});
}

void World::undo(std::size_t fault) {
  Spell& spell = spells_[fault];
  if (std::exchange(spell.over, true)) return;
  for (const auto& [a, b] : spell.cuts) --link(a, b).cuts;
  if (!spell.cuts.empty()) trace("partition ends");
  for (const auto& [a, b] : spell.narrowed) widen(a, b);
  if (spell.kind == FaultKind::churn) --churning_;
  if (spell.kind == FaultKind::hang) end_hang(spell);
  if (spell.kind == FaultKind::stretch) --stretching_;
  if (spell.kind == FaultKind::loss) loss_percent_ = 0;
  if (spell.kind == FaultKind::duplicate) duplicate_percent_ = 0;
  if (spell.kind == FaultKind::delay) delay_max_ = plan_.delay_max;
  for (const std::size_t i : spell.hosts) {
    Host& h = host(i);
    if (spell.kind == FaultKind::slow) h.slowness = {};
    if (spell.kind == FaultKind::full) {
      h.full = false;
      h.disk.set_capacity(UINT64_MAX);
    }
  }
}

// Q5: a minority stays dead, cut off or slow, or has a hung disk. The others have to keep serving.
void World::choose_core() {
  const Roster* const roster = safety_.roster();
  std::size_t voters = plan_.servers;
  if (roster != nullptr)
    voters = static_cast<std::size_t>(
        std::count_if(roster->members.begin(), roster->members.end(),
                      [](const Roster::Member& member) { return member.in_new; }));
  const std::size_t room = (voters - 1) / 2;
  if (room == 0) return;
  // A Bootstrap that is not yet committed needs the voters that it names with their incarnations,
  // so that no server may be missing (docs/raft.md, "Who votes").
  const auto holds_a_log = [](const auto& h) { return !h->holds.is_none(); };
  if (voters_ == 0 && std::any_of(hosts_.begin(), hosts_.end(), holds_a_log)) return;
  tally_.count(Count::core_worlds);
  for (std::int64_t n = faults_.between(1, static_cast<std::int64_t>(room)); n > 0; --n) {
    const std::size_t i = pick_host();
    Host& h = host(i);
    if (h.outside || !may_lose(h)) continue;
    h.outside = true;
    tally_.count(Count::fault_core);
    Spell spell{FaultKind::partition, {}, {}, false};
    const std::int64_t shape = faults_.between(0, 5);
    trace("server {} stays behind ({})", i, shape);
    if (shape == 0) crash(h, Crash::process);
    if (shape == 1 && h.up()) h.paused = true;
    if (shape == 2) h.slowness = milliseconds(faults_.between(5, 20));
    if (shape == 3) h.stalled_until = kNever;
    for (std::size_t j = 0; j < hosts_.size(); ++j) {
      if (j == i) continue;
      if (shape == 4) cut(spell, i, j);
      if (shape == 4 || shape == 5) cut(spell, j, i);
    }
    // The part that still works keeps running.
    if (shape > 1) {
      resume(h);
      if (!h.up()) start(h);
    }
  }
}

}  // namespace vesper::sim
