// What ends by itself, in the calm: it must be gone in time. And a drill with a lock: a waiter that
// hangs up leaves the queue, and the next one is granted the lock once its holder is gone.

#include "sim/translate.hpp"
#include "sim/world.hpp"

namespace vesper::sim {
namespace {

constexpr Duration kMostLate = milliseconds(100);
constexpr Duration kDrillTtl = milliseconds(500);
constexpr Duration kRenewEvery = milliseconds(100);
constexpr Duration kWait = seconds(60);
constexpr std::size_t kRoles = 3;

}  // namespace

void World::begin_drill() {
  Prng random(options_.seed * 64 + 50);
  std::vector<std::size_t> healthy;
  for (const auto& h : hosts_)
    if (!h->outside && is_awaited(*h) && !h->gone_for_good) healthy.push_back(h->number());
  if (!chance(random, 40) || healthy.empty() || doomed_) return;
  const auto draw = [&] {
    return healthy[static_cast<std::size_t>(
        random.between(0, static_cast<std::int64_t>(healthy.size()) - 1))];
  };
  tally_.count(Count::drills);
  drill_.stage = Drill::Stage::acquire;
  drill_.first_client = clients_.size();
  drill_.lock = {chance(random, 50) ? Space::locks : Space::elections, "drill"};
  drill_.releases = chance(random, 50);
  const std::size_t waits_at = draw();
  for (std::size_t role = 0; role < kRoles; ++role) {
    clients_.emplace_back();
    Client& client = clients_.back();
    client.random = Prng(random.next());
    client.host = role == 0 ? draw() : waits_at;
    client.drills = true;
    after(between(random, {}, milliseconds(20)), ClientStep{clients_.size() - 1});
  }
}

void World::drill_step(std::size_t c) {
  if (drill_.stage == Drill::Stage::over) return;
  Client& client = clients_[c];
  after(between(client.random, milliseconds(5), milliseconds(25)), ClientStep{c});
  // Its server may leave in the calm, when a change of the members is completed.
  if (!takes_part(host(client.host))) move_elsewhere(client);
  if (client.connection == 0 && !connect(client)) return;
  drill_on(client, c - drill_.first_client);
}

// The next request of the holder (0), the one that hangs up (1), or the one that waits on (2).
void World::drill_on(Client& client, std::size_t role) {
  using Stage = Drill::Stage;
  const Holdings& held = history_.model().holdings();
  const std::uint64_t token = held.token_of(drill_.lock);
  // A store that is full grants no locks.
  if (history_.model().over_quota()) drill_.stage = Stage::over;
  Operation operation;
  operation.kind = Operation::Kind::claim;
  operation.key = drill_.lock.name;
  Claim& claim = operation.claim;
  claim.lock = drill_.lock;
  claim.ttl = (kDrillTtl + nanoseconds(client.random.between(1, 1'000'000))).ns;
  const auto ask_to = [&](Claim::Kind kind, Duration wait) {
    if (!client.open.empty()) return;
    claim.kind = kind;
    claim.number = drill_.token;
    claim.wait = wait.ns;
    ask(client, std::move(operation));
  };
  const bool is_held = drill_.token != 0 && token == drill_.token;
  switch (drill_.stage) {
    case Stage::acquire:
      if (role != 0) return;
      if (token != 0 && !client.holds.empty() && client.holds.back().token == token) {
        drill_.token = token;
        drill_.stage = Stage::queue_first;
        return;
      }
      return ask_to(Claim::Kind::acquire, {});
    case Stage::queue_first:
    case Stage::queue_second:
    case Stage::hang_up:
      if (!is_held) drill_.stage = Stage::acquire;  // it was not renewed in time
      if (role == 0 && now_ - drill_.renewed_at >= kRenewEvery) {
        drill_.renewed_at = now_;
        return ask_to(Claim::Kind::renew, {});
      }
      break;
    case Stage::pass_on:
      if (role == 0 && is_held && drill_.releases) return ask_to(Claim::Kind::release, {});
      if (role != 2) return;
      if (!client.holds.empty() && client.holds.back().token > drill_.token)
        drill_.stage = Stage::over;
      else ask_to(Claim::Kind::acquire, kWait);
      return;
    case Stage::over: return;
  }
  if (drill_.stage == Stage::queue_first && role == 1) {
    if (client.open.empty()) return ask_to(Claim::Kind::acquire, kWait);
    if (held.waiters.empty() || held.waiters.rbegin()->second.lock != drill_.lock) return;
    drill_.place = held.waiters.rbegin()->first;
    drill_.stage = Stage::queue_second;
  } else if (drill_.stage == Stage::queue_second && role == 2) {
    if (client.open.empty()) return ask_to(Claim::Kind::acquire, kWait);
    if (held.waiters.empty() || held.waiters.rbegin()->first == drill_.place) return;
    hang_up(clients_[drill_.first_client + 1]);
    drill_.stage = Stage::hang_up;
  } else if (drill_.stage == Stage::hang_up && !held.waiters.contains(drill_.place)) {
    drill_.stage = Stage::pass_on;
  }
}

// How far a server's log has brought it: the stamp of the last entry that it has applied if others
// follow, because an expiry may be among them; else its clock.
kv::LogTime World::time_reached(const Host& h) const {
  const raft::Raft& raft = h.node->raft();
  const raft::Index applied = h.node->applied_index();
  if (raft.log().last_index() == applied)
    return kv::LogTime{raft.log_time(h.clock.read(now_)).value};
  if (applied <= raft.log().base_index()) return kv::LogTime{};
  return kv::LogTime{raft.log().at(applied).time.value};
}

// Whether something has been due for too long at the present leader.
bool World::is_late() const {
  const std::int64_t end = history_.model().next_end();
  if (end == kNeverEnds) return false;
  const Duration slow = (plan_.disk_max + plan_.slow_disk) * 10 + plan_.delay_max * 10 +
                        (plan_.slow_link != 0 ? milliseconds(500) : Duration{});
  for (const auto& h : hosts_) {
    if (!h->up() || h->outside || !takes_part(*h) || !h->node->raft().is_leader()) continue;
    const std::int64_t time = time_reached(*h).value;
    // Its clock may run at twice the speed of the world.
    if (end_after(end, (kMostLate + slow * 2).ns) < time) return true;
  }
  return false;
}

// T2: a read that a leader has confirmed finds no key that had been due for 100 ms when it was
// asked. One of many keys waits for all that are overdue, whether it would find them or not. A new
// leader sets a clock back that went on without one.
void World::judge_overdue(const Host& h, const Operation& asked, const node::ReadResult& read) {
  const Model& model = history_.model();
  if (read.level == node::ReadLevel::stale || read.unchanged || read.revision != model.revision())
    return;
  if (h.node->raft().write_block() == raft::WriteBlock::full) return;  // reads go on
  const node::ReadQuery query = query_of(asked);
  const auto* range = std::get_if<node::ReadRange>(&query);
  std::int64_t end = kNeverEnds;
  if (asked.kind == Operation::Kind::get || asked.kind == Operation::Kind::history)
    end = model.end_of(model.at(Space::keys, asked.key, model.revision()));
  else if (asked.kind == Operation::Kind::read_txn ||
           (range != nullptr && range->query.revision == 0))
    end = model.next_key_end();
  if (end == kNeverEnds) return;
  tally_.count(Count::reads_of_ending_keys);
  const std::int64_t time = std::min(asked.log_time, read.log_time.value);
  if (end_after(end, kMostLate.ns) < time)
    fail(fmt::format("T2: a read asked at {} ns finds a key that was due at {} ns", time, end));
}

// T2: while one leader leads, without any fault, nothing stays that has been due for 100 ms. The
// time that its disks and links take is added.
void World::judge_late() {
  const std::optional<std::size_t> leads = leader();
  const auto term = leads ? std::optional(host(*leads).node->raft().current_term()) : std::nullopt;
  if (!term || term != steady_term_) {
    steady_term_ = term;
    steady_since_ = now_;
    return;
  }
  if (now_ - steady_since_ < seconds(1) || !is_late()) return;
  fail(fmt::format("T2: in the calm, what was due at {} ns is still there",
                   history_.model().next_end()));
}

}  // namespace vesper::sim
