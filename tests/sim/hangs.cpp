// Minutes in which servers hang, so that nothing can be decided or others lead; and minutes in
// which nothing happens at all. At the end, clients retry keys with results that are kept for ten
// minutes.
#include <algorithm>

#include "sim/world.hpp"

namespace vesper::sim {
namespace {

constexpr Duration kPrelude = seconds(6);  // all other faults end within this time
constexpr Duration kKept = seconds(600);

}  // namespace

// Draws `n` servers in random order.
std::vector<std::size_t> World::draw_hosts(std::size_t n) {
  std::vector<std::size_t> drawn;
  for (std::size_t i = 0; i < hosts_.size(); ++i) drawn.push_back(i);
  for (std::size_t i = drawn.size(); i > 1; --i)
    std::swap(
        drawn[i - 1],
        drawn[static_cast<std::size_t>(faults_.between(0, static_cast<std::int64_t>(i) - 1))]);
  drawn.resize(n);
  return drawn;
}

// Keyed writes arrive at the beginning, so that some are still in a log when the servers hang.
void World::hang() {
  if (!faulty_) return;
  tally_.count(Count::fault_hang);
  hanging_ = true;
  for (std::size_t c = 0; c < plan_.clients; ++c)
    for (std::int64_t n = faults_.between(2, 4); n > 0; --n)
      after(between(faults_, {}, milliseconds(300)), Insist{c, true});
  const std::int64_t dice = faults_.between(1, 100);
  if (dice <= 35) {
    // All disks are slow at first, so that those writes are decided late.
    trace("a lull begins");
    for (auto& h : hosts_)
      h->stalled_until = std::max(h->stalled_until, now_ + milliseconds(1'200));
    quiet_at_ = quiet_at_ + kPrelude;
    return after(kPrelude, Lull{});
  }
  const std::size_t majority = hosts_.size() / 2 + 1;
  Spell spell{FaultKind::hang, {}, {}, false};
  if (dice <= 50) spell.hosts = {pick_host()};
  else spell.hosts = draw_hosts(dice <= 85 ? majority : hosts_.size());
  const Duration lasts = between(faults_, kKept - seconds(10), kKept + seconds(100));
  const std::int64_t how = faults_.between(0, 3);
  static constexpr const char* kHow[] = {"frozen", "dead", "without a disk", "cut off"};
  for (const std::size_t i : spell.hosts) {
    Host& h = host(i);
    trace("server {} is {} for {} ms", i, kHow[how], lasts.ms());
    h.hangs = how <= 1;
    if (how == 0 && h.up()) h.paused = true;
    if (how == 1) crash(h, draw_crash(30));
    if (how == 2) h.stalled_until = now_ + lasts;
    for (std::size_t j = 0; how == 3 && j < hosts_.size(); ++j) {
      if (j == i) continue;
      cut(spell, i, j);
      cut(spell, j, i);
    }
  }
  quiet_at_ = quiet_at_ + lasts;
  begin(std::move(spell), lasts);
}

// Usually ends just before the result of a write that was decided late expires; otherwise it lasts
// a random time.
void World::lull() {
  tally_.count(Count::lulls);
  lull_ = true;
  const std::int64_t fastest = *std::max_element(plan_.rates.begin(), plan_.rates.end());
  Duration lasts = between(faults_, kKept - seconds(10), kKept + seconds(100));
  std::int64_t longest = 0;
  const Passed now = log_clock_.passed_by((now_ - kBegin).ns);
  for (const Client& client : clients_)
    for (const Operation& operation : client.keyed) {
      const Passed* asked = history_.asked(operation.token);
      if (asked == nullptr || asked->now - operation.invoked <= longest) continue;
      longest = asked->now - operation.invoked;
      insisted_ = operation;
      left_ = kKept - nanoseconds(now.at_most - asked->at_most);
    }
  if (insisted_ && chance(faults_, 60)) {
    const Duration left = left_ - between(faults_, milliseconds(50), milliseconds(900));
    lasts = nanoseconds(left.ns / fastest * 1'000'000);
  } else {
    insisted_.reset();
  }
  trace("nothing happens for {} ms", lasts.ms());
  quiet_at_ = quiet_at_ + lasts;
  begin({FaultKind::hang, {}, {}, false}, lasts);
}

void World::end_hang(const Spell& spell) {
  hanging_ = lull_ = false;
  for (const std::size_t i : spell.hosts) {
    Host& h = host(i);
    h.hangs = false;
    if (h.up()) resume(h);
    else start(h);
  }
  for (std::size_t c = 0; c < plan_.clients; ++c)
    for (std::int64_t n = faults_.between(2, 5); n > 0; --n)
      after(between(faults_, {}, milliseconds(n == 1 ? 5 : 400)), Insist{c, false});
}

void World::insist(const Insist& what) {
  Client& client = clients_[what.client];
  if (!faulty_ || (client.connection == 0 && !connect(client))) return;
  if (!what.fresh && insisted_) {
    Operation operation = std::move(*insisted_);
    insisted_.reset();
    return ask(client, std::move(operation));
  }
  if (!what.fresh && !client.keyed.empty()) {
    const auto old = client.random.between(0, static_cast<std::int64_t>(client.keyed.size()) - 1);
    return ask(client, client.keyed[static_cast<std::size_t>(old)]);
  }
  Operation operation;
  operation.kind = Operation::Kind::put;
  operation.key = "k0";
  operation.invoked = (now_ - kBegin).ns;
  operation.body = ++values_;
  operation.value = fmt::format("v{}", values_);
  operation.token = fmt::format("t{}", values_);
  ask_keyed(client, std::move(operation));
}

// True in a lull without any fault, once the leader knows that the disks are well.
bool World::is_healthy() {
  if (now_ - blocked_at_ < plan_.raft.heartbeat_interval * 4) return false;
  if (!lull_ || loss_percent_ > 0 || delay_max_ != plan_.delay_max) return false;
  for (const Link& link : links_)
    if (link.cuts > 0) return false;
  return std::all_of(hosts_.begin(), hosts_.end(), [&](const auto& h) {
    return h->serves() && h->stalled_until <= now_ && !h->full && h->slowness.ns == 0;
  });
}

}  // namespace vesper::sim
